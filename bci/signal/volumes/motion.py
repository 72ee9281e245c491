"""MotionCorrection follows the head: from volumes to rows of the voxels of a mask, each where its tissue now is.

Only these voxels are interpolated, once, and after the motion is known. A volume whose motion cannot be trusted
(`MotionFault`) is handed on as it lies, with every voxel marked: it is said, never corrected in silence.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError, DataError
from bci.signal.run import Run
from bci.signal.step import Kernel, Step, check_positive, check_volume
from bci.signal.types import Flags, Samples, Signal
from bci.signal.volumes.mask import MaskVolume, UnboundMask, session_mask
from bci.signal.volumes.realign import LARGEST_DEG, LARGEST_MM, Motion, MotionFault, Realigner
from bci.signal.volumes.rigid import PARAMETERS, Affine, angle_deg, matrix_of, moved, voxel_sizes_mm
from bci.signal.volumes.sampling import check_interpolation, inside, sampled, smoothed

#: Columns of the side output: millimetre, radian, millimetre, then pure numbers.
FAULT = "fault"
COLUMNS = (*PARAMETERS, "framewise_displacement", "correlation", "overlap", FAULT)

#: Radius of the sphere on which a rotation counts as a displacement, millimetre (Power et al. 2012).
HEAD_RADIUS_MM = 50.0


def framewise_displacement(parameters: NDArray[np.float64], before: NDArray[np.float64]) -> float:
    """Return the six changes summed, millimetre, rotations as arcs of 50 mm (Power et al. 2012, NeuroImage 59:2142).

    >>> framewise_displacement(np.array([0.1, 0, 0, 0, 0.01, 0]), np.zeros(6))
    0.6
    """
    change = np.abs(parameters - before)
    return float(change[:3].sum() + HEAD_RADIUS_MM * change[3:].sum())


def motion_regressors(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the six parameters of rows of `COLUMNS` (n, …) as columns of a design (n, 6), all of them millimetre."""
    arcs = np.array([1.0, 1.0, 1.0, HEAD_RADIUS_MM, HEAD_RADIUS_MM, HEAD_RADIUS_MM])
    return np.asarray(rows[:, :6] * arcs, np.float64)


def fault_words(row: NDArray[np.floating]) -> str:
    """Return why a volume's motion is not corrected, from its row of `COLUMNS`; empty where it is.

    >>> fault_words(np.array([17.7, -10.0, -17.6, 0.08, 1.03, -0.27, np.nan, 0.9, 0.7, MotionFault.LARGE]))
    'moved by some 26.9 mm and 62 degrees'
    """
    named = dict(zip(COLUMNS, np.asarray(row, np.float64), strict=True))
    six = np.array([named[name] for name in PARAMETERS])
    match MotionFault(int(named[FAULT])):
        case MotionFault.LARGE:
            turn = angle_deg(matrix_of(six, np.zeros(3)))
            return f"moved by some {np.linalg.norm(six[:3]):.1f} mm and {turn:.0f} degrees"
        case MotionFault.OVERLAP:
            return f"{named['overlap']:.0%} of the head in the volume"
        case MotionFault.UNLIKE:
            return f"correlation {named['correlation']:.2f} with the reference"
        case MotionFault.UNSETTLED:
            return "its motion does not converge"
        case MotionFault.NONE:
            return ""


@dataclass(frozen=True)
class MotionCorrection:
    """MotionCorrection realigns each volume to the session's reference and takes the voxels of a mask.

    Its side output ``motion`` has a row for each volume: `COLUMNS`. The framewise displacement is NaN for the first
    volume after a reset, and where this volume or the one before has a fault.
    """

    mask: str
    """Name of the mask in the session's ``[run] masks``, on the reference's grid."""
    voxels: int
    """Number of voxels in the mask; a decoder's size depends on it."""
    interpolation: str = "cubic"
    """Spline between voxels: linear, quadratic or cubic."""
    smooth_mm: float = 0.0
    """FWHM of a Gaussian by which volumes are smoothed before voxels are taken, millimetre; motion is found without."""
    largest_mm: float = LARGEST_MM
    """Translation beyond which a volume is marked and not corrected."""
    largest_deg: float = LARGEST_DEG
    """Rotation beyond which a volume is marked and not corrected."""
    sha256: str = ""
    """Hash that the mask must have; empty where any mask of the right size will do."""

    def output(self, signal: Signal) -> Signal:
        """Return the row of voxels."""
        check_volume(self, signal)
        check_interpolation(self.interpolation)
        check_positive(
            self,
            smooth_mm=self.smooth_mm or 1.0,
            largest_mm=self.largest_mm,
            largest_deg=self.largest_deg,
        )
        return MaskVolume(self.mask, self.voxels).output(signal)

    def start(self, signal: Signal) -> Kernel:
        """Return a stage that refuses its first sample: without a session there is no reference and no mask."""
        self.output(signal)
        return _Unaligned(self.mask, signal)

    def with_run(self, run: Run) -> Step:
        """Return the step with the session's reference volume, affine and mask.

        Raises
        ------
        ConfigError
            If one is missing, or they do not fit each other or the decoder.
        """
        mask = session_mask(run, self.mask, self.voxels, self.sha256)
        reference, affine = run.aligned_to()
        voxel_sizes_mm(affine)
        if run.trained is None and reference.shape != mask.shape:
            raise ConfigError(
                f"the reference volume has the shape {reference.shape}, and mask {self.mask!r} {mask.shape}. Give a "
                "mask on the reference's grid."
            )
        grid = affine if run.trained is None else run.trained.to_today @ run.trained.affine
        return _Aligned(self, reference, affine, mask, np.asarray(grid, np.float64))


@dataclass(frozen=True, eq=False)
class _Aligned:
    """An _Aligned is a `MotionCorrection` with what the session fixes."""

    settings: MotionCorrection
    reference: NDArray[np.float32]
    affine: Affine
    mask: NDArray[np.bool_]
    grid: Affine
    """From the mask's voxels to world coordinates of the reference."""

    def output(self, signal: Signal) -> Signal:
        if signal.shape != self.reference.shape:
            raise ConfigError(
                f"the reference volume has the shape {self.reference.shape}, and the volumes of {signal.name!r} "
                f"{signal.shape}. Give a reference of this series."
            )
        return replace(self.settings.output(signal), dtype="float32")

    def start(self, signal: Signal) -> Kernel:
        self.output(signal)
        try:
            realigner = Realigner(
                self.reference,
                self.affine,
                largest_mm=self.settings.largest_mm,
                largest_deg=self.settings.largest_deg,
            )
        except DataError as error:
            raise ConfigError(f"the reference volume of [run]: {error}") from None
        reslicer = Reslicer(
            self.mask, self.affine, self.settings.interpolation, self.settings.smooth_mm, grid=self.grid
        )
        return _Following(realigner, reslicer, signal)


@dataclass(frozen=True, eq=False)
class Reslicer:
    """A Reslicer takes the voxels of a mask out of a volume that has moved.

    Attributes
    ----------
    mask : (x, y, z) bool
        On the reference's grid, or on `grid`.
    affine : (4, 4) float64
        From the volumes' voxels to world coordinates.
    interpolation : str
        One of `sampling.INTERPOLATIONS`.
    smooth_mm : float
        FWHM of a Gaussian that volumes are smoothed by first; 0 for none.
    grid : (4, 4) float64, optional
        From the mask's voxels to world coordinates, where they are others than the volumes'.
    """

    mask: NDArray[np.bool_]
    affine: Affine
    interpolation: str = "cubic"
    smooth_mm: float = 0.0
    grid: Affine | None = None
    _points: NDArray[np.float64] = field(init=False)
    _to_voxels: Affine = field(init=False)

    def __post_init__(self) -> None:
        places = np.argwhere(self.mask).astype(np.float64)
        object.__setattr__(self, "_points", moved(places, self.affine if self.grid is None else self.grid))
        object.__setattr__(self, "_to_voxels", np.linalg.inv(self.affine))

    def __call__(
        self, volume: NDArray[Any], motion: Affine, bad: Flags | None = None
    ) -> tuple[NDArray[np.float32], Flags]:
        """Return the values (voxels,), and which of them the volume does not vouch for.

        Parameters
        ----------
        volume : (x, y, z) array
        motion : (4, 4) float64
            As `Motion.matrix`.
        bad : (x, y, z) bool, optional
            Voxels that must not be trusted; what lies beside one is not trusted either.
        """
        places = moved(self._points, self._to_voxels @ motion).T
        flags = ~inside(places, volume.shape, -0.5)
        if bad is not None and bad.any():
            flags |= sampled(bad.astype(np.float32), places) > 0.0
        if self.smooth_mm:
            volume = smoothed(volume, self.smooth_mm, voxel_sizes_mm(self.affine))
        return sampled(volume, places, self.interpolation), flags


def _side(signal: Signal) -> Signal:
    return Signal("motion", signal.rate, (len(COLUMNS),), COLUMNS, "", "float64")


class _Unaligned(UnboundMask):
    """An _Unaligned says what a session will have beside the samples, before it fixes the reference and the mask."""

    def __init__(self, mask: str, signal: Signal) -> None:
        super().__init__(mask)
        self.side = _side(signal)

    def take_side(self) -> tuple[int, Samples]:
        """Return no rows: it takes no samples."""
        return 0, np.empty((0, len(COLUMNS)))


class _Following:
    ratio = 1
    settle = 0

    def __init__(self, realigner: Realigner, reslicer: Reslicer, signal: Signal) -> None:
        self.side = _side(signal)
        self._realigner, self._reslicer = realigner, reslicer
        self._voxels = int(reslicer.mask.sum())
        self._before: Motion | None = None
        self._first = self._next = 0
        self._rows: list[NDArray[np.float64]] = []

    def reset(self, first: int) -> None:
        """Forget the motion before."""
        self._before = None
        self._first = self._next = first
        self._rows.clear()

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        rows = np.empty((len(samples), self._voxels), np.float32)
        flags = np.zeros(rows.shape, bool)
        for place, volume in enumerate(samples):
            # One layout of memory, so that sums over a volume do not depend on how it came.
            volume = np.ascontiguousarray(volume, np.float32)
            motion = self._realigner(volume)
            self._rows.append(self._row(motion))
            self._before = motion
            trusted = motion.fault is MotionFault.NONE
            rows[place], flags[place] = self._reslicer(
                volume, motion.matrix if trusted else np.eye(4), None if bad is None else bad[place]
            )
            flags[place] |= not trusted
        self._next += len(samples)
        return rows, flags if flags.any() else None

    def _row(self, motion: Motion) -> NDArray[np.float64]:
        sound = self._before is not None and not self._before.fault and not motion.fault
        displaced = (
            framewise_displacement(motion.parameters, self._before.parameters)
            if self._before is not None and sound
            else np.nan
        )
        quality = (displaced, motion.correlation, motion.overlap, float(motion.fault))
        return np.concatenate([motion.parameters, quality])

    def take_side(self) -> tuple[int, Samples]:
        """Return the rows since the last time, and the count of the first."""
        first, self._first = self._first, self._next
        rows, self._rows = np.array(self._rows).reshape(-1, len(COLUMNS)), []
        return first, rows
