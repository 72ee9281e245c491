"""Leftovers are segments of shared memory whose session was killed, with all its programs and what cleans up.

Every process that has a segment open holds a shared lock on it, which the kernel lets go of when the process ends,
however it ends. A segment of ours without any lock is therefore dead, whatever process numbers say, in another
container too. Only what is proven both ours, by its owner and its first word, and dead, by its lock, is removed.
"""

import contextlib
import json
import os
import stat
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bci.memory.segment import HEADER_WORDS, MAGIC, PLACE

if sys.platform != "win32":
    import fcntl


@dataclass(frozen=True)
class Leftover:
    """A Leftover is one dead segment: its name and its bytes, and the semaphores that its readers waited on."""

    name: str
    nbytes: int
    wakeups: tuple[str, ...]


def hold(name: str) -> int | None:
    """Show, for as long as this process lives or until the descriptor is closed, that a segment is in use.

    Returns
    -------
    int or None
        The descriptor; None where this system keeps shared memory elsewhere.
    """
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(PLACE / name, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def remove_leftovers(place: Path = PLACE) -> list[Leftover]:
    """Remove every dead segment of ours; return what was removed."""
    if sys.platform == "win32" or not place.is_dir():
        return []
    removed = []
    for path in sorted(place.iterdir()):
        with contextlib.suppress(OSError), _if_dead(path) as leftover:
            if leftover is not None:
                path.unlink()
                for wakeup in leftover.wakeups:
                    with contextlib.suppress(OSError):
                        (place / f"sem.{wakeup.lstrip('/')}").unlink()
                removed.append(leftover)
    return removed


@contextlib.contextmanager
def _if_dead(path: Path) -> Iterator[Leftover | None]:
    """Yield what a file is if it is ours and dead, None otherwise; no process can take it up meanwhile."""
    seen = path.lstat()
    if not stat.S_ISREG(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_size < HEADER_WORDS * 8:
        yield None
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield _read(path.name, descriptor)
    finally:
        os.close(descriptor)


def _read(name: str, descriptor: int) -> Leftover | None:
    magic, layout_bytes, _, _, readers = struct.unpack("5q", os.pread(descriptor, 40, 0))
    if magic != MAGIC:
        return None
    size = os.fstat(descriptor).st_size
    layout = os.pread(descriptor, min(layout_bytes, size), (HEADER_WORDS + readers) * 8)
    try:
        wakeups = tuple(str(wakeup) for wakeup in json.loads(layout)["wakeups"])
    except (ValueError, KeyError, TypeError):
        return None
    return Leftover(name, size, tuple(wakeup for wakeup in wakeups if "/" not in wakeup.lstrip("/")))
