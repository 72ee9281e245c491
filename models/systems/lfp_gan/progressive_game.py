"""The game of EEG-GAN: block after block, each faded in over its first updates; no image is known."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.devices import device_of, repeatable
from models.systems.lfp_gan.data import ShownWindows
from models.systems.lfp_gan.game import AT_ONCE, Played, Progress, Windows, frechet, look_at
from models.systems.lfp_gan.moments import Moments
from models.systems.lfp_gan.progressive import ProgressiveCritic, ProgressiveGenerator, at_block
from models.systems.lfp_gan.settings import LfpGanConfig
from models.systems.lfp_gan.wasserstein import critic_loss

#: β of Adam, as published for EEG-GAN.
BETAS = (0.0, 0.99)


@dataclass(frozen=True, eq=False)
class ProgressiveMaker:
    """A ProgressiveMaker makes windows of noise alone, whatever image is named."""

    generator: ProgressiveGenerator

    def make(self, which: NDArray[np.int64], random: torch.Generator) -> Windows:
        """Return a window for each image named, (n, channels, length)."""
        parts = []
        with torch.no_grad():
            for first in range(0, len(which), AT_ONCE):
                n = len(which[first : first + AT_ONCE])
                noise = torch.randn(n, self.generator.latent, generator=random)
                parts.append(self.generator(noise.to(self.generator.dense.weight)).cpu())
        return np.asarray(torch.cat(parts).numpy())


def play_progressive(config: LfpGanConfig, shown: ShownWindows, progress: Progress) -> Played:
    """Play a whole game; the updates are shared out evenly among the blocks."""
    game = ProgressiveGame(config, shown)
    settings, looked, record = config.game, look_at(shown), []
    for step in range(1, settings.steps + 1):
        with repeatable(game.place):
            distance = game.update()
        if game.whole and (step % settings.look == 0 or step == settings.steps):
            found = frechet(ProgressiveMaker(game.averaged), looked, shown.signal.rate)
            record.append({"step": float(step), "distance": distance, **found})
        if step % settings.look == 0:
            progress(step / settings.steps, f"update {step} of {settings.steps}, block {game.block + 1}")
    kept = game.averaged
    kept.block, kept.share = config.progressive.blocks - 1, 1.0
    return Played(ProgressiveMaker(kept.eval().cpu()), record, {})


class ProgressiveGame:
    """A ProgressiveGame makes one update after another, and grows on the way."""

    def __init__(self, config: LfpGanConfig, shown: ShownWindows) -> None:
        torch.manual_seed(config.seed + 1)
        self.settings, self._growing = config.game, config.progressive
        self.place = device_of(config.device)
        self._random = torch.Generator().manual_seed(config.seed + 2)
        sizes = len(shown.columns), shown.length, self._growing.blocks, self._growing.maps
        self.generator = ProgressiveGenerator(*sizes, self._growing.latent).to(self.place)
        self.critic = ProgressiveCritic(*sizes).to(self.place)
        self.averaged = copy.deepcopy(self.generator).requires_grad_(False)
        self._optimisers = [
            torch.optim.Adam(part.parameters(), self.settings.rate, BETAS)
            for part in (self.generator, self.critic)
        ]
        self._windows = torch.from_numpy(shown.training[0])
        self._moments = (
            Moments.of(shown.training[0], shown.signal.rate).to(self.place) if self.settings.moments else None
        )
        self.step, self.block = 0, 0

    @property
    def whole(self) -> bool:
        """Whether the last block learns, so that windows have their own length."""
        return self.block == self._growing.blocks - 1

    def update(self) -> float:
        """Make one update of the generator and those of the critic before it; return the distance it saw."""
        self._grow()
        for _ in range(self.settings.critic_steps):
            distance = self._teach_critic()
        self._teach_generator()
        self.step += 1
        memory = min(self.settings.average, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, weight in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(weight, 1 - memory)
        return distance

    def _grow(self) -> None:
        """Set the block that learns, and how far it is faded in."""
        each = max(1, self.settings.steps // self._growing.blocks)
        self.block = min(self.step // each, self._growing.blocks - 1)
        done = (self.step - self.block * each + 1) / max(1.0, self._growing.fade * each)
        for part in (self.generator, self.critic, self.averaged):
            part.block, part.share = self.block, 1.0 if self.block == 0 else min(1.0, done)

    def _made(self) -> Tensor:
        noise = torch.randn(self.settings.batch, self._growing.latent, generator=self._random)
        windows: Tensor = self.generator(noise.to(self.place))
        return windows

    def _teach_critic(self) -> float:
        some = torch.randint(len(self._windows), (self.settings.batch,), generator=self._random)
        real = at_block(
            self._windows[some].to(self.place), self.block, self._growing.blocks, self.generator.base
        )
        with torch.no_grad():
            made = self._made()
        loss, distance = critic_loss(self.critic, real, made, self.settings.penalty, self._random)
        self._optimisers[1].zero_grad(set_to_none=True)
        loss.backward()
        self._optimisers[1].step()
        return distance

    def _teach_generator(self) -> None:
        self.critic.requires_grad_(False)
        made = self._made()
        asked = -self.critic(made).mean()
        if self._moments is not None and self.whole:
            asked = asked + self.settings.moments * self._moments.error(made)
        self._optimisers[0].zero_grad(set_to_none=True)
        asked.backward()
        self._optimisers[0].step()
        self.critic.requires_grad_(True)
