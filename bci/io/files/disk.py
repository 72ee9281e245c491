"""A DiskFile is a file that is only appended to: each piece is written whole, or not at all.

This process does not buffer it: appended pieces outlive the process, and synced ones outlive a power cut.
"""

import contextlib
import os
from pathlib import Path
from typing import Protocol


class DiskFile(Protocol):
    """A DiskFile is the file that a recording is written to; tests plant full and slow ones."""

    def append(self, piece: bytes | bytearray) -> None:
        """Write a piece at the end.

        Raises
        ------
        OSError
            If the piece could not be written whole; then no part of it remains in the file.
        """
        ...

    def sync(self) -> None:
        """Return when all appended pieces are on the disk."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class AppendFile:
    """An AppendFile is a `DiskFile` on the file system.

    Parameters
    ----------
    path : Path
        Path of the new file.

    Raises
    ------
    FileExistsError
        If the path exists already.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self._end = 0

    def append(self, piece: bytes | bytearray) -> None:
        """Write a piece at the end, whole or not at all."""
        remaining = memoryview(piece)
        try:
            while remaining:
                remaining = remaining[self._file.write(remaining) or 0 :]
        except OSError:
            # A full disk takes only a part of the piece: that part is removed again.
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
