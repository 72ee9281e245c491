"""A Convnet looks at pictures: the activation of every layer by its name, with gradients back to the picture."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bci.errors import ConfigError, DataError, nearest
from models.networks.architectures import Architecture, Convolution, Layer, Pool

#: Pictures that are looked at together.
_AT_ONCE = 64
#: Of local response normalisation, as published.
_NEIGHBOURS, _ALPHA, _BETA = 5, 1e-4, 0.75


class Convnet(nn.Module):
    """A Convnet is a network of `models.networks.architectures`, its weights random until others are loaded.

    Parameters
    ----------
    architecture : Architecture
    seed : int
        Of random weights (He et al. 2015: deviation √(2/inputs)).
    pooling : str
        ``largest``, as trained; ``mean`` gives smoother gradients (Gatys et al. 2015).
    side : int, optional
        Pixels at which it sees every picture, resized bilinearly; as they are when left out.

    Attributes
    ----------
    origin : str
        Where its weights are from, in words.
    """

    def __init__(
        self,
        architecture: Architecture,
        *,
        seed: int = 0,
        pooling: Literal["largest", "mean"] = "largest",
        side: int | None = None,
    ) -> None:
        super().__init__()
        self.architecture, self.pooling, self.side = architecture, pooling, side
        self._mean: Tensor
        self.origin = f"random weights, seed {seed}"
        draw = torch.Generator().manual_seed(seed)
        self.convolutions = nn.ModuleDict()
        channels = 3
        for layer in architecture.layers:
            if isinstance(layer, Convolution):
                made = nn.Conv2d(
                    channels, layer.channels, layer.kernel, layer.stride, layer.padding, groups=layer.groups
                )
                with torch.no_grad():
                    inputs = channels // layer.groups * layer.kernel**2
                    made.weight.normal_(0.0, (2 / inputs) ** 0.5, generator=draw)
                    made.bias.zero_()
                self.convolutions[layer.name] = made
                channels = layer.channels
        self.register_buffer("_mean", torch.tensor(architecture.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "_deviation", torch.tensor(architecture.deviation).view(1, 3, 1, 1), persistent=False
        )

    def forward(self, pictures: Tensor, names: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return activations by their layer's name: (n, 3, height, width), RGB from 0 to 1, to (n, c, h, w) each.

        Parameters
        ----------
        pictures : (n, 3, height, width)
        names : sequence of str, optional
            Of the layers that are wanted, behind the rectifier where there is one; all when left out.

        Raises
        ------
        ConfigError
            If there is no such layer.
        DataError
            If the pictures are too small for one.
        """
        wanted = self.architecture.names if names is None else tuple(names)
        self.require(wanted)
        if pictures.ndim != 4 or pictures.shape[1] != 3:
            raise DataError(
                f"expected pictures (n, 3, height, width), red, green, blue, came {tuple(pictures.shape)}."
            )
        if self.side is not None and pictures.shape[2:] != (self.side, self.side):
            pictures = F.interpolate(
                pictures, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False
            )
        value = (pictures - self._mean) / self._deviation
        if self.architecture.blue_first:
            value = value.flip(1)
        found: dict[str, Tensor] = {}
        for layer in self.architecture.layers:
            if len(found) == len(set(wanted)):
                break
            self._require_room(layer, value)
            value = self._passed(layer, value)
            if layer.name in wanted:
                found[layer.name] = value
        return {name: found[name] for name in wanted}

    @property
    def device(self) -> torch.device:
        """Where its weights are, and where pictures and what is sought must be."""
        return self._mean.device

    def require(self, names: Sequence[str]) -> None:
        """Refuse names of layers that the network does not have.

        Raises
        ------
        ConfigError
            Naming those that it has.
        """
        known = self.architecture.names
        if unknown := [name for name in names if name not in known]:
            raise ConfigError(
                f"expected layers of {self.architecture.name}, {', '.join(known)}, came {unknown[0]!r}"
                f"{nearest(unknown[0], known)}. Name one of them."
            )

    def shapes(self, height: int, width: int, names: Sequence[str]) -> dict[str, tuple[int, int, int]]:
        """Return channels, height and width of each layer's activation for pictures of a size; raises as `forward`."""
        with torch.no_grad():
            found = self(torch.zeros(1, 3, height, width, device=self.device), names)
        return {name: (value.shape[1], value.shape[2], value.shape[3]) for name, value in found.items()}

    def features(self, pictures: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.float32]:
        """Return activations of many pictures, layer after layer, flattened: (n, h, w, 3) uint8 to (n, values)."""
        rows = []
        with torch.no_grad():
            for first in range(0, len(pictures), _AT_ONCE):
                found = self(planes_of(pictures[first : first + _AT_ONCE]).to(self.device), names)
                rows.append(flat(found).cpu().numpy())
        return np.concatenate(rows)

    def _passed(self, layer: Layer, value: Tensor) -> Tensor:
        if isinstance(layer, Convolution):
            return F.relu(self.convolutions[layer.name](value))
        if isinstance(layer, Pool):
            pool = F.max_pool2d if self.pooling == "largest" else F.avg_pool2d
            return pool(value, layer.kernel, layer.stride, ceil_mode=layer.up)
        return F.local_response_norm(value, _NEIGHBOURS, _ALPHA, _BETA, k=1.0)

    def _require_room(self, layer: Layer, value: Tensor) -> None:
        around = 2 * layer.padding if isinstance(layer, Convolution) else 0
        kernel = layer.kernel if isinstance(layer, Convolution | Pool) else 1
        if min(value.shape[2:]) + around < kernel:
            raise DataError(
                f"expected pictures large enough for layer {layer.name} of {self.architecture.name}, which needs "
                f"{kernel - around} × {kernel - around} values, came {value.shape[2]} × {value.shape[3]}. Name an "
                f"earlier layer, or let the network see pictures at its own size (side = {self.architecture.side})."
            )


def flat(activations: dict[str, Tensor]) -> Tensor:
    """Return activations of several layers as one row for each picture: (n, c, h, w) each to (n, values)."""
    return torch.cat([value.flatten(1) for value in activations.values()], dim=1)


def planes_of(pictures: NDArray[np.uint8]) -> Tensor:
    """Return pictures as a network takes them: (n, h, w, 3) uint8 to (n, 3, h, w) float32 from 0 to 1."""
    return torch.from_numpy(
        np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
    )
