"""Fixed features of pictures, nothing in them learned: oriented edges and colours, cell by cell.

They serve where others use a network trained on photographs, whose weights this project does not ship: distances
between sets of pictures, and classifiers of what a picture shows. Figures made with them compare only with figures
made with them.
"""

import numpy as np
from numpy.typing import NDArray

_CELLS = 8  # cells along each side
_ORIENTATIONS = 8
#: Mean edge strength below which a cell counts as flat: invisible speckle is no texture.
_FAINT = 0.05


def edges_and_colours(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the features of pictures.

    Parameters
    ----------
    images : (n, size, size, 3) uint8
        Size a multiple of 8.

    Returns
    -------
    (n, 704) float32
        For each of 8 × 8 cells, how strong edges of 8 orientations are (Dalal & Triggs 2005, each cell's vector over
        the square root of its sum), and the mean colour in -1 to 1.
    """
    return np.concatenate([_few(images[i : i + 256]) for i in range(0, len(images), 256)])


def _few(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    n, size = images.shape[:2]
    pixels = images.astype(np.float32) / 127.5 - 1.0
    grey = pixels.mean(3)
    dx, dy = np.zeros_like(grey), np.zeros_like(grey)
    dx[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    dy[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    strength = np.hypot(dx, dy)
    place = (np.arctan2(dy, dx) % np.pi) * (_ORIENTATIONS / np.pi)
    low = np.floor(place)
    share = place - low
    side = size // _CELLS
    histogram = np.empty((n, _CELLS, _CELLS, _ORIENTATIONS), np.float32)
    for k in range(_ORIENTATIONS):
        # Each edge is shared between the two orientations that it lies between.
        own = np.where(low % _ORIENTATIONS == k, 1.0 - share, 0.0)
        own += np.where((low + 1) % _ORIENTATIONS == k, share, 0.0)
        histogram[..., k] = (own * strength).reshape(n, _CELLS, side, _CELLS, side).mean((2, 4))
    histogram /= np.sqrt(histogram.sum(3, keepdims=True) + _FAINT)
    colours = pixels.reshape(n, _CELLS, side, _CELLS, side, 3).mean((2, 4))
    return np.concatenate([histogram.reshape(n, -1), colours.reshape(n, -1)], 1).astype(np.float32)
