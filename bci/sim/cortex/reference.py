"""Reference pictures: random colour pictures with the spectrum of natural scenes and edges of all sizes.

They stand for what a participant has seen in its life: units are scaled by their variance over these pictures, unless a
session names pictures nearer to its own stimuli.
"""

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

#: Default number of pictures that units are scaled over.
REFERENCE = 192

_SEED = 20210817


@lru_cache(2)
def reference_pictures(n: int = REFERENCE, side: int = 64, seed: int = _SEED) -> NDArray[np.uint8]:
    """Return random pictures (n, side, side, 3) uint8, read-only; the same arguments give the same pictures."""
    rng = np.random.default_rng(seed)
    f = np.hypot(scipy.fft.fftfreq(side)[:, None], scipy.fft.fftfreq(side)[None, :])
    f[0, 0] = 1 / side
    white = scipy.fft.fft2(rng.standard_normal((n, 3, side, side)))
    pictures = scipy.fft.ifft2(white / f**1.3).real
    pictures /= pictures.std(axis=(2, 3), keepdims=True)
    # Light and shade have more contrast than colour.
    pictures = 0.8 * pictures[:, :1] + 0.35 * pictures
    y, x = np.mgrid[:side, :side] / side
    for picture in pictures:
        for _ in range(rng.integers(1, 5)):
            cx, cy = rng.random(2)
            a, b = rng.uniform(0.05, 0.35, 2)
            turn = rng.uniform(0, np.pi)
            u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
            v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
            inside = (u / a) ** 2 + (v / b) ** 2 < 1
            colour = rng.standard_normal((3, 1)) * 0.7 + rng.standard_normal()
            picture[:, inside] = colour + 0.3 * picture[:, inside]
    levels = 128 + 50 * pictures
    pixels: NDArray[np.uint8] = np.clip(np.rint(levels), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1).copy()
    pixels.flags.writeable = False
    return pixels
