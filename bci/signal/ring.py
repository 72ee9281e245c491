"""A Ring carries samples from one writer to many readers, in shared memory or within one process.

A ring is a set of parallel columns (samples and their stamps, or an image, a latent and its provenance) with
one absolute count. Position ``count % capacity`` is written; the first `max_window` positions are mirrored
past the end, so any window of up to `max_window` samples is contiguous and can be read without a copy.

Two numbers keep reader and writer honest without a lock. The writer first publishes how far it *claims* the
ring, then writes, then publishes the *count*. A reader looks at the count, uses the samples, and afterwards
checks that the claim has not reached them; if it has, the read raises `Overrun` with what was lost.

A waiting reader publishes the count it waits for; the writer wakes it when that is reached and not before,
so a stream pushed sample by sample costs one wake-up per hop.
"""

import contextlib
import json
import math
import mmap
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker, shared_memory
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bci.errors import Overrun, RingError
from bci.signal.wakeup import Wakeup, new_wakeup

_MAGIC = 0x0242434952494E47  # "BCIRING", layout 2
_HEADER_WORDS = (
    10  # magic, layout length, capacity, max_window, readers, claimed, count, closed, vouched, odd
)
_CLAIMED, _COUNT, _CLOSED, _VOUCHED, _ODD = 5, 6, 7, 8, 9
_ALIGN = 64
_NOT_WAITING = -1

#: Every wait in the line ends within this many seconds.
LONGEST_WAIT = 0.1

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """One parallel array of a ring: element type and shape per sample."""

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


@dataclass(frozen=True, slots=True)
class RingHandle:
    """What a spawned program needs to attach: the segment's name and the readers' wake-ups."""

    name: str
    wakeups: tuple[Wakeup, ...]


def _full_barrier() -> Callable[[], None]:
    """Return what no load or store crosses, on any processor: a lock taken and given back, twice."""
    lock = threading.Lock()
    acquire, release = lock.acquire, lock.release

    def barrier() -> None:
        acquire()
        release()
        acquire()
        release()

    return barrier


def _no_barrier() -> None:
    """Do nothing: an x86 processor keeps loads in order, and stores, and only lets loads overtake stores."""


_ORDERED = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")


@contextlib.contextmanager
def _untracked() -> Iterator[None]:
    """Attach without telling the resource tracker, which on 3.11 and 3.12 would delete the segment at our exit."""
    register = resource_tracker.register
    resource_tracker.register = lambda name, rtype: None
    try:
        yield
    finally:
        resource_tracker.register = register


def _open_segment(name: str) -> shared_memory.SharedMemory:
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name, track=False)
    with _untracked():
        return shared_memory.SharedMemory(name)


def _map_pages(buffer: memoryview) -> None:
    """Look at every page once, before the run: the first look at each costs a page fault, some 0.5 µs."""
    np.frombuffer(buffer, np.uint8)[:: mmap.PAGESIZE].max()


def _check_free(nbytes: int) -> None:
    """Refuse what shared memory cannot hold: overrunning it is a SIGBUS, not an exception."""
    if not sys.platform.startswith("linux"):
        return
    import shutil

    with contextlib.suppress(FileNotFoundError):
        free = shutil.disk_usage("/dev/shm").free
        if nbytes > free:
            raise RingError(
                f"a ring needs {nbytes / 1e6:.0f} MB of shared memory and /dev/shm has {free / 1e6:.0f} MB left. "
                "Close other sessions, enlarge it (in a container: --shm-size=2g), or use a smaller buffer."
            )


class Ring:
    """One writer's columns, readable by many.

    Use `Ring.create` in the supervisor, `Ring.attach` elsewhere, `Ring.private` within one process.
    """

    def __init__(
        self,
        buffer: memoryview,
        segment: shared_memory.SharedMemory | None,
        owner: bool,
        wakeups: tuple[Wakeup, ...] = (),
    ) -> None:
        words = buffer[: _HEADER_WORDS * 8].cast("q")
        if words[0] != _MAGIC:
            raise RingError(f"shared memory {segment.name if segment else ''!r} is no ring of this version")
        layout_bytes, self.capacity, self.max_window, self.readers = (int(words[i]) for i in (1, 2, 3, 4))
        slots_end = (_HEADER_WORDS + self.readers) * 8
        layout = json.loads(bytes(buffer[slots_end : slots_end + layout_bytes]))
        self.columns = tuple(Column.of(n, _dtype_from_json(d), s) for n, d, s in layout)
        self._words = words
        self._slots = buffer[_HEADER_WORDS * 8 : slots_end].cast("q")
        self._segment = segment
        self._owner = owner
        self._wakeups = wakeups
        #: Between our word and the other side's: each writes its own, then reads the other.
        self._fence = _full_barrier()
        #: Between data and their count, which are only ever read or only ever written.
        self._order = _no_barrier if _ORDERED else self._fence
        self._arrays: dict[str, NDArray[Any]] = {}
        offset = _round_up(slots_end + layout_bytes)
        rows = self.capacity + self.max_window
        for column in self.columns:
            self._arrays[column.name] = np.ndarray((rows, *column.shape), column.dtype, buffer, offset)
            offset += _round_up(column.nbytes * rows)

    # -- making and finding rings ------------------------------------------------------------------------

    @classmethod
    def create(
        cls, name: str, columns: Sequence[Column], capacity: int, max_window: int, readers: int = 4
    ) -> Self:
        """Create the shared segment; its creator alone unlinks it.

        Parameters
        ----------
        name : str
            Name of the shared-memory segment, unique on this host.
        columns : sequence of Column
            What one sample consists of.
        capacity : int
            Samples that stay readable before the writer overtakes them.
        max_window : int
            Longest contiguous read or write, samples; at most `capacity`.
        readers : int
            How many readers can wait for samples at the same time.

        Raises
        ------
        RingError
            If a segment of that name exists or shared memory has no room for it.
        """
        nbytes, layout = _measure(columns, capacity, max_window, readers)
        _check_free(nbytes)
        try:
            segment = shared_memory.SharedMemory(name, create=True, size=nbytes)
        except FileExistsError:
            raise RingError(
                f"shared memory {name!r} exists already: another session of that name runs, or one was killed. "
                "Wait for it to end, or give this session another name."
            ) from None
        assert segment.buf is not None
        _lay_out(segment.buf, nbytes, layout, capacity, max_window, readers)
        return cls(segment.buf, segment, owner=True, wakeups=tuple(new_wakeup() for _ in range(readers)))

    @classmethod
    def private(cls, columns: Sequence[Column], capacity: int, max_window: int) -> Self:
        """Create a ring in this process's own memory."""
        nbytes, layout = _measure(columns, capacity, max_window, 0)
        buffer = memoryview(bytearray(nbytes))
        _lay_out(buffer, nbytes, layout, capacity, max_window, 0)
        return cls(buffer, None, owner=True)

    @classmethod
    def attach(cls, handle: RingHandle | str) -> Self:
        """Attach to a ring that another process created.

        By handle, reads can block until samples come; by name alone they can only look.

        Raises
        ------
        RingError
            If there is no such segment.
        """
        name, wakeups = (handle, ()) if isinstance(handle, str) else (handle.name, handle.wakeups)
        try:
            segment = _open_segment(name)
        except FileNotFoundError:
            raise RingError(
                f"no shared memory named {name!r}: its session has ended or never started"
            ) from None
        assert segment.buf is not None
        _map_pages(segment.buf)
        return cls(segment.buf, segment, owner=False, wakeups=wakeups)

    @property
    def handle(self) -> RingHandle:
        """What a program spawned now needs to attach."""
        if self._segment is None:
            raise RingError("a private ring cannot be handed to another process")
        return RingHandle(self._segment.name, self._wakeups)

    def close(self) -> None:
        """Let go of the memory; the creator also removes the segment. No view may be used afterwards."""
        self._arrays.clear()
        self._words.release()
        self._slots.release()
        if self._segment is not None:
            if self._owner:
                self._segment.unlink()
            self._segment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- writing -----------------------------------------------------------------------------------------

    def claim(self, n: int) -> dict[str, NDArray[Any]]:
        """Return the next `n` places of every column, contiguous, to be filled and then committed."""
        if not 0 < n <= self.max_window:
            raise ValueError(f"a claim is 1 to {self.max_window} samples, got {n}")
        count = self._words[_COUNT]
        self._words[_CLAIMED] = max(self._words[_CLAIMED], count + n)
        self._order()
        at = count % self.capacity
        return {name: array[at : at + n] for name, array in self._arrays.items()}

    def commit(self, n: int) -> int:
        """Publish the first `n` claimed places, wake whoever waited for them, return the new count."""
        count = self._words[_COUNT]
        at = count % self.capacity
        if at < self.max_window:
            upto = min(at + n, self.max_window)
            for array in self._arrays.values():
                array[at + self.capacity : upto + self.capacity] = array[at:upto]
        if at + n > self.capacity:
            over = at + n - self.capacity
            for array in self._arrays.values():
                array[:over] = array[self.capacity : self.capacity + over]
        self._order()
        count += n
        self._words[_COUNT] = count
        self._fence()
        self._wake(count)
        return count

    def write(self, **columns: Any) -> int:
        """Append samples, one array of equal length per column; return the new count."""
        n = len(next(iter(columns.values())))
        done = 0
        while done < n:
            step = min(n - done, self.max_window)
            places = self.claim(step)
            for name, place in places.items():
                place[:] = columns[name][done : done + step]
            self.commit(step)
            done += step
        return self.count

    def vouch(self, end: int, *, good: bool) -> None:
        """Say that samples up to `end`, since the last such word, were looked at, and whether all of them are good.

        What good means is the writer's and the readers' business. It may be said after `commit`, when the readers
        are waking up anyway; a reader that comes sooner looks for itself.
        """
        if not good:
            self._words[_ODD] = end
            self._order()
        self._words[_VOUCHED] = end

    def finish(self) -> None:
        """Say that no more samples will come, and wake every reader."""
        self._words[_CLOSED] = 1
        self._fence()
        self._wake(sys.maxsize)

    def _wake(self, count: int) -> None:
        slots = self._slots
        for i, wakeup in enumerate(self._wakeups):
            if _NOT_WAITING < slots[i] <= count:
                slots[i] = _NOT_WAITING
                wakeup.release()

    # -- reading -----------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Samples written since the start; never wraps."""
        return self._words[_COUNT]

    @property
    def oldest(self) -> int:
        """Absolute count of the oldest sample that can still be read."""
        return max(0, self._words[_CLAIMED] - self.capacity)

    @property
    def finished(self) -> bool:
        """Whether the writer has said that no more samples will come."""
        return bool(self._words[_CLOSED])

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(array.nbytes for array in self._arrays.values())

    def vouched(self, first: int, end: int) -> bool:
        """Return whether the writer has said that samples `first` to `end` are good; False when it has not yet."""
        if self._words[_VOUCHED] < end:
            return False
        self._order()
        return self._words[_ODD] <= first

    def next_target(self) -> int | None:
        """Return the lowest count that any reader waits for now, or None."""
        targets = [t for t in self._slots if t > _NOT_WAITING]
        return min(targets) if targets else None

    def wait(self, target: int, timeout: float = LONGEST_WAIT, slot: int = 0) -> bool:
        """Wait until `count` reaches `target`, the writer finishes, or `timeout` seconds have passed.

        Parameters
        ----------
        target : int
            Absolute count to wait for.
        timeout : float
            Seconds, real time.
        slot : int
            This reader's place among the ring's readers; no two readers share one.

        Returns
        -------
        bool
            Whether the count has reached the target.
        """
        if self.count >= target or self.finished:
            return self.count >= target
        words, slots, wakeup = self._words, self._slots, self._wakeups[slot]
        deadline = time.perf_counter() + timeout
        while True:
            slots[slot] = target
            self._fence()
            if words[_COUNT] >= target or words[_CLOSED]:
                break
            left = deadline - time.perf_counter()
            # Whoever wakes us has taken our target away: when it is reached there is nothing left to do.
            if left > 0 and wakeup.wait(left) and words[_COUNT] >= target:
                return True
            if left <= 0 or time.perf_counter() >= deadline:
                break
        slots[slot] = _NOT_WAITING
        return words[_COUNT] >= target

    def view(self, first: int, end: int) -> dict[str, NDArray[Any]]:
        """Return samples `first` to `end` of every column without copying; `check` after use.

        Raises
        ------
        Overrun
            If the writer has claimed any of them again.
        """
        place = self.locate(first, end)
        return {name: array[place] for name, array in self._arrays.items()}

    def array(self, name: str) -> NDArray[Any]:
        """Return the whole memory of a column, to be sliced by `locate`."""
        return self._arrays[name]

    def locate(self, first: int, end: int) -> slice:
        """Return where samples `first` to `end` lie in every column's `array`; `check` after use.

        Raises
        ------
        Overrun
            If the writer has claimed any of them again.
        """
        n = end - first
        if not 0 <= n <= self.max_window or end > self.count:
            raise ValueError(
                f"a read is at most {self.max_window} samples and ends by {self.count}; "
                f"asked for {first} to {end}"
            )
        self.check(first)
        at = first % self.capacity
        return slice(at, at + n)

    def holds(self, first: int) -> bool:
        """Return whether sample `first` and all after it are whole: neither overwritten nor being overwritten."""
        self._order()
        return first >= self.oldest

    def check(self, first: int) -> None:
        """Raise `Overrun` if sample `first` has been overwritten, or is being overwritten."""
        self._order()
        oldest = self.oldest
        if first < oldest:
            raise Overrun(
                f"the writer has overtaken this reader: {oldest - first} samples from {first} on are gone",
                first,
                oldest - first,
            )

    def read(self, first: int, end: int) -> dict[str, NDArray[Any]]:
        """Return copies of samples `first` to `end` of every column.

        Raises
        ------
        Overrun
            If any of them was overwritten before the copy was complete.
        """
        copies = {name: array.copy() for name, array in self.view(first, end).items()}
        self.check(first)
        return copies

    def read_into(self, first: int, out: Columns) -> int:
        """Copy samples from `first` on into `out`, one array per wanted column; return the end count.

        Raises
        ------
        Overrun
            If any of them was overwritten before the copy was complete; `out` is then meaningless.
        """
        n = len(next(iter(out.values())))
        places = self.view(first, first + n)
        for name, array in out.items():
            array[:] = places[name]
        self.check(first)
        return first + n


def _round_up(n: int) -> int:
    return -(-n // _ALIGN) * _ALIGN


def _dtype_to_json(dtype: np.dtype[Any]) -> Any:
    return dtype.descr if dtype.names else dtype.str


def _dtype_from_json(spec: Any) -> np.dtype[Any]:
    if isinstance(spec, str):
        return np.dtype(spec)
    fields = []
    for name, kind, *shape in spec:
        inner = _dtype_from_json(kind)
        fields.append((name, inner, tuple(shape[0])) if shape else (name, inner))
    return np.dtype(fields)


def _measure(columns: Sequence[Column], capacity: int, max_window: int, readers: int) -> tuple[int, bytes]:
    if not 0 < max_window <= capacity:
        raise ValueError(f"a ring needs 0 < max_window ≤ capacity, got {max_window} and {capacity}")
    layout = json.dumps([(c.name, _dtype_to_json(c.dtype), c.shape) for c in columns]).encode()
    nbytes = _round_up((_HEADER_WORDS + readers) * 8 + len(layout))
    nbytes += sum(_round_up(c.nbytes * (capacity + max_window)) for c in columns)
    return nbytes, layout


def _lay_out(
    buffer: memoryview, nbytes: int, layout: bytes, capacity: int, max_window: int, readers: int
) -> None:
    np.frombuffer(buffer, np.uint8, nbytes)[:] = (
        0  # touches every page: what is missing fails here, not later
    )
    words = buffer[: (_HEADER_WORDS + readers) * 8].cast("q")
    for i, word in enumerate((_MAGIC, len(layout), capacity, max_window, readers)):
        words[i] = word
    for i in range(readers):
        words[_HEADER_WORDS + i] = _NOT_WAITING
    at = (_HEADER_WORDS + readers) * 8
    buffer[at : at + len(layout)] = layout
    words.release()
