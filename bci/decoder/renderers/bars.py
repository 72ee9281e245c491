"""Bars: a column for each class, as high as its probability, above its label."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.decoder.renderers.paper import FRAME, blank, cover, develop, label_height, line_for, write


class Bars:
    """Draws probabilities.

    Parameters
    ----------
    labels : sequence of str
        What each is the probability of.
    size : (int, int)
        Height and width of the pictures.

    Examples
    --------
    >>> picture = Bars(("left", "right"), (4, 8))(np.array([0.5, 1.0], np.float32))
    >>> picture[:, 1, 0].tolist(), picture[:, 5, 0].tolist()
    ([110, 110, 255, 255], [255, 255, 255, 255])
    """

    def __init__(self, labels: Sequence[str], size: tuple[int, int]) -> None:
        height, width = size
        line = label_height(height)
        self._rows = height - line
        edges = np.rint(np.linspace(0, width, len(labels) + 1)).astype(int)
        text_px = line_for(labels, line, (line, width // len(labels)))
        self._columns = []
        self._empty = blank(size)
        for label, left, right in zip(labels, edges[:-1], edges[1:], strict=True):
            gap = (right - left) // 8
            self._columns.append(slice(left + gap, max(left + gap + 1, right - gap)))
            write(self._empty[self._rows :, left:right], label, text_px)
        for column in self._columns:
            self._empty[: self._rows, column] = FRAME
        self._above = np.arange(self._rows, 0, -1, dtype=np.float32) - 1  # of each row's lower edge

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the picture of probabilities, (k,)."""
        paper = self._empty.copy()
        for value, column in zip(values, self._columns, strict=True):
            share = np.clip(value * np.float32(self._rows) - self._above, 0, 1)
            cover(paper[: self._rows, column], share[:, None])
        return develop(paper)
