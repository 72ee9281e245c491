"""Space is what is left on a disk, and for how long, at the rate at which it becomes less."""

import math
import os
import shutil
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import DiskError
from bci.signal.types import Signal

#: Bytes that must be free for a session to begin: a minute of anything, and its reports.
LEAST = 100e6

#: What a sample takes on the disk beside its values, bytes: its stamp; and what tables and checksums take in a second.
_STAMP, _ASIDE_PER_S = 9, 5e3

#: How far back the rate is measured, looks; and over how many seconds at least.
_LOOKS, _LEAST_S = 12, 4.0


class Space:
    """A Space is measured by looking now and then; what other programs write on the disk counts too.

    Parameters
    ----------
    folder : Path
        A folder on the disk.
    usage : callable, optional
        Returns ``total, used, free`` of a folder's disk, bytes; by default `shutil.disk_usage`.

    Attributes
    ----------
    free : int
        Bytes that are free; 0 before the first look.
    left_s : float
        Seconds until it is full; infinite while that cannot be known, or it does not become less.
    """

    def __init__(self, folder: Path, usage: Callable[[Path], Any] | None = None) -> None:
        self.free = 0
        self.left_s = math.inf
        self._folder, self._usage = folder, usage or shutil.disk_usage
        self._looks: deque[tuple[float, int, int]] = deque(maxlen=_LOOKS)

    def look(self, now: float, written: int) -> None:
        """Look at the disk, at a time in seconds at which so many bytes of ours have been written in all."""
        self.free = int(self._usage(self._folder).free)
        self._looks.append((now, written, self.free))
        since, before, free = self._looks[0]
        if now - since < _LEAST_S:
            return
        # A file system may set blocks apart ahead of time, or compress: the larger of the two rates is believed.
        rate = max(written - before, free - self.free) / (now - since)
        self.left_s = self.free / rate if rate > 0 else math.inf


def require_writable(folder: Path) -> Path:
    """Return the folder itself where it is there, or the one in which it can be made.

    Raises
    ------
    DiskError
        If that is no folder, or may not be written to.
    """
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        raise DiskError(
            f"expected a folder, or a place to make one, at {folder}; {there} is none. Name another with --out."
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise DiskError(
            f"{folder} cannot be written to: {there} does not permit it. Change its permissions, or name another "
            "folder with --out."
        )
    return there


def require_room(folder: Path, least: float = LEAST) -> int:
    """Return how many bytes are free where a folder is, or will be made.

    Raises
    ------
    DiskError
        If that is less than `least`, or nothing can be written there.
    """
    there = require_writable(folder)
    free = int(shutil.disk_usage(there).free)
    if free < least:
        raise DiskError(
            f"expected at least {size(least)} of free disk space for {folder}, came {size(free)}: what is recorded "
            "would be cut short. Free space, or name a folder on another disk with --out."
        )
    return free


def recorded_per_second(signal: Signal, speed: float = 1.0) -> float:
    """Return how many bytes a recording of a stream takes in a second; nothing of an irregular one's events.

    >>> recorded_per_second(Signal("eeg", 250.0, (64,)))
    71250.0
    """
    each = _STAMP + math.prod(signal.shape) * np.dtype(signal.dtype).itemsize
    return _ASIDE_PER_S + signal.rate * speed * each


def size(nbytes: float) -> str:
    """Return a number of bytes as a person reads it.

    >>> size(730e3), size(25.3e6), size(1.5e9), size(2.4e12)
    ('0.7 MB', '25 MB', '1.5 GB', '2.4 TB')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if nbytes >= factor or unit == "MB":
            figure = nbytes / factor
            return f"{figure:.0f} {unit}" if figure >= 9.5 else f"{figure:.1f} {unit}"
    raise AssertionError
