"""A table of samples: reading a signal from a .csv or .tsv whose header names its columns, a sample a row.

Devices and notebooks write such files (Muse, OpenBCI, pandas): a column of times, a column a channel, a column of
markers. What a column is follows from its name; a file cannot state a unit, so that is an argument.
"""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.file import FileRecording, listed, markers_in
from bci.io.files.formats.words import decode_text, number_in
from bci.io.files.regular import require_regular
from bci.signal.rates import is_plausible
from bci.signal.types import Event, Signal, code_of
from bci.signal.units import unit_name

Floats = NDArray[np.float64]

#: Beginnings of the names of columns that hold times, and of those that hold markers; case and blanks aside.
_TIMES = ("timestamp", "time", "seconds", "lslclock")
_MARKERS = ("marker", "trigger", "stim", "event", "annotation", "label")
#: A table is read whole: text takes some three times what its numbers take.
_LARGEST = 1 << 30
#: Cells that say that nothing is known, or that no marker stands there.
_NOTHING = frozenset({"", "n/a", "na", "nan", "none", "null"})
#: A step between two rows that is longer than this many samples, and than this many seconds, is a gap.
_GAP_SAMPLES, _GAP_S = 8, 0.1


@dataclass(frozen=True, slots=True)
class _Table:
    """The header of a table, and where its rows stand."""

    names: tuple[str, ...]
    divider: str
    lines: list[str]

    def column(self, at: int) -> Floats:
        """Return one column as numbers, (n,); NaN where a cell holds none."""
        comma = self.divider != ","
        return np.array([number_in(cell, comma=comma) for cell in self.cells(at)])

    def cells(self, at: int) -> Iterator[str]:
        for fields in csv.reader(self.lines, delimiter=self.divider):
            yield fields[at].strip() if at < len(fields) else ""

    def numbers(self, columns: Sequence[int]) -> Floats:
        """Return columns as numbers, (n, columns); NaN where a cell holds none."""
        try:
            return np.loadtxt(self.lines, delimiter=self.divider, usecols=list(columns), ndmin=2)
        except ValueError:  # an empty cell, a word, a decimal comma: slower, cell by cell
            return np.stack([self.column(at) for at in columns], axis=1)


def open_table(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None, stream: str | None
) -> FileRecording:
    """Open a .csv or .tsv whose first row names its columns.

    The column of times is the first whose name begins with ``time``, ``timestamp`` or ``seconds``; those whose names
    begin with ``marker``, ``trigger``, ``stim`` or ``event`` hold markers: numbers that stand where they change to
    something other than zero, or words where there is one. All others are channels.

    Parameters
    ----------
    path : Path
        The file; it is read whole.
    rate : float, optional
        Samples per second; without it, that of the column of times.
    channels : sequence of str, optional
        The columns to read, by name; without it all that hold numbers.
    unit : str, optional
        Unit of the values; without it the unit is unknown, ``""``.
    stream : str, optional
        The column of markers, by name, where several are there, or none is recognised.

    Raises
    ------
    RecordingError
        If there is no header, no row, no channel of the name, or neither a rate nor times that give one.
    """
    table = _read(path)
    defects: list[str] = []
    times = next((at for at, name in enumerate(table.names) if _key(name).startswith(_TIMES)), None)
    marks = _marker_columns(path.name, table, stream, times)
    columns = _channel_columns(path.name, table, channels, {times, *marks})
    samples = table.numbers(columns)
    if channels is None:
        held = [place for place in range(len(columns)) if not np.isnan(samples[:, place]).all()]
        if len(held) < len(columns):
            empty = [table.names[at] for place, at in enumerate(columns) if place not in held]
            defects.append(f"columns without numbers are not played: {listed(empty)}")
            columns, samples = [columns[place] for place in held], samples[:, held]
        if not columns:
            raise RecordingError(f"{path.name}: none of its columns holds numbers: {listed(table.names)}")
    missing = int(np.isnan(samples).sum())
    if missing:
        defects.append(f"{missing} cells hold no number; they are played as missing (NaN)")
    stamps = None if times is None else table.column(times)
    rate, segments, starts, words = _paced(path.name, rate, stamps, len(samples))
    defects += words
    if unit is None:
        defects.append("no unit is stated: the values are played as they are")
    labels = tuple(table.names[at] for at in columns)
    recording = FileRecording(
        name=path.name,
        signal=Signal(path.stem, rate, (len(columns),), labels, unit_name(unit or "")),
        n=len(samples),
        block=lambda first, end: samples[first:end],
        defects=tuple(defects),
        segments=segments,
        starts=starts,
    )
    markers = [event for at in marks for event in _markers(table, at, recording)]
    return FileRecording(
        recording.name, recording.signal, recording.n, recording.block, tuple(markers), recording.defects,
        segments, None, starts,
    )  # fmt: skip


def _read(path: Path) -> _Table:
    require_regular(path, RecordingError, largest=_LARGEST)
    text, _ = decode_text(path.read_bytes())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "%"))]
    header = lines[0] if lines else ""
    divider = max("\t,;", key=header.count)
    names = tuple(name.strip() for name in next(csv.reader([header], delimiter=divider), []))
    numeric = sum(not math.isnan(number_in(name, comma=divider != ",")) for name in names)
    if not names or numeric * 2 > len(names):
        raise RecordingError(
            f"{path.name}: expected a first row that names the columns, came {header[:80]!r}. "
            "Write one: a name for the times, one for each channel, 'marker' for markers."
        )
    twice = sorted({name for name in names if names.count(name) > 1 and name})
    if twice:
        raise RecordingError(f"{path.name}: expected columns of different names, came {listed(twice)} twice")
    if len(lines) < 2:
        raise RecordingError(f"{path.name} holds no samples: nothing to play")
    return _Table(names, divider, lines[1:])


def _marker_columns(name: str, table: _Table, wanted: str | None, times: int | None) -> list[int]:
    if wanted is not None:
        if wanted not in table.names:
            raise RecordingError(f"{name} has the columns {listed(table.names)}; none is called {wanted!r}")
        return [table.names.index(wanted)]
    return [at for at, column in enumerate(table.names) if at != times and _key(column).startswith(_MARKERS)]


def _channel_columns(
    name: str, table: _Table, channels: Sequence[str] | None, others: set[int | None]
) -> list[int]:
    if channels is None:
        return [at for at in range(len(table.names)) if at not in others]
    unknown = [channel for channel in channels if channel not in table.names]
    if unknown:
        raise RecordingError(
            f"{name} has the columns {listed(table.names)}; expected {listed(unknown)} among them. "
            "Channels of a table are named as in its first row."
        )
    return [table.names.index(channel) for channel in channels]


def _paced(
    name: str, rate: float | None, stamps: Floats | None, n: int
) -> tuple[float, tuple[tuple[int, int], ...], tuple[float, ...], list[str]]:
    """Return (rate, segments, their starts, sentences) of rows by their times, which may jitter and repeat."""
    words: list[str] = []
    if stamps is not None and not np.isfinite(stamps).all():
        words.append("its column of times holds cells that are no number: rows are taken as evenly spaced")
        stamps = None
    if stamps is None and rate is None:
        raise RecordingError(
            f"{name} does not say how many samples it has per second. Give the rate (--rate)."
        )
    found = math.nan if stamps is None else _rate_of(stamps)
    if rate is None:
        rate = found
        words.append(f"the rate, {rate:g} Hz, is that of its column of times")
    elif stamps is not None and not 0.9 < found / rate < 1.1:
        words.append(f"its column of times gives {found:g} Hz, where {rate:g} is stated: look which is right")
    if not (rate and is_plausible(rate)):
        raise RecordingError(f"{name}: its column of times gives no rate. Give the rate in Hz (--rate).")
    if stamps is None or not len(cuts := _cuts(stamps, 1 / rate)):
        return float(rate), (), (), words
    begins = [0, *cuts]
    words.append(f"its column of times has {len(cuts)} gaps")
    starts = tuple(float(stamps[at] - stamps[0]) for at in begins)
    return float(rate), tuple(zip(begins, [*cuts, n], strict=True)), starts, words


def _rate_of(stamps: Floats) -> float:
    """Return the samples per second of the longest stretch without a gap; NaN where times do not rise."""
    rising = np.diff(stamps)
    rising = rising[rising > 0]
    if not len(rising):
        return math.nan
    edges = [0, *_cuts(stamps, float(np.median(rising))), len(stamps)]
    first, end = max(pairwise(edges), key=lambda stretch: stretch[1] - stretch[0])
    seconds = float(stamps[end - 1] - stamps[first])
    rate = (end - 1 - first) / seconds if seconds > 0 else math.nan
    near = round(rate) if math.isfinite(rate) else 0
    return float(near) if abs(rate - near) <= 2e-3 * rate else rate


def _cuts(stamps: Floats, step: float) -> list[int]:
    """Return the rows that stand behind a gap."""
    longer = np.diff(stamps) > max(_GAP_S, _GAP_SAMPLES * step)
    return [int(at) + 1 for at in np.flatnonzero(longer)]


def _markers(table: _Table, at: int, recording: FileRecording) -> list[Event]:
    values = table.column(at)
    texts = None if not np.isnan(values).all() and _all_numbers(table, at, values) else list(table.cells(at))
    times = recording.times(0, recording.n)
    if texts is None:
        found = markers_in(np.nan_to_num(values), 1.0)
        return [Event(float(times[int(event.time)]), event.text, event.code) for event in found]
    events, before = [], ""
    for row, text in enumerate(texts):
        said = "" if text.casefold() in _NOTHING or text == "0" else text
        if said and said != before:
            events.append(Event(float(times[row]), said, code_of(said)))
        before = said
    return events


def _all_numbers(table: _Table, at: int, values: Floats) -> bool:
    """Whether a column holds numbers alone, cells that say nothing aside."""
    return all(
        not math.isnan(value) or cell.casefold() in _NOTHING
        for value, cell in zip(values.tolist(), table.cells(at), strict=True)
    )


def _key(name: str) -> str:
    return name.casefold().replace(" ", "").replace("_", "")
