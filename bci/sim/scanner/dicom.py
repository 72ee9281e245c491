"""Volumes written as DICOM files, in the formats of scanners: mosaic, enhanced, or a file for each slice.

The files carry a made-up patient, so that a test can see that nothing of it goes further.
"""

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

from bci.io.volumes.volume import ImagingSeries

#: What no reader may hand on.
PATIENT = "Planted^Patient"

Numbering = Literal["GE", "Philips", "Siemens", "plain"]


def lps_geometry(affine: NDArray[np.float64]) -> tuple[list[float], list[float], float, NDArray[np.float64]]:
    """Return orientation (6 numbers), pixel spacing (of rows, of columns), slice spacing, and the LPS affine."""
    lps: NDArray[np.float64] = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    lengths = np.linalg.norm(lps[:3, :3], axis=0)
    row, column = lps[:3, 0] / lengths[0], lps[:3, 1] / lengths[1]
    return [*row.tolist(), *column.tolist()], [float(lengths[1]), float(lengths[0])], float(lengths[2]), lps


def write_mosaic(series: ImagingSeries, index: int, data: NDArray[Any], *, descending: bool = False) -> bytes:
    """Return a volume as a Siemens mosaic with its CSA header.

    Parameters
    ----------
    series : ImagingSeries
        Geometry, TR and slice times.
    index : int
        Place in the run, from 0.
    data : (x, y, z)
        Values of 12 bits.
    descending : bool
        Whether the slices lie in the file from the last to the first, against the cross product of row and column.
    """
    orientation, spacing, thickness, lps = lps_geometry(series.affine)
    columns, rows, count = series.shape
    side = int(np.ceil(np.sqrt(count)))
    order = range(count - 1, -1, -1) if descending else range(count)
    image = np.zeros((side * rows, side * columns), np.uint16)
    for place, z in enumerate(order):
        y, x = divmod(place, side)
        image[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns] = data[:, :, z].T
    dataset = _image(series, index + 1, MRImageStorage, series.tr)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    dataset.Manufacturer = "SIEMENS"
    dataset.AcquisitionNumber = index + 1
    first = lps[:3, 3] + lps[:3, 2] * (order[0])
    corner = first - lps[:3, 0] * (side - 1) * columns / 2 - lps[:3, 1] * (side - 1) * rows / 2
    _plane(dataset, orientation, spacing, thickness, corner)
    normal = lps[:3, 2] / thickness * (-1 if descending else 1)
    times = [1000 * series.slice_times[z] for z in order] if series.slice_times else []
    csa = {
        "AcquisitionMatrixText": [f"{rows}*{columns}"],
        "NumberOfImagesInMosaic": [str(count)],
        "SliceNormalVector": [f"{value:.8f}" for value in normal],
        "MosaicRefAcqTimes": [f"{value:.8f}" for value in times],
    }
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", make_csa(csa))
    return _with_pixels(dataset, image[np.newaxis], 12)


def write_enhanced(
    series: ImagingSeries,
    volumes: Mapping[int, NDArray[Any]],
    *,
    shuffled: int | None = None,
    slope: float = 1.0,
) -> bytes:
    """Return volumes as one enhanced multi-frame image.

    Parameters
    ----------
    series : ImagingSeries
        Geometry, TR and slice times.
    volumes : mapping of int to (x, y, z) array
        Stored values by their place in the run; Siemens writes one a file, Philips all in one.
    shuffled : int, optional
        Seed of an order of frames; without it they lie in the order of time, then of space.
    slope : float
        Rescale slope of every frame.
    """
    orientation, spacing, thickness, lps = lps_geometry(series.affine)
    places = [(index, z) for index in sorted(volumes) for z in range(series.shape[2])]
    if shuffled is not None:
        places = [places[i] for i in np.random.default_rng(shuffled).permutation(len(places))]
    dataset = _image(series, min(volumes) + 1, EnhancedMRImageStorage, None)
    dataset.Manufacturer = "Siemens Healthineers" if len(volumes) == 1 else "Philips"
    shared, measures, turn, timing = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = (
        spacing,
        thickness,
        thickness,
    )
    turn.ImageOrientationPatient = orientation
    timing.RepetitionTime = 1000 * series.tr
    shared.PixelMeasuresSequence = Items([measures])
    shared.PlaneOrientationSequence = Items([turn])
    shared.MRTimingAndRelatedParametersSequence = Items([timing])
    dataset.SharedFunctionalGroupsSequence = Items([shared])
    dataset.PerFrameFunctionalGroupsSequence = Items(
        [_frame(series, index, z, lps[:3, 3] + z * lps[:3, 2], slope) for index, z in places]
    )
    dataset.NumberOfFrames = len(places)
    frames = np.stack([volumes[index][:, :, z].T for index, z in places])
    return _with_pixels(dataset, frames, 12)


def _frame(series: ImagingSeries, index: int, z: int, position: NDArray[np.float64], slope: float) -> Dataset:
    frame, content, plane, transformation = Dataset(), Dataset(), Dataset(), Dataset()
    content.TemporalPositionIndex = index + 1
    content.InStackPositionNumber = z + 1
    seconds = 43200 + index * series.tr + (series.slice_times[z] if series.slice_times else 0.0)
    content.FrameAcquisitionDateTime = f"20000101{clock_text(seconds)}"
    plane.ImagePositionPatient = [round(float(value), 6) for value in position]
    transformation.RescaleSlope, transformation.RescaleIntercept = slope, 0
    frame.FrameContentSequence = Items([content])
    frame.PlanePositionSequence = Items([plane])
    frame.PixelValueTransformationSequence = Items([transformation])
    return frame


def write_slices(series: ImagingSeries, index: int, data: NDArray[Any], numbering: Numbering) -> list[bytes]:
    """Return a volume as one classic file for each slice, numbered as a maker does.

    ``"Philips"`` counts instances through time within a slice, ``"GE"`` through the slices of a volume, ``"Siemens"``
    numbers acquisitions; ``"plain"`` says nothing of time.
    """
    orientation, spacing, thickness, lps = lps_geometry(series.affine)
    count, files = series.shape[2], []
    for z in range(count):
        number = z * series.total + index + 1 if numbering == "Philips" else index * count + z + 1
        dataset = _image(series, number, MRImageStorage, series.tr)
        dataset.Manufacturer = {"GE": "GE MEDICAL SYSTEMS", "plain": "Unnamed"}.get(numbering, numbering)
        if numbering == "GE":
            dataset.private_block(0x0021, "GEMS_RELA_01", create=True).add_new(0x4F, "SS", count)
        elif numbering == "Philips":
            dataset.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(0x18, "SL", count)
        elif numbering == "Siemens":
            dataset.AcquisitionNumber = index + 1
        _plane(dataset, orientation, spacing, thickness, lps[:3, 3] + z * lps[:3, 2])
        files.append(_with_pixels(dataset, data[np.newaxis, :, :, z].transpose(0, 2, 1), 16))
    return files


def make_csa(tags: Mapping[str, Sequence[str]]) -> bytes:
    """Return a CSA header of the second kind with these tags, laid out as `bci.io.volumes.csa` says."""
    parts = [b"SV10\4\3\2\1", struct.pack("<2I", len(tags), 77)]
    for name, values in tags.items():
        kind = b"US\0\0" if all(value.isdigit() for value in values) else b"FD\0\0"
        if any("*" in value for value in values):
            kind = b"SH\0\0"
        parts.append(struct.pack("<64si4siii", name.encode(), len(values), kind, 4, max(6, len(values)), 77))
        for text in [*values, *[""] * (6 - len(values))]:
            raw = text.encode() + b"\0" if text else b""
            parts.append(struct.pack("<4i", len(raw), len(raw), 77, len(raw)) + raw + b"\0" * (-len(raw) % 4))
    return b"".join(parts)


def clock_text(seconds: float) -> str:
    """Return a time of day as DICOM writes it.

    >>> clock_text(43745.225)
    '120905.225000'
    """
    whole, fraction = divmod(round(seconds * 1e6), 1_000_000)
    return f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}.{fraction:06d}"


def _image(series: ImagingSeries, number: int, kind: str, tr: float | None) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = kind
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[series.uid, str(number)])
    dataset.SeriesInstanceUID = series.uid
    dataset.SeriesNumber = series.number
    dataset.Modality = "MR"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = PATIENT, "planted-id", "19700101"
    dataset.SeriesDescription = f"run of {PATIENT}"
    dataset.InstanceNumber = number
    if series.total:
        dataset.NumberOfTemporalPositions = series.total
    if tr is not None:
        dataset.RepetitionTime = 1000 * tr
    return dataset


def _plane(
    dataset: Dataset,
    orientation: list[float],
    spacing: list[float],
    thickness: float,
    corner: NDArray[np.float64],
) -> None:
    dataset.ImageOrientationPatient = [round(value, 10) for value in orientation]
    dataset.ImagePositionPatient = [round(float(value), 6) for value in corner]
    dataset.PixelSpacing = spacing
    dataset.SliceThickness = dataset.SpacingBetweenSlices = round(thickness, 8)


def _with_pixels(dataset: Dataset, frames: NDArray[Any], bits: int) -> bytes:
    """Return the file of an image with its stored pixels: (frame, row, column) uint16."""
    dataset.Rows, dataset.Columns = frames.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = 0 if bits < 16 else 1
    dataset.PixelData = np.ascontiguousarray(frames, "<u2" if bits < 16 else "<i2").tobytes()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
