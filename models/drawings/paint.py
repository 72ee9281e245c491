"""Paint: colours in linear light, layers over layers, and soft edges, on (n, n) planes.

A picture under work is (3, n, n) float32 in linear light, where a half-covered pixel is half as bright; only
`encode` leaves it for sRGB.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]
Colour = tuple[float, float, float]


@lru_cache(maxsize=64)
def linear(colour: Colour) -> Plane:
    """Return an sRGB colour in linear light: (3, 1, 1)."""
    c = np.asarray(colour)
    value = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return value.astype(np.float32)[:, None, None]


def encode(amount: Plane) -> Plane:
    """Apply the sRGB curve (IEC 61966-2-1) to linear light in 0 to 1."""
    return np.where(amount <= 0.0031308, 12.92 * amount, 1.055 * amount ** (1 / 2.4) - 0.055)


def over(below: Plane, above: Plane, cover: Plane) -> Plane:
    """Lay `above` over `below` where `cover` is 1."""
    return below + (above - below) * cover


def smooth(value: Plane, low: float, high: float) -> Plane:
    """Rise from 0 at `low` to 1 at `high` with no corner."""
    t: Plane = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def edge(value: Plane, width: float) -> Plane:
    """Rise from 0 to 1 around 0 within ± `width`."""
    covered: Plane = np.clip(0.5 + 0.5 * value / width, 0.0, 1.0)
    return covered


def blob(x: Plane, y: Plane, cx: float, cy: float, wide: float, high: float) -> Plane:
    """Return a soft ellipse, 1 in its middle."""
    return np.exp(-(((x - cx) / wide) ** 2) - ((y - cy) / high) ** 2)
