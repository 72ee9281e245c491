"""BrainVision recordings are read here, block by block; the segments that their markers begin are segments.

A marker of type *New Segment* stands where the recorder was paused; its date says how long, where it has one.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.brainvision_header import (
    BrainVisionHeader,
    read_header,
    read_sections,
    words_of,
)
from bci.io.files.formats.file import FileRecording, agree, listed, unique
from bci.io.files.formats.mne_raw import open_mne
from bci.io.files.formats.stretches import Break, Stretches
from bci.io.files.formats.units import played
from bci.signal.types import Event, Signal, code_of
from bci.signal.units import unit_name

_NEW = "New Segment"
_LOST = "LostSamples:"


def open_brainvision(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None, stream: str | None
) -> FileRecording:
    """Open a BrainVision recording by its header (.vhdr), without loading it.

    The signal is every channel of voltage, in microvolts; without any, the channels of the most frequent unit. Markers
    are called ``Type/Description``. Samples that are stored as text are left to MNE.

    Parameters
    ----------
    path : Path
        The header.
    rate, unit
        Must agree with the file where it states them.
    channels
        Chosen among the file's by `bci.io.files.recording.open_recording`.
    stream
        Refused: the file holds one signal.

    Raises
    ------
    RecordingError
        If a file is missing or damaged, or lies outside the header's folder.
    """
    if stream is not None:
        raise RecordingError(f"{path.name} holds one signal: leave out the stream {stream!r}")
    defects: list[str] = []
    header = read_header(path, defects)
    if not header.dtype:
        return open_mne(path, rate, channels, unit)
    n_channels, width = len(header.channels), np.dtype(header.dtype).itemsize
    n, rest = divmod(header.data.stat().st_size, n_channels * width)
    if rest:
        defects.append(f"{header.data.name} ends within a sample; its last {rest} bytes are not played")
    if not n:
        raise RecordingError(f"{header.data.name} holds no sample of {n_channels} channels: nothing to play")
    if missing := [str(i + 1) for i, c in enumerate(header.channels) if not c.label]:
        defects.append(f"channels that the header does not describe: {listed(missing)}")
    labels = [c.label or f"Ch{i + 1}" for i, c in enumerate(header.channels)]
    choice = played(labels, [c.unit if c.resolution else "" for c in header.channels], defects)
    names = unique([labels[i] for i in choice.picks], defects)
    agree(path.name, "rate", rate, header.rate)
    if choice.unit:
        agree(path.name, "unit", unit_name(unit) if unit is not None else None, choice.unit)
    breaks, markers = _markers(header, defects)
    stretches = Stretches(n, header.rate, breaks)
    defects += stretches.defects()
    picks = np.array(choice.picks)
    factors = np.array(
        [
            factor * (header.channels[i].resolution or 1.0)
            for i, factor in zip(choice.picks, choice.factors, strict=True)
        ]
    )

    def block(first: int, end: int) -> NDArray[np.float64]:
        return np.asarray(_read(header, n, first, end)[:, picks] * factors)

    times = stretches.seconds(np.array([place for place, _ in markers])).tolist() if markers else []
    return FileRecording(
        name=path.name,
        signal=Signal(path.stem, header.rate, (len(names),), names, choice.unit or unit_name(unit or "")),
        n=n,
        block=block,
        markers=tuple(
            Event(time, text, code_of(text)) for time, (_, text) in zip(times, markers, strict=True)
        ),
        defects=tuple(defects),
        segments=stretches.segments,
        starts=stretches.starts if len(stretches.starts) > 1 else (),
        place=stretches.seconds,
    )


def _read(header: BrainVisionHeader, n: int, first: int, end: int) -> NDArray[np.generic]:
    """Return stored numbers: (end - first, channels)."""
    channels, dtype = len(header.channels), np.dtype(header.dtype)
    if header.multiplexed:
        values = np.fromfile(
            header.data, dtype, (end - first) * channels, offset=first * channels * dtype.itemsize
        )
        whole = len(values) == (end - first) * channels
        stored = values.reshape(-1, channels) if whole else values
    else:
        rows = [
            np.fromfile(header.data, dtype, end - first, offset=(channel * n + first) * dtype.itemsize)
            for channel in range(channels)
        ]
        whole = all(len(row) == end - first for row in rows)
        stored = np.array(rows).T if whole else rows[0]
    if not whole:
        raise RecordingError(f"{header.data.name} has become shorter since it was opened")
    return stored


def _markers(header: BrainVisionHeader, defects: list[str]) -> tuple[list[Break], list[tuple[int, str]]]:
    """Return the breaks that a recording's markers mark, and the others: place in samples and text."""
    if header.markers is None:
        return [], []
    sections, encoding = read_sections(header.markers)
    if encoding:
        defects.append(f"{header.markers.name} names no code page that holds, and was read as {encoding}")
    breaks: list[Break] = []
    markers: list[tuple[int, str]] = []
    damaged = 0
    before: tuple[int, datetime] | None = None
    for value in sections.get("marker infos", {}).values():
        kind, text, place, *others = [*words_of(value), "", ""]
        try:
            at = int(place) - 1
        except ValueError:
            damaged += 1
            continue
        if kind.strip() != _NEW:
            markers.append((at, f"{kind}/{text}"))
            continue
        when = _date(others)
        if at > 0:
            breaks.append(Break(at, _paused(at, text, when, before, header.rate)))
        before = (at, when) if when is not None else None
    if damaged:
        defects.append(f"{damaged} lines of {header.markers.name} name no place and are not played")
    return breaks, markers


def _paused(
    at: int, text: str, when: datetime | None, before: tuple[int, datetime] | None, rate: float
) -> float | None:
    """Return how long a recorder was paused: by the samples it counted as lost, or by the dates of both segments."""
    if text.startswith(_LOST) and (count := text.removeprefix(_LOST).strip()).isdecimal():
        return int(count) / rate
    if when is None or before is None:
        return None
    seconds = (when - before[1]).total_seconds() - (at - before[0]) / rate
    return seconds if seconds > 0 else None


def _date(fields: Sequence[str]) -> datetime | None:
    """Return the date among a marker's last fields: 20 digits, the last six microseconds."""
    for field in fields:
        if len(digits := field.strip()) == 20 and digits.isdecimal():
            try:
                return datetime.strptime(digits, "%Y%m%d%H%M%S%f")
            except ValueError:
                return None
    return None
