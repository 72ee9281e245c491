"""The hairs of the eye: lashes that swing with the lid, and a brow that stays.

Each hair is a bent stroke that tapers to a point, filled at twice the resolution of the canvas: it is thinner
than a pixel of the finished picture.
"""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from models.drawings.eye_lids import DROP, lids
from models.drawings.paint import Plane

_OVERSAMPLE = 2

Point = tuple[float, float]
Stroke = tuple[Point, Point, Point, float]


def cover(n: int, closure: float) -> tuple[Plane, Plane]:
    """Draw the hairs of one eye.

    Parameters
    ----------
    n : int
        Height and width of the canvas.
    closure : float
        0 (wide open) to 1 (closed).

    Returns
    -------
    hair : (n, n) float32
        How much of each pixel hair covers.
    shade : (n, n) float32
        How much lies in the soft shade of the lashes.
    """
    big = n * _OVERSAMPLE
    sheet = Image.new("L", (big, big), 0)
    pen = ImageDraw.Draw(sheet)
    for root, bend, tip, width in _lashes(closure):
        pen.polygon(_stroke(root, bend, tip, width, big), fill=255)
    lashes = np.asarray(sheet.reduce(_OVERSAMPLE), np.float32) / 255.0
    soft = np.asarray(
        sheet.resize((n // 16, n // 16), Image.Resampling.BOX).resize((n, n), Image.Resampling.BICUBIC),
        np.float32,
    )
    return np.maximum(lashes, _brow_cover(n)), np.clip(soft / 255.0, 0, 1)


@lru_cache(maxsize=4)
def _brow_cover(n: int) -> Plane:
    """Return how much of each of n × n pixels the eyebrow covers; it is the same in every picture."""
    big = n * _OVERSAMPLE
    sheet = Image.new("L", (big, big), 0)
    pen = ImageDraw.Draw(sheet)
    for root, bend, tip, width in _brow():
        pen.polygon(_stroke(root, bend, tip, width, big), fill=205)
    return np.asarray(sheet.reduce(_OVERSAMPLE), np.float32) / 255.0


def _lashes(closure: float) -> list[Stroke]:
    """Lay out the lashes: the upper ones swing from up to down with the lid, the lower ones stay."""
    strokes = []
    for k in range(25):
        s = k / 24
        x = -0.60 + 1.36 * s
        edge = lids(np.array(x), closure)
        # Up and fanned out when open; down, fanned and longer to the eye of the beholder when closed.
        fan = -0.55 + 1.35 * s
        length = (0.16 + 0.15 * s**1.2) * (1.0 + 0.12 * np.sin(2.4 * k))
        swing = closure**1.3
        up, down = -1.0 - 0.1 * s, 0.78
        rise = up + (down - up) * swing
        length *= 1.0 - 0.2 * np.exp(-((rise / 0.3) ** 2))  # seen end-on a lash shortens
        y = float(edge.upper)
        tip = (x + length * fan * 0.95, y + length * rise)
        bend = (x + length * fan * 0.18, y + length * (0.50 * rise + 0.22 * (1.0 - 0.4 * swing)))
        strokes.append(((x, y), bend, tip, 0.030))
    for k in range(15):
        s = k / 14
        x = -0.42 + 1.06 * s
        y = float(lids(np.array(x), closure).lower) + 0.015
        length = 0.055 + 0.055 * s
        fan = -0.35 + 1.0 * s
        bend, tip = (x + 0.3 * length * fan, y + 0.6 * length), (x + length * fan, y + length)
        strokes.append(((x, y), bend, tip, 0.014 * (1.0 - 0.55 * closure)))
    return strokes


def _brow() -> list[Stroke]:
    """Lay out the eyebrow: short hairs along an arch, leaning outwards."""
    strokes = []
    for k in range(230):
        s = (k * 0.6180339887) % 1.0
        row = ((k * 0.7548776662) % 1.0) - 0.5
        x = -0.86 + 1.74 * s
        thick = 0.150 * (1.0 - 0.72 * max(0.0, (s - 0.35) / 0.65)) * min(1.0, 0.55 + 3.0 * s)
        y = (
            -0.835
            - 0.085 * np.sin(np.pi * min(1.0, s * 0.92 + 0.02))
            + 0.17 * max(0.0, s - 0.62)
            + row * thick
        )
        lean = 0.35 + 1.2 * s
        length = 0.15 - 0.04 * s
        rise = -(1.0 - 1.15 * s) * 0.8
        tip = (x + length * min(1.0, lean), y + length * rise * 0.8)
        bend = (x + 0.4 * length * lean, y + 0.6 * length * rise)
        strokes.append(((x, y), bend, tip, 0.017))
    return strokes


def _stroke(root: Point, bend: Point, tip: Point, width: float, big: int) -> list[Point]:
    """Return the outline in pixels of a hair that is `width` wide at its root and ends in a point."""
    t = np.linspace(0.0, 1.0, 9)[:, None]
    a, b, c = (np.array(p) for p in (root, bend, tip))
    spine = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
    run = 2 * (1 - t) * (b - a) + 2 * t * (c - b)
    normal = np.stack([-run[:, 1], run[:, 0]], 1) / np.maximum(
        np.linalg.norm(run, axis=1, keepdims=True), 1e-9
    )
    half = 0.5 * width * (1.0 - 0.92 * t)
    outline = np.concatenate([spine + half * normal, (spine - half * normal)[::-1]])
    shift = np.array([1.0, 1.0 + DROP])
    return [(float(px), float(py)) for px, py in (outline + shift) / 2.0 * big]
