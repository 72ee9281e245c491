"""The game of EEG-GAN: block after block, each faded in over its first updates; no image is known."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

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
                parts.append(self.generator(torch.randn(n, self.generator.latent, generator=random)))
        return np.asarray(torch.cat(parts).numpy())


def play_progressive(config: LfpGanConfig, shown: ShownWindows, progress: Progress) -> Played:
    """Play a whole game; the updates are shared out evenly among the blocks."""
    torch.manual_seed(config.seed + 1)
    settings, growing = config.game, config.progressive
    random = torch.Generator().manual_seed(config.seed + 2)
    channels = len(shown.columns)
    generator = ProgressiveGenerator(channels, shown.length, growing.blocks, growing.maps, growing.latent)
    critic = ProgressiveCritic(channels, shown.length, growing.blocks, growing.maps)
    averaged = copy.deepcopy(generator).requires_grad_(False)
    optimisers = [torch.optim.Adam(part.parameters(), settings.rate, BETAS) for part in (generator, critic)]
    windows = torch.from_numpy(shown.training[0])
    moments = Moments.of(shown.training[0], shown.signal.rate) if settings.moments else None
    looked, record = look_at(shown), []
    each = max(1, settings.steps // growing.blocks)
    for step in range(settings.steps):
        block = min(step // each, growing.blocks - 1)
        share = 1.0 if block == 0 else min(1.0, (step - block * each + 1) / max(1.0, growing.fade * each))
        for part in (generator, critic, averaged):
            part.block, part.share = block, share
        for _ in range(settings.critic_steps):
            some = windows[torch.randint(len(windows), (settings.batch,), generator=random)]
            real = at_block(some, block, growing.blocks, generator.base)
            with torch.no_grad():
                made = generator(torch.randn(settings.batch, growing.latent, generator=random))
            loss, distance = critic_loss(critic, real, made, settings.penalty, random)
            optimisers[1].zero_grad(set_to_none=True)
            loss.backward()
            optimisers[1].step()
        critic.requires_grad_(False)
        made = generator(torch.randn(settings.batch, growing.latent, generator=random))
        asked = -critic(made).mean()
        if moments is not None and block == growing.blocks - 1:
            asked = asked + settings.moments * moments.error(made)
        optimisers[0].zero_grad(set_to_none=True)
        asked.backward()
        optimisers[0].step()
        critic.requires_grad_(True)
        memory = min(settings.average, (step + 1) / (step + 11))
        with torch.no_grad():
            for mean, weight in zip(averaged.parameters(), generator.parameters(), strict=True):
                mean.lerp_(weight, 1 - memory)
        if block == growing.blocks - 1 and ((step + 1) % settings.look == 0 or step + 1 == settings.steps):
            found = frechet(ProgressiveMaker(averaged), looked, shown.signal.rate)
            record.append({"step": step + 1.0, "distance": distance, **found})
        if (step + 1) % settings.look == 0:
            progress((step + 1) / settings.steps, f"update {step + 1} of {settings.steps}, block {block + 1}")
    averaged.block, averaged.share = growing.blocks - 1, 1.0
    return Played(ProgressiveMaker(averaged.eval()), record, {})
