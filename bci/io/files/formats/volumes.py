"""Runs of volumes as recordings: a 4-D NIfTI file, or a folder of DICOM or NIfTI files; samples are volumes (x, y, z).

A place of the run whose volume is missing is a sample of NaN, as in the stream that `bci volumes` publishes of it, so
that a decoder sees the same offline as live.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bci.errors import RecordingError
from bci.io.files.formats.file import FileRecording, agree
from bci.io.installation import missing_extra
from bci.signal.types import Signal

#: Bytes of a run that are held in memory.
_MOST_BYTES = 8e9


def open_volumes(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None, stream: str | None
) -> FileRecording:
    """Open a run of volumes; all of it is read.

    Parameters
    ----------
    path : Path
        The file or the folder.
    rate : float, optional
        Volumes per second, where the files do not state their TR; must agree with those that do.
    channels : sequence of str, optional
        Refused: voxels have no labels.
    unit : str, optional
        Unit of the values; the scanner's own are in none.
    stream : str, optional
        Number of the series, where a folder holds several.

    Raises
    ------
    RecordingError
        If it cannot be read, holds no whole volume, or states no TR and no rate is given.
    """
    try:
        from bci.io.volumes.gate import MOST_GAP
        from bci.io.volumes.run_on_disk import volumes_of
    except ModuleNotFoundError as error:
        raise RecordingError(missing_extra("reading volumes", error.name, ["fmri"])) from None
    if channels is not None:
        raise RecordingError(
            f"{path.name} holds volumes, whose voxels have no labels: leave out the channels"
        )
    if stream is not None and not stream.isdecimal():
        raise RecordingError(f"{path.name}: a series of volumes is chosen by its number, came {stream!r}")
    places: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}
    defects: list[str] = []
    series, nbytes = None, 0
    for volume in volumes_of(path, None if stream is None else int(stream)):
        series = series or volume.series
        if words := series.differences(volume.series):
            defects.append(f"volume {volume.index} is left out: {'; '.join(words)}")
            continue
        if volume.index in places:
            defects.append(f"volume {volume.index} is there twice: the first is taken")
            continue
        values = np.array(volume.data, np.float32)
        if volume.absent is not None:
            values[:, :, volume.absent] = np.nan
            defects.append(f"volume {volume.index} lacks {int(volume.absent.sum())} slices")
        places[volume.index] = values
        nbytes += values.nbytes
        if nbytes > _MOST_BYTES:
            raise RecordingError(
                f"{path.name} holds more than {_MOST_BYTES:g} bytes of volumes: play a part of it"
            )
    if series is None or not places:
        raise RecordingError(f"{path.name} holds no whole volume")
    if math.isfinite(series.tr):
        agree(path.name, "rate", rate, 1 / series.tr)
        rate = 1 / series.tr
    if not rate:
        raise RecordingError(
            f"{path.name} does not state its TR. Give the rate, in volumes per second (--rate)."
        )
    n = max(places) + 1
    missing = sorted(set(range(n)) - places.keys())
    if len(missing) > MOST_GAP:
        raise RecordingError(
            f"{path.name}: {len(missing)} of {n} places of the run are missing: its numbers are no run's"
        )
    if missing:
        defects.append(
            f"{len(missing)} of {n} volumes are missing, from place {missing[0]} on: played as NaN"
        )
    nothing = np.full(series.shape, np.nan, np.float32)

    def block(first: int, end: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.stack([places.get(place, nothing) for place in range(first, end)])

    signal = Signal("BOLD-raw", rate, series.shape, (), unit or "")
    return FileRecording(path.name, signal, n, block, (), tuple(defects), header={"type": ["fMRI"]})
