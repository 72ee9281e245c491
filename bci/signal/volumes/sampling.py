"""Values of a volume between its voxels, and volumes smoothed by a Gaussian of a stated width in millimetre."""

import math

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.volumes.cubic import gathered

VolumeArray = NDArray[np.floating]
Places = NDArray[np.float64]

#: Splines by name, and their order; a linear one blurs most, a cubic one takes longest.
INTERPOLATIONS = {"linear": 1, "quadratic": 2, "cubic": 3}

#: FWHM of a Gaussian over its standard deviation, ``2 √(2 ln 2)``.
FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

#: Where the kernel of a Gaussian ends, in standard deviations.
TRUNCATE = 3.0


def check_interpolation(name: str) -> None:
    """Raise ConfigError unless `name` is one of `INTERPOLATIONS`."""
    if name not in INTERPOLATIONS:
        raise ConfigError(
            f"expected an interpolation of {', '.join(INTERPOLATIONS)}, came {name!r}. Choose one of these."
        )


def smoothed(volume: VolumeArray, fwhm_mm: float, voxel_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a volume (x, y, z) smoothed by a Gaussian, which beyond the edges meets the outermost voxels again.

    Parameters
    ----------
    volume : (x, y, z) array
    fwhm_mm : float
        Full width at half maximum, millimetre; 0 smooths nothing.
    voxel_mm : (3,) float64
        Sizes of a voxel.
    """
    from scipy import ndimage  # programs that filter nothing do not wait for it

    out = np.ascontiguousarray(volume, np.float32)
    for axis, sigma in enumerate(fwhm_mm / FWHM_PER_SIGMA / voxel_mm):
        if sigma > 0.05:
            out = ndimage.correlate1d(out, gaussian_kernel(float(sigma)), axis, mode="nearest")
    return out


def gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    """Return the weights, an odd number of them with the sum 1, of a Gaussian with `sigma` in voxels.

    >>> gaussian_kernel(0.5).round(3).tolist()
    [0.0, 0.106, 0.787, 0.106, 0.0]
    """
    reach = max(1, math.ceil(TRUNCATE * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def gradient(volume: VolumeArray) -> tuple[NDArray[np.float32], ...]:
    """Return the derivative of a volume along each axis, per voxel: central differences."""
    return tuple(np.asarray(d, np.float32) for d in np.gradient(np.asarray(volume, np.float32)))


def inside(places: Places, shape: tuple[int, ...], edge: float = 0.0) -> NDArray[np.bool_]:
    """Return which places (3, n), in voxels, lie between the outermost voxels of a volume, by `edge` or more."""
    last = np.asarray(shape, np.float64)[:, None] - 1.0 - edge
    return np.asarray(((places >= edge) & (places <= last)).all(axis=0))


def sampled(volume: VolumeArray, places: Places, interpolation: str = "linear") -> NDArray[np.float32]:
    """Return the values (n,) of a volume at places (3, n) in voxels; beyond the edge, those of the edge.

    Raises
    ------
    ConfigError
        If there is no such interpolation.
    """
    from scipy import ndimage

    check_interpolation(interpolation)
    order = INTERPOLATIONS[interpolation]
    source = np.ascontiguousarray(volume, np.float32)
    if order > 1:
        source = ndimage.spline_filter(source, order, np.float32, mode="nearest")
    if order == 3:
        return gathered(source, places)
    values: NDArray[np.float32] = np.empty(places.shape[1], np.float32)
    ndimage.map_coordinates(source, places, values, order, mode="nearest", prefilter=False)
    return values
