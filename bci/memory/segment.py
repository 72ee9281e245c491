"""A segment is memory laid out for a ring: a header of integers, the readers' slots, the layout as JSON, the columns.

In shared memory it belongs to the process that created it, which alone unlinks it; a segment that does not fit is
refused before its memory is touched.
"""

import contextlib
import json
import math
import mmap
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from bci.errors import RingError

MAGIC = 0x0342434952494E47  # "BCIRING", layout 3
HEADER_WORDS = 10  # magic, layout length, capacity, max_window, readers, claimed, count, closed, vouched, odd
CLAIMED, COUNT, CLOSED, VOUCHED, ODD = 5, 6, 7, 8, 9
ALIGN = 64

#: Where Linux keeps shared memory, as files. Elsewhere there is no list of it, or it goes with its last process.
PLACE = Path("/dev/shm")
NOT_WAITING = -1


@dataclass(frozen=True, slots=True)
class Column:
    """A Column describes one array of a ring: element type and shape per sample."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()

    @classmethod
    def of(cls, name: str, dtype: DTypeLike, shape: Sequence[int] = ()) -> Self:
        """Build a column from anything NumPy takes as a dtype."""
        return cls(name, np.dtype(dtype), tuple(int(n) for n in shape))

    @property
    def nbytes(self) -> int:
        """Bytes of one sample."""
        return self.dtype.itemsize * math.prod(self.shape)


@contextlib.contextmanager
def _untracked() -> Iterator[None]:
    """Attach without the resource tracker, which on 3.11 and 3.12 would delete the segment when this process exits."""
    register = resource_tracker.register
    resource_tracker.register = lambda name, rtype: None
    try:
        yield
    finally:
        resource_tracker.register = register


def open_segment(name: str) -> shared_memory.SharedMemory:
    """Open the shared memory that another process created, and will unlink."""
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name, track=False)
    with _untracked():
        return shared_memory.SharedMemory(name)


class SeenSegment:
    """A SeenSegment is shared memory that can be read and not written: what is done with it cannot reach its writer.

    Attributes
    ----------
    name : str
        As its creator called it.
    buf : memoryview
        Its bytes, read-only.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        with (PLACE / name).open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.buf: memoryview | None = memoryview(self._map)

    def close(self) -> None:
        """Let go of it."""
        if self.buf is not None:
            self.buf.release()
            self.buf = None
            self._map.close()

    def unlink(self) -> None:
        """Refuse: its creator alone unlinks it."""
        raise RingError(f"shared memory {self.name!r} is only looked at here; its creator removes it")


def see_segment(name: str) -> SeenSegment | shared_memory.SharedMemory:
    """Open shared memory for reading alone; for writing too where this system keeps it elsewhere than in files."""
    return SeenSegment(name) if PLACE.is_dir() else open_segment(name)


def map_pages(buffer: memoryview) -> None:
    """Read every page once, before the run: the first access to each costs a page fault, some 0.5 µs."""
    np.frombuffer(buffer, np.uint8)[:: mmap.PAGESIZE].max()


def free_bytes() -> float:
    """Return how much shared memory is free; infinite where the system does not say."""
    if not sys.platform.startswith("linux"):
        return math.inf
    import shutil

    with contextlib.suppress(FileNotFoundError):
        return float(shutil.disk_usage("/dev/shm").free)
    return math.inf


def check_free(nbytes: int) -> None:
    """Refuse a segment that shared memory cannot hold: overrunning it is a SIGBUS, not an exception."""
    free = free_bytes()
    if nbytes > free:
        raise RingError(
            f"a ring needs {nbytes / 1e6:.0f} MB of shared memory and /dev/shm has {free / 1e6:.0f} MB left. "
            "Close other sessions, enlarge it (in a container: --shm-size=2g), or use a smaller buffer."
        )


def round_up(n: int) -> int:
    """Return the next multiple of the alignment."""
    return -(-n // ALIGN) * ALIGN


def dtype_to_json(dtype: np.dtype[Any]) -> Any:
    """Return an element type as JSON holds it."""
    return dtype.descr if dtype.names else dtype.str


def dtype_from_json(spec: Any) -> np.dtype[Any]:
    """Return the element type that `dtype_to_json` wrote."""
    if isinstance(spec, str):
        return np.dtype(spec)
    fields = []
    for name, kind, *shape in spec:
        inner = dtype_from_json(kind)
        fields.append((name, inner, tuple(shape[0])) if shape else (name, inner))
    return np.dtype(fields)


def measure(
    columns: Sequence[Column], capacity: int, max_window: int, readers: int, wakeups: Sequence[str] = ()
) -> tuple[int, bytes]:
    """Return the bytes that a segment needs, and its layout as JSON, which names the readers' semaphores."""
    if not 0 < max_window <= capacity:
        raise ValueError(f"a ring needs 0 < max_window ≤ capacity, got {max_window} and {capacity}")
    described = [(c.name, dtype_to_json(c.dtype), c.shape) for c in columns]
    layout = json.dumps({"columns": described, "wakeups": list(wakeups)}).encode()
    nbytes = round_up((HEADER_WORDS + readers) * 8 + len(layout))
    nbytes += sum(round_up(c.nbytes * (capacity + max_window)) for c in columns)
    return nbytes, layout


def lay_out(
    buffer: memoryview, nbytes: int, layout: bytes, capacity: int, max_window: int, readers: int
) -> None:
    """Write header and layout into a new segment, with all counts zero and no reader waiting."""
    np.frombuffer(buffer, np.uint8, nbytes)[:] = (
        0  # touches every page: what is missing fails here, not later
    )
    words = buffer[: (HEADER_WORDS + readers) * 8].cast("q")
    for i, word in enumerate((MAGIC, len(layout), capacity, max_window, readers)):
        words[i] = word
    for i in range(readers):
        words[HEADER_WORDS + i] = NOT_WAITING
    at = (HEADER_WORDS + readers) * 8
    buffer[at : at + len(layout)] = layout
    words.release()
