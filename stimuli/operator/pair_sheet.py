"""A pair sheet is one picture of many trials: each stimulus above its reconstruction, with the confidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bci.signal.foreign import on_one_line

Pixels = NDArray[np.uint8]

SIDE, PER_ROW = 96, 8
_GAP, _MARGIN, _LABELS, _TOP, _LINE = 10, 16, 44, 58, 17
_URGENT = "#b91c1c"
_PAPER, _INK, _FAINT, _ALARM, _EMPTY = "#ffffff", "#1c1f24", "#6b7280", "#b45309", "#e5e7eb"


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A Pair is one trial: its stimulus and its reconstruction.

    Attributes
    ----------
    trial : int
        Number of the trial, from 0.
    name : str
        Name of the stimulus.
    seen : (height, width, 3) uint8
        The flipped picture.
    flip : float
        Session seconds of the flip.
    read : (height, width, 3) uint8 or None
        Reconstruction of this trial; None while there is none, and where it may not be shown.
    confidence : float
        The decoder's own, NaN for none.
    trouble : str
        Why there is no reconstruction; empty where there is one, or one may still arrive.
    decoder : int
        The place in the session of the decoder that this trial shows.
    repeats : int
        Of how many trials of the stimulus the mean was read.
    """

    trial: int
    name: str
    seen: Pixels
    flip: float
    read: Pixels | None = None
    confidence: float = math.nan
    trouble: str = ""
    decoder: int = 0
    repeats: int = 1

    @property
    def line(self) -> str:
        """The line under the pair."""
        if self.trouble:
            return self.trouble
        if self.read is None:
            return "…"
        confidence = "none" if math.isnan(self.confidence) else f"{self.confidence:.2f}"
        return f"mean of {self.repeats}: {confidence}" if self.repeats > 1 else f"confidence {confidence}"


def sheet_size(pairs: int, *, read: bool = True) -> tuple[int, int]:
    """Return width and height of a sheet of so many pairs, pixels; without what was `read`, of stimuli alone."""
    rows = max(1, -(-pairs // PER_ROW))
    width = 2 * _MARGIN + _LABELS + PER_ROW * (SIDE + _GAP) - _GAP
    return width, _TOP + rows * _row_height(read) + _MARGIN


def draw_pairs(
    pairs: Sequence[Pair],
    title: str,
    subtitle: str,
    room: int = 0,
    alarms: Sequence[str] = (),
    *,
    read: bool = True,
) -> Image.Image:
    """Draw a sheet.

    Parameters
    ----------
    pairs : sequence of Pair
        In the order of time.
    title, subtitle : str
        Headline, and a line below it.
    room : int
        How many pairs the sheet has room for, where more will come.
    alarms : sequence of str
        What is wrong now: white on red across the top, in place of headline and line.
    read : bool
        Whether anything reads; where nothing does, a stimulus stands above its name.
    """
    sheet = Image.new("RGB", sheet_size(max(room, len(pairs)), read=read), _PAPER)
    draw = ImageDraw.Draw(sheet)
    bold, plain, small = (ImageFont.load_default(size) for size in (18, 13, 12))
    if alarms:
        draw.rectangle((0, 0, sheet.width, _TOP - 6), _URGENT)
        draw.text((_MARGIN, 6), alarms[0], _PAPER, ImageFont.load_default(24))
        draw.text((_MARGIN, 35), " · ".join(alarms[1:]) or title, _PAPER, small)
    else:
        draw.text((_MARGIN, 8), title, _INK, bold)
        draw.text((_MARGIN, 31), subtitle, _FAINT, plain)
    for place, pair in enumerate(pairs):
        left = _MARGIN + _LABELS + place % PER_ROW * (SIDE + _GAP)
        top = _TOP + place // PER_ROW * _row_height(read)
        if place % PER_ROW == 0:
            draw.text((_MARGIN, top + SIDE // 2 - 6), "seen", _FAINT, small)
        sheet.paste(_square(pair.seen), (left, top))
        below = top + SIDE + 4
        if not read:
            draw.text((left, below - 2), _fitted(draw, pair.name, small), _FAINT, small)
            continue
        if place % PER_ROW == 0:
            draw.text((_MARGIN, below + SIDE // 2 - 6), "read", _FAINT, small)
        if pair.read is None:
            draw.rectangle((left, below, left + SIDE - 1, below + SIDE - 1), _EMPTY)
        else:
            sheet.paste(_square(pair.read), (left, below))
        ink = _ALARM if pair.trouble else _FAINT
        draw.text((left, below + SIDE + 2), _fitted(draw, pair.line, small), ink, small)
    return sheet


def _row_height(read: bool) -> int:
    return SIDE + (SIDE + 4) * read + _LINE + _GAP


def _square(image: Pixels) -> Image.Image:
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    framed = Image.new("RGB", (SIDE, SIDE), _EMPTY)
    fitted = Image.fromarray(np.ascontiguousarray(image)).resize(size, Image.Resampling.BICUBIC)
    framed.paste(fitted, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return framed


def _fitted(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    text = on_one_line(text)
    if draw.textlength(text, font) <= SIDE:
        return text
    while text and draw.textlength(text + "…", font) > SIDE:
        text = text[:-1]
    return text + "…"
