"""A Pyramid extracts what the first stage of visual cortex does: Gabor energy at four scales and opponent colour.

Energy is the modulus of a filter that passes one orientation and one octave of spatial frequency, on one side of
the spectrum only, so that it is free of phase (Adelson & Bergen 1985, J. Opt. Soc. Am. A 2:284). Filters are
Gaussian in log frequency and in orientation (Field 1987, J. Opt. Soc. Am. A 4:2379).
"""

import math

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from bci.sim.cortex.gaze import FIELD, FIELD_DEG, Spectra

#: Cycles per degree of each scale, and samples across the field of its maps.
SCALES = (2.0, 1.0, 0.5, 0.25)
GRIDS = (40, 20, 20, 20)
ORIENTATIONS = 6
#: Luminance and two opponent colours, above and below the background.
COLOURS = 6
CHANNELS = len(SCALES) * ORIENTATIONS + COLOURS

_LOG_BANDWIDTH = 0.45
_ANGULAR_DEG = 20.0
_COLOUR_CUTOFF = 0.4
#: Brings the colour maps to about the mean of the coarse energies.
_COLOUR_GAIN = 4.0

Maps = list[NDArray[np.float32]]


class Pyramid:
    """A Pyramid holds the filters of all scales and orientations, and applies them to retinal spectra."""

    def __init__(self) -> None:
        self._filters = [
            [_oriented(scale, grid, k) for k in range(ORIENTATIONS)]
            for scale, grid in zip(SCALES, GRIDS, strict=True)
        ]
        self._low, self._low_places = _low_pass(GRIDS[-1])

    def maps(self, spectra: Spectra) -> Maps:
        """Return the maps of a batch: for each scale (n, ORIENTATIONS, grid, grid), then colours (n, 6, 20, 20).

        All are ≥ 0. They are scaled so that pictures with the 1/f amplitude of natural scenes give every scale
        the same mean energy.
        """
        n = len(spectra)
        pyramid: Maps = []
        for grid, filters in zip(GRIDS, self._filters, strict=True):
            maps = np.empty((n, ORIENTATIONS, grid, grid), np.float32)
            for k, (gain, rows, columns) in enumerate(filters):
                part = spectra[:, 0][:, rows[:, None], columns[None, :]] * gain
                maps[:, k] = np.abs(scipy.fft.ifft2(part))
            pyramid.append(maps)
        colours = scipy.fft.ifft2(
            spectra[:, :, self._low_places[:, None], self._low_places[None, :]] * self._low
        )
        signed = colours.real
        pyramid.append(np.concatenate([np.maximum(signed, 0), np.maximum(-signed, 0)], axis=1))
        return pyramid


def positions(grid: int) -> NDArray[np.float64]:
    """Return the positions of a map's samples along one axis: (grid,) degrees from the middle."""
    return (np.arange(grid) / grid - 0.5) * FIELD_DEG + FIELD_DEG / FIELD / 2


def _oriented(
    scale: float, grid: int, k: int
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Return one filter around its own centre, (grid, grid), and the rows and columns of the spectrum it multiplies.

    Taking the spectrum around the filter's centre shifts the phase of the output, not its modulus, and lets a
    coarser grid hold it.
    """
    angle = math.pi * k / ORIENTATIONS
    across, down = (round(scale * FIELD_DEG * part) for part in (math.cos(angle), math.sin(angle)))
    offsets = np.fft.ifftshift(np.arange(grid) - grid // 2)
    fy, fx = (down + offsets)[:, None] / FIELD_DEG, (across + offsets)[None, :] / FIELD_DEG
    radius = np.hypot(fy, fx)
    # The mean light is far outside the octave that is passed.
    radius = np.maximum(radius, 1e-3)
    octaves = np.log(radius / scale)
    turn = np.angle(np.exp(1j * (np.arctan2(fy, fx) - angle)))
    gain = np.exp(-((octaves / _LOG_BANDWIDTH) ** 2) / 2 - (turn / math.radians(_ANGULAR_DEG)) ** 2 / 2)
    # Amplitude falls as 1/f: this gives every scale the same energy. The grid's size is the transform's scale.
    expected = np.sqrt(np.sum((gain / radius) ** 2))
    gain *= FIELD / expected * (grid / FIELD) ** 2
    rows, columns = (down + offsets) % FIELD, (across + offsets) % FIELD
    return gain.astype(np.float32), rows, columns


def _low_pass(grid: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    offsets = np.fft.ifftshift(np.arange(grid) - grid // 2)
    radius = np.hypot(offsets[:, None], offsets[None, :]) / FIELD_DEG
    gain = _COLOUR_GAIN * np.exp(-((radius / _COLOUR_CUTOFF) ** 2) / 2) * (grid / FIELD) ** 2
    return gain.astype(np.float32), offsets % FIELD
