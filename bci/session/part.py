"""A Part is one recorder's share of a session's files; a recorder that is restarted begins another one.

::

    recording.xdf     frames.csv     frames.alpha.csv     shown.csv     marks.csv       part 1
    recording-2.xdf   frames-2.csv   frames.alpha-2.csv   shown-2.csv   marks-2.csv     part 2

``frames.csv`` is the table of the only or first decoder, ``frames.alpha.csv`` that of another one, called ``alpha``
(see `bci.session.tables.table_file`). A file that is still called ``….partial`` is one whose recorder has not finished.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from bci.io.files.checksums import ChunkSum, read_sums, sums_path
from bci.session.tables import RECORDER_TABLES, rows_until

_RECORDING = "recording.xdf"

#: A file of a part, and its number where it is not the first.
_FILE = re.compile(
    r"(?:recording(?:-(?P<recording>\d+))?\.xdf(?:\.partial|\.sums|\.manifest\.json)?"
    rf"|(?:{'|'.join(RECORDER_TABLES)})(?:\.[a-z][a-z0-9_]*)?(?:-(?P<table>\d+))?\.csv)"
)


def numbered(name: str, number: int) -> str:
    """Return what a file is called in the part of a number.

    >>> numbered("frames.csv", 1), numbered("frames.csv", 2), numbered("frames.alpha.csv", 3)
    ('frames.csv', 'frames-2.csv', 'frames.alpha-3.csv')
    """
    stem, _, suffix = name.rpartition(".")
    return name if number == 1 else f"{stem}-{number}.{suffix}"


def part_number(name: str) -> int | None:
    """Return the number of the part that a file of a session belongs to; None for a file of no recorder.

    >>> [part_number(n) for n in ("marks.csv", "frames.alpha-2.csv", "recording-12.xdf.partial", "trials.csv")]
    [1, 2, 12, None]
    """
    match = _FILE.fullmatch(name)
    return None if match is None else int(match["recording"] or match["table"] or 1)


@dataclass(frozen=True)
class Part:
    """Names of files, and how far the parts before hold what is to be recorded.

    Attributes
    ----------
    folder : Path
        The session's.
    number : int
        1 for the first.
    """

    folder: Path
    number: int

    @classmethod
    def all_in(cls, folder: Path) -> list[Self]:
        """Return the parts that a session's recorders have begun, in order; none where there is no such folder."""
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        numbers = {number for name in names if (number := part_number(name)) is not None}
        return [cls(folder, number) for number in sorted(numbers)]

    @classmethod
    def next_in(cls, folder: Path) -> Self:
        """Return the part after the last of which anything is there."""
        begun = cls.all_in(folder)
        return cls(folder, begun[-1].number + 1 if begun else 1)

    def path(self, name: str) -> Path:
        """Return where a file of this part is, given its name in the first part."""
        return self.folder / numbered(name, self.number)

    @property
    def recording(self) -> Path:
        """Where its recording is when it is finished."""
        return self.path(_RECORDING)

    @property
    def recorded(self) -> Path | None:
        """Where its recording is now, finished or not; None where it has none."""
        final = self.recording
        partial = final.with_name(final.name + ".partial")
        return next((path for path in (final, partial) if path.exists()), None)

    @cached_property
    def streams_before(self) -> dict[int, int]:
        """How far the parts before hold each stream of the recording, by its id: the count that comes next."""
        until: dict[int, int] = {}
        for part in self.earlier:
            sums = sums_path(part.recording)
            for line in read_sums(sums) if sums.is_file() else ():
                if isinstance(line, ChunkSum) and line.samples:
                    until[line.stream] = max(until.get(line.stream, 0), line.first + line.samples)
        return until

    def rows_before(self, table: str) -> int:
        """Return how far the parts before hold a table that counts its rows, given the table's name in the first."""
        return max((rows_until(part.path(table)) for part in self.earlier), default=0)

    @property
    def earlier(self) -> "list[Part]":
        """The parts before this one."""
        return [part for part in Part.all_in(self.folder) if part.number < self.number]
