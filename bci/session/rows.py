"""Rows of a session's tables, over all the files that its recorders and its engines began, each row once."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bci.errors import RecordingError
from bci.io.files import cells
from bci.io.files.checksums import ChunkSum, read_sums, sums_path
from bci.io.files.regular import require_regular
from bci.session.part import Part, part_number
from bci.session.tables import NUMBERS, table_file

#: The column by which a table counts its rows; marks bear no count.
COUNTERS: Mapping[str, str] = {"frames": "frame", "shown": "change", "trials": "trial"}

_TRIALS = re.compile(r"trials(?:-(\d+))?\.csv")


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the whole rows of one file of a table; a last row that its writer's death has cut is left out.

    Raises
    ------
    RecordingError
        If it is no table.
    """
    require_regular(path, RecordingError)
    content = path.read_bytes()
    try:
        text = content[: content.rfind(b"\n") + 1].decode("utf-8")
        return cells.read_rows(text)
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"{path} cannot be read as a table: {error}. Was the file edited?") from None


def recorder_rows(folder: Path, table: str, decoder: str | None = None) -> list[dict[str, str]]:
    """Return the rows of a table of `RECORDER_TABLES` over all parts of a session, in order, each once.

    A recorder that was started again writes the row again that its predecessor's death has cut, and the marks that
    are still in memory.

    Raises
    ------
    RecordingError
        If a part that holds something lacks the table, or a row is not whole.
    """
    name = table_file(table, decoder)
    parts = Part.all_in(folder)
    files: list[list[dict[str, str]]] = []
    for part in parts:
        path = part.path(name)
        if path.is_file():
            files.append(_checked(read_rows(path), table, path))
        elif table != "markers" and not _died_at_once(part):  # a session without markers has none
            raise RecordingError(
                f"{path} is missing: part {part.number} of the session holds other rows or samples, so its recorder "
                f"had begun this table too. Put it back. Of {folder}, name the folder that `bci run` or `bci demo` "
                "printed."
            )
    return _each_once(files, table, folder)


def trial_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of ``trials.csv`` and of its successors' tables, each trial once; none where there was no engine.

    An engine that was started again calls the trial aborted that its predecessor had under way; where the predecessor
    had written what came of it, that stands.

    Raises
    ------
    RecordingError
        If a row is not whole.
    """
    numbers = {int(m[1] or 1): p for p in folder.iterdir() if (m := _TRIALS.fullmatch(p.name))}
    return _each_once([read_rows(numbers[number]) for number in sorted(numbers)], "trials", folder)


def experiment_rows(folder: Path, table: str) -> list[dict[str, str]]:
    """Return the rows of ``"controls"`` or ``"responses"`` over all parts, in order; none where nothing was written.

    Raises
    ------
    RecordingError
        If a file is no table.
    """
    rows: list[dict[str, str]] = []
    number = 1
    while (path := folder / f"{table}{f'-{number}' if number > 1 else ''}.csv").is_file():
        rows += read_rows(path)
        number += 1
    return rows


def _checked(rows: list[dict[str, str]], table: str, path: Path) -> list[dict[str, str]]:
    """Refuse a row whose columns of numbers hold something else; empty ones say nothing, as in older sessions."""
    columns = [(name, kind) for name, kind in NUMBERS[table].items() if rows and name in rows[0]]
    for line, row in enumerate(rows, 2):
        try:
            for name, kind in columns:
                if row[name]:
                    kind(row[name])
        except ValueError:
            raise RecordingError(
                f"{path}, row {line}: a whole row was expected, with a number in {name!r}; "
                f"{str(row.get(name))[:60]!r} came. Was the file edited?"
            ) from None
    return rows


def _each_once(files: Sequence[list[dict[str, str]]], table: str, folder: Path) -> list[dict[str, str]]:
    return list(_by_counter(files, table, folder) if table in COUNTERS else _by_content(files))


def _by_counter(files: Sequence[list[dict[str, str]]], table: str, folder: Path) -> Iterator[dict[str, str]]:
    known: set[int] = set()
    for row in (row for rows in files for row in rows):
        text = row.get(COUNTERS[table]) or ""
        if not text.isdecimal():
            raise RecordingError(
                f"{table}.csv of {folder}: a whole row with its count, {COUNTERS[table]!r}, was expected, {row} came. "
                "Was the file edited?"
            )
        if int(text) not in known:
            known.add(int(text))
            yield row


def _by_content(files: Sequence[list[dict[str, str]]]) -> Iterator[dict[str, str]]:
    """Yield rows that bear no count: what a file holds more often than every file before it is new."""
    most: Counter[tuple[str, ...]] = Counter()
    for rows in files:
        seen: Counter[tuple[str, ...]] = Counter()
        for row in rows:
            key = tuple(row.values())
            seen[key] += 1
            if seen[key] > most[key]:
                yield row
        most |= seen


def _died_at_once(part: Part) -> bool:
    """Whether a part's recorder was killed while it started: it left a recording that holds nothing, and no row."""
    if part.recorded in (None, part.recording):
        return False
    tables = [p for p in part.folder.glob("*.csv") if part_number(p.name) == part.number]
    sums = sums_path(part.recording)
    lines = read_sums(sums) if sums.is_file() else ()
    samples = any(isinstance(line, ChunkSum) and line.samples for line in lines)
    return not samples and not any(read_rows(path) for path in tables)
