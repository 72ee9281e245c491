"""Cut tables: whether a session's tables hold as many rows as its recording holds of the rig's own.

A recorder writes each reconstruction and each change of picture twice, as a row of ``frames.csv`` or ``shown.csv`` and
as a sample of the recording. Tables have no checksums, and a table that was cut in copying reads as a shorter session.
"""

from pathlib import Path

from bci.io.files.checksums import ChunkSum, HeaderCopy, read_sums, sums_path
from bci.io.files.xdf.content import Header
from bci.session.part import Part
from bci.session.rows import COUNTERS, read_rows
from bci.session.tables import table_file

#: By the source id of a stream of the recording, the table that holds the same.
_TABLES = {"bci-decisions": "frames", "bci-flips": "shown"}


def cut_tables(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the tables that lack rows, by their names in the first part: how many rows are there, of how many.

    Only parts whose recorder has finished are looked at: of one that was killed, the table may end earlier.

    Raises
    ------
    RecordingError
        If a table is no table.
    """
    expected: dict[str, set[int]] = {}
    held: dict[str, set[int]] = {}
    for part in Part.all_in(folder):
        if not part.recording.is_file():
            continue
        for table, numbers in _recorded(sums_path(part.recording)).items():
            expected.setdefault(table, set()).update(numbers)
    for table in expected:
        for part in Part.all_in(folder):
            held.setdefault(table, set()).update(_rows(part.path(table), COUNTERS[table.partition(".")[0]]))
    return {
        table: (len(numbers & held[table]), len(numbers))
        for table, numbers in expected.items()
        if numbers - held[table]
    }


def sentences(folder: Path) -> list[str]:
    """Return a sentence on each table that lacks rows."""
    return [
        f"{table} holds {there} of the {of} rows that the recording has samples for: it was cut. Copy it again from "
        "where it was recorded; what is computed from it leaves the others out."
        for table, (there, of) in cut_tables(folder).items()
    ]


def _recorded(sums: Path) -> dict[str, set[int]]:
    """Return the numbers of the rows that a recording has samples for, by the table that they belong in."""
    tables: dict[int, str] = {}
    numbers: dict[str, set[int]] = {}
    for line in read_sums(sums) if sums.is_file() else ():
        if isinstance(line, HeaderCopy):
            kind, _, decoder = Header.read(line.xml).source_id.partition(":")
            if kind in _TABLES:
                tables[line.stream] = table_file(_TABLES[kind], decoder or None)
        elif isinstance(line, ChunkSum) and line.samples and line.stream in tables:
            numbers.setdefault(tables[line.stream], set()).update(
                range(line.first, line.first + line.samples)
            )
    return numbers


def _rows(path: Path, counter: str) -> set[int]:
    if not path.is_file():
        return set()
    return {int(row[counter]) for row in read_rows(path) if (row.get(counter) or "").isdigit()}
