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


def frechet(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    r"""Return the Fréchet distance between two sets of features seen as Gaussians (Heusel et al. 2017).

    .. math:: \lVert \mu_1 - \mu_2 \rVert^2 + \mathrm{tr}\big(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\big)

    with the trace of the root from the eigenvalues of :math:`C_1^{1/2} C_2 C_1^{1/2}`.

    Parameters
    ----------
    one, other : (n, k) and (m, k) float32
        Features; more pictures than features, or the covariances mean nothing.

    Raises
    ------
    ValueError
        If there are too few pictures.
    """
    k = one.shape[1]
    if min(len(one), len(other)) <= k:
        raise ValueError(
            f"a Fréchet distance of {k} features needs more than {k} pictures of each kind, got {len(one)} and "
            f"{len(other)}: reduce the features first"
        )
    means = one.mean(0, dtype=np.float64), other.mean(0, dtype=np.float64)
    first, second = np.cov(one, rowvar=False).reshape(k, k), np.cov(other, rowvar=False).reshape(k, k)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    common = np.linalg.eigvalsh(root @ second @ root)
    cross = float(np.sqrt(np.clip(common, 0.0, None)).sum())
    return float(np.square(means[0] - means[1]).sum() + np.trace(first) + np.trace(second) - 2.0 * cross)
