"""Local bases: small rectangles at every place of a contrast picture, each the mean contrast of what lies in it.

Miyawaki et al. (2008) read 10 × 10 pictures by four shapes, 1 × 1, 1 × 2, 2 × 1 and 2 × 2, at every place where they
fit: 361 bases. Any set of shapes is allowed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError

Floats = NDArray[np.float64]
Shape = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Bases:
    """A Bases holds the local bases of pictures of one size.

    Attributes
    ----------
    side : int
        Height and width of a picture.
    shapes : tuple of (int, int)
        Height and width of each scale's rectangle.
    masks : (n, side²) float64
        1 within each rectangle.
    scale : (n,) int64
        Which shape each is of.
    """

    side: int
    shapes: tuple[Shape, ...]
    masks: Floats
    scale: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.scale)

    def contrasts(self, pictures: Floats) -> Floats:
        """Return the mean contrast in each rectangle: (pictures, side²) to (pictures, n)."""
        return pictures @ (self.masks / self.masks.sum(1, keepdims=True)).T

    def layers(self) -> Floats:
        """Return what each scale draws of its contrasts, (scales, n, side²): the mean of what covers a pixel."""
        layers = np.zeros((len(self.shapes), *self.masks.shape))
        for k in range(len(self.shapes)):
            own = self.masks * (self.scale == k)[:, None]
            layers[k] = own / np.maximum(own.sum(0), 1.0)
        return layers


def make_bases(side: int, shapes: Sequence[Shape]) -> Bases:
    """Lay rectangles of each shape at every place where they fit.

    Parameters
    ----------
    side : int
        Height and width of a picture.
    shapes : sequence of (int, int)
        Height and width of the rectangles.

    Raises
    ------
    ConfigError
        If there is none, one twice, or one that does not fit.

    Examples
    --------
    >>> len(make_bases(10, [(1, 1), (1, 2), (2, 1), (2, 2)]))
    361
    """
    shapes = tuple((int(h), int(w)) for h, w in shapes)
    if not shapes or len(set(shapes)) < len(shapes) or not all(1 <= n <= side for s in shapes for n in s):
        raise ConfigError(
            f"expected rectangles of different shapes, each side from 1 to {side}, came {list(shapes)}. Correct scales."
        )
    masks, scale = [], []
    for k, (height, width) in enumerate(shapes):
        for top in range(side - height + 1):
            for left in range(side - width + 1):
                mask = np.zeros((side, side))
                mask[top : top + height, left : left + width] = 1.0
                masks.append(mask.ravel())
                scale.append(k)
    return Bases(side, shapes, np.array(masks), np.array(scale, np.int64))


def square_scales(k: int) -> tuple[Shape, ...]:
    """Return the four shapes that go with a size: 1 × 1, 1 × k, k × 1 and k × k.

    >>> square_scales(2)
    ((1, 1), (1, 2), (2, 1), (2, 2))
    """
    return ((1, 1), (1, k), (k, 1), (k, k))
