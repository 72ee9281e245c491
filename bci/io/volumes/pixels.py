"""Stored pixels become values of a volume: Stored is what a file holds of them, Scaling what turns them into values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Stored pixels of a file, zero where it ended too early.

    Attributes
    ----------
    values : (frame, row, column) integers
        As they lie in the file.
    present : int
        How many of them, from the first, are in the file.
    """

    values: NDArray[Any]
    present: int

    @property
    def frames_there(self) -> NDArray[np.bool_]:
        """Which frames are whole: (frame,) bool."""
        each = self.values[0].size
        ends: NDArray[np.int64] = np.arange(1, len(self.values) + 1) * each
        return ends <= self.present


def stored_type(dataset: Any) -> str:
    """Return the smallest of the types that volumes have which holds every value that such a file can store."""
    bits = int(dataset.BitsStored) - int(bool(dataset.PixelRepresentation))
    return "int16" if bits <= 15 else "float32"


@dataclass(frozen=True, slots=True)
class Scaling:
    """A Scaling is DICOM's rescale: value = slope · stored + intercept (PS3.3 C.7.6.16.2.9, C.11.1)."""

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def of(cls, holder: Any) -> "Scaling":
        """Return that of an image or of one frame; the neutral one where it has none."""
        slope, intercept = holder.get("RescaleSlope"), holder.get("RescaleIntercept")
        return cls(1.0 if slope is None else float(slope), float(intercept or 0.0))

    @property
    def neutral(self) -> bool:
        """Whether stored numbers are the values."""
        return self.slope == 1.0 and self.intercept == 0.0

    def dtype(self, stored: str) -> str:
        """Return the type of values whose stored type is given."""
        return stored if self.neutral else "float32"

    def volume(self, stack: NDArray[Any], dtype: str) -> NDArray[Any]:
        """Return slices (z, row, column) as a volume (x, y, z) of a type."""
        turned = stack.transpose(2, 1, 0)
        if self.neutral:
            return np.ascontiguousarray(turned, dtype)
        return np.ascontiguousarray(turned * self.slope + self.intercept, dtype)
