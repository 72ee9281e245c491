"""A Volume is one image of the head with its place in a run; an ImagingSeries is what all volumes of a run share.

Nothing in them names a person: pixels, geometry, timing and unique identifiers pass the readers, other tags do not.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError

#: How far two affines may differ and still be the same geometry, millimetres.
SAME_MM = 1e-3

#: How far two slice times may differ and still be the same, seconds: a scanner's clock ticks in some milliseconds.
SAME_TIME_S = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class ImagingSeries:
    """An ImagingSeries describes a run of volumes.

    Attributes
    ----------
    uid : str
        The scanner's identifier of the run; of files without one, made of their folder and name.
    shape : (int, int, int)
        Voxels along x, y, z: in a DICOM image along its rows (column index), along its columns (row index), and from
        slice to slice in the direction of the cross product of the two.
    affine : (4, 4) float64
        From voxel indices to millimetres, to the right, to the front and upwards (RAS+, as NIfTI has it).
    tr : float
        Seconds from volume to volume, as stated; NaN where the files do not say.
    dtype : str
        ``"int16"`` where every value of such files fits into it, else ``"float32"``.
    slice_times : tuple of float
        Seconds from the beginning of a volume to that of each slice, along z; empty where unknown.
    total : int
        Volumes that the scanner promised; 0 where it did not say. Fewer may come.
    number : int
        The scanner's number of the series; 0 where unknown.
    kind : str
        What it was read from, in words: ``"Siemens mosaic"``.
    numbered : bool
        Whether files' names number its volumes, from 0 or from 1, so that the first to come tells where they begin.
    """

    uid: str
    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    tr: float
    dtype: str = "float32"
    slice_times: tuple[float, ...] = ()
    total: int = 0
    number: int = 0
    kind: str = ""
    numbered: bool = False

    def times_differ(self, other: "ImagingSeries") -> bool:
        """Whether the slice times of `other` differ: the first volume of a multiband run may bear a single band's."""
        if len(self.slice_times) != len(other.slice_times):
            return True
        pairs = zip(self.slice_times, other.slice_times, strict=True)
        return any(abs(ours - theirs) > SAME_TIME_S for ours, theirs in pairs)

    def differences(self, other: "ImagingSeries") -> list[str]:
        """Return in words how the geometry of `other` differs; empty where both are on one grid."""
        if self.shape != other.shape:
            return [f"{'×'.join(map(str, other.shape))} voxels instead of {'×'.join(map(str, self.shape))}"]
        apart = float(np.abs(self.affine - other.affine).max())
        return [f"an affine that differs by {apart:.3g} mm"] if apart > SAME_MM else []


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A Volume is one image of a run.

    Attributes
    ----------
    series : ImagingSeries
        What it belongs to.
    index : int
        Its place in the run as the sender says, counted from 0.
    data : (x, y, z) int16 or float32
        Voxels.
    identity : str
        What tells it from every other volume; the same when it is sent twice.
    acquired : float
        The scanner's time of day at the beginning of its acquisition, seconds; NaN where unknown.
    absent : (z,) bool or None
        Slices that did not come and hold no measurement; None where all came.
    motion : tuple of float
        What the sender measured of the head's motion, three translations (mm) and three rotations (degrees); empty
        where it did not.
    """

    series: ImagingSeries
    index: int
    data: NDArray[Any]
    identity: str
    acquired: float = float("nan")
    absent: NDArray[np.bool_] | None = None
    motion: tuple[float, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every slice came."""
        return self.absent is None or not self.absent.any()


@dataclass(frozen=True, slots=True, eq=False)
class SliceImage:
    """A SliceImage is one slice of a volume, from a file of its own.

    Attributes
    ----------
    series : ImagingSeries
        The run; its shape has one slice, and its affine is that slice's.
    index : int
        Place of its volume in the run, or -1 where only the order of arrival tells.
    data : (x, y) int16 or float32
        Pixels.
    identity : str
        What tells it from every other slice.
    height : float
        Where it lies along the normal of the slices, millimetres.
    slices : int
        Slices of a volume, as stated; 0 where unknown.
    acquired : float
        The scanner's time of day at its acquisition, seconds; NaN where unknown.
    number : int
        The scanner's number of the image in its series; 0 where unknown.
    whole : bool
        Whether all of its pixels came.
    order : tuple of float
        Seconds of every slice from the beginning of a volume, along z, where the header lists them.
    """

    series: ImagingSeries
    index: int
    data: NDArray[Any]
    identity: str
    height: float
    slices: int
    acquired: float = float("nan")
    number: int = 0
    whole: bool = True
    order: tuple[float, ...] = ()


def affine_of(
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    step: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the affine of a stack of DICOM slices: (4, 4) float64, millimetres, RAS+.

    DICOM counts to the left and to the back; what is returned counts to the right and to the front.

    Parameters
    ----------
    row, column, step : (3,) float64
        From one voxel to the next along a row, along a column, and from slice to slice.
    origin : (3,) float64
        Centre of the first voxel.

    >>> affine_of(np.array([3.0, 0, 0]), np.array([0, 3.0, 0]), np.array([0, 0, 4.0]), np.array([10.0, 20, 30]))
    array([[ -3.,   0.,   0., -10.],
           [  0.,  -3.,   0., -20.],
           [  0.,   0.,   4.,  30.],
           [  0.,   0.,   0.,   1.]])
    """
    lps = np.eye(4)
    lps[:3] = np.column_stack([row, column, step, origin])
    flipped: NDArray[np.float64] = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps
    return flipped + 0.0  # no minus zero


def tail_of(path: Path) -> str:
    """Return the part of a file's name that can be printed: what stands before its last numbers may name a person.

    >>> tail_of(Path("Smith_John.MR.007_000013_000001.dcm")), tail_of(Path("Smith.dcm"))
    ('….007_000013_000001.dcm', '….dcm')
    """
    found = re.search(r"([._-]?\d[\d._-]*)?(\.[A-Za-z]{1,5}(\.gz)?)?$", path.name)
    tail = found.group(0) if found else ""
    return f"…{tail}" if tail != path.name else tail


def refusing(path: Path) -> Callable[[str], RecordingError]:
    """Return what makes the error of words about a file, which stands in them as `tail_of` names it."""
    return lambda words: RecordingError(words.replace(str(path), tail_of(path)))
