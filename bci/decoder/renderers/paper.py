"""Paper is what renderers draw on: an even grey as wide as the picture, white ink, and labels where there is room."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.io.lettering import lettering_within

#: Levels of the paper, of what is drawn on it, and of the frame that full size has.
PAPER, INK, FRAME = 64, 255, 110

#: Labels need lines of at least so many pixels to be read; in smaller pictures they are left out.
SMALLEST_LINE = 9

#: Share of a picture's height that a line of labels takes.
_LINE_SHARE = 1 / 8


def blank(size: tuple[int, int]) -> NDArray[np.float32]:
    """Return paper, (height, width) float32 levels."""
    return np.full(size, PAPER, np.float32)


def label_height(height: int) -> int:
    """Return how many rows of a picture are kept for labels: 0 where they could not be read.

    >>> label_height(64), label_height(128)
    (0, 16)
    """
    rows = int(height * _LINE_SHARE)
    return rows if rows >= SMALLEST_LINE else 0


def cover(paper: NDArray[np.float32], share: NDArray[np.float32], level: int = INK) -> None:
    """Cover paper (height, width) with ink, each pixel to the share of it that is given (0 to 1)."""
    paper += share * (np.float32(level) - paper)


def write(paper: NDArray[np.float32], text: str, line_px: float) -> None:
    """Write a text into the middle of a part of the paper, smaller where it would not fit."""
    if paper.size == 0:
        return
    letters, _ = lettering_within(text, line_px, _room(paper.shape[0], paper.shape[1]))
    height, width = letters.shape
    top, left = (paper.shape[0] - height) // 2, (paper.shape[1] - width) // 2
    cover(paper[top : top + height, left : left + width], letters.astype(np.float32) / np.float32(255))


def line_for(texts: Sequence[str], line_px: float, size: tuple[int, int]) -> float:
    """Return the largest line height, at most `line_px`, at which each text fits into `size` (height, width)."""
    if not line_px:
        return 0.0
    return min(lettering_within(text, line_px, _room(*size))[1] for text in texts)


def _room(height: int, width: int) -> tuple[int, int]:
    """Return how much of a part may be written on: a sixteenth of its width stays free on either side."""
    return height, max(1, width - width // 8)


def develop(paper: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return paper as a picture, (height, width, 3) uint8; each level is rounded half to even."""
    grey = np.rint(paper).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
