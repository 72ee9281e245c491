"""Scratch is what a program writes for itself alone: files without a name, in memory where the system has such files.

A disk that is full leaves no room for temporary files either, and must not end a command that writes nothing.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bci.errors import DiskError


def scratch_file() -> IO[bytes]:
    """Return an empty file that is gone when it is closed, to read and to write.

    Raises
    ------
    DiskError
        If there is no place for it.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("bci"), "w+b")
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise _no_room(error) from None


def make_scratch_folder(prefix: str) -> Path:
    """Make a folder where temporary files lie, and return it; the caller removes it.

    Raises
    ------
    DiskError
        If there is no place for it.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        raise _no_room(error) from None


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Give a folder where temporary files lie, until the block ends.

    Raises
    ------
    DiskError
        If there is no place for it.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=prefix)
    except OSError as error:
        raise _no_room(error) from None
    with folder as name:
        yield Path(name)


def _no_room(error: OSError) -> DiskError:
    return DiskError(
        f"no temporary file can be written: {error.strerror or error}. Free space, or name another folder by TMPDIR."
    )
