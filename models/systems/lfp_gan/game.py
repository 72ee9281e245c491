r"""The conditional game of LFP-GAN: windows made for an image against a critic that sees window and image.

The generator is the image's encoder and the noise network, joined, into the signal's decoder; the critic is both
encoders into the combination network. What was pretrained begins as it was; the rest begins at random.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.devices import device_of, repeatable
from models.metrics.distributions import signal_frechet
from models.systems.lfp_gan.data import ShownWindows
from models.systems.lfp_gan.moments import Moments, Responses
from models.systems.lfp_gan.networks import Critic, Generator, ImageEncoder
from models.systems.lfp_gan.pretraining import Pretrained
from models.systems.lfp_gan.settings import GameSettings, LfpGanConfig
from models.systems.lfp_gan.tables import (
    combination,
    image_encoder,
    noise_network,
    signal_decoder,
    signal_encoder,
)
from models.systems.lfp_gan.wasserstein import critic_loss

Windows = NDArray[np.float32]
Progress = Callable[[float, str], None]

BETAS = (0.0, 0.999)
#: Windows of a look, and the principal components that its distance is taken in.
LOOKED_AT, COMPONENTS = 600, 24
AT_ONCE = 128


class Maker(Protocol):
    """A Maker makes windows for images."""

    def make(self, which: NDArray[np.int64], random: torch.Generator) -> Windows:
        """Return a window for each image named, (n, channels, length)."""
        ...


class ConditionalGenerator(nn.Module):
    """A ConditionalGenerator is the generator with the encoder of its images."""

    def __init__(self, image: ImageEncoder, generator: Generator) -> None:
        super().__init__()
        self.image, self.generator = image, generator

    def forward(self, noise: Tensor, images: Tensor) -> Tensor:
        """Return windows: noise (n, 8, length), images (n, 1, height, width)."""
        windows: Tensor = self.generator(noise, self.image(images))
        return windows


@dataclass(frozen=True, eq=False)
class ConditionalMaker:
    """A ConditionalMaker makes windows with a generator that knows images."""

    generator: ConditionalGenerator
    images: Tensor

    def make(self, which: NDArray[np.int64], random: torch.Generator) -> Windows:
        """Return a window for each image named, (n, channels, length)."""
        return make(self.generator, self.images, which, random)


@dataclass(frozen=True, eq=False)
class Played:
    """A Played is the result of a game.

    Attributes
    ----------
    maker : Maker
        With the generator that is kept.
    record : list of dict
        At every look ``step``, ``distance``, ``frechet_power`` and ``frechet_waves`` to windows of tested images.
    early : dict of float to array
        Windows made after these shares of the first epoch.
    """

    maker: Maker
    record: list[dict[str, float]]
    early: dict[float, Windows]


class Game:
    """A Game makes one update after another.

    Parameters
    ----------
    config : LfpGanConfig
    shown : ShownWindows
    pretrained : Pretrained, optional
        Begin with its halves; at random without.
    """

    def __init__(self, config: LfpGanConfig, shown: ShownWindows, pretrained: Pretrained | None) -> None:
        torch.manual_seed(config.seed + 1)
        self.settings: GameSettings = config.game
        self.place = place = device_of(config.device)
        self._windows, self._which = (torch.from_numpy(side) for side in shown.training)
        self.images = torch.from_numpy(shown.images)[:, None].to(place)
        self._random = torch.Generator().manual_seed(config.seed + 2)
        networks = config.networks
        sizes = len(shown.columns), shown.length, networks.layers, networks.width
        image = image_encoder(shown.images.shape[1:], networks.image_width)
        noise = noise_network(shown.length)
        self.generator = ConditionalGenerator(
            ImageEncoder(image), Generator(noise, image, signal_decoder(*sizes))
        )
        self.critic = Critic(signal_encoder(*sizes), image, combination())
        if pretrained is not None:
            known = pretrained.networks
            self.generator.image.load_state_dict(known.image_encoder.state_dict())
            self.generator.generator.decoder.load_state_dict(known.signal_decoder.state_dict())
            self.critic.signal.load_state_dict(known.signal_encoder.state_dict())
            self.critic.image.load_state_dict(known.image_encoder.state_dict())
        self.generator.to(place)
        self.critic.to(place)
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False)
        self._moments, self._responses = None, None
        if self.settings.moments:
            self._moments = Moments.of(shown.training[0], shown.signal.rate).to(place)
        if self.settings.responses:
            self._responses = Responses.of(*shown.training, len(self.images)).to(place)
        self._optimisers = [
            torch.optim.Adam(part.parameters(), self.settings.rate, BETAS)
            for part in (self.generator, self.critic)
        ]
        self.step = 0

    @property
    def epoch(self) -> int:
        """Updates of the generator in which the critic has seen as many windows as there are."""
        return max(1, len(self._windows) // (self.settings.batch * self.settings.critic_steps))

    def update(self) -> float:
        """Make one update of the generator and those of the critic before it; return the distance it saw."""
        settings = self.settings
        share = 1 - self.step / settings.steps
        for optimiser in self._optimisers:
            optimiser.param_groups[0]["lr"] = settings.rate * max(0.05, min(1.0, 2 * share))
        for _ in range(settings.critic_steps):
            distance = self._teach_critic()
        self._teach_generator()
        self.step += 1
        # At first the mean is over few updates, so that where it began is soon forgotten.
        memory = min(settings.average, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, weight in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(weight, 1 - memory)
        return distance

    def make(self, which: NDArray[np.int64], random: torch.Generator) -> Windows:
        """Return a window for each image named, by the generator that is kept."""
        return make(self.averaged, self.images, which, random)

    def _batch(self) -> tuple[Tensor, Tensor]:
        """Return windows and the number of the image of each."""
        some = torch.randint(len(self._windows), (self.settings.batch,), generator=self._random)
        return self._windows[some].to(self.place), self._which[some]

    def _made(self, which: Tensor) -> Tensor:
        noise = self.generator.generator.draw(len(which), self._random).to(self.place)
        windows: Tensor = self.generator(noise, self.images[which])
        return windows

    def _teach_critic(self) -> float:
        windows, which = self._batch()
        with torch.no_grad():
            made = self._made(which)
            wrong = round(self.settings.mismatched * len(which))
            if wrong:  # measured windows of other images
                others, theirs = self._batch()
                apart = (theirs[:wrong] != which[:wrong]).to(self.place)[:, None, None]
                made[:wrong] = torch.where(apart, others[:wrong], made[:wrong])
        codes = self.critic.image(self.images[which])
        loss, distance = critic_loss(
            lambda seen: self.critic.judge(seen, codes), windows, made, self.settings.penalty, self._random
        )
        self._optimisers[1].zero_grad(set_to_none=True)
        loss.backward()
        self._optimisers[1].step()
        return distance

    def _teach_generator(self) -> None:
        _, which = self._batch()
        if self._responses is not None:  # each image twice, with noise of its own
            which = which[: len(which) // 2].repeat(2)
        self.critic.requires_grad_(False)
        made = self._made(which)
        loss = -self.critic(made, self.images[which]).mean()
        if self._moments is not None:
            loss = loss + self.settings.moments * self._moments.error(made)
        if self._responses is not None:
            first, second = made.chunk(2)
            apart = self._responses.error(first, second, which[: len(first)])
            loss = loss + self.settings.responses * apart
        self._optimisers[0].zero_grad(set_to_none=True)
        loss.backward()
        self._optimisers[0].step()
        self.critic.requires_grad_(True)


def make(
    generator: ConditionalGenerator, images: Tensor, which: NDArray[np.int64], random: torch.Generator
) -> Windows:
    """Return a window for each image named, (n, channels, length)."""
    parts = []
    with torch.no_grad():
        for first in range(0, len(which), AT_ONCE):
            some = torch.from_numpy(which[first : first + AT_ONCE])
            noise = generator.generator.draw(len(some), random).to(images)
            parts.append(generator(noise, images[some]).cpu())
    return np.asarray(torch.cat(parts).numpy())


def play(
    config: LfpGanConfig, shown: ShownWindows, pretrained: Pretrained | None, progress: Progress
) -> Played:
    """Play a whole game, looking on the way at how far made windows are from those of tested images."""
    game = Game(config, shown, pretrained)
    record: list[dict[str, float]] = []
    early: dict[float, Windows] = {}
    marks = {max(1, round(share * game.epoch)): share for share in (0.02, 0.3, 0.6, 1.0)}
    looked = look_at(shown)
    for step in range(1, config.game.steps + 1):
        with repeatable(game.place):
            distance = game.update()
        if step in marks:
            early[marks[step]] = make(
                game.generator, game.images, looked[1][:64], torch.Generator().manual_seed(3)
            )
        if step % config.game.look == 0 or step == config.game.steps:
            record.append(
                {"step": float(step), "distance": distance, **frechet(game, looked, shown.signal.rate)}
            )
            progress(
                step / config.game.steps,
                f"update {step} of {config.game.steps}: Fréchet distance of power {record[-1]['frechet_power']:.1f}",
            )
    return Played(ConditionalMaker(game.averaged.eval().cpu(), game.images.cpu()), record, early)


def look_at(shown: ShownWindows) -> tuple[Windows, NDArray[np.int64]]:
    """Return the windows of tested images that looks compare with, and the image of each."""
    windows, which = shown.test
    return windows[:LOOKED_AT], which[:LOOKED_AT]


def frechet(maker: Maker, looked: tuple[Windows, NDArray[np.int64]], rate_hz: float) -> dict[str, float]:
    """Return the Fréchet distances of as many made windows, for the same images."""
    real, which = looked
    made = maker.make(which, torch.Generator().manual_seed(4))
    sides: Any = real.transpose(0, 2, 1), made.transpose(0, 2, 1)
    few = min(COMPONENTS, len(real) // 4)
    return {
        "frechet_power": signal_frechet(*sides, rate_hz=rate_hz, components=few),
        "frechet_waves": signal_frechet(*sides, components=few),
    }
