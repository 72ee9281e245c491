"""An UpsamplingGenerator is a small generator: latents to a picture, by upsampling and convolution.

Each stage doubles the picture by repeating pixels and then convolves: a transposed convolution would leave a
checkerboard. The latents reach every stage as a scale and a shift per channel (Perez et al. 2018), and every
stage owns a learned map of its own size. A unit therefore computes ``relu(map(x, y) + shift(z) + …)``: the
level set of a map, which a change of latent moves across the picture. That is what a closing lid is.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.generators.interface import ImageGenerator

_HARMONICS = 3


class UpsamplingGenerator(ImageGenerator):
    """An UpsamplingGenerator maps known latents to pictures.

    Parameters
    ----------
    ranges : sequence of (low, high)
        Range of each latent; inside, a latent is rescaled to -1 … 1.
    channels : sequence of int
        Channels of each stage, from 8×8 on; ``len(channels) - 1`` doublings follow the first.
    hidden : int
        Units of the layers that read the latents.
    """

    kind = "upsampling"
    output_range = (0.0, 1.0)
    low: Tensor
    high: Tensor
    phases: Tensor

    def __init__(
        self,
        ranges: Sequence[tuple[float, float]],
        channels: Sequence[int] = (40, 32, 24, 16),
        hidden: int = 48,
    ) -> None:
        super().__init__()
        self.latent_size = len(ranges)
        self.size = 8 * 2 ** (len(channels) - 1)
        self.image_size = (self.size, self.size)
        self._settings = {
            "ranges": [list(map(float, ends)) for ends in ranges],
            "channels": list(channels),
            "hidden": hidden,
        }
        self.register_buffer("low", torch.tensor([low for low, _ in ranges], dtype=torch.float32))
        self.register_buffer("high", torch.tensor([high for _, high in ranges], dtype=torch.float32))
        self.register_buffer("phases", torch.arange(1, _HARMONICS + 1, dtype=torch.float32) * (math.pi / 2))
        self.read = nn.Sequential(
            nn.Linear(self.latent_size * (1 + 2 * _HARMONICS), hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
        )
        self.first = nn.Linear(hidden, channels[0] * 64)
        self.stages = nn.ModuleList(
            _Stage(before, after, 8 * 2 ** (k + 1), hidden)
            for k, (before, after) in enumerate(itertools.pairwise(channels))
        )
        self.last = nn.Conv2d(channels[-1], 3, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """Draw.

        Parameters
        ----------
        latent : (n, latent_size)
            Latents within their ranges.

        Returns
        -------
        (n, 3, size, size)
            sRGB in 0 to 1.
        """
        return self.layers(latent)[-1]

    def layers(self, latent: Tensor) -> list[Tensor]:
        """Return every stage's activation: (n, channels, 8, 8) to (n, 3, size, size)."""
        z = (latent - self.low) / (self.high - self.low) * 2.0 - 1.0  # (n, d) in -1 … 1
        turns = (z.unsqueeze(2) * self.phases).flatten(1)  # (n, d * harmonics)
        code = self.read(torch.cat([z, torch.sin(turns), torch.cos(turns)], 1))  # (n, hidden)
        picture = self.first(code).reshape(latent.shape[0], -1, 8, 8)
        activations = [picture]
        for stage in self.stages:
            activations.append(picture := stage(picture, code))
        return [*activations, torch.sigmoid(self.last(picture))]

    def settings(self) -> dict[str, Any]:
        """Return ranges, channels and hidden."""
        return self._settings


class _Stage(nn.Module):
    """A _Stage doubles the size, convolves twice, and lets the latents scale, shift and move maps."""

    def __init__(self, before: int, after: int, size: int, hidden: int) -> None:
        super().__init__()
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.style = nn.Linear(hidden, 2 * after)
        self.map = nn.Parameter(torch.randn(1, after, size, size) * 0.1)
        self.act = nn.LeakyReLU(0.1)

    def forward(self, picture: Tensor, code: Tensor) -> Tensor:
        """(n, before, s, s) and (n, hidden) to (n, after, 2s, 2s)."""
        scale, shift = self.style(code).unsqueeze(2).unsqueeze(3).chunk(2, 1)
        h = self.conv1(self.enlarge(picture)) * (1.0 + scale) + shift + self.map
        h = self.act(h)
        out: Tensor = self.act(h + self.conv2(h))
        return out
