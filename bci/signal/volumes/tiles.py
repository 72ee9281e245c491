"""Tiles lay the slices of a volume beside each other, seen from above: left to the left, front up."""

from itertools import islice, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.signal.volumes.rigid import Affine, voxel_sizes_mm

#: Colours of a map from its lowest value to its highest, evenly apart, red, green, blue.
_MAP = np.array(
    [(20, 18, 48), (58, 50, 124), (38, 118, 140), (80, 178, 110), (214, 212, 70), (255, 246, 200)]
)

#: The same where both signs are told apart: blue below, black at the middle, orange above.
_SIGNED = np.array([(130, 200, 255), (40, 100, 190), (12, 14, 20), (190, 90, 30), (255, 205, 120)])

#: Brightness from which a voxel is white, as a percentile.
_WHITE = 99.5


def upright(volume: NDArray[Any], affine: Affine) -> NDArray[Any]:
    """Return a volume (x, y, z, …) with its axes in the order and direction of the world's: right, front, up.

    >>> affine = np.array([[0, -2, 0, 9], [0, 0, 2, 0], [3, 0, 0, 0], [0, 0, 0, 1.0]])
    >>> turned = upright(np.arange(6).reshape(1, 2, 3), affine)
    >>> turned.shape, turned[:, 0, 0].tolist()
    ((2, 3, 1), [3, 0])
    """
    along = affine[:3, :3] / voxel_sizes_mm(affine)
    order = max(permutations(range(3)), key=lambda axes: sum(abs(along[w, v]) for w, v in enumerate(axes)))
    turned = volume.transpose(*order, *range(3, volume.ndim))
    backwards = [w for w, v in enumerate(order) if along[w, v] < 0]
    return np.asarray(np.flip(turned, tuple(backwards)))


def grey(volume: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return a volume (x, y, z) as colours (x, y, z, 3): black is 0, white its 99.5th percentile."""
    bright = np.nan_to_num(volume) / max(float(np.nanpercentile(volume, _WHITE)), 1e-9)
    shade = (255 * np.clip(bright, 0.0, 1.0)).round().astype(np.uint8)
    return np.repeat(shade[..., None], 3, axis=-1)


def coloured(
    values: NDArray[np.floating], low: float, high: float, signed: bool = False
) -> NDArray[np.uint8]:
    """Return values, of any shape, as colours (…, 3) uint8 from dark at `low` to bright at `high`; NaN is black.

    Where they are `signed`, the middle is dark, what is below it blue and what is above it orange.

    >>> coloured(np.array([0.0, 1.0, np.nan]), 0.0, 1.0).tolist()
    [[20, 18, 48], [255, 246, 200], [0, 0, 0]]
    """
    share = np.clip((np.asarray(values, np.float64) - low) / max(high - low, 1e-12), 0.0, 1.0)
    palette = _SIGNED if signed else _MAP
    at = np.linspace(0.0, 1.0, len(palette))
    colour = np.stack([np.interp(share, at, palette[:, k]) for k in range(3)], axis=-1)
    return np.where(np.isnan(share)[..., None], 0, colour.round()).astype(np.uint8)


def tiles(colour: NDArray[np.uint8], affine: Affine, width: int = 6, scale: int = 2) -> NDArray[np.uint8]:
    """Return a picture of all slices from below to above.

    Parameters
    ----------
    colour : (x, y, z, 3) uint8
        On a grid of any orientation.
    affine : (4, 4) array
        From voxels to millimetre (x to the right, y forward, z up).
    width : int
        Slices in a row.
    scale : int
        Pixels along an edge of a voxel.

    Returns
    -------
    picture : (height, width, 3) uint8
    """
    turned = upright(colour, affine)
    slices = iter([np.flip(turned[:, :, z].transpose(1, 0, 2), axis=0) for z in range(turned.shape[2])])
    rows = []
    while row := list(islice(slices, width)):
        row += [np.zeros_like(row[0])] * (width - len(row))
        rows.append(np.concatenate(row, axis=1))
    whole = np.concatenate(rows, axis=0)
    return np.asarray(whole.repeat(scale, axis=0).repeat(scale, axis=1), np.uint8)
