"""NIfTI files as volumes: one file a volume, numbered by its name, or one file with all volumes of a run."""

import gzip
import io
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.regular import require_regular
from bci.io.volumes.volume import ImagingSeries, Volume, refusing

SUFFIXES = (".nii", ".nii.gz")

_BROKEN = (
    nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError, nibabel.wrapstruct.WrapStructError,
    EOFError, OSError, OverflowError, ValueError, zlib.error,
)  # fmt: skip

#: Seconds in one of NIfTI's units of time.
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}

#: The most voxels of a volume: a header can claim any number, and they are allocated as it says.
_MOST_VOXELS = 1 << 27

#: The most bytes that a file of images may have, or unpack to, where it is read whole.
MOST_BYTES = 1 << 31


def is_nifti(path: Path) -> bool:
    """Whether a file is a NIfTI image by its name."""
    return path.name.endswith(SUFFIXES)


def read_nifti(path: Path, content: bytes | None = None) -> list[Volume]:
    """Return the volumes in a NIfTI file.

    Parameters
    ----------
    path : Path
        Its name tells the place of a single volume in its run: the last number in it. Numbers count from 0 or from 1,
        as `first_number` finds.
    content : bytes, optional
        The file, where it was read already.

    Raises
    ------
    RecordingError
        If it is no NIfTI image of three or four dimensions, or not whole.
    """
    return list(walk_nifti(path, content))


def walk_nifti(path: Path, content: bytes | None = None) -> Iterator[Volume]:
    """Yield the volumes in a NIfTI file, as `read_nifti`, one after the other; a large file is not held in memory."""
    try:
        image = _open(path, content)
        yield from _volumes(path, image)
    except _BROKEN as error:
        raise RecordingError(f"no whole NIfTI image: {type(error).__name__}: {error}") from None


def nifti_bytes(values: NDArray[Any], affine: NDArray[np.float64], tr: float = float("nan")) -> bytes:
    """Return a NIfTI file of one volume (x, y, z), its affine (4, 4) in millimetre, the TR in seconds if known."""
    make: Any = nibabel.Nifti1Image
    image = make(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    if tr > 0:
        image.header["pixdim"][4] = tr
    content: bytes = image.to_bytes()
    return content


def _open(path: Path, content: bytes | None) -> Any:
    if content is None:
        require_regular(path, refusing(path))
        return nibabel.load(path)
    if path.name.endswith(".gz"):
        with gzip.open(io.BytesIO(content)) as packed:
            content = packed.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise RecordingError(
                f"a NIfTI file of at most {MOST_BYTES} bytes was expected, came a larger one"
            )
    image = nibabel.Nifti1Image if content[344:348] in (b"n+1\0", b"ni1\0") else nibabel.Nifti2Image
    return image.from_bytes(content)


def _volumes(path: Path, image: Any) -> Iterator[Volume]:
    shape = image.shape
    if len(shape) not in (3, 4):
        raise RecordingError(f"an image of three or four dimensions was expected, came {len(shape)}")
    if math.prod(shape[:3]) > _MOST_VOXELS:
        raise RecordingError(f"volumes of at most {_MOST_VOXELS} voxels are read, and this one says {shape}")
    header = image.header
    unit = _SECONDS.get(header.get_xyzt_units()[1], 1.0)
    tr = float(header["pixdim"][4]) * unit
    proxy = image.dataobj
    plain = proxy.slope in (1.0, None) and proxy.inter in (0.0, None)
    stored = np.dtype(header.get_data_dtype())
    dtype = "int16" if plain and np.can_cast(stored, np.int16) else "float32"
    stem = re.sub(r"\.nii(\.gz)?$", "", path.name)
    number = re.search(r"(\d+)(?=\D*$)", stem)
    run = stem if len(shape) == 4 or number is None else stem[: number.start()] + "#" + stem[number.end() :]
    uid = f"nifti:{path.parent.resolve().name}/{run}"
    series = ImagingSeries(
        uid, (int(shape[0]), int(shape[1]), int(shape[2])), np.asarray(image.affine, np.float64),
        tr if tr > 0 else float("nan"), dtype, _slice_times(header, unit), shape[3] if len(shape) == 4 else 0,
        kind="NIfTI", numbered=len(shape) == 3 and number is not None,
    )  # fmt: skip
    if len(shape) == 3:
        index = int(number.group(1)) if number is not None else 0
        yield Volume(series, index, _values(proxy, None, dtype), f"{series.uid}/{index}")
        return
    for index in range(shape[3]):
        yield Volume(series, index, _values(proxy, index, dtype), f"{series.uid}/{index}")


def _values(proxy: Any, index: int | None, dtype: str) -> NDArray[Any]:
    values = np.asarray(proxy[..., index] if index is not None else proxy)
    return np.ascontiguousarray(values, dtype)


def _slice_times(header: Any, unit: float) -> tuple[float, ...]:
    """Return the slice times that the header states, seconds; empty where it does not."""
    if not header["slice_code"] or not header["slice_duration"]:
        return ()
    try:
        times = header.get_slice_times()
    except nibabel.spatialimages.HeaderDataError:
        return ()
    return () if None in times else tuple(float(time) * unit for time in times)
