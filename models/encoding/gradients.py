"""Features of pictures with gradients: what `models.encoding.features` gives of levels, here of planes, by torch."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from bci.signal.picture_features import GRID, log_gabor, require_sides
from models.encoding.features import require_banks
from models.encoding.layers import is_layer, layer_cells

#: Where no energy is, its root has no slope: what is added under it, of a picture from 0 to 1.
_LEAST = 1e-10


def feature_rows(planes: Tensor, banks: Sequence[str]) -> Tensor:
    """Return the features of pictures, bank after bank: (n, 3, height, width) from 0 to 1, to (n, features).

    Raises
    ------
    ConfigError
        As `models.encoding.features.features_of`.
    """
    require_banks(banks)
    require_sides(planes.shape[2], planes.shape[3])
    return torch.cat(
        [layer_cells(bank, planes) if is_layer(bank) else _BANKS[bank](planes) for bank in banks], dim=1
    )


def _brightness(planes: Tensor) -> Tensor:
    return _cells(planes.mean(dim=1, keepdim=True) - 0.5)


def _colour(planes: Tensor) -> Tensor:
    red, green, blue = planes.unbind(dim=1)
    return _cells(torch.stack([red - green, blue - (red + green) / 2], dim=1))


def _energy(planes: Tensor) -> Tensor:
    grey = planes.mean(dim=1)
    spectrum = torch.fft.fft2(grey - grey.mean(dim=(1, 2), keepdim=True))
    filters = torch.from_numpy(log_gabor(*grey.shape[1:]))
    answers = torch.fft.ifft2(spectrum[:, None] * filters).abs()
    return (_cells(answers) + _LEAST).sqrt()


_BANKS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"brightness": _brightness, "colour": _colour, "energy": _energy}
)


def _cells(maps: Tensor) -> Tensor:
    """Return the means of maps, (n, maps, height, width), over the cells of the grid: (n, maps · cells)."""
    return adaptive_avg_pool2d(maps, GRID).flatten(1)
