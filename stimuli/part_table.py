"""A PartTable is a table of the session's folder that an engine writes; one that is restarted begins another part.

``trials.csv``, ``trials-2.csv`` and so on: together they are one table, whose last row may have been cut in each part,
where an engine was killed while it wrote.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bci.io.files.cells import read_rows, write_rows
from bci.io.files.disk import AppendFile


class PartTable:
    """The part of a table that one engine writes.

    Parameters
    ----------
    folder : Path
        The session's.
    name : str
        The table's.
    fields : sequence of str
        Names of its columns.
    """

    def __init__(self, folder: Path, name: str, fields: Sequence[str]) -> None:
        number = 1
        while _path(folder, name, number).exists():
            number += 1
        self._file = AppendFile(_path(folder, name, number))
        self.append([fields])

    def append(self, rows: Iterable[Sequence[Any]], *, sync: bool = True) -> None:
        """Append rows, which are on the disk on return where `sync` says so."""
        text = io.StringIO(newline="")
        write_rows(text, rows)
        self._file.append(text.getvalue().encode())
        if sync:
            self._file.sync()

    def close(self) -> None:
        """Bring everything to the disk and close the file."""
        self._file.sync()
        self._file.close()


def read_parts(folder: Path, name: str) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a table over all its parts, every cell as the text that was written."""
    number = 1
    while (path := _path(folder, name, number)).exists():
        # Line ends as they were written.
        text = path.read_bytes().decode()
        yield from read_rows(text[: text.rfind("\n") + 1])
        number += 1


def _path(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}{f'-{number}' if number > 1 else ''}.csv"
