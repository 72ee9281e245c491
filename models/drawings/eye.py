"""A drawn eye is a picture whose latents are known exactly, because a program draws it from them.

A picture is a function of four numbers, `FACTORS`: how far the lids have closed, where the eye looks (two numbers), and
from which side the light falls. Everything is drawn in linear light at four times the size and averaged down,
so edges are antialiased and half-covered pixels have the right brightness; only the last step is the sRGB
curve.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.drawings import eye_hairs as hairs
from models.drawings.eye_lids import DROP, HALF, Lids, lids
from models.drawings.paint import Colour, Plane, blob, edge, encode, linear, over, smooth

#: The latent factors of a picture in order, each with the range that it is drawn from.
FACTORS: tuple[tuple[str, float, float], ...] = (
    ("closure", 0.0, 1.0),
    ("gaze_x", -1.0, 1.0),
    ("gaze_y", -1.0, 1.0),
    ("light", -1.0, 1.0),
)

_OVERSAMPLE = 4

# Colours in sRGB as a painter names them; converted to linear light before anything is mixed.
_SKIN: Colour = (0.905, 0.715, 0.600)
_SKIN_SHADE: Colour = (0.600, 0.375, 0.315)
_SKIN_LIGHT: Colour = (0.985, 0.860, 0.770)
_LID: Colour = (0.850, 0.620, 0.525)
_RIM: Colour = (0.860, 0.560, 0.500)
_CARUNCLE: Colour = (0.840, 0.480, 0.450)
_SCLERA: Colour = (0.945, 0.935, 0.925)
_SCLERA_SHADE: Colour = (0.640, 0.600, 0.610)
_IRIS: Colour = (0.180, 0.520, 0.610)
_IRIS_BRIGHT: Colour = (0.520, 0.830, 0.800)
_IRIS_WARM: Colour = (0.800, 0.600, 0.270)
_LIMBUS: Colour = (0.040, 0.120, 0.190)
_PUPIL: Colour = (0.012, 0.012, 0.020)
_HAIR: Colour = (0.130, 0.075, 0.055)
_WHITE: Colour = (1.0, 1.0, 1.0)


def draw(
    closure: float, gaze_x: float = 0.0, gaze_y: float = 0.0, light: float = 0.0, *, size: int = 64
) -> NDArray[np.uint8]:
    """Draw one eye.

    Parameters
    ----------
    closure : float
        0 (wide open) to 1 (closed).
    gaze_x, gaze_y : float
        -1 to 1: towards the inner or the outer corner, up or down.
    light : float
        -1 to 1: light from the left or from the right.
    size : int
        Height and width in pixels.

    Returns
    -------
    (size, size, 3) uint8
        sRGB.

    Raises
    ------
    ValueError
        If a factor lies outside its range.
    """
    for (name, low, high), value in zip(FACTORS, (closure, gaze_x, gaze_y, light), strict=True):
        if not low <= value <= high:
            raise ValueError(f"{name} lies between {low:g} and {high:g}, got {value}")
    n = size * _OVERSAMPLE
    x, y = _plane(n)
    margins = lids(x, closure)
    picture = _skin(x, y, margins, closure, light)
    inside = _eyeball(x, y, margins, closure, gaze_x, gaze_y, light)
    opening = edge(np.minimum(y - margins.upper, margins.lower - y), 1.5 / n) * (np.abs(x) < HALF)
    picture = over(picture, inside, opening)
    picture = _rims(picture, x, y, margins, closure)
    hair, shade = hairs.cover(n, closure)
    picture = picture * (1.0 - 0.22 * shade)
    picture = over(picture, linear(_HAIR), hair)
    picture = picture * (1.0 - 0.16 * smooth(np.hypot(x, 0.95 * (y + DROP)), 0.75, 1.45))
    small = picture.reshape(3, size, _OVERSAMPLE, size, _OVERSAMPLE).mean((2, 4))
    return np.round(255.0 * encode(np.clip(small, 0.0, 1.0))).astype(np.uint8).transpose(1, 2, 0)


def _skin(x: Plane, y: Plane, at: Lids, closure: float, light: float) -> Plane:
    """Return the skin without the opening: socket, lid, fold and the light on them."""
    picture = linear(_SKIN)
    shade, bright = linear(_SKIN_SHADE), linear(_SKIN_LIGHT)
    # The socket: shadow towards the nose and under the brow.
    picture = over(picture, shade, 0.55 * blob(x, y, -0.98, -0.28, 0.42, 0.50))
    picture = over(picture, shade, 0.38 * blob(x, y, 0.10, -0.70, 0.95, 0.15))
    picture = over(picture, shade, 0.26 * blob(x, y, 0.05, 0.52, 0.75, 0.16))
    # Bone catches the light: below the brow's tail and on the cheek.
    picture = over(picture, bright, 0.55 * blob(x, y, 0.62, -0.66, 0.36, 0.15))
    picture = over(picture, bright, 0.60 * blob(x, y, 0.25, 0.98, 0.80, 0.30))
    # The lid between fold and margin bulges over the eyeball: brighter along its middle.
    height = np.maximum(at.upper - at.crease, 1e-3)
    up = (y - at.crease) / height
    on_lid = smooth(up, -0.02, 0.04) * (1.0 - smooth(y - at.upper, -0.004, 0.004)) * (np.abs(x) < HALF)
    on_lid = on_lid * smooth(1.0 - np.abs(x / HALF), 0.0, 0.12)
    picture = over(picture, linear(_LID), 0.85 * on_lid)
    bulge = np.exp(-(((up - 0.52) / 0.27) ** 2)) * np.exp(-(((x - 0.16 * light - 0.02) / 0.42) ** 2))
    picture = over(picture, bright, (0.25 + 0.50 * closure) * bulge * on_lid)
    border = np.exp(-(((up - 1.0) / 0.22) ** 2)) + 0.8 * np.exp(-((up / 0.16) ** 2))
    picture = over(picture, shade, np.clip((0.30 + 0.15 * closure) * border, 0, 1) * on_lid)
    # The fold itself: a soft dark line that fades towards the corners and, a little, as the lid unrolls.
    ends = smooth(1.0 - np.abs(x / HALF), 0.02, 0.30)
    fold = np.exp(-(((y - at.crease) / 0.020) ** 2)) + 0.45 * np.exp(-(((y - at.crease) / 0.06) ** 2))
    picture = over(picture, linear((0.42, 0.22, 0.18)), np.clip((0.72 - 0.25 * closure) * fold * ends, 0, 1))
    # A faint line under the lower lid.
    under = np.exp(-(((y - at.lower - 0.13) / 0.035) ** 2)) * smooth(1.0 - np.abs(x / HALF), 0.05, 0.5)
    picture = over(picture, shade, 0.30 * under)
    return picture * (1.0 + 0.22 * light * x)


def _eyeball(
    x: Plane, y: Plane, at: Lids, closure: float, gaze_x: float, gaze_y: float, light: float
) -> Plane:
    """Return what shows between the lids: white, iris, pupil, reflections and the lid's shadow."""
    cx, cy = 0.03 + 0.24 * gaze_x, -0.09 + 0.11 * gaze_y
    radius = np.hypot(x, 1.1 * (y + 0.05))
    picture = over(linear(_SCLERA), linear(_SCLERA_SHADE), smooth(radius, 0.35, 0.92))
    # The tear caruncle in the inner corner.
    picture = over(picture, linear(_CARUNCLE), 0.9 * blob(x, y, -0.74, 0.10, 0.12, 0.10))
    picture = over(picture, linear((0.86, 0.62, 0.60)), 0.35 * blob(x, y, -0.56, 0.08, 0.20, 0.16))
    r = np.hypot(x - cx, y - cy) / 0.370
    angle = np.arctan2(y - cy, x - cx)
    fibres = sum(
        weight * np.sin(count * angle + phase + bend * r)
        for count, phase, bend, weight in ((9, 0.4, 2.0, 0.5), (17, 1.9, -3.0, 0.6), (26, 4.0, 1.5, 0.4))
    )
    iris = over(
        linear(_IRIS), linear(_IRIS_BRIGHT), np.clip(0.45 + 0.30 * fibres, 0, 1) * smooth(r, 0.3, 0.62)
    )
    iris = over(iris, linear(_IRIS_WARM), 0.75 * np.exp(-(((r - 0.50) / 0.12) ** 2)))
    # The cornea gathers light on the side away from the lamp.
    glow = blob(x, y, cx - 0.15 * light, cy + 0.17, 0.22, 0.14)
    iris = iris * (1.0 + 0.9 * glow)
    iris = over(iris, linear(_LIMBUS), smooth(r, 0.76, 1.0))
    iris = over(iris, linear(_PUPIL), 1.0 - smooth(r, 0.37, 0.43))
    picture = over(picture, iris, 1.0 - smooth(r, 0.95, 1.03))
    shadow = 1.0 - 0.72 * np.exp(-np.maximum(y - at.upper, 0.0) / 0.085)
    shadow = shadow * (1.0 - 0.22 * np.exp(-np.maximum(at.lower - y, 0.0) / 0.05))
    picture = picture * (shadow * (1.0 - 0.25 * closure))
    lamp_x, lamp_y = cx + 0.13 * light - 0.085, cy - 0.13
    picture = over(
        picture, linear(_WHITE), 0.97 * (1.0 - smooth(np.hypot(x - lamp_x, y - lamp_y), 0.055, 0.085))
    )
    spark = np.hypot(x - cx - 0.13, y - cy - 0.12)
    return over(picture, linear(_WHITE), 0.45 * (1.0 - smooth(spark, 0.02, 0.05)))


def _rims(picture: Plane, x: Plane, y: Plane, at: Lids, closure: float) -> Plane:
    """Draw the wet edge of the lower lid and the dark line of the upper one."""
    inside = smooth(1.0 - np.abs(x / HALF), -0.01, 0.05)
    gap = at.lower - at.upper
    wet = np.exp(-(((y - at.lower - 0.012) / 0.022) ** 2)) * inside * smooth(gap, 0.02, 0.20)
    picture = over(picture, linear(_RIM), 0.85 * wet)
    thick = 0.024 + 0.014 * (1.0 - (x / HALF) ** 2)
    line = np.exp(-(((y - at.upper + 0.008) / thick) ** 2)) * inside
    return over(picture, linear(_HAIR), np.clip(1.15 * line, 0, 1) * (0.92 - 0.10 * closure))


@lru_cache(maxsize=4)
def _plane(n: int) -> tuple[Plane, Plane]:
    """Return x and y at the middle of each of n × n pixels."""
    axis = ((np.arange(n) + 0.5) / n * 2.0 - 1.0).astype(np.float32)
    x, y = np.meshgrid(axis, axis - np.float32(DROP))
    return x, y
