"""Pixels as values of a reading: for systems whose latent is their own, so that only pictures can be compared."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixels lays pictures of one size out as rows of values from -1 to 1, and draws such rows.

    Attributes
    ----------
    height, width : int

    Examples
    --------
    >>> pixels = Pixels(1, 2)
    >>> shown = np.array([[[[0, 51, 255], [255, 0, 102]]]], np.uint8)
    >>> rows = pixels.values(shown)
    >>> rows.shape, bool((pixels(rows) == shown).all())
    ((1, 6), True)
    """

    height: int
    width: int

    def values(self, pictures: Pictures) -> NDArray[np.float32]:
        """Return pictures as rows: (n, height, width, 3) uint8 to (n, values)."""
        return pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(127.5) - np.float32(1)

    def __call__(self, values: NDArray[np.floating]) -> Pictures:
        """Draw rows, clipped: (n, values) to (n, height, width, 3) uint8."""
        levels = np.round(127.5 * (1 + np.clip(values, -1, 1))).astype(np.uint8)
        return levels.reshape(-1, self.height, self.width, 3)
