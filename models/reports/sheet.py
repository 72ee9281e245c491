"""The sheet of pairs shows stimuli above their reconstructions, as one PNG file."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from models.reports.decoded import Decoded

_SIDE, _GAP, _PER_ROW, _MOST = 96, 10, 8, 24


def draw_pairs(decoded: Decoded, draw: Callable[[NDArray[Any]], NDArray[np.uint8]] | None) -> bytes:
    """Draw the first trials, in order, as a PNG; without `draw` only the stimuli."""
    shown = range(min(len(decoded), _MOST))
    read = draw(decoded.predicted[list(shown)]) if draw is not None else None
    pair = 2 * _SIDE + 18 + _GAP
    size = (_PER_ROW * (_SIDE + _GAP) + _GAP + 60, -(-len(shown) // _PER_ROW) * (pair + _GAP) + _GAP + 30)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    trial_kind = "SIMULATED participant, single" if decoded.simulated else "Single"
    pen.text((_GAP, 8), f"{trial_kind} trials: seen above, read below", fill="black")
    for trial in shown:
        left = 60 + (trial % _PER_ROW) * (_SIDE + _GAP)
        top = 30 + (trial // _PER_ROW) * (pair + _GAP)
        if trial % _PER_ROW == 0:
            pen.text((_GAP, top + _SIDE // 2), "seen", fill="black")
            pen.text((_GAP, top + _SIDE + _SIDE // 2), "read", fill="black")
        sheet.paste(_scaled(decoded.seen[decoded.which[trial]]), (left, top))
        if read is not None:
            sheet.paste(_scaled(read[trial]), (left, top + _SIDE + 4))
        if np.isfinite(decoded.confidence[trial]):
            pen.text((left, top + 2 * _SIDE + 6), f"confidence {decoded.confidence[trial]:.2f}", fill="black")
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _scaled(pixels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(pixels).resize((_SIDE, _SIDE))
