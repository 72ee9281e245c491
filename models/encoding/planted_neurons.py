r"""Planted neurons answer pictures by a known rule, so that a picture made to drive them can be shown to them.

Each is a simple cell: what is left of a Gabor patch on the picture's brightness when it is rectified,

.. math:: r = b + g \max(0, p \cdot x)

with spikes by Poisson.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pictures = NDArray[np.uint8]

#: Mean spikes that a picture of the fit evokes beside the spontaneous ones.
_EVOKED, _SPONTANEOUS = 4.0, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class PlantedNeurons:
    """PlantedNeurons are simple cells.

    Attributes
    ----------
    patches : (neurons, height · width) float64
        Of no mean and of length one.
    gain : (neurons,) float64
    """

    patches: Floats
    gain: Floats

    def rates(self, pictures: Pictures) -> Floats:
        """Return expected spikes: (n, height, width, 3) uint8 to (n, neurons)."""
        grey = pictures.astype(np.float64).mean(3).reshape(len(pictures), -1) / 255
        rates: Floats = _SPONTANEOUS + self.gain * np.maximum(grey @ self.patches.T, 0)
        return rates

    def spikes(self, pictures: Pictures, repeats: int, random: np.random.Generator) -> Floats:
        """Return spikes, the mean of some repeats: (n, neurons)."""
        rates = self.rates(pictures)
        return np.asarray(random.poisson(rates, (repeats, *rates.shape)).mean(0), np.float64)


def plant_neurons(count: int, pictures: Pictures, seed: int) -> PlantedNeurons:
    """Plant neurons whose mean over pictures, (n, size, size, 3) uint8, is the same.

    Parameters
    ----------
    count : int
    pictures : (n, size, size, 3)
    seed : int
        Of places, orientations and scales.
    """
    random, size = np.random.default_rng([seed, 41]), pictures.shape[1]
    across = (np.arange(size) + 0.5) / size
    y, x = np.meshgrid(across, across, indexing="ij")
    patches = np.empty((count, size * size))
    for patch in patches:
        centre, turn, phase = (
            random.uniform(0.3, 0.7, 2),
            random.uniform(0, np.pi),
            random.uniform(0, 2 * np.pi),
        )
        cycles, width = random.uniform(2.5, 4.5), random.uniform(0.1, 0.16)
        along = (x - centre[1]) * np.cos(turn) + (y - centre[0]) * np.sin(turn)
        window = np.exp(-((x - centre[1]) ** 2 + (y - centre[0]) ** 2) / (2 * width**2))
        wave = window * np.cos(2 * np.pi * cycles * along + phase)
        # No patch answers to light that is everywhere alike.
        wave = wave - window * (wave.sum() / window.sum())
        patch[:] = (wave / np.linalg.norm(wave)).ravel()
    raw = PlantedNeurons(patches, np.ones(count)).rates(pictures).mean(0) - _SPONTANEOUS
    return PlantedNeurons(patches, _EVOKED / raw)
