"""The header of an EDF or BDF file: its claims, checked against the file's size before a sample is read.

Kemp & Olivan 2003 (EDF+, Clinical Neurophysiology 114:1755): 256 bytes, then 256 per signal, all ASCII, then
records of equal length: 2 bytes per sample in EDF, 3 in BDF.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.signal.rates import is_plausible
from bci.signal.units import unit_in

_FIXED = 256
_ANNOTATIONS = frozenset({"edf annotations", "bdf annotations"})
_TRIGGERS = frozenset({"status", "trigger"})


@dataclass(frozen=True, slots=True)
class EdfSignal:
    """An EdfSignal is one signal of the file, as the header describes it.

    Attributes
    ----------
    label, unit : str
        Its label as in the file; its unit in this project's spelling, empty when none is stated.
    samples : int
        Samples in each record.
    at : int
        Samples of a record before its own.
    scale, offset : float
        A stored number times `scale` plus `offset` is in `unit`; scale 0 where the header's ranges define none.
    """

    label: str
    unit: str
    samples: int
    at: int
    scale: float
    offset: float

    @property
    def is_annotations(self) -> bool:
        """Whether it holds the file's annotations."""
        return self.label.casefold() in _ANNOTATIONS

    @property
    def is_trigger(self) -> bool:
        """Whether it holds trigger lines."""
        return self.label.casefold() in _TRIGGERS


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """An EdfHeader describes a file whose size fits what it claims.

    Attributes
    ----------
    path : Path
        The file.
    signals : tuple of EdfSignal
        In order.
    offset : int
        Bytes before the first record.
    width : int
        Bytes of a stored number: 2 or 3.
    records : int
        Complete records.
    duration : float
        Seconds of a record.
    kind : str
        ``"EDF+C"``, ``"EDF+D"``, ``"BDF+C"``, ``"BDF+D"``; empty for the plain formats.
    defects : tuple of str
        Disagreements of header and file, a sentence each.
    """

    path: Path
    signals: tuple[EdfSignal, ...]
    offset: int
    width: int
    records: int
    duration: float
    kind: str
    defects: tuple[str, ...]

    @property
    def per_record(self) -> int:
        """Stored numbers in a record."""
        return sum(signal.samples for signal in self.signals)

    def read(self, first: int, end: int) -> NDArray[np.uint8]:
        """Return the bytes of records `first` to `end`: (end - first, `per_record`, `width`) uint8.

        Raises
        ------
        RecordingError
            If the file has become shorter.
        """
        size = self.per_record * self.width
        content = np.fromfile(self.path, np.uint8, (end - first) * size, offset=self.offset + first * size)
        if len(content) != (end - first) * size:
            raise RecordingError(f"{self.path.name} has become shorter since it was opened")
        return content.reshape(end - first, self.per_record, self.width)


def read_header(path: Path) -> EdfHeader:
    """Read the header of an EDF or BDF file and compare it with the file.

    Raises
    ------
    RecordingError
        If the header is damaged or the file does not hold one complete record.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        fixed = file.read(_FIXED)
        if len(fixed) < _FIXED or fixed[:8] not in (b"0       ", b"\xffBIOSEMI"):
            raise RecordingError(f"{path.name} does not begin like an EDF or BDF file")
        width = 3 if fixed[0] == 0xFF else 2
        header_bytes = _whole(path, "header bytes", fixed[184:192])
        announced = _whole(path, "number of records", fixed[236:244])
        n = _whole(path, "number of signals", fixed[252:256])
        if n < 1 or header_bytes != _FIXED * (n + 1) or header_bytes > size:
            raise RecordingError(
                f"{path.name}: {n} signals need a header of {_FIXED * (n + 1)} bytes; the file states "
                f"{header_bytes} and has {size}. It is damaged; get it again from its origin."
            )
        table = file.read(header_bytes - _FIXED)
    duration = _number(path, "length of a record", fixed[244:252])
    samples = [_whole(path, "samples per record", field) for field in _fields(table, 216 * n, 8, n)]
    if duration <= 0 or min(samples) < 1:
        raise RecordingError(
            f"{path.name}: records of {duration} s with {min(samples)} samples cannot be played"
        )
    record_bytes = width * sum(samples)
    records, rest = divmod(size - header_bytes, record_bytes)
    if records < 1:
        raise RecordingError(
            f"{path.name}: one record needs {record_bytes} bytes and {rest} follow the header: nothing to play"
        )
    if not is_plausible(max(samples) / duration):
        raise RecordingError(
            f"{path.name}: {max(samples)} samples in records of {duration} s are {max(samples) / duration:g} Hz, at "
            "which nothing is sampled. The header is damaged; get it again from its origin."
        )
    defects: tuple[str, ...] = ()
    if announced != records or rest:
        announcement = f"announces {announced}" if announced >= 0 else "does not say how many"
        beyond = f"; {rest} bytes of an incomplete one are not played" if rest else ""
        defects = (f"the header {announcement} records of {duration:g} s, {records} are complete{beyond}",)
    kind = fixed[192:197].decode("latin-1")
    return EdfHeader(
        path=path,
        signals=_signals(path, table, samples),
        offset=header_bytes,
        width=width,
        records=records,
        duration=duration,
        kind=kind if kind[3:4] == "+" else "",
        defects=defects,
    )


def _signals(path: Path, table: bytes, samples: list[int]) -> tuple[EdfSignal, ...]:
    n = len(samples)
    labels = [field.decode("latin-1").strip(" \0") for field in _fields(table, 0, 16, n)]
    units = [unit_in(field) for field in _fields(table, 96 * n, 8, n)]
    low, high = _fields(table, 104 * n, 8, n), _fields(table, 112 * n, 8, n)
    least, most = _fields(table, 120 * n, 8, n), _fields(table, 128 * n, 8, n)
    signals, at = [], 0
    for i in range(n):
        scale = offset = 0.0
        if labels[i].casefold() not in _ANNOTATIONS:
            begin = _number(path, f"least value of {labels[i]!r}", low[i])
            bottom = _number(path, f"least stored number of {labels[i]!r}", least[i])
            moves = _number(path, f"largest value of {labels[i]!r}", high[i]) - begin
            span = _number(path, f"largest stored number of {labels[i]!r}", most[i]) - bottom
            scale = moves / span if span else 0.0
            offset = begin - bottom * scale
        signals.append(EdfSignal(labels[i], units[i], samples[i], at, scale, offset))
        at += samples[i]
    return tuple(signals)


def _fields(table: bytes, at: int, width: int, n: int) -> list[bytes]:
    return [table[at + i * width : at + (i + 1) * width] for i in range(n)]


def _whole(path: Path, what: str, field: bytes) -> int:
    value = _number(path, what, field)
    if value != int(value):
        raise RecordingError(f"{path.name}: the header's {what} is {value}, not a whole number")
    return int(value)


def _number(path: Path, what: str, field: bytes) -> float:
    text = field.decode("latin-1").strip(" \0")
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = float("inf")
    if abs(value) > 1e9 or value != value:
        raise RecordingError(f"{path.name}: the header's {what} is {text!r}, which is no sensible number")
    return value
