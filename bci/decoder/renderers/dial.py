"""A Dial shows phase and power of a rhythm: a disc that goes round with the phase, further out the stronger it is."""

import numpy as np
from numpy.typing import NDArray

from bci.decoder.renderers.paper import FRAME, blank, cover, develop, label_height, write
from bci.decoder.result import RhythmResult

#: Radius of the disc, in radii of the dial.
_DISC = 0.16


class Dial:
    """Draws a rhythm: phase 0, the peak, is to the right, and phase grows against the clock.

    The distance from the middle is the amplitude, the root of the power, as a share of that of the full power.

    Parameters
    ----------
    result : RhythmResult
        Its name, and the power that is drawn at the rim.
    size : (int, int)
        Height and width of the pictures.

    Examples
    --------
    >>> result = RhythmResult(kind="rhythm", name="theta", low=4, high=12)
    >>> dial = Dial(result, (33, 33))
    >>> dial(np.array([np.pi / 2, 1.0], np.float32))[:, 16, 0].tolist().index(255)
    0
    """

    def __init__(self, result: RhythmResult, size: tuple[int, int]) -> None:
        height, width = size
        line = label_height(height)
        rows = height - line
        self._empty = blank(size)
        write(self._empty[rows:], result.name, line)
        self._area = slice(0, rows), slice(0, width)
        self._y = np.float32((rows - 1) / 2) - np.arange(rows, dtype=np.float32)[:, None]
        self._x = np.arange(width, dtype=np.float32)[None, :] - np.float32((width - 1) / 2)
        radius = min(rows, width) / 2
        self._disc = np.float32(max(0.5, _DISC * radius))
        self._reach = np.float32(radius) - self._disc
        self._full = np.float32(result.full)
        from_middle = np.sqrt(self._x * self._x + self._y * self._y)
        cover(self._empty[self._area], np.clip(np.float32(0.5 + radius) - from_middle, 0, 1), FRAME)

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the picture of a phase, radians, and a power, (2,)."""
        out = self._reach * np.sqrt(np.clip(values[1] / self._full, 0, 1))
        x, y = self._x - out * np.cos(values[0]), self._y - out * np.sin(values[0])
        paper = self._empty.copy()
        inside = np.float32(0.5) + self._disc - np.sqrt(x * x + y * y)
        cover(paper[self._area], np.clip(inside, 0, 1))
        return develop(paper)
