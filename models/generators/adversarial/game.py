"""An AdversarialGame trains a generator and a critic against each other, one update of each in turn.

Every draw of update `k` (which pictures, which latents) comes from a random state of its own, seeded with the run's
seed and `k`. So there is no random state to save: a run that was killed goes on from its last checkpoint with the
same updates as one that was not.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.devices import repeatable
from models.generators.adversarial.averaging import Averaged, settle
from models.generators.adversarial.losses import fake_loss, generator_loss, orthogonality, r1, real_loss
from models.generators.adversarial.replicas import Replicas
from models.generators.adversarial.settings import AdversarialFile
from models.generators.interface import ImageGenerator
from models.generators.regression import picture_loss

_SETTLE_BATCHES, _SETTLE_BATCH = 16, 64
# Streams of random numbers, apart from each other whatever the update.
_WARM, _REAL, _LATENT, _SETTLE, _ORDER = 0, 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Measures:
    """A Measures holds the losses and shares measured in one update.

    Attributes
    ----------
    critic_loss, generator_loss : float
        Losses as minimised, without penalties; NaN in a warm update.
    real, fake : float
        Share of real pictures that the critic judged real, and of drawn ones that it judged drawn.
    redrawing : float
        Loss of redrawing pictures from their components; NaN where the configuration has none.
    """

    critic_loss: float
    generator_loss: float
    real: float
    fake: float
    redrawing: float


class AdversarialGame:
    """An AdversarialGame holds both networks, their optimisers, and the averaged generator that is shipped.

    Parameters
    ----------
    config : AdversarialFile
        Sizes and switches.
    images : (n, size, size, 3) uint8
        The pictures to learn from.
    latents : (n, d) float32, optional
        Latents of the pictures; needed to redraw them.
    replicas : Replicas
        The processes that train together, this one among them.
    """

    def __init__(
        self,
        config: AdversarialFile,
        images: NDArray[np.uint8],
        latents: NDArray[np.float32] | None,
        replicas: Replicas,
    ) -> None:
        game = config.game
        if (game.warm_steps or game.anchor) and latents is None:
            raise ValueError("redrawing pictures needs their latents")
        self.config, self.replicas, self._images, self._latents = config, replicas, images, latents
        torch.manual_seed(config.seed)
        generator, critic = config.networks()
        # Memory with channels last is a fifth faster in oneDNN, and what tensor cores want.
        self.generator = generator.to(replicas.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.critic = critic.to(replicas.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = Averaged(self.generator, game.average, game.average_decay)
        self.generator_optimiser = torch.optim.Adam(self.generator.parameters(), game.rate, game.betas)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), game.critic_rate, game.betas)
        #: Updates done, warm ones included.
        self.step = 0

    @property
    def total_steps(self) -> int:
        """Updates of the whole run, warm ones included."""
        return self.config.game.warm_steps + self.config.game.steps

    @property
    def steps_per_epoch(self) -> int:
        """Updates of the generator in which every picture was seen once."""
        seen = self.config.game.batch * self.config.game.critic_steps * self.replicas.count
        return max(1, len(self._images) // seen)

    def update(self) -> Measures:
        """Make the next update: a warm one, or one of the game."""
        self.generator.train()
        self.critic.train()
        self.step += 1
        warm = self.config.game.warm_steps
        with repeatable(self.replicas.device):
            measures = self._warm() if self.step <= warm else self._play(self.step - warm)
        self.averaged.step(self.generator)
        if self.step > warm and (self.step - warm) % self.steps_per_epoch == 0:
            self.averaged.epoch(self.generator)
        return measures

    def shipped(self) -> ImageGenerator:
        """Return the averaged generator with its batch statistics measured, in evaluation mode."""
        random = np.random.default_rng([self.config.seed, _SETTLE])
        network: ImageGenerator = self.averaged.network  # type: ignore[assignment]
        if self.averaged.how == "uniform" and self.averaged.count == 0:
            # No epoch has ended yet, so the network itself is shipped.
            network.load_state_dict(self.generator.state_dict())
        settle(
            network,
            (
                torch.from_numpy(network.sample(_SETTLE_BATCH, random)).to(self.replicas.device)
                for _ in range(_SETTLE_BATCHES)
            ),
        )
        return network.eval()

    def _warm(self) -> Measures:
        """Redraw pictures from their components; the rate rises for a tenth and falls along a cosine."""
        game = self.config.game
        share = self.step / game.warm_steps
        rise = min(1.0, 10.0 * share)
        self._set_rate(self.generator_optimiser, game.warm_rate * rise * 0.5 * (1.0 + np.cos(np.pi * share)))
        self.generator_optimiser.zero_grad(set_to_none=True)
        with self.replicas.autocast():
            latent, picture = self._pair(game.batch)
            loss = picture_loss(0.5 + 0.5 * self.generator(latent), 0.5 + 0.5 * picture, game.edges)
        loss.backward()
        self._descend(self.generator, self.generator_optimiser)
        nan = float("nan")
        return Measures(nan, nan, nan, nan, float(loss.detach()))

    def _play(self, turn: int) -> Measures:
        """Make one update of the game: the critic's `critic_steps` times, then the generator's."""
        game = self.config.game
        if turn == 1 and game.warm_steps:
            # The optimiser's moments from redrawing do not apply to the game.
            self.generator_optimiser = torch.optim.Adam(self.generator.parameters(), game.rate, game.betas)
        left = (game.steps - turn) / game.steps
        fall = min(1.0, max(0.1, left / game.decay_rate_over)) if game.decay_rate_over else 1.0
        self._set_rate(self.generator_optimiser, game.rate * fall)
        self._set_rate(self.critic_optimiser, game.critic_rate * fall)
        latent, picture = self._generator_batch()
        with self.replicas.autocast():
            drawn = self.generator(latent)
        for k in range(game.critic_steps):
            last = k + 1 == game.critic_steps
            # The critic's last batch is what the generator learns from next, as published; the others are new.
            judged = drawn.detach() if last else self._more(k)
            critic_loss, real, fake = self._critic_update(turn, k, judged)
        drawn_loss, redrawing = self._generator_update(drawn, picture)
        return Measures(critic_loss, drawn_loss, real, fake, redrawing)

    def _critic_update(self, turn: int, k: int, drawn: Tensor) -> tuple[float, float, float]:
        """Make one step on a real and a drawn batch; return the loss and the shares of both judged right."""
        game = self.config.game
        self.critic_optimiser.zero_grad(set_to_none=True)
        picture = self._real((turn - 1) * game.critic_steps + k)
        with self.replicas.autocast():
            on_real = self.critic(picture)
            loss = real_loss(game.loss, on_real)
        loss.backward()
        with self.replicas.autocast():
            on_fake = self.critic(drawn)
            other = fake_loss(game.loss, on_fake)
        other.backward()
        if game.r1 and turn % game.r1_every == 0:
            # In full precision: the slope's own gradient is needed.
            (game.r1 * game.r1_every * r1(self.critic, picture)).backward()
        self._descend(self.critic, self.critic_optimiser)
        return (
            float((loss + other).detach()),
            float((on_real > 0).float().mean()),
            float((on_fake < 0).float().mean()),
        )

    def _generator_update(self, drawn: Tensor, picture: Tensor | None) -> tuple[float, float]:
        """Make one step on a drawn batch; return the generator's loss and that of redrawing."""
        game = self.config.game
        self.generator_optimiser.zero_grad(set_to_none=True)
        redrawing = torch.full((), float("nan"))
        # The critic only passes gradients on.
        self.critic.requires_grad_(False)
        with self.replicas.autocast():
            loss = generator_loss(game.loss, self.critic(drawn))
            total = loss
            if picture is not None:
                redrawn = 0.5 + 0.5 * drawn[: len(picture)]
                redrawing = picture_loss(redrawn, 0.5 + 0.5 * picture, game.edges)
                total = total + game.anchor * redrawing
            if game.orthogonal:
                total = total + game.orthogonal * orthogonality(self.generator)
        total.backward()
        self.critic.requires_grad_(True)
        self._descend(self.generator, self.generator_optimiser)
        return float(loss.detach()), float(redrawing.detach())

    def _generator_batch(self) -> tuple[Tensor, Tensor | None]:
        """Return latents of the prior, the first half replaced by those of pictures where there is an anchor."""
        game = self.config.game
        latent = self._prior(game.batch, game.critic_steps)
        if not game.anchor:
            return latent, None
        known, picture = self._pair(game.batch // 2)
        return torch.cat([known, latent[len(known) :]]), picture

    @torch.no_grad()
    def _more(self, k: int) -> Tensor:
        """Draw another batch for the critic alone."""
        with self.replicas.autocast():
            drawn: Tensor = self.generator(self._prior(self.config.game.batch, k))
        return drawn

    def _descend(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        self.replicas.average_gradients(network)
        optimiser.step()

    @staticmethod
    def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
        for group in optimiser.param_groups:
            group["lr"] = rate

    def _random(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, self.replicas.rank, stream, self.step, number])

    def _prior(self, n: int, number: int) -> Tensor:
        """Draw latents: (n, d)."""
        return self._place(self.generator.sample(n, self._random(_LATENT, number)))

    def _real(self, batch: int) -> Tensor:
        """Return real batch number `batch`, (batch size, 3, size, size): epoch after epoch in a new order."""
        size, count = self.config.game.batch, self.replicas.count
        per_epoch = max(1, len(self._images) // (size * count))
        epoch, place = divmod(batch, per_epoch)
        order = np.random.default_rng([self.config.seed, _ORDER, epoch]).permutation(len(self._images))
        first = (place * count + self.replicas.rank) * size
        return self._planes(order[np.arange(first, first + size) % len(order)])

    def _pair(self, n: int) -> tuple[Tensor, Tensor]:
        """Return pictures and the latents of their components: (n, d) and (n, 3, size, size)."""
        assert self._latents is not None
        chosen = self._random(_WARM, 0).integers(len(self._images), size=n)
        return self._place(self._latents[chosen]), self._planes(chosen)

    def _planes(self, chosen: NDArray[np.int64]) -> Tensor:
        planes = np.ascontiguousarray(self._images[chosen].transpose(0, 3, 1, 2))
        picture = self._place(planes).float() / 127.5 - 1.0
        return picture.contiguous(memory_format=torch.channels_last)

    def _place(self, array: NDArray[np.float32] | NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(array).to(self.replicas.device, non_blocking=True)
