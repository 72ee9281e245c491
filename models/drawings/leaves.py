"""Dead leaves: discs of chance colours, sizes and places that hide one another (Lee, Mumford & Huang 2001).

Their radii fall off as the third power, so that a picture has edges at every scale, as photographs have. They serve
where a brain, or a planted one, is shown pictures that are of no class.
"""

import numpy as np
from numpy.typing import NDArray

#: Radii of the smallest and of the largest disc, of a picture's side.
_SMALLEST, _LARGEST = 0.03, 0.5
_DISCS = 120


def draw_leaves(n: int, *, size: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """Draw `n` pictures: (n, size, size, 3) uint8; equal seeds give equal pictures."""
    random = np.random.default_rng([seed, 31])
    pictures = np.empty((n, size, size, 3), np.uint8)
    across = (np.arange(size) + 0.5) / size
    for picture in pictures:
        # The inverse of the distribution of radii, ∝ r⁻³ between the two ends.
        share = random.random(_DISCS)
        radius = 1 / np.sqrt(_SMALLEST**-2 - share * (_SMALLEST**-2 - _LARGEST**-2))
        centre = random.uniform(-0.1, 1.1, (_DISCS, 2))
        brightness, colour = random.uniform(0, 255, (_DISCS, 1)), random.normal(0, 30, (_DISCS, 3))
        picture[:] = 128
        for k in range(_DISCS):
            inside = (across[:, None] - centre[k, 0]) ** 2 + (across - centre[k, 1]) ** 2 < radius[k] ** 2
            picture[inside] = np.clip(brightness[k] + colour[k], 0, 255)
    return pictures
