"""A phantom is a run of volumes whose every voxel is known from its place and the volume's index."""

import numpy as np
from numpy.typing import NDArray

from bci.io.volumes.volume import ImagingSeries


def phantom_series(
    shape: tuple[int, int, int] = (16, 12, 6),
    *,
    tr: float = 1.0,
    total: int = 20,
    number: int = 7,
    uid: str = "2.25.1977",
    oblique: bool = True,
) -> ImagingSeries:
    """Return a run with a slanted grid, of 3 mm in the plane and 4 mm from slice to slice.

    Slices are interleaved: first those of even number, evenly over the TR.
    """
    angle = np.deg2rad(12.0 if oblique else 0.0)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-3.0, -3.0, 4.0])
    affine[:3, 3] = [24.0, 30.0, -11.0]
    times = np.empty(shape[2])
    order = [*range(0, shape[2], 2), *range(1, shape[2], 2)]
    times[order] = np.arange(shape[2]) * tr / shape[2]
    return ImagingSeries(
        uid, shape, affine, tr, "int16", tuple(times.round(6).tolist()), total, number, "phantom"
    )


def phantom(series: ImagingSeries, index: int) -> NDArray[np.int16]:
    """Return the volume of an index: (x, y, z) int16 from 0 to 4095, no two voxels of a small volume alike.

    The value at (0, 0, 0) is the index itself, modulo 4096.
    """
    places = np.arange(np.prod(series.shape), dtype=np.int64).reshape(series.shape)
    values = (places * 7 + index * (1 + places % 13)) % 4096
    values[0, 0, 0] = index % 4096
    return values.astype(np.int16)
