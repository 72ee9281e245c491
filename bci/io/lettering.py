"""Lettering turns words into pixels: for stimuli that are text, and for pictures of results.

The font is DejaVu Sans as Matplotlib ships it, so every machine has the same one; glyphs are laid out one after the
other, without shaping. The pixels follow from text, size and the version of FreeType alone.
"""

import functools
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features


def lettering(text: str, line_px: float) -> NDArray[np.uint8]:
    r"""Return how much of each pixel is covered by a text.

    Parameters
    ----------
    text : str
        Line feeds begin new lines; lines are centred.
    line_px : float
        From line to line, pixels; at least 1.

    Returns
    -------
    (height, width) uint8
        0 for paper to 255 for ink; as large as the ink and no larger, at least one pixel.

    Examples
    --------
    >>> one, two = lettering("l", 40), lettering("l\nl", 40)
    >>> len(two) - len(one), int(one.max())
    (40, 255)
    """
    font = _font(line_px)
    lines = text.split("\n")
    width = max(font.getlength(line) for line in lines)
    step = round(line_px)
    paper = Image.new("L", (int(np.ceil(width)) + 2 * step, step * (len(lines) + 1)))
    draw = ImageDraw.Draw(paper)
    for place, line in enumerate(lines):
        draw.text((paper.width / 2, step * (place + 0.5)), line, 255, font, anchor="mm")
    ink = np.asarray(paper)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return np.zeros((1, 1), np.uint8)
    return np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def lettering_within(text: str, line_px: float, size: tuple[int, int]) -> tuple[NDArray[np.uint8], float]:
    """Return a text as `lettering` does, made smaller to fit into `size` (height, width), and its line height.

    >>> letters, line_px = lettering_within("as wide as a house", 100.0, (50, 80))
    >>> letters.shape[0] <= 50, letters.shape[1] <= 80, line_px < 100
    (True, True, True)
    """
    while True:
        letters = lettering(text, line_px)
        excess = max(letters.shape[0] / size[0], letters.shape[1] / size[1])
        if excess <= 1.0 or line_px <= 1.0:
            return letters[: size[0], : size[1]], line_px
        line_px = max(1.0, line_px / max(excess, 1.02))


def lettering_version() -> str:
    """Return what the pixels of a text depend on, beside the text and its size."""
    return f"DejaVu Sans, FreeType {features.version('freetype2')}"


@functools.lru_cache(maxsize=64)
def _font(line_px: float) -> ImageFont.FreeTypeFont:
    matplotlib = importlib.util.find_spec("matplotlib")
    assert matplotlib is not None
    assert matplotlib.origin is not None
    path = Path(matplotlib.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    # Ascent and descent of this font are 1.164 of its size.
    return ImageFont.truetype(path, max(1.0, line_px / 1.164), layout_engine=ImageFont.Layout.BASIC)
