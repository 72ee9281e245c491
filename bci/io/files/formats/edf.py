"""The EDF/BDF header: its claims, checked against the file's size before any other reader opens the file.

Kemp & Olivan 2003 (EDF+, Clinical Neurophysiology 114:1755): 256 bytes, then 256 per signal, all ASCII, then
records of equal length: 2 bytes per sample in EDF, 3 in BDF.
"""

from dataclasses import dataclass
from pathlib import Path

from bci.errors import RecordingError
from bci.io.files.formats.file import listed

_FIXED = 256
_VOLTS = frozenset({"v", "mv", "uv", "µv", "μv", "nv"})
_NO_SIGNAL = frozenset({"edf annotations", "bdf annotations"})


@dataclass(frozen=True, slots=True)
class EdfFacts:
    """EdfFacts holds the findings of a comparison of an EDF header with its file.

    Attributes
    ----------
    defects : tuple of str
        Disagreements of header and file, and parts of the file that cannot be played; a sentence each.
    volts : tuple of bool
        For each channel, in order and without the annotations: whether its unit is one of voltage.
    """

    defects: tuple[str, ...]
    volts: tuple[bool, ...]


def check_edf(path: Path) -> EdfFacts:
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
        signals = _whole(path, "number of signals", fixed[252:256])
        if signals < 1 or header_bytes != _FIXED * (signals + 1) or header_bytes > size:
            raise RecordingError(
                f"{path.name}: {signals} signals need a header of {_FIXED * (signals + 1)} bytes; the file states "
                f"{header_bytes} and has {size}. It is damaged; get it again from its origin."
            )
        table = file.read(header_bytes - _FIXED)
    duration = _number(path, "length of a record", fixed[244:252])
    labels = _texts(table, 0, 16, signals)
    units = _texts(table, 96 * signals, 8, signals)
    samples = [
        _whole(path, "samples per record", text.encode()) for text in _texts(table, 216 * signals, 8, signals)
    ]
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
    defects: list[str] = []
    if announced != records or rest:
        announcement = f"announces {announced}" if announced >= 0 else "does not say how many"
        beyond = f"; {rest} bytes of an incomplete one are not played" if rest else ""
        defects.append(f"the header {announcement} records of {duration:g} s, {records} are complete{beyond}")
    carrying = [i for i in range(signals) if labels[i].casefold() not in _NO_SIGNAL]
    most = max((samples[i] for i in carrying), default=1)
    slow = [labels[i] for i in carrying if samples[i] < most]
    if slow:
        defects.append(f"interpolated to {most / duration:g} Hz from a lower rate: {listed(slow)}")
    if fixed[192:197] in (b"EDF+D", b"BDF+D"):
        defects.append("the file is discontinuous: the pauses between its records are not played")
    return EdfFacts(tuple(defects), tuple(units[i].casefold() in _VOLTS for i in carrying))


def _texts(table: bytes, at: int, width: int, n: int) -> list[str]:
    return [table[at + i * width : at + (i + 1) * width].decode("latin-1").strip() for i in range(n)]


def _whole(path: Path, what: str, field: bytes) -> int:
    value = _number(path, what, field)
    if value != int(value):
        raise RecordingError(f"{path.name}: the header's {what} is {value}, not a whole number")
    return int(value)


def _number(path: Path, what: str, field: bytes) -> float:
    text = field.decode("latin-1").strip(" \0")
    try:
        value = float(text)
    except ValueError:
        value = float("inf")
    if abs(value) > 1e9 or value != value:
        raise RecordingError(f"{path.name}: the header's {what} is {text!r}, which is no sensible number")
    return value
