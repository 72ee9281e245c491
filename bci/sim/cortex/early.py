"""EarlyUnits stand for striate and early extrastriate cortex: receptive fields over a pyramid of the picture.

Each unit belongs to a column, a place in the visual field with a receptive field that grows with eccentricity.
Within a column the energies are pooled over the field, divided by what all of them have together (Heeger 1992,
Visual Neuroscience 9:181), weighted by the unit's tuning and raised to a power below one (compressive spatial
summation: Kay, Winawer, Mezer & Wandell 2013, J. Neurophysiol. 110:481).
"""

import math

import numpy as np
from numpy.typing import NDArray

from bci.sim.cortex.gaze import PICTURE_DEG, Spectra
from bci.sim.cortex.pyramid import CHANNELS, COLOURS, GRIDS, ORIENTATIONS, SCALES, Pyramid, positions

Drives = NDArray[np.float32]

#: Places in the visual field that units share.
COLUMNS = 256

#: Semi-saturation of the division, in units of the pyramid's maps (a full-contrast picture reaches about 0.1).
_SEMI = 0.02

#: Receptive field: standard deviation in degrees at the fovea, and how much it grows per degree.
_RF_FOVEA, _RF_SLOPE = 0.22, 0.12


class EarlyUnits:
    """EarlyUnits are simulated units, each with a place, a size, a tuning and an exponent.

    Parameters
    ----------
    n : int
        Number of units.
    rng : numpy.random.Generator
        Draws the places, sizes, tunings and exponents.

    Attributes
    ----------
    centre : (n, 2) float64
        Receptive field centre, degrees right and down.
    size_deg : (n,) float64
        Standard deviation of the receptive field, degrees.
    exponent : (n,) float32
        Compression.
    """

    def __init__(self, n: int, rng: np.random.Generator) -> None:
        # More cortex for the fovea: density falls with eccentricity as cortical magnification does.
        reach = PICTURE_DEG / 2
        eccentricity = 0.75 * np.expm1(rng.random(COLUMNS) * math.log1p(1.2 * reach / 0.75))
        angle = rng.uniform(0, 2 * math.pi, COLUMNS)
        centres = np.clip(
            eccentricity[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), -reach, reach
        )
        sizes = (_RF_FOVEA + _RF_SLOPE * np.hypot(*centres.T)) * rng.uniform(0.8, 1.25, COLUMNS)
        self._pools = {grid: _receptive_fields(centres, sizes, grid) for grid in set(GRIDS)}
        column = rng.integers(0, COLUMNS, n)
        # Units of one column lie together, so that each column's tuning is one small matrix product.
        order = np.argsort(column, kind="stable")
        self._order = np.argsort(order)
        counts = np.bincount(column, minlength=COLUMNS)
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._tuning = _tuning(n, rng)[order]
        self.centre, self.size_deg = centres[column], sizes[column]
        self.exponent = rng.uniform(0.35, 0.75, n).astype(np.float32)
        self._pyramid = Pyramid()

    def __len__(self) -> int:
        return len(self.exponent)

    def respond(self, spectra: Spectra) -> Drives:
        """Return the response (n, units) float32, ≥ 0, to what reaches the retina (see `bci.sim.cortex.gaze`)."""
        normalised = self._columns(spectra)
        summed = np.empty((len(spectra), len(self)), np.float32)
        for k in range(COLUMNS):
            low, high = self._starts[k], self._starts[k + 1]
            if high > low:
                summed[:, low:high] = normalised[:, k] @ self._tuning[low:high].T
        drives: Drives = summed[:, self._order] ** self.exponent
        return drives

    def _columns(self, spectra: Spectra) -> NDArray[np.float32]:
        """Return pooled and divided energies: (n, COLUMNS, CHANNELS)."""
        n = len(spectra)
        pooled = np.empty((n, COLUMNS, CHANNELS), np.float32)
        at = 0
        for maps in self._pyramid.maps(spectra):
            channels, grid = maps.shape[1:3]
            flat = maps.reshape(n * channels, grid * grid) @ self._pools[grid]
            pooled[:, :, at : at + channels] = flat.reshape(n, channels, COLUMNS).transpose(0, 2, 1)
            at += channels
        pooled /= _SEMI + pooled.mean(axis=2, keepdims=True)
        return pooled


def _receptive_fields(
    centres: NDArray[np.float64], sizes: NDArray[np.float64], grid: int
) -> NDArray[np.float32]:
    """Return weights that pool a map of side `grid` over each column's field: (grid², COLUMNS), columns sum to 1."""
    at = positions(grid)
    across = np.exp(-(((at[:, None] - centres[:, 0]) / sizes) ** 2) / 2)
    down = np.exp(-(((at[:, None] - centres[:, 1]) / sizes) ** 2) / 2)
    fields = (down[:, None] * across[None, :]).reshape(grid * grid, -1)
    return np.asarray(fields / fields.sum(axis=0), np.float32)


def _tuning(n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return each unit's weights over the channels of its column: (n, CHANNELS), rows of mean 1."""
    preferred = rng.uniform(0, math.pi, (n, 1))
    turned = np.cos(2 * (np.arange(ORIENTATIONS) * math.pi / ORIENTATIONS - preferred))
    orientation = np.exp(rng.uniform(0.5, 3.0, (n, 1)) * (turned - 1))
    octave = np.arange(len(SCALES)) - rng.uniform(-0.5, len(SCALES) - 0.5, (n, 1))
    scale = np.exp(-((octave / rng.uniform(0.6, 1.4, (n, 1))) ** 2) / 2)
    energy = (scale[:, :, None] * orientation[:, None, :]).reshape(n, -1)
    # A voxel or a local field sums many cells, so that every weight is above zero.
    energy = energy / energy.mean(axis=1, keepdims=True) + 0.15
    colour = rng.gamma(0.6, size=(n, COLOURS)) * rng.uniform(0, 2, (n, 1))
    tuning = np.concatenate([energy, colour], axis=1)
    return np.asarray(tuning / tuning.mean(axis=1, keepdims=True), np.float32)
