"""SliceGlms are one model for each slice, where columns of the design are of the time at which it is taken."""

import numpy as np
from numpy.typing import NDArray

from bci.signal.volumes.glm import IncrementalGlm, Rows

Array = NDArray[np.float64]


class SliceGlms:
    """SliceGlms are incremental models of all voxels of a mask: one where slices share their columns, else one a slice.

    Parameters
    ----------
    columns : int
        Columns that all voxels share, the constant one included.
    slices : (voxels,) int
        Which slice each voxel lies in.
    own : (volumes, slices, k) array, optional
        Further columns of each slice; slices that share them share a model.
    """

    def __init__(self, columns: int, slices: NDArray[np.intp], own: Array | None = None) -> None:
        self._own, self._voxels = own, len(slices)
        if own is None:
            self._parts = [(0, np.arange(len(slices)))]
        else:
            _, first, which = np.unique(own, axis=1, return_index=True, return_inverse=True)
            group = which.reshape(-1)[slices]
            there = np.unique(group)
            self._parts = [(int(first[one]), np.flatnonzero(group == one)) for one in there]
        k = 0 if own is None else own.shape[2]
        self._more = np.zeros(k)
        self._glms = [IncrementalGlm(columns + k, len(places)) for _, places in self._parts]

    @property
    def volumes(self) -> int:
        """Rows taken so far."""
        return self._glms[0].volumes

    @property
    def degrees_of_freedom(self) -> int:
        """The fewest of any slice."""
        return min(glm.degrees_of_freedom for glm in self._glms)

    def add(self, volume: int, row: Rows, values: Rows) -> None:
        """Take a volume: its place in the run, its row of shared columns, and its voxels; as of IncrementalGlm."""
        for (at, places), glm in zip(self._parts, self._glms, strict=True):
            whole = row if self._own is None else np.concatenate([row, self._own[volume, at]])
            glm.add(whole, values[places])

    def residual_variance(self) -> Array:
        """Return the variance that the design leaves in each voxel, (voxels,); DataError as of IncrementalGlm."""
        return self._joined([glm.residual_variance() for glm in self._glms])

    def contrast(self, weights: Rows) -> tuple[Array, Array]:
        """Return a contrast of shared columns: effect and t, (voxels,) each; DataError as of IncrementalGlm."""
        whole = np.concatenate([weights, self._more])
        both = [glm.contrast(whole) for glm in self._glms]
        return self._joined([effect for effect, _ in both]), self._joined([t for _, t in both])

    def _joined(self, parts: list[Array]) -> Array:
        out = np.empty(self._voxels)
        for (_, places), values in zip(self._parts, parts, strict=True):
            out[places] = values
        return out
