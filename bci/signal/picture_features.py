"""Features of pictures that early vision answers to: coarse brightness, opponent colours, local Gabor energy.

Energy is the modulus of log-Gabor filters (Field 1987) at four scales and six orientations, averaged over the cells of
a coarse grid and compressed by a square root, as in encoding models of visual cortex (Kay et al. 2008; Nishimoto et al.
2011). Features are of the picture alone: no latent enters.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from bci.errors import ConfigError

Pictures = NDArray[np.uint8]
Features = NDArray[np.float32]

#: Cells of the grid along each side; sides of pictures are multiples of it.
GRID = 8
#: Centre frequencies, cycles a pixel, and orientations of the filters.
_SCALES, _ORIENTATIONS = (0.06, 0.11, 0.19, 0.33), 6
#: Bandwidth of a filter: the ratio of its deviation to its centre, and its angular deviation in steps of orientation.
_BANDWIDTH, _SPREAD = 0.55, 0.6
#: Pictures that are filtered at once.
_BATCH = 200

#: Takes pictures from 0 to 1, (n, height, width, 3), and returns their features, (n, features).
Bank = Callable[[Features], Features]


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
    answers = [np.abs(scipy.fft.ifft2(spectrum * one)) for one in log_gabor(*grey.shape[1:])]
    return np.concatenate([np.sqrt(_cells(answer)) for answer in answers], axis=1)


#: Every bank of features by its name.
BANKS: Mapping[str, Bank] = MappingProxyType({"brightness": brightness, "colour": colour, "energy": energy})


def feature_count(banks: Sequence[str]) -> int:
    """Return how many features banks have together, whatever the pictures' size.

    >>> feature_count(["brightness", "colour"])
    192
    """
    cells = {"brightness": 1, "colour": 2, "energy": len(_SCALES) * _ORIENTATIONS}
    return GRID**2 * sum(cells[name] for name in banks)


def stacked(pictures: Pictures, banks: Sequence[Bank]) -> Features:
    """Return what each bank makes of pictures, side by side: (n, height, width, 3) uint8 to (n, features) float32.

    Raises
    ------
    ConfigError
        If a side of the pictures is no multiple of 8.
    """
    require_sides(pictures.shape[1], pictures.shape[2])
    parts = []
    for first in range(0, len(pictures), _BATCH):
        part: Features = pictures[first : first + _BATCH].astype(np.float32) / np.float32(255)
        parts.append(np.concatenate([bank(part) for bank in banks], axis=1))
    return np.concatenate(parts)


def require_sides(height: int, width: int) -> None:
    """Refuse pictures that the grid does not fit.

    Raises
    ------
    ConfigError
        If a side is no multiple of 8.
    """
    if height % GRID or width % GRID:
        raise ConfigError(f"expected pictures whose sides are multiples of {GRID}, came {height}×{width}")


def _cells(maps: Features) -> Features:
    """Return the means of maps, (n, height, width), over the cells of the grid: (n, cells)."""
    n, height, width = maps.shape
    cells: Features = maps.reshape(n, GRID, height // GRID, GRID, width // GRID).mean(axis=(2, 4))
    return cells.reshape(n, -1)


@lru_cache(maxsize=4)
def log_gabor(height: int, width: int) -> Features:
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
