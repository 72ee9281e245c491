"""EDF, EDF+, BDF and BDF+ files are read here, block by block: voltages in microvolts, whatever unit each states.

Records that an EDF+ file starts later than the one before ends are behind a gap. A signal with a lower rate than the
others is interpolated between its samples; the result does not depend on how the file is read.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.edf import EdfHeader, EdfSignal, read_header
from bci.io.files.formats.file import FileRecording, agree, listed, unique
from bci.io.files.formats.status import events_of, lines_of
from bci.io.files.formats.stretches import Stretches
from bci.io.files.formats.tal import Annotations, breaks_in, read_annotations
from bci.io.files.formats.units import played
from bci.signal.types import Event, Signal, code_of
from bci.signal.units import unit_name


def open_edf(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None, stream: str | None
) -> FileRecording:
    """Open an EDF or BDF file, without loading it.

    The signal is every channel of voltage, in microvolts; a file without any gives the channels of its most frequent
    unit. Status and trigger channels become markers, annotations too.

    Parameters
    ----------
    path : Path
        The file.
    rate, unit
        Must agree with the file where it states them.
    channels
        Chosen among the file's by `bci.io.files.recording.open_recording`.
    stream
        Refused: the file holds one signal.

    Raises
    ------
    RecordingError
        If it is damaged, or claims more than it holds.
    """
    if stream is not None:
        raise RecordingError(f"{path.name} holds one signal: leave out the stream {stream!r}")
    header = read_header(path)
    defects = list(header.defects)
    carrying = [s for s in header.signals if not s.is_annotations]
    data = [s for s in carrying if not s.is_trigger]
    if not data:
        raise RecordingError(f"{path.name} has no channel but triggers and annotations: nothing to play")
    most = max(s.samples for s in data)
    hz = most / header.duration
    if slow := [s.label for s in data if s.samples < most]:
        defects.append(f"interpolated to {hz:g} Hz from a lower rate: {listed(slow)}")
    unscaled = [s.label for s in data if not s.scale]
    if unscaled:
        defects.append(f"without a scale in the header, and played as stored numbers: {listed(unscaled)}")
    choice = played([s.label for s in data], [s.unit if s.scale else "" for s in data], defects)
    annotations = read_annotations(header)
    breaks, words = breaks_in(header, annotations, most)
    stretches = Stretches(header.records * most, hz, breaks)
    defects += stretches.defects() + words
    if annotations.encoding:
        defects.append(f"annotations are not UTF-8 and were read as {annotations.encoding}")

    names = unique([data[i].label for i in choice.picks], defects)
    agree(path.name, "rate", rate, hz)
    if choice.unit:
        agree(path.name, "unit", unit_name(unit) if unit is not None else None, choice.unit)
    reader = _Reader(header, most, [data[i] for i in choice.picks], choice.factors)
    triggers = [s for s in carrying if s.is_trigger]
    return FileRecording(
        name=path.name,
        signal=Signal(path.stem, hz, (len(names),), names, choice.unit or unit_name(unit or "")),
        n=stretches.n,
        block=reader.block,
        markers=(
            *_annotated(annotations, stretches, most),
            *_triggered(header, triggers, most, stretches, defects),
        ),
        defects=tuple(defects),
        segments=stretches.segments,
        starts=stretches.starts if len(stretches.starts) > 1 else (),
        place=stretches.seconds,
    )


class _Reader:
    """A _Reader reads the chosen signals of a file."""

    def __init__(
        self, header: EdfHeader, most: int, signals: Sequence[EdfSignal], factors: Sequence[float]
    ) -> None:
        self._header, self._most, self._signals = header, most, signals
        self._factors = [
            ((s.scale or 1.0) * factor, s.offset * factor) for s, factor in zip(signals, factors, strict=True)
        ]

    def block(self, first: int, end: int) -> NDArray[np.float64]:
        """Read samples `first` to `end`: (end - first, signals) float64, in the signal's unit."""
        header, most = self._header, self._most
        if first == end:
            return np.empty((0, len(self._signals)))
        begin, stop = first // most, -(-end // most)
        # One record more, towards whose first sample a slow signal is interpolated.
        slow = any(s.samples < most for s in self._signals)
        records = header.read(begin, min(stop + slow, header.records))
        out = np.empty((end - first, len(self._signals)))
        for column, (s, (scale, offset)) in enumerate(zip(self._signals, self._factors, strict=True)):
            values = numbers(records[:, s.at : s.at + s.samples]).ravel()
            if s.samples == most:
                out[:, column] = values[first - begin * most : end - begin * most]
            else:
                places = np.arange(first - begin * most, end - begin * most) * (s.samples / most)
                out[:, column] = np.interp(places, np.arange(len(values)), values)
            out[:, column] *= scale
            out[:, column] += offset
        return out


def numbers(stored: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the numbers that stand in (…, width) bytes, least significant first, with their sign.

    >>> numbers(np.array([[0xFF, 0xFF, 0xFF], [0, 1, 0]], np.uint8)).tolist()
    [-1, 256]
    """
    wide = np.zeros((*stored.shape[:-1], 4), np.uint8)
    wide[..., 4 - stored.shape[-1] :] = stored
    return np.asarray(wide.view("<i4")[..., 0] >> (8 * (4 - stored.shape[-1])))


def _annotated(annotations: Annotations, stretches: Stretches, most: int) -> list[Event]:
    """Return the annotations as markers, their onsets moved as the samples around them were."""
    begins = np.array([first // most for first, _ in stretches.segments])
    said = np.array([annotations.starts[b] if b < len(annotations.starts) else np.nan for b in begins])
    said = np.where(np.isnan(said), stretches.starts, said)
    moved = np.subtract(stretches.starts, said)
    markers = []
    for onset, text in zip(annotations.onsets, annotations.texts, strict=True):
        earlier = np.flatnonzero(said <= onset)
        shift = float(moved[earlier[said[earlier].argmax()]]) if len(earlier) else 0.0
        markers.append(Event(onset + shift, text, code_of(text)))
    return markers


def _triggered(
    header: EdfHeader,
    signals: Sequence[EdfSignal],
    most: int,
    stretches: Stretches,
    defects: list[str],
) -> list[Event]:
    markers: list[Event] = []
    n = header.records * most
    for s in signals:

        def stored(first: int, end: int, s: EdfSignal = s) -> NDArray[np.generic]:
            begin, stop = first // most, -(-end // most)
            values = numbers(header.read(begin, stop)[:, s.at : s.at + s.samples])
            # A channel of its own rate holds each value until the next.
            held = values[:, np.arange(most) * s.samples // most].ravel()[
                first - begin * most : end - begin * most
            ]
            return held if header.width == 3 else np.rint(held * (s.scale or 1.0) + s.offset)

        codes, words = lines_of(stored, n) if header.width == 3 else (stored, "")
        defects += [words] if words else []
        markers += events_of(codes, stretches, n, s.label if len(signals) > 1 else "")
    return markers
