"""A Part is one recorder's share of a session's files; a recorder that is restarted begins another one."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from bci.io.files.checksums import ChunkSum, manifest_path, read_sums, sums_path
from bci.session.tables import rows_until

_RECORDING = "recording.xdf"
_TABLES = ("frames.csv", "shown.csv", "marks.csv")


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
    def next_in(cls, folder: Path) -> Self:
        """Return the first part of which nothing is there yet."""
        number = 1
        while cls(folder, number).begun:
            number += 1
        return cls(folder, number)

    def path(self, name: str) -> Path:
        """Return where a file of this part is.

        >>> Part(Path(), 1).path("frames.csv").name, Part(Path(), 2).path("frames.csv").name
        ('frames.csv', 'frames-2.csv')
        """
        stem, _, suffix = name.rpartition(".")
        return self.folder / (name if self.number == 1 else f"{stem}-{self.number}.{suffix}")

    @property
    def recording(self) -> Path:
        """Where its recording is when it is finished."""
        return self.path(_RECORDING)

    @cached_property
    def streams_before(self) -> dict[int, int]:
        """How far the parts before hold each stream of the recording, by its id: the count that comes next."""
        until: dict[int, int] = {}
        for part in self._before:
            sums = sums_path(part.recording)
            for line in read_sums(sums) if sums.is_file() else ():
                if isinstance(line, ChunkSum) and line.samples:
                    until[line.stream] = max(until.get(line.stream, 0), line.first + line.samples)
        return until

    def rows_before(self, table: str) -> int:
        """Return how far the parts before hold a table that counts its rows."""
        return max((rows_until(part.path(table)) for part in self._before), default=0)

    @property
    def _before(self) -> "list[Part]":
        return [Part(self.folder, number) for number in range(1, self.number)]

    @property
    def begun(self) -> bool:
        """Whether anything of it is there."""
        recording = self.recording
        partial = recording.with_name(recording.name + ".partial")
        files = (recording, partial, sums_path(recording), manifest_path(recording), *map(self.path, _TABLES))
        return any(path.exists() for path in files)
