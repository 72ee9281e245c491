"""A Gauge shows one number: a bar as high, or a disc as large, as it, in the frame of its full size."""

import numpy as np
from numpy.typing import NDArray

from bci.decoder.renderers.paper import FRAME, blank, cover, develop, label_height, write
from bci.decoder.result import NumberResult


class Gauge:
    """Draws a number.

    Parameters
    ----------
    result : NumberResult
        Its range, and whether it is a bar or a disc.
    size : (int, int)
        Height and width of the pictures.

    Examples
    --------
    >>> result = NumberResult(kind="number", name="arousal", low=-1, high=1)
    >>> Gauge(result, (4, 3))(np.array([0.0], np.float32))[:, 1, 0].tolist()
    [110, 110, 255, 255]
    """

    def __init__(self, result: NumberResult, size: tuple[int, int]) -> None:
        height, width = size
        line = label_height(height)
        rows = height - line
        self._low, self._span = np.float32(result.low), np.float32(result.high - result.low)
        self._disc = result.shape == "disc"
        self._empty = blank(size)
        unit = f" ({result.unit})" if result.unit else ""
        write(self._empty[rows:], result.name + unit, line)
        left = 0 if self._disc else width // 4
        self._area = slice(0, rows), slice(left, max(left + 1, width - left))
        place = self._empty[self._area]
        if self._disc:
            y = np.arange(rows, dtype=np.float32)[:, None] - np.float32((rows - 1) / 2)
            x = np.arange(width, dtype=np.float32)[None, :] - np.float32((width - 1) / 2)
            self._full = np.float32(min(rows, width) / 2)
            # How far each pixel's middle lies from that of the disc, inwards, and half a pixel more.
            self._inside = np.float32(0.5) - np.sqrt(x * x + y * y)
            cover(place, np.clip(self._inside + self._full, 0, 1), FRAME)
        else:
            self._full = np.float32(rows)
            self._inside = (np.arange(rows, dtype=np.float32) - np.float32(rows - 1))[:, None]
            place[:] = FRAME

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the picture of one number, (1,)."""
        share = np.clip((values[0] - self._low) / self._span, 0, 1)
        extent = self._full * (np.sqrt(share) if self._disc else share)
        paper = self._empty.copy()
        cover(paper[self._area], np.clip(self._inside + extent, 0, min(np.float32(1), extent)))
        return develop(paper)
