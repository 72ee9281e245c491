"""A ProgressiveGenerator has the architecture of PGGAN (Karras et al. 2018), at any size: every convolution is a layer.

The latent is normalised, a first layer makes 4 × 4 of it, each block after that doubles the picture and convolves, and
a 1 × 1 convolution without bounds makes colours of the last block. With two convolutions a block and 1024² the picture
is layer 19, and layers 4, 9 and 14 lie where HYPER's models look (Dado et al. 2022).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.generators.interface import ImageGenerator

_TINY = 1e-8


class ProgressiveGenerator(ImageGenerator):
    """A ProgressiveGenerator maps latents to pictures, whatever the latents' length.

    Parameters
    ----------
    latent : int
        d.
    channels : sequence of int
        Of each block, the first at 4 × 4, each other one twice as large as that before it.
    convolutions : int
        Of each block.

    Raises
    ------
    ValueError
        If there are no blocks or no convolutions.
    """

    kind = "progressive"

    def __init__(
        self, latent: int = 512, channels: Sequence[int] = (512, 512, 512, 512, 256), convolutions: int = 2
    ) -> None:
        super().__init__()
        if not channels or min(channels) < 1 or convolutions < 1 or latent < 1:
            raise ValueError(
                "a latent, the channels of one block or more, and one convolution or more are needed"
            )
        size = 4 * 2 ** (len(channels) - 1)
        self.latent_size, self.image_size = latent, (size, size)
        self.channels, self.convolutions = tuple(channels), convolutions
        self.first = nn.ConvTranspose2d(latent, channels[0], 4)
        pairs: list[tuple[int, int]] = []
        for block, width in enumerate(channels):
            before = channels[max(block - 1, 0)]
            pairs += [(before, width)] + [(width, width)] * (convolutions - 1)
        self.convolved = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs[1:])
        self.colours = nn.Conv2d(channels[-1], 3, 1)
        for part in (self.first, *self.convolved, self.colours):
            assert isinstance(part, nn.Conv2d | nn.ConvTranspose2d)
            inputs = latent if part is self.first else part.weight[0].numel()
            nn.init.normal_(part.weight, 0.0, ((1.0 if part is self.colours else 2.0) / inputs) ** 0.5)
            assert part.bias is not None
            nn.init.zeros_(part.bias)

    def forward(self, latent: Tensor) -> Tensor:
        """Draw: (n, d) to (n, 3, size, size), about -1 to 1."""
        return self.layers(latent)[-1]

    def layers(self, latent: Tensor) -> list[Tensor]:
        """Return every layer's activation: (n, channels, 4, 4) to (n, 3, size, size)."""
        value = _even(self.first(_even(latent).unsqueeze(2).unsqueeze(3)), rectify=True)
        found = [value]
        for number, convolution in enumerate(self.convolved, 1):
            if number % self.convolutions == 0:
                value = functional.interpolate(value, scale_factor=2.0, mode="nearest")
            value = _even(convolution(value), rectify=True)
            found.append(value)
        return [*found, self.colours(value)]

    def settings(self) -> dict[str, Any]:
        """Return latent, channels and convolutions."""
        return {
            "latent": self.latent_size,
            "channels": list(self.channels),
            "convolutions": self.convolutions,
        }


def _even(value: Tensor, *, rectify: bool = False) -> Tensor:
    """Divide by the root mean square over channels, after a leaky rectifier where one is asked for."""
    if rectify:
        value = functional.leaky_relu(value, 0.2)
    return value * torch.rsqrt(value.square().mean(1, keepdim=True) + _TINY)
