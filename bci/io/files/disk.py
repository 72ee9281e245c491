"""A DiskFile is a file that is only ever appended to: a piece is in it whole, or not at all.

It is not buffered in this process: what has been written outlives the process, and what has been synced
outlives a power cut.
"""

import contextlib
import os
from pathlib import Path
from typing import Protocol


class DiskFile(Protocol):
    """What a recording is written to; tests plant full and slow ones."""

    def append(self, piece: bytes | bytearray) -> None:
        """Write a piece at the end.

        Raises
        ------
        OSError
            If it could not be written whole; then nothing of it is left in the file.
        """
        ...

    def sync(self) -> None:
        """Return when all that was appended is on the disk."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class AppendFile:
    """A `DiskFile` on the file system.

    Parameters
    ----------
    path : Path
        Where; there must be nothing yet.

    Raises
    ------
    FileExistsError
        If there is something.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self._end = 0

    def append(self, piece: bytes | bytearray) -> None:
        """Write a piece at the end, whole or not at all."""
        left = memoryview(piece)
        try:
            while left:
                left = left[self._file.write(left) or 0 :]
        except OSError:
            # A full disk takes a part of the piece: what cannot be finished is taken back.
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
                self._file.seek(self._end)
            raise
        self._end += len(piece)

    def sync(self) -> None:
        """Return when all that was appended is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def sync_folder(folder: Path) -> None:
    """Make new names and renames in a folder last through a power cut, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
