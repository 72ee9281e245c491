"""Frozen means and deviations, by which voxels and latents are standardised, from training data alone.

Nothing here ever looks at a test trial's neighbours: a prediction for one trial does not change when others do.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """A Standard holds means and deviations of columns.

    Attributes
    ----------
    mean, scale : (columns,) float64
    """

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, values: Array, weights: Floats | None = None) -> "Standard":
        """Take them from training data: (n, columns), each row counting `weights` times."""
        mean = np.asarray(np.average(values, axis=0, weights=weights), np.float64)
        scale = values.std(axis=0, dtype=np.float64)
        return cls(mean, np.where(scale > 0, scale, 1.0))

    def forward(self, values: Array) -> Array:
        """Standardise: (n, columns) to the same, in the type it came in."""
        dtype = values.dtype
        return (values - self.mean.astype(dtype)) / self.scale.astype(dtype)

    def back(self, values: Array) -> Array:
        """Undo `forward`."""
        return values * self.scale + self.mean
