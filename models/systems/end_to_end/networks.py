"""Generator and discriminator as networks, and the comparator, whose activations say how alike two pictures are."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks.convnet import Convnet
from models.systems.end_to_end.architecture import DROPOUT, SLOPE, DiscriminatorPlan, GeneratorPlan


class Dense(nn.Module):
    """Dense maps standardised voxels to the latent: (n, voxels) to (n, latent); the generator's first three layers."""

    def __init__(self, voxels: int, plan: GeneratorPlan) -> None:
        super().__init__()
        sizes = (voxels, *plan.dense)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, voxels: Tensor) -> Tensor:
        """Return latents."""
        value = voxels
        for layer in self.layers:
            value = functional.leaky_relu(layer(value), SLOPE)
        return value


class Drawing(nn.Module):
    """A Drawing maps latents to pictures: (n, latent) to (n, 3, side, side), about -1 to 1."""

    def __init__(self, plan: GeneratorPlan) -> None:
        super().__init__()
        self.plan = plan
        self.convolutions = nn.ModuleList()
        maps = plan.maps
        for one in plan.convolutions:
            self.convolutions.append(nn.ConvTranspose2d(maps, one.maps, one.kernel, one.stride, padding=1))
            maps = one.maps

    def forward(self, latent: Tensor) -> Tensor:
        """Return pictures, the middle of what is drawn."""
        plan = self.plan
        value = latent.reshape(-1, plan.maps, plan.first, plan.first)
        for layer in self.convolutions[:-1]:
            value = functional.leaky_relu(layer(value), SLOPE)
        value = self.convolutions[-1](value)
        before = (plan.drawn - plan.side) // 2
        return value[:, :, before : before + plan.side, before : before + plan.side]


class Generator(nn.Module):
    """A Generator maps standardised voxels to pictures: (n, voxels) to (n, 3, side, side), about -1 to 1.

    Parameters
    ----------
    voxels : int
    plan : GeneratorPlan
    """

    def __init__(self, voxels: int, plan: GeneratorPlan) -> None:
        super().__init__()
        self.dense, self.drawing = Dense(voxels, plan), Drawing(plan)
        for part in self.modules():
            if isinstance(part, nn.Linear):
                _start(part, part.in_features)
            elif isinstance(part, nn.ConvTranspose2d):
                # Of a transposed convolution's kernel, a pixel meets one value in stride².
                _start(part, part.in_channels * (part.kernel_size[0] / part.stride[0]) ** 2)
        with torch.no_grad():  # at first a picture of even grey, nearly
            self.drawing.convolutions[-1].weight.mul_(0.1)

    def forward(self, voxels: Tensor) -> Tensor:
        """Return pictures."""
        picture: Tensor = self.drawing(self.dense(voxels))
        return picture


def _start(layer: nn.Linear | nn.ConvTranspose2d, inputs: float) -> None:
    """Give a layer weights that keep the size of activations behind leaky rectifiers (He et al. 2015)."""
    nn.init.normal_(layer.weight, 0.0, (2 / (1 + SLOPE**2) / inputs) ** 0.5)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)


class Discriminator(nn.Module):
    """A Discriminator gives two values for each picture, (n, 3, side, side) to (n, 2): drawn, and real."""

    def __init__(self, plan: DiscriminatorPlan) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        maps = 3
        for one in plan.convolutions:
            self.convolutions.append(nn.Conv2d(maps, one.maps, one.kernel, one.stride))
            maps = one.maps
        self.dense, self.verdict = nn.Linear(maps, plan.dense), nn.Linear(plan.dense, 2)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return what speaks for a drawn picture, and for a real one."""
        value = pictures
        for layer in self.convolutions:
            value = functional.leaky_relu(layer(value), SLOPE)
        value = functional.leaky_relu(self.dense(self.dropout(value.mean((2, 3)))), SLOPE)
        verdict: Tensor = self.verdict(self.dropout(value))
        return verdict


class Comparator:
    """A Comparator gives a layer's activations of pictures from -1 to 1, (n, 3, height, width) to (n, values).

    Parameters
    ----------
    network : Convnet
        Whose weights do not learn.
    layer : str, optional
        Its last pool when left out.
    """

    def __init__(self, network: Convnet, layer: str | None = None) -> None:
        self.network, self.layer = network, layer or network.architecture.pools[-1]
        network.require([self.layer])
        self.scale = 1.0

    @property
    def says(self) -> str:
        """What it is, in words."""
        return f"{self.network.architecture.name}, {self.layer}, {self.network.origin}"

    def __call__(self, pictures: Tensor) -> Tensor:
        """Return activations times `scale`."""
        found: Any = self.network((pictures + 1) / 2, [self.layer])[self.layer]
        return found.flatten(1) * self.scale

    def to(self, device: torch.device) -> "Comparator":
        """Put its network on a device."""
        self.network.to(device)
        return self
