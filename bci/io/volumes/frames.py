"""Enhanced DICOM: one file holds the frames of one volume (Siemens XA) or of a whole run (Philips)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.volumes.pixels import Scaling, Stored, stored_type
from bci.io.volumes.tags import directions, seconds_of, time_of_day
from bci.io.volumes.volume import ImagingSeries, Volume, affine_of


@dataclass(frozen=True, slots=True, eq=False)
class _Frame:
    place: int
    position: NDArray[np.float64]
    height: float
    time: float
    temporal: int
    scaling: Scaling


def read_frames(dataset: Any, pixels: Stored) -> list[Volume]:
    """Return the volumes of an enhanced image, in the order of their times.

    Parameters
    ----------
    dataset : pydicom.Dataset
        With per-frame functional groups.
    pixels : Stored
        (frame, row, column).

    Raises
    ------
    RecordingError
        If frames do not form volumes.
    """
    per_frame = dataset.PerFrameFunctionalGroupsSequence
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    if len(per_frame) != len(pixels.values):
        raise RecordingError(f"{len(pixels.values)} frames have {len(per_frame)} functional groups")
    orientation = _group(per_frame[0], shared, "PlaneOrientationSequence").ImageOrientationPatient
    row, column, normal = directions(orientation)
    frames = [_frame(place, groups, shared, normal) for place, groups in enumerate(per_frame)]
    stacks: dict[int, list[_Frame]] = {}
    for frame in frames:
        stacks.setdefault(frame.temporal, []).append(frame)
    if len({len(stack) for stack in stacks.values()}) != 1:
        raise RecordingError(
            f"volumes of one size were expected, came {sorted(map(len, stacks.values()))} slices"
        )
    measures = _group(per_frame[0], shared, "PixelMeasuresSequence")
    spacing = np.asarray(measures.PixelSpacing, float)
    volumes = []
    for place, temporal in enumerate(sorted(stacks)):
        stack = sorted(stacks[temporal], key=lambda frame: frame.height)
        origin, step = stack[0].position, _step(stack, normal, measures)
        dtype = (
            "int16"
            if all(frame.scaling.dtype(stored_type(dataset)) == "int16" for frame in frames)
            else "float32"
        )
        begun = min(frame.time for frame in stack)
        series = ImagingSeries(
            str(dataset.SeriesInstanceUID),
            (int(dataset.Columns), int(dataset.Rows), len(stack)),
            affine_of(row * spacing[1], column * spacing[0], step, origin),
            _repetition(dataset, per_frame[0], shared),
            dtype,
            tuple(round(frame.time - begun, 6) for frame in stack) if np.isfinite(begun) else (),
            int(dataset.get("NumberOfTemporalPositions") or 0),
            int(dataset.get("SeriesNumber") or 0),
            "enhanced DICOM",
        )
        index = temporal - 1 if temporal > 0 else int(dataset.get("InstanceNumber") or 1) - 1 + place
        if len(stacks) == 1 and temporal <= 1:
            # A file of one volume may count its own times only; then its number in the series tells.
            index = max(index, int(dataset.get("InstanceNumber") or 1) - 1)
        volumes.append(_volume(series, index, stack, pixels, f"{dataset.SOPInstanceUID}/{temporal}", begun))
    return volumes


def _volume(
    series: ImagingSeries, index: int, stack: list[_Frame], pixels: Stored, identity: str, begun: float
) -> Volume:
    data = np.empty(series.shape, series.dtype)
    for z, frame in enumerate(stack):
        data[:, :, z] = frame.scaling.volume(pixels.values[frame.place][np.newaxis], series.dtype)[:, :, 0]
    there = pixels.frames_there[[frame.place for frame in stack]]
    return Volume(series, index, data, identity, begun, None if there.all() else ~there)


def _frame(place: int, groups: Any, shared: Any, normal: NDArray[np.float64]) -> _Frame:
    position = np.asarray(_group(groups, shared, "PlanePositionSequence").ImagePositionPatient, float)
    content = _group(groups, shared, "FrameContentSequence", {})
    return _Frame(
        place,
        position,
        float(position @ normal),
        time_of_day(content.get("FrameAcquisitionDateTime")),
        int(content.get("TemporalPositionIndex") or 0),
        Scaling.of(_group(groups, shared, "PixelValueTransformationSequence", {})),
    )


def _step(stack: list[_Frame], normal: NDArray[np.float64], measures: Any) -> NDArray[np.float64]:
    """Return the way from slice to slice, checked to be the same everywhere."""
    if len(stack) == 1:
        return normal * float(measures.get("SpacingBetweenSlices") or measures.SliceThickness)
    steps = np.diff([frame.position for frame in stack], axis=0)
    if np.abs(steps - steps[0]).max() > 0.02 * np.linalg.norm(steps[0]) + 1e-3 or steps[0] @ normal <= 1e-6:
        raise RecordingError("the slices of a volume do not lie at even distances")
    mean: NDArray[np.float64] = steps.mean(axis=0)
    return mean


def _group(groups: Any, shared: Any, name: str, default: Any = None) -> Any:
    """Return a functional group of a frame, or the one that all frames share."""
    for holder in (groups, shared):
        found = holder.get(name)
        if found:
            return found[0]
    if default is None:
        raise RecordingError(f"an enhanced image needs {name} for its frames, and has none")
    return default


def _repetition(dataset: Any, groups: Any, shared: Any) -> float:
    timing = _group(groups, shared, "MRTimingAndRelatedParametersSequence", {})
    return seconds_of(timing.get("RepetitionTime") or dataset.get("RepetitionTime"))
