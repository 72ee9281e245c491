"""A Realigner finds how a head has moved since a reference volume: rigid, by Gauss–Newton.

The volume at the moved position ``T(x)`` is taken for the reference and a small motion of it, brighter or darker:
``I(T(x)) ≈ b + a R(x) + a ∇R(x)·v(x)``, with ``v`` the velocity of a rigid motion. Gradients are of the reference, so
the matrix of the least squares is made once, and a step is one product (Friston et al. 1995, Human Brain Mapping 3:165;
the inverse-compositional update is of Baker and Matthews 2004, IJCV 56:221). ``T`` then takes the inverse of the small
motion. It is done twice: coarsely, on volumes smoothed until a motion of centimetres is small, and finely.

Every estimate begins at no motion: a volume's is the same wherever a run, or a restarted program, began.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError
from bci.signal.volumes.rigid import (
    Affine,
    angle_deg,
    displacement,
    matrix_of,
    moved,
    parameters_of,
    voxel_sizes_mm,
)
from bci.signal.volumes.sampling import Places, VolumeArray, gradient, inside, sampled, smoothed

#: Of the two levels: FWHM of the smoothing in millimetre, distance of the points in millimetre, iterations at most.
COARSE, FINE = (10.0, 10.0, 12), (6.0, 6.0, 12)

#: Voxels at the edge of a volume where nothing is compared: smoothing has met the edge there.
EDGE = 1.0

#: Fractions of an even spread in three dimensions: powers of the inverse of the root of ``x⁴ = x + 1``.
_RECURRENCE = 1.2207440846057596 ** -np.arange(1.0, 4.0)

#: Length over which a field of brightness is laid out, millimetre: about the radius of a head.
FIELD_MM = 80.0

#: A step that moves no point of the brain by more than this, in millimetre, ends a level: the coarse one, the fine one.
ENOUGH_MM = (0.5, 0.005)

#: A level that ends for want of steps has settled when its last one was below this, millimetre.
SETTLED_MM = 0.05

#: Least part of the points that must still lie within the volume, and least correlation with the reference.
LEAST_OVERLAP, LEAST_CORRELATION = 0.6, 0.95

#: Beyond these a motion is not corrected but said: such a head has left its shim, its coil and its slices.
LARGEST_MM, LARGEST_DEG = 25.0, 12.0


class MotionFault(IntEnum):
    """A MotionFault is why a motion must not be trusted."""

    NONE = 0
    LARGE = 1
    """The head has moved or turned beyond the limit."""
    OVERLAP = 2
    """Too little of the head lies within the volume."""
    UNLIKE = 3
    """The moved volume is too unlike the reference."""
    UNSETTLED = 4
    """The last step was not yet small."""


@dataclass(frozen=True)
class Motion:
    """A Motion says how a volume lies to the reference.

    Attributes
    ----------
    matrix : (4, 4) float64
        From a position in the reference to that of the same tissue in the volume, world coordinates, millimetre.
    parameters : (6,) float64
        The same as `rigid.PARAMETERS` about the realigner's centre: millimetre, radian.
    correlation : float
        Of the moved volume with the reference over the points that lie in both.
    overlap : float
        Part of the points that lie in both.
    iterations : int
        Of both levels together.
    fault : MotionFault
        Why it must not be trusted.
    words : str
        The same with its figures; empty when it may be trusted.
    """

    matrix: Affine
    parameters: NDArray[np.float64]
    correlation: float
    overlap: float
    iterations: int
    fault: MotionFault
    words: str


@dataclass(frozen=True, eq=False)
class _Level:
    """A _Level holds what one resolution needs of the reference.

    Attributes
    ----------
    fwhm_mm : float
        By how much a volume is smoothed first.
    points : (n, 3) float64
        World positions.
    values : (n,) float64
        The smoothed reference there.
    columns : (n, 2 + u + 6) float64
        1, value, value times each of u slow courses of brightness, and the value's change with each of six small
        motions: translation, rotation about the centre.
    """

    fwhm_mm: float
    points: NDArray[np.float64]
    values: NDArray[np.float64]
    columns: NDArray[np.float64]
    steps: int
    enough_mm: float


class Realigner:
    """A Realigner estimates the rigid motion of volumes against one reference volume.

    Parameters
    ----------
    reference : (x, y, z) array
        The volume that others are compared with.
    affine : (4, 4) array
        From its voxels to world coordinates in millimetre; the volumes' too.
    mask : (x, y, z) bool, optional
        Where to compare; by default where the smoothed reference is brighter than a quarter of its bright voxels.
    levels : sequence of (fwhm_mm, spacing_mm, steps)
        As `COARSE` and `FINE`, in that order.
    largest_mm, largest_deg : float
        Beyond these a motion has the fault of being large.
    least_correlation : float
        Below this a volume has the fault of being unlike the reference.
    uneven : bool
        Whether volumes may be brighter in one place and darker in another than the reference, by a field of the second
        order: as under another position of the coil.

    Raises
    ------
    DataError
        If the reference is no volume of finite numbers with structure in all directions, or the mask is none of it.

    Attributes
    ----------
    centre : (3,) float64
        Centre of rotations: that of the points.
    points : (n, 3) float64
        World positions at which volumes are compared on the fine level.
    """

    def __init__(
        self,
        reference: VolumeArray,
        affine: Affine,
        mask: NDArray[np.bool_] | None = None,
        *,
        levels: tuple[tuple[float, float, int], ...] = (COARSE, FINE),
        largest_mm: float = LARGEST_MM,
        largest_deg: float = LARGEST_DEG,
        least_correlation: float = LEAST_CORRELATION,
        uneven: bool = False,
    ) -> None:
        volume = np.asarray(reference, np.float32)
        _check_reference(volume, mask)
        self._affine = np.asarray(affine, np.float64)
        self._voxel_mm = voxel_sizes_mm(self._affine)
        self._to_voxels = np.linalg.inv(self._affine)
        self._shape = volume.shape
        self._limits = largest_mm, largest_deg
        self._least_correlation = least_correlation
        self._uneven = uneven
        where = brain(volume, self._voxel_mm) if mask is None else np.asarray(mask, bool)
        if not where.any():
            raise DataError(
                "expected a reference volume with structure in all directions, came an empty one or an empty mask. "
                "Take a volume of a whole head."
            )
        self.centre = moved(np.argwhere(where).mean(axis=0)[None], self._affine)[0]
        enough = [*[ENOUGH_MM[0]] * (len(levels) - 1), ENOUGH_MM[1]]
        self._levels = [
            self._level(volume, where, *level, last) for level, last in zip(levels, enough, strict=True)
        ]
        self.points = self._levels[-1].points

    def _level(
        self,
        reference: VolumeArray,
        where: NDArray[np.bool_],
        fwhm_mm: float,
        spacing_mm: float,
        steps: int,
        enough_mm: float,
    ) -> _Level:
        soft = smoothed(reference, fwhm_mm, self._voxel_mm)
        places = self._places(where, spacing_mm)
        points = moved(places.T, self._affine)
        per_voxel = np.stack([sampled(change, places) for change in gradient(soft)], axis=1).astype(
            np.float64
        )
        per_mm = per_voxel @ self._to_voxels[:3, :3]
        turning = np.cross(points - self.centre, per_mm)
        values = sampled(soft, places).astype(np.float64)
        slow = values[:, None] * _fields((points - self.centre) / FIELD_MM)[:, : 9 if self._uneven else 0]
        columns = np.column_stack([np.ones(len(points)), values, slow, per_mm, turning])
        sizes = np.linalg.norm(columns, axis=0)
        if len(points) < 100 or np.linalg.cond(columns / np.maximum(sizes, 1e-30)) > 1e4:
            raise DataError(
                "expected a reference volume with structure in all directions, came one that gives "
                f"{len(points)} points by which no rigid motion can be told. Take a whole head, or a larger mask."
            )
        return _Level(fwhm_mm, points, values, columns, steps, enough_mm)

    def _places(self, where: NDArray[np.bool_], spacing_mm: float) -> Places:
        """Return the places (3, n), in voxels of the reference, at which a level compares.

        They lie beside the voxels, spread evenly by an additive recurrence: interpolation makes smooth, and the
        reference must be as smooth at them as any moved volume. On the voxels themselves the error of a motion
        was three times as large.
        """
        grid = np.zeros(self._shape, bool)
        grid[tuple(slice(None, None, max(1, round(spacing_mm / size))) for size in self._voxel_mm)] = True
        voxels = np.argwhere(grid & where)
        beside = (0.5 + np.arange(1, len(voxels) + 1)[:, None] * _RECURRENCE) % 1.0 - 0.5
        places = (voxels + beside).T
        return np.asarray(places[:, inside(places, self._shape, EDGE)])

    def __call__(
        self, volume: VolumeArray, start: Affine | None = None, affine: Affine | None = None
    ) -> Motion:
        """Return how a volume (x, y, z) lies to the reference; begin at `start`, or at no motion.

        Parameters
        ----------
        volume : (x, y, z) array
        start : (4, 4) float64, optional
            Where to begin, as `Motion.matrix`.
        affine : (4, 4) float64, optional
            The volume's own, where it has another grid than the reference.

        Raises
        ------
        DataError
            If it has no affine of its own, and its shape is not the reference's.
        """
        if affine is None and volume.shape != self._shape:
            raise DataError(
                f"expected a volume of the reference's shape {self._shape}, came {volume.shape}. It is of another "
                "series."
            )
        own = self._affine if affine is None else np.asarray(affine, np.float64)
        sizes: NDArray[np.float64] = voxel_sizes_mm(own)
        to_voxels: Affine = np.asarray(np.linalg.inv(own), np.float64)
        motion = np.eye(4) if start is None else np.array(start, np.float64)
        total, settled, overlap, correlation = 0, False, 0.0, 0.0
        for level in self._levels:
            settled = False
            soft = smoothed(volume, level.fwhm_mm, sizes)
            for step in self._steps(level, soft, motion, to_voxels):
                total += 1
                motion, overlap, correlation, size = step
                settled = size < max(level.enough_mm, SETTLED_MM)
                if size < level.enough_mm:
                    break
        parameters = parameters_of(motion, self.centre)
        fault, words = self._fault(motion, parameters, settled, overlap, correlation)
        return Motion(motion, parameters, correlation, overlap, total, fault, words)

    def _steps(
        self, level: _Level, soft: VolumeArray, motion: Affine, to_voxels: Affine
    ) -> Iterator[tuple[Affine, float, float, float]]:
        """Yield the motion after each step, overlap and correlation before it, and its size in millimetre."""
        for _ in range(level.steps):
            places = moved(moved(level.points, motion), to_voxels).T
            within = inside(places, soft.shape, EDGE)
            overlap = float(within.mean())
            if overlap < 0.1:
                return
            seen = sampled(soft, places).astype(np.float64)
            columns = level.columns if within.all() else level.columns * within[:, None]
            solved = _solve(columns, seen)
            if solved is None:
                return
            predicted = level.columns[within, :-6] @ solved[:-6]
            correlation = float(np.corrcoef(seen[within], predicted)[0, 1])
            small = matrix_of(solved[-6:] / solved[1], self.centre)
            motion = motion @ np.linalg.inv(small)
            size = float(displacement(level.points, small, np.eye(4)).max())
            yield motion, overlap, correlation, size

    def _fault(
        self,
        motion: Affine,
        parameters: NDArray[np.float64],
        settled: bool,
        overlap: float,
        correlation: float,
    ) -> tuple[MotionFault, str]:
        largest_mm, largest_deg = self._limits
        shift, turn = float(np.linalg.norm(parameters[:3])), angle_deg(motion)
        if shift > largest_mm or turn > largest_deg:
            limits = f"limits {largest_mm:g} mm and {largest_deg:g}°"
            return MotionFault.LARGE, f"moved by some {shift:.1f} mm and {turn:.1f}°, {limits}"
        if overlap < LEAST_OVERLAP:
            return (
                MotionFault.OVERLAP,
                f"{overlap:.0%} of the head in the volume, expected {LEAST_OVERLAP:.0%}",
            )
        if not correlation >= self._least_correlation:
            return MotionFault.UNLIKE, f"correlation {correlation:.2f}, expected {self._least_correlation:g}"
        return (MotionFault.NONE, "") if settled else (MotionFault.UNSETTLED, "no convergence")


def _solve(columns: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the weights of the columns that explain best what is seen; None where it is not the reference's like."""
    try:
        weights = np.linalg.solve(columns.T @ columns, columns.T @ seen)
    except np.linalg.LinAlgError:
        return None
    return np.asarray(weights) if np.isfinite(weights).all() and weights[1] > 0.05 else None


def _fields(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nine terms of the first and second order of positions (n, 3): (n, 9)."""
    x, y, z = at.T
    return np.column_stack([x, y, z, x * y, y * z, z * x, x * x, y * y, z * z])


def brain(volume: VolumeArray, voxel_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a volume, smoothed by 8 mm, is brighter than a quarter of its 98th percentile: (x, y, z) bool."""
    soft = smoothed(volume, 8.0, voxel_mm)
    return np.asarray(soft > 0.25 * float(np.percentile(soft, 98)))


def _check_reference(volume: VolumeArray, mask: NDArray[np.bool_] | None) -> None:
    if volume.ndim != 3 or min(volume.shape) < 4 or not np.isfinite(volume).all():
        raise DataError(
            f"expected a reference volume (x, y, z) of finite numbers, 4 voxels or more along each axis, came shape "
            f"{volume.shape}{'' if np.isfinite(volume).all() else ' with others'}. Give one volume of the run."
        )
    if mask is not None and mask.shape != volume.shape:
        raise DataError(
            f"expected a mask of the reference's shape {volume.shape}, came {mask.shape}. Resample it to this grid."
        )
