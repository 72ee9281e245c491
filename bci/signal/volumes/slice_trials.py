"""SliceTrials are SingleTrials of voxels that do not share their nuisance: a model for each set of them.

Physiology is of the time at which a slice is taken, so each slice, or slices that are taken together, has columns of
its own. Trials are the same in all.
"""

import numpy as np
from numpy.typing import NDArray

from bci.signal.volumes.responses import ResponseGrid
from bci.signal.volumes.single_trials import BetaKind, SingleTrials

Array = NDArray[np.float64]


class SliceTrials:
    """SliceTrials holds what the volumes so far say of each trial; see `SingleTrials`, whose errors it raises.

    Parameters
    ----------
    grid : ResponseGrid
        The planned run.
    nuisance : int
        Columns that a volume brings for each set.
    sets : sequence of (n,) int
        Which voxels are of each set; all sets together have each voxel once.
    """

    def __init__(self, grid: ResponseGrid, nuisance: int, sets: list[NDArray[np.intp]]) -> None:
        self._sets = sets
        self._parts = [SingleTrials(grid, nuisance, len(places)) for places in sets]
        self._voxels = sum(map(len, sets))

    @property
    def volumes(self) -> int:
        """Volumes taken so far."""
        return self._parts[0].volumes

    def begin(self, onset_s: float, duration_s: float = 0.0) -> int:
        """Tell of a trial, planned or just begun, and return its number, counted from 0."""
        numbers = [part.begin(onset_s, duration_s) for part in self._parts]
        return numbers[0]

    def add(self, place: int, nuisance: Array, samples: NDArray[np.floating]) -> None:
        """Take a volume: its place in the run, nuisance (sets, columns), and its voxels (voxels,)."""
        for row, places, part in zip(nuisance, self._sets, self._parts, strict=True):
            part.add(place, row, samples[places])

    def degrees_of_freedom(self, number: int) -> int:
        """Return the fewest of any set."""
        return min(part.degrees_of_freedom(number) for part in self._parts)

    def estimate(self, number: int, kind: BetaKind = "beta") -> Array | None:
        """Return what the volumes so far say of a trial, (voxels,); None while a set cannot tell it apart."""
        out = np.empty(self._voxels)
        for places, part in zip(self._sets, self._parts, strict=True):
            values = part.estimate(number, kind)
            if values is None:
                return None
            out[places] = values
        return out

    def forget(self, number: int) -> None:
        """Free the memory of a trial that is not estimated again."""
        for part in self._parts:
            part.forget(number)
