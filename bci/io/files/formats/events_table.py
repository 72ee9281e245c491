"""A table of events: BIDS events.tsv, or any table of text whose header names a time or a sample, and a label.

BIDS 1.9: ``onset`` in seconds from the first sample, ``trial_type`` in words, ``value`` as a number, ``sample`` counted
from 0; ``n/a`` where something is not known.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from bci.errors import RecordingError
from bci.io.files.cells import cell, text_of
from bci.io.files.formats.words import decode_text, number_in
from bci.io.files.regular import LARGEST_TEXT, require_regular
from bci.signal.types import code_of

#: Headers of columns, in the order in which they are preferred.
_SECONDS = ("onset", "time", "seconds", "onset_s", "time_s", "latency_s", "t")
_SAMPLES = ("sample", "samples", "position", "latency", "index")
_WORDS = ("trial_type", "description", "label", "marker", "event", "name", "stimulus", "type", "text")
_CODES = ("value", "code", "trigger", "event_id", "id")
_NOTHING = frozenset({"", "n/a", "na", "nan", "none"})
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class EventRow:
    """An EventRow is one event of a table.

    Attributes
    ----------
    place : float
        Seconds from the recording's first sample, or samples; see `EventTable`.
    text : str
        Its words; its number where it has none.
    code : int
        Its number; 0 where it has none.
    """

    place: float
    text: str
    code: int


@dataclass(frozen=True, slots=True)
class EventTable:
    """An EventTable holds the events of a file, and whether their places are samples.

    Attributes
    ----------
    rows : tuple of EventRow
        In the file's order.
    in_samples : bool
        Whether places count samples, where they are seconds otherwise.
    placeless : int
        Rows that name no place.
    encoding : str
        What the file was read as, where it is not UTF-8.
    """

    rows: tuple[EventRow, ...]
    in_samples: bool
    placeless: int
    encoding: str


def read_table(path: Path) -> EventTable:
    """Read a table of events, its columns divided by tabs, commas or semicolons.

    Raises
    ------
    RecordingError
        If its header names neither a time nor a sample, or no label, or it is too large.
    """
    require_regular(path, RecordingError, largest=LARGEST_TEXT)
    text, encoding = decode_text(path.read_bytes())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    header = lines[0] if lines else ""
    divider = max("\t,;", key=header.count)
    names = [name.strip().strip('"').casefold() for name in header.split(divider)]
    seconds, samples = _column(names, _SECONDS), _column(names, _SAMPLES)
    words, codes = _column(names, _WORDS), _column(names, _CODES)
    at = samples if seconds is None else seconds
    if at is None or (words is None and codes is None):
        raise RecordingError(
            f"{path.name}: expected a table with a column of times ({', '.join(_SECONDS[:3])}) or samples "
            f"({', '.join(_SAMPLES[:3])}), and one of labels ({', '.join((*_WORDS[:3], *_CODES[:2]))}); its header is "
            f"{header[:100]!r}"
        )
    if len(lines) > _MOST:
        raise RecordingError(f"{path.name} has more than {_MOST} lines: no table of events")
    rows, placeless = [], 0
    for fields in csv.reader(lines[1:], delimiter=divider):
        place = number_in(_field(fields, at), comma=divider != ",")
        if math.isnan(place):
            placeless += 1
            continue
        said, number = _field(fields, words), _field(fields, codes)
        code = code_of(number.removesuffix(".0")) if number else code_of(said)
        rows.append(EventRow(place, said or number or "event", code))
    return EventTable(
        tuple(rows), seconds is None, placeless, encoding if encoding not in ("utf-8", "utf-8-sig") else ""
    )


def _column(names: list[str], wanted: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _field(fields: list[str], at: int | None) -> str:
    """Return a field; empty where the row has none, or says that nothing is known."""
    text = fields[at].strip() if at is not None and at < len(fields) else ""
    return "" if text.casefold() in _NOTHING else _as_sent(text)


def _as_sent(text: str) -> str:
    """Return the text that a cell of ours stands for; a foreign cell that merely begins with ' stays as it is."""
    sent = text_of(text)
    return sent if cell(sent) == text else text
