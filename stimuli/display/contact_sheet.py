"""A contact sheet is one picture of a whole run: the screen at even intervals, with the decoder's results."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bci.signal.foreign import on_one_line
from stimuli.display.canvas import fixation_target

TILE = 192
_GAP = 16
_MARGIN = 28
_LINE = 17
_LINES = 4
_PAPER, _INK, _FAINT, _ALARM = "#ffffff", "#1c1f24", "#6b7280", "#b45309"

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A Tile is one picture of the sheet.

    Attributes
    ----------
    seconds : float
        Since the first flip.
    image : (height, width, 3) uint8, or None
        The picture on the screen; None for the neutral picture and for the fixation target alone.
    latent : (d,) float32
        The decoded latent; empty for the neutral picture.
    confidence : float
        The decoder's own, NaN when it claims none.
    reason : str
        Why no picture was shown, or the stimulus' name; empty for a reconstruction.
    title : str
        Title of a tile without an image.
    """

    seconds: float
    image: NDArray[np.uint8] | None
    latent: NDArray[np.float32]
    confidence: float = math.nan
    reason: str = ""
    title: str = "neutral picture"

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines under the picture, below its time."""
        if self.image is None:
            return self.title, *textwrap.wrap(self.reason, 30)[: _LINES - 2]
        if self.reason:
            return tuple(textwrap.wrap(self.reason, 30)[: _LINES - 1])
        confidence = "none" if math.isnan(self.confidence) else f"{self.confidence:.2f}"
        return f"latent {latent_text(self.latent)}", f"confidence {confidence}"


def latent_text(latent: NDArray[np.float32]) -> str:
    """Write a latent in the width of a tile: up to three numbers, and how many there are if more.

    >>> latent_text(np.array([0.25])), latent_text(np.arange(5.0))
    ('0.25', '0.00 1.00 2.00 … (5)')
    """
    text = " ".join(f"{value:.2f}" for value in latent[:3])
    return text if len(latent) <= 3 else f"{text} … ({len(latent)})"


def draw_contact_sheet(
    tiles: Sequence[Tile], *, title: str, subtitle: str, background: int = 128, fixation: bool = True
) -> Image.Image:
    """Draw a contact sheet.

    Parameters
    ----------
    tiles : sequence of Tile
        In the order of time.
    title, subtitle : str
        Headline, and a line of facts below it.
    background : int
        Grey level of the neutral picture.
    fixation : bool
        Whether the neutral picture has a fixation target.
    """
    # As few empty places as possible, then the shape nearest to a page on its side.
    columns = min(range(4, 9), key=lambda c: (-len(tiles) % c, abs(c - math.sqrt(1.6 * len(tiles)))))
    rows = max(1, math.ceil(len(tiles) / columns))
    bold, plain, small = (ImageFont.load_default(size) for size in (22, 14, 13))
    top = _MARGIN + 64
    cell_width, cell_height = TILE + _GAP, TILE + 10 + _LINES * _LINE + _GAP
    sheet = Image.new(
        "RGB", (2 * _MARGIN + columns * cell_width - _GAP, top + rows * cell_height + _MARGIN - _GAP), _PAPER
    )
    draw = ImageDraw.Draw(sheet)
    width = sheet.width - 2 * _MARGIN
    draw.text((_MARGIN, _MARGIN - 6), _fitted(draw, title, bold, width), _INK, bold)
    draw.text((_MARGIN, _MARGIN + 26), _fitted(draw, subtitle, plain, width), _FAINT, plain)
    for i, tile in enumerate(tiles):
        left, above = _MARGIN + i % columns * cell_width, top + i // columns * cell_height
        sheet.paste(_tile_picture(tile, background, fixation), (left, above))
        draw.rectangle((left, above, left + TILE - 1, above + TILE - 1), outline="#d1d5db")
        below = above + TILE + 6
        draw.text((left, below), f"{tile.seconds:.2f} s", _INK, plain)
        for k, line in enumerate(tile.lines, start=1):
            ink = _ALARM if tile.image is None else _FAINT
            draw.text((left, below + k * _LINE), _fitted(draw, line, small, TILE), ink, small)
    return sheet


def _tile_picture(tile: Tile, background: int, fixation: bool) -> Image.Image:
    """Return the tile's square: the picture fitted into it, or the neutral picture."""
    square = np.full((TILE, TILE, 3), background, np.uint8)
    if tile.image is None:
        if fixation:
            target, covers = fixation_target(TILE // 12)
            start = (TILE - len(target)) // 2
            place = square[start : start + len(target), start : start + len(target)]
            np.copyto(place, target, where=covers[:, :, None])
        return Image.fromarray(square)
    height, width = tile.image.shape[:2]
    scale = TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # A box filter repeats pixels when it enlarges, as the screen does, and averages them when it reduces.
    fitted = Image.fromarray(np.ascontiguousarray(tile.image)).resize(size, Image.Resampling.BOX)
    framed = Image.fromarray(square)
    framed.paste(fitted, ((TILE - size[0]) // 2, (TILE - size[1]) // 2))
    return framed


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: _Font, width: float) -> str:
    """Cut `text` to what fits into `width` pixels."""
    text = on_one_line(text)
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(text + "…", font) > width:
        text = text[:-1]
    return text + "…"
