"""DCGAN (Radford et al. 2016): a generator of transposed convolutions and a critic that mirrors it.

The picture starts at 4 × 4 and doubles with each stage while the channels halve: 64² with `width` 64 is the
published network of 3.6 million parameters. A critic with batch normalisation sees real and drawn pictures in
batches of their own; with spectral normalisation (Miyato et al. 2018) or none, the batches do not matter.
"""

import copy
import itertools
import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.generators.adversarial.settings import Critic
from models.generators.interface import ImageGenerator

Init = Literal["normal", "orthogonal"]
CriticNorm = Literal["batch", "spectral", "none"]


class Dcgan(ImageGenerator):
    """A Dcgan is the generator: transposed convolutions from a latent to a picture.

    Parameters
    ----------
    latent : int
        d.
    width : int
        Channels of the last stage before the picture; each stage before it has twice as many.
    size : int
        Height and width of the picture: a power of two, at least 8.
    """

    kind = "dcgan"

    def __init__(self, latent: int = 100, width: int = 64, size: int = 64) -> None:
        super().__init__()
        self.latent_size, self.image_size, self.width = latent, (size, size), width
        channels = stage_channels(width, size)[::-1]
        first = nn.Sequential(
            nn.ConvTranspose2d(latent, channels[0], 4, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()
        )
        doubling = (
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in itertools.pairwise(channels)
        )
        last = nn.Sequential(nn.ConvTranspose2d(channels[-1], 3, 4, stride=2, padding=1), nn.Tanh())
        self.stages = nn.ModuleList([first, *doubling, last])

    def forward(self, latent: Tensor) -> Tensor:
        """Draw: (n, d) to (n, 3, size, size) in -1 to 1."""
        picture = latent.unsqueeze(2).unsqueeze(3)  # (n, d, 1, 1)
        for stage in self.stages:
            picture = stage(picture)
        return picture

    def layers(self, latent: Tensor) -> list[Tensor]:
        """Return every stage's activation: (n, channels, 4, 4) to (n, 3, size, size)."""
        picture = latent.unsqueeze(2).unsqueeze(3)
        return [picture := stage(picture) for stage in self.stages]

    def folded(self) -> nn.Module:
        """Return a copy in which every normalisation is part of the convolution before it."""
        copied = copy.deepcopy(self).eval()
        for stage in copied.stages:
            if len(stage) == 3:  # convolution, normalisation, rectifier; the last stage has none
                stage[0] = fuse_conv_bn_eval(stage[0], stage[1], transpose=True)
                stage[1] = nn.Identity()
        return copied

    def settings(self) -> dict[str, Any]:
        """Return latent, width and size."""
        return {"latent": self.latent_size, "width": self.width, "size": self.image_size[0]}


class DcganCritic(Critic):
    """A DcganCritic judges whether pictures are real or drawn, by a log-odds, or by a height for Wasserstein.

    Parameters
    ----------
    width : int
        Channels of the first stage; each stage after it has twice as many.
    size : int
        Height and width of the pictures.
    norm : str
        ``batch`` on all stages but the first, ``spectral`` on every weight, or ``none``.
    """

    def __init__(self, width: int = 64, size: int = 64, norm: CriticNorm = "batch") -> None:
        super().__init__()
        self.width, self.size, self.norm = width, size, norm
        channels = stage_channels(width, size)
        layers: list[nn.Module] = [self._convolve(3, channels[0]), nn.LeakyReLU(0.2)]
        for before, after in itertools.pairwise(channels):
            layers.append(self._convolve(before, after, bias=norm != "batch"))
            if norm == "batch":
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.LeakyReLU(0.2))
        layers.append(self._convolve(channels[-1], 1, stride=1, padding=0))
        self.body = nn.Sequential(*layers)

    def _convolve(
        self, before: int, after: int, *, stride: int = 2, padding: int = 1, bias: bool = True
    ) -> nn.Module:
        layer = nn.Conv2d(before, after, 4, stride=stride, padding=padding, bias=bias)
        return parametrizations.spectral_norm(layer) if self.norm == "spectral" else layer

    def forward(self, picture: Tensor) -> Tensor:
        """Judge: (n, 3, size, size) to (n,); high means real."""
        value: Tensor = self.body(picture)
        return value.flatten()

    @property
    def architecture(self) -> dict[str, Any]:
        """The shape that two critics share when one can load the weights of the other."""
        return {"kind": "dcgan-critic", "width": self.width, "size": self.size, "norm": self.norm}


def stage_channels(width: int, size: int) -> list[int]:
    """Return the channels at 4 × 4, 8 × 8 … from the widest picture down.

    >>> stage_channels(64, 64)
    [64, 128, 256, 512]
    """
    doublings = round(math.log2(size)) if size > 0 else 0
    if 2**doublings != size or doublings < 3 or width < 1:
        raise ValueError(
            f"a DCGAN draws pictures of 8, 16, 32, 64 … pixels with width ≥ 1; got {size}, {width}"
        )
    return [width * 2**k for k in range(doublings - 2)]


def initialise(network: nn.Module, how: Init) -> None:
    """Set the weights a network starts from, with torch's own random state.

    Parameters
    ----------
    network : nn.Module
        Generator or critic.
    how : str
        ``normal``: convolutions N(0, 0.02²) and scales N(1, 0.02²), as published. ``orthogonal``: the rows of every
        kernel, flattened, are orthonormal (Saxe et al. 2014; Brock et al. 2019).
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            with torch.no_grad():
                weight = torch.empty(layer.weight.shape)
                if how == "orthogonal":
                    nn.init.orthogonal_(weight)
                else:
                    nn.init.normal_(weight, 0.0, 0.02)
                layer.weight = weight if _is_constrained(layer) else nn.Parameter(weight)
                if layer.bias is not None:
                    layer.bias.zero_()
        elif isinstance(layer, nn.BatchNorm2d) and how == "normal":
            nn.init.normal_(layer.weight, 1.0, 0.02)


def _is_constrained(layer: nn.Module) -> bool:
    """Whether the layer's weight is computed from another, by spectral normalisation."""
    return hasattr(layer, "parametrizations")
