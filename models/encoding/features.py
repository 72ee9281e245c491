r"""Features of pictures that early vision answers to: coarse brightness, opponent colours, local Gabor energy.

Energy is the modulus of log-Gabor filters (Field 1987) at four scales and six orientations, averaged over the cells of
a coarse grid and compressed by a square root, as in encoding models of visual cortex (Kay et al. 2008; Nishimoto et al.
2011). Features are of the picture alone: no latent enters. Where the user has weights of a convolutional network, its
layers are banks too (`models.encoding.layers`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from bci.errors import ConfigError, nearest
from models.encoding.layers import is_layer, layer_features

Pictures = NDArray[np.uint8]
Features = NDArray[np.float32]

#: Cells of the grid along each side.
_GRID = 8
#: Centre frequencies, cycles a pixel, and orientations of the filters.
_SCALES, _ORIENTATIONS = (0.06, 0.11, 0.19, 0.33), 6
#: Bandwidth of a filter: the ratio of its deviation to its centre, and its angular deviation in steps of orientation.
_BANDWIDTH, _SPREAD = 0.55, 0.6
#: Pictures that are filtered at once.
_BATCH = 200


def brightness(pictures: Features) -> Features:
    """Return the mean brightness of each cell: pictures (n, height, width, 3) from 0 to 1, to (n, 64)."""
    return _cells(pictures.mean(axis=3) - 0.5)


def colour(pictures: Features) -> Features:
    """Return red less green and blue less yellow of each cell: (n, height, width, 3) to (n, 128)."""
    red, green, blue = np.moveaxis(pictures, 3, 0)
    return np.concatenate([_cells(red - green), _cells(blue - (red + green) / 2)], axis=1)


def energy(pictures: Features) -> Features:
    """Return the compressed energy of each filter in each cell: (n, height, width, 3) to (n, 24 · 64)."""
    grey = pictures.mean(axis=3)
    spectrum = scipy.fft.fft2(grey - grey.mean(axis=(1, 2), keepdims=True))
    answers = [np.abs(scipy.fft.ifft2(spectrum * one)) for one in _filters(*grey.shape[1:])]
    return np.concatenate([np.sqrt(_cells(answer)) for answer in answers], axis=1)


#: Every bank of features by its name.
BANKS: Mapping[str, Callable[[Features], Features]] = MappingProxyType(
    {"brightness": brightness, "colour": colour, "energy": energy}
)


def features_of(pictures: Pictures, banks: Sequence[str]) -> Features:
    """Return the features of pictures, bank after bank: (n, height, width, 3) uint8 to (n, features) float32.

    Raises
    ------
    ConfigError
        If there is no such bank or no such layer, or a side of the pictures is no multiple of 8.
    """
    if unknown := [name for name in banks if name not in BANKS and not is_layer(name)]:
        raise ConfigError(
            f"expected banks of features {', '.join(BANKS)}, or WEIGHTS/LAYER of a network, came {unknown[0]!r}"
            f"{nearest(unknown[0], BANKS)}."
        )
    if pictures.shape[1] % _GRID or pictures.shape[2] % _GRID:
        raise ConfigError(
            f"expected pictures whose sides are multiples of {_GRID}, came {pictures.shape[1]}×{pictures.shape[2]}"
        )
    parts = []
    for first in range(0, len(pictures), _BATCH):
        part = pictures[first : first + _BATCH].astype(np.float32) / 255
        parts.append(np.concatenate([_features_of(part, name) for name in banks], axis=1))
    return np.concatenate(parts)


def _features_of(pictures: Features, bank: str) -> Features:
    return layer_features(bank, pictures) if is_layer(bank) else BANKS[bank](pictures)


def _cells(maps: Features) -> Features:
    """Return the means of maps, (n, height, width), over the cells of the grid: (n, cells)."""
    n, height, width = maps.shape
    cells: Features = maps.reshape(n, _GRID, height // _GRID, _GRID, width // _GRID).mean(axis=(2, 4))
    return cells.reshape(n, -1)


@lru_cache(maxsize=4)
def _filters(height: int, width: int) -> Features:
    """Return the filters in the frequency domain: (scales · orientations, height, width)."""
    across, along = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    radius, angle = np.hypot(across, along), np.arctan2(across, along)
    filters = []
    for centre in _SCALES:
        ratio = np.log(np.maximum(radius, 1e-6) / centre) / np.log(_BANDWIDTH)
        ring = np.exp(-(ratio**2) / 2)
        ring[0, 0] = 0
        for turn in np.pi * np.arange(_ORIENTATIONS) / _ORIENTATIONS:
            away = np.angle(np.exp(1j * (angle - turn)))
            filters.append(ring * np.exp(-((away / (np.pi / _ORIENTATIONS * _SPREAD)) ** 2) / 2))
    return np.stack(filters).astype(np.float32)
