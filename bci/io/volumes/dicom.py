"""DICOM images as volumes or slices: `read_dicom` takes pixels, geometry and timing, and leaves a person's tags unread.

The standard is DICOM PS3.3; the private tags are those of Siemens (0019,xxxx; 0029,1010), GE (0021,104F; 0025,101B) and
Philips (2001,1018). Slices are ordered by ImagePositionPatient along their normal, never by number of instance.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pydicom
from pydicom import config as pydicom_settings
from pydicom.uid import ExplicitVRBigEndian

from bci.errors import RecordingError
from bci.io.volumes.csa import read_csa
from bci.io.volumes.frames import read_frames
from bci.io.volumes.pixels import Scaling, Stored, stored_type
from bci.io.volumes.tags import acquired_at, directions, seconds_of
from bci.io.volumes.volume import ImagingSeries, SliceImage, Volume, affine_of

#: Every tag that is read at all. What is not here (the patient's group, names, dates, places) never becomes an object.
TAGS: tuple[Any, ...] = (
    "ImageType", "SOPInstanceUID", "Modality", "Manufacturer", "AcquisitionDateTime", "AcquisitionTime",
    "RepetitionTime", "SpacingBetweenSlices", "SliceThickness", "SeriesInstanceUID", "SeriesNumber",
    "AcquisitionNumber", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "TemporalPositionIdentifier", "NumberOfTemporalPositions", "ImagesInAcquisition", "Rows", "Columns", "PixelSpacing",
    "SamplesPerPixel", "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation", "RescaleSlope",
    "RescaleIntercept", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "PixelData",
    0x00190010, 0x0019100A, 0x00191029, 0x00210010, 0x0021104F, 0x00250010, 0x0025101B, 0x00290010, 0x00291010,
    0x20010010, 0x20011018,
)  # fmt: skip

#: What pydicom raises on files that are damaged, cut short or of another kind.
_BROKEN = (
    pydicom.errors.InvalidDicomError, AttributeError, EOFError, IndexError, KeyError, NotImplementedError,
    OverflowError, RuntimeError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip

_MOST_VOXELS = 1 << 27

#: The transfer syntax of a file that is packed as a whole. pydicom unpacks it whatever it grows to.
_DEFLATED = b"1.2.840.10008.1.2.1.99"


def read_dicom(content: bytes) -> list[Volume] | list[SliceImage]:
    """Return the volumes in a DICOM file, or the one slice.

    A file that ends within its pixels gives what came: volumes say which slices are `absent`, a slice that it is not
    `whole`.

    Parameters
    ----------
    content : bytes
        The file.

    Raises
    ------
    RecordingError
        If it is no DICOM image of magnetic resonance, or ends before its pixels begin.
    """
    if _DEFLATED in content:
        raise RecordingError(
            "the file is deflated as a whole, which no scanner does, and may unpack to anything. Save it uncompressed."
        )
    settings = pydicom_settings.settings
    settings.reading_validation_mode = pydicom_settings.IGNORE
    try:
        dataset = pydicom.dcmread(io.BytesIO(content), specific_tags=list(TAGS))
        return _read(dataset)
    except RecordingError:
        raise
    except pydicom.errors.InvalidDicomError:
        # pydicom's own words advise to read it all the same.
        raise RecordingError("no DICOM file: it does not begin as one") from None
    except _BROKEN as error:
        raise RecordingError(f"no whole DICOM image: {type(error).__name__}: {error}") from None


def _read(dataset: Any) -> list[Volume] | list[SliceImage]:
    if dataset.get("Modality", "MR") != "MR":
        raise RecordingError(f"an image of magnetic resonance was expected, came one of {dataset.Modality}")
    if "Rows" not in dataset or "SeriesInstanceUID" not in dataset:
        raise RecordingError("the file holds no image of a series, or ends before it")
    if dataset.get("SamplesPerPixel", 1) != 1:
        raise RecordingError("images with one value a pixel were expected, came one in colour")
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    if frames * int(dataset.Rows) * int(dataset.Columns) > _MOST_VOXELS:
        raise RecordingError(
            f"at most {_MOST_VOXELS} voxels are read of a file, and this one says {frames} frames of "
            f"{dataset.Rows}×{dataset.Columns}"
        )
    pixels = _pixels(dataset, frames)
    if "PerFrameFunctionalGroupsSequence" in dataset:
        return read_frames(dataset, pixels)
    if frames > 1:
        raise RecordingError("an image of several frames needs functional groups that say where each lies")
    if "MOSAIC" in (dataset.get("ImageType") or ()):
        return [_mosaic(dataset, pixels)]
    return [_slice(dataset, pixels)]


def _pixels(dataset: Any, frames: int) -> Stored:
    """Return stored values (frame, row, column), and how many of them are in the file."""
    if "PixelData" not in dataset:
        raise RecordingError("the file ends before its pixels begin")
    shape = (frames, int(dataset.Rows), int(dataset.Columns))
    transfer = dataset.file_meta.TransferSyntaxUID
    if transfer.is_compressed:
        values = np.asarray(dataset.pixel_array).reshape(shape)
        return Stored(values, values.size)
    order = ">" if transfer == ExplicitVRBigEndian else "<"
    sign = "i" if dataset.PixelRepresentation else "u"
    dtype = np.dtype(f"{order}{sign}{int(dataset.BitsAllocated) // 8}")
    raw, needed = dataset.PixelData, int(np.prod(shape)) * dtype.itemsize
    present = min(len(raw), needed) // dtype.itemsize
    if len(raw) < needed:
        raw = bytes(raw) + bytes(needed - len(raw))
    return Stored(np.frombuffer(raw, dtype, int(np.prod(shape))).reshape(shape), present)


def _mosaic(dataset: Any, pixels: Stored) -> Volume:
    """Return a Siemens mosaic: slices side by side in one image, from the top left, row by row."""
    csa = read_csa(bytes(dataset[0x00291010].value)) if 0x00291010 in dataset else {}
    count = _mosaic_count(dataset, csa)
    side = int(np.ceil(np.sqrt(count)))
    rows, columns = int(dataset.Rows) // side, int(dataset.Columns) // side
    tiles = pixels.values[0, : side * rows, : side * columns].reshape(side, rows, side, columns)
    stack = tiles.transpose(0, 2, 1, 3).reshape(side * side, rows, columns)[:count]
    there = np.arange(pixels.values.size).reshape(pixels.values.shape)[0] < pixels.present
    there = (
        there[: side * rows, : side * columns]
        .reshape(side, rows, side, columns)
        .all(axis=(1, 3))
        .reshape(-1)[:count]
    )
    row, column, normal = directions(dataset.ImageOrientationPatient)
    spacing = np.asarray(dataset.PixelSpacing, float)
    # The position is that of a single image as large as the mosaic, around the same centre.
    corner = np.asarray(dataset.ImagePositionPatient, float)
    corner = corner + row * spacing[1] * (int(dataset.Columns) - columns) / 2
    corner = corner + column * spacing[0] * (int(dataset.Rows) - rows) / 2
    step = normal * float(dataset.get("SpacingBetweenSlices") or dataset.SliceThickness)
    times = _mosaic_times(dataset, csa, count)
    listed = np.array([float(value) for value in csa.get("SliceNormalVector", ())])
    if len(listed) == 3 and listed @ normal < 0:
        # The slices go against the cross product of row and column: turned round, so that one rule holds for all.
        stack, there, times = stack[::-1], there[::-1], times[::-1]
        corner = corner - step * (count - 1)
    scaling = Scaling.of(dataset)
    series = replace(
        _series(dataset, scaling.dtype(stored_type(dataset)), "Siemens mosaic"),
        shape=(columns, rows, count),
        affine=affine_of(row * spacing[1], column * spacing[0], step, corner),
        slice_times=times,
    )
    return Volume(
        series, int(dataset.InstanceNumber) - 1, scaling.volume(stack, series.dtype), str(dataset.SOPInstanceUID),
        acquired_at(dataset), None if there.all() else ~there,
    )  # fmt: skip


def _mosaic_count(dataset: Any, csa: Any) -> int:
    listed = (
        dataset[0x0019100A].value
        if 0x0019100A in dataset
        else next(iter(csa.get("NumberOfImagesInMosaic", ())), 0)
    )
    count = int(listed)
    if not 1 <= count <= 4096:
        raise RecordingError(
            "a mosaic needs the number of its slices, in (0019,100A) or in its CSA header, and neither has it. Export "
            "the series with private tags, or as one file a slice."
        )
    return count


def _mosaic_times(dataset: Any, csa: Any, count: int) -> tuple[float, ...]:
    listed = dataset[0x00191029].value if 0x00191029 in dataset else csa.get("MosaicRefAcqTimes", ())
    times = [float(value) / 1000 for value in listed][:count]
    return tuple(time - min(times) for time in times) if len(times) == count else ()


def _slice(dataset: Any, pixels: Stored) -> SliceImage:
    row, column, normal = directions(dataset.ImageOrientationPatient)
    spacing = np.asarray(dataset.PixelSpacing, float)
    corner = np.asarray(dataset.ImagePositionPatient, float)
    step = normal * float(dataset.get("SpacingBetweenSlices") or dataset.get("SliceThickness") or 1.0)
    scaling = Scaling.of(dataset)
    series = replace(
        _series(dataset, scaling.dtype(stored_type(dataset)), f"{_maker(dataset)} slices"),
        shape=(int(dataset.Columns), int(dataset.Rows), 1),
        affine=affine_of(row * spacing[1], column * spacing[0], step, corner),
    )
    slices = _slices_stated(dataset)
    return SliceImage(
        series, _volume_of_slice(dataset, slices), scaling.volume(pixels.values, series.dtype)[:, :, 0],
        str(dataset.SOPInstanceUID), float(corner @ normal), slices, acquired_at(dataset),
        int(dataset.get("InstanceNumber") or 0), pixels.present == pixels.values.size,
        _ge_times(dataset, slices, series.tr),
    )  # fmt: skip


def _slices_stated(dataset: Any) -> int:
    """Return how many slices a volume has: GE's locations in acquisition, Philips' number of slices; 0 when unsaid."""
    for tag in (0x0021104F, 0x20011018):
        if tag in dataset and dataset[tag].value:
            return int(dataset[tag].value)
    return 0


def _volume_of_slice(dataset: Any, slices: int) -> int:
    """Return which volume a slice belongs to, -1 where only the order of arrival tells.

    Philips counts instances through time within a slice; GE and others through the slices within a time.
    """
    if dataset.get("TemporalPositionIdentifier"):
        return int(dataset.TemporalPositionIdentifier) - 1
    number, maker = int(dataset.get("InstanceNumber") or 0), _maker(dataset)
    times = int(dataset.get("NumberOfTemporalPositions") or 0)
    if maker == "Philips" and times and number:
        return (number - 1) % times
    if maker == "GE" and slices and number:
        return (number - 1) // slices
    if maker == "Siemens" and dataset.get("AcquisitionNumber"):
        return int(dataset.AcquisitionNumber) - 1
    return -1


def _ge_times(dataset: Any, slices: int, tr: float) -> tuple[float, ...]:
    """Return the slice times of GE's packed protocol: interleaved is each second slice from the first."""
    if 0x0025101B not in dataset or not slices or not np.isfinite(tr):
        return ()
    block = bytes(dataset[0x0025101B].value)
    try:
        words = zlib.decompressobj(31).decompress(block[4:], 1 << 20).decode("latin-1")
    except zlib.error:
        return ()
    found = re.search(r'^SLICEORDER "(\d)"', words, re.M)
    if found is None:
        return ()
    order: Iterable[int] = range(slices)
    if found.group(1) == "1":
        order = [*range(0, slices, 2), *range(1, slices, 2)]
    times = np.empty(slices)
    times[list(order)] = np.arange(slices) * tr / slices
    return tuple(times.tolist())


def _series(dataset: Any, dtype: str, kind: str) -> ImagingSeries:
    return ImagingSeries(
        str(dataset.SeriesInstanceUID), (1, 1, 1), np.eye(4), seconds_of(dataset.get("RepetitionTime")), dtype,
        total=int(dataset.get("NumberOfTemporalPositions") or 0), number=int(dataset.get("SeriesNumber") or 0),
        kind=kind,
    )  # fmt: skip


def _maker(dataset: Any) -> str:
    said = str(dataset.get("Manufacturer") or "").casefold()
    return next((name for name in ("Siemens", "GE", "Philips") if said.startswith(name.casefold())), "DICOM")
