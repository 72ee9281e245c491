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

import json
import os
import platform
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import shared_memory
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import Overrun, RingError
from bci.memory.closing import Closing
from bci.memory.hot import address, compiled
from bci.memory.leftovers import hold
from bci.memory.segment import (
    CLAIMED,
    CLOSED,
    COUNT,
    HEADER_WORDS,
    MAGIC,
    NOT_WAITING,
    ODD,
    VOUCHED,
    Column,
    SeenSegment,
    check_free,
    dtype_from_json,
    lay_out,
    map_pages,
    measure,
    open_segment,
    round_up,
    see_segment,
)
from bci.memory.wakeup import Wakeup, new_wakeup

__all__ = ["LONGEST_WAIT", "Column", "Columns", "Ring", "RingHandle"]

#: Every wait in the line ends within this many seconds.
LONGEST_WAIT = 0.1

Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class RingHandle:
    """A RingHandle lets a spawned program attach to a ring: the segment's name and the readers' wake-ups."""

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


class Ring(Closing):
    """One writer's columns, readable by many.

    Use `Ring.create` in the supervisor, `Ring.attach` elsewhere, `Ring.private` within one process.
    """

    def __init__(
        self,
        buffer: memoryview,
        segment: shared_memory.SharedMemory | SeenSegment | None,
        owner: bool,
        wakeups: tuple[Wakeup, ...] = (),
        held: int | None = None,
    ) -> None:
        words = buffer[: HEADER_WORDS * 8].cast("q")
        if words[0] != MAGIC:
            raise RingError(f"shared memory {segment.name if segment else ''!r} is no ring of this version")
        layout_bytes, self.capacity, self.max_window, self.readers = (int(words[i]) for i in (1, 2, 3, 4))
        slots_end = (HEADER_WORDS + self.readers) * 8
        layout = json.loads(bytes(buffer[slots_end : slots_end + layout_bytes]))
        self.columns = tuple(Column.of(n, dtype_from_json(d), s) for n, d, s in layout["columns"])
        self._words = words
        self._slots = buffer[HEADER_WORDS * 8 : slots_end].cast("q")
        self._segment = segment
        self._owner, self._held = owner, held
        self._wakeups = wakeups
        #: Between our word and the other side's: each writes its own, then reads the other.
        self._fence = _full_barrier()
        #: Between data and their count, which are only ever read or only ever written.
        self._order = _no_barrier if _ORDERED else self._fence
        self._semaphores = tuple(wakeup.handle for wakeup in wakeups)
        library = compiled()
        self._compiled_wait = None if library is None or 0 in self._semaphores else library.wait
        self._words_at = self._slots_at = 0
        if self._compiled_wait is not None and self._semaphores:
            self._words_at, self._slots_at = self.addresses()
        self._arrays: dict[str, NDArray[Any]] = {}
        offset = round_up(slots_end + layout_bytes)
        rows = self.capacity + self.max_window
        for column in self.columns:
            self._arrays[column.name] = np.ndarray((rows, *column.shape), column.dtype, buffer, offset)
            offset += round_up(column.nbytes * rows)

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
        wakeups = tuple(new_wakeup() for _ in range(readers))
        names = [wakeup.name for wakeup in wakeups if wakeup.name]
        nbytes, layout = measure(columns, capacity, max_window, readers, names)
        check_free(nbytes)
        try:
            segment = shared_memory.SharedMemory(name, create=True, size=nbytes)
        except FileExistsError:
            raise RingError(
                f"shared memory {name!r} exists already: another session of that name runs, or one was killed. "
                "Wait for it to end, or give this session another name."
            ) from None
        assert segment.buf is not None
        # Before it bears the sign of ours: a segment that bears it and that no process holds is a dead session's.
        held = hold(name)
        lay_out(segment.buf, nbytes, layout, capacity, max_window, readers)
        return cls(segment.buf, segment, owner=True, wakeups=wakeups, held=held)

    @classmethod
    def private(cls, columns: Sequence[Column], capacity: int, max_window: int) -> Self:
        """Create a ring in this process's own memory."""
        nbytes, layout = measure(columns, capacity, max_window, 0)
        buffer = memoryview(bytearray(nbytes))
        lay_out(buffer, nbytes, layout, capacity, max_window, 0)
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
            segment = open_segment(name)
        except FileNotFoundError:
            raise RingError(
                f"no shared memory named {name!r}: its session has ended or never started"
            ) from None
        assert segment.buf is not None
        map_pages(segment.buf)
        return cls(segment.buf, segment, owner=False, wakeups=wakeups, held=hold(name))

    @classmethod
    def look(cls, name: str) -> Self:
        """Open a ring that another process created, to look at and for nothing else.

        Its memory is mapped read-only, so no fault of a program that looks can reach the writer. It cannot wait.

        Raises
        ------
        RingError
            If there is no such segment.
        """
        try:
            segment = see_segment(name)
        except (FileNotFoundError, ValueError):  # an empty segment is one that is being made, or removed
            raise RingError(
                f"no shared memory named {name!r}: its session has ended or never started"
            ) from None
        assert segment.buf is not None
        return cls(segment.buf, segment, owner=False, held=hold(name))

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
        if self._held is not None:
            os.close(self._held)
            self._held = None

    # -- writing -----------------------------------------------------------------------------------------

    def claim(self, n: int) -> dict[str, NDArray[Any]]:
        """Return the next `n` places of every column, contiguous, to be filled and then committed."""
        if not 0 < n <= self.max_window:
            raise ValueError(f"a claim is 1 to {self.max_window} samples, got {n}")
        count = self._words[COUNT]
        self._words[CLAIMED] = max(self._words[CLAIMED], count + n)
        self._order()
        at = count % self.capacity
        return {name: array[at : at + n] for name, array in self._arrays.items()}

    def commit(self, n: int) -> int:
        """Publish the first `n` claimed places, wake the readers that waited for them, return the new count."""
        count = self._words[COUNT]
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
        self._words[COUNT] = count
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
            self._words[ODD] = end
            self._order()
        self._words[VOUCHED] = end

    def finish(self) -> None:
        """Say that no more samples will come, and wake every reader."""
        self._words[CLOSED] = 1
        self._fence()
        self._wake(sys.maxsize)

    def _wake(self, count: int) -> None:
        slots = self._slots
        for i, wakeup in enumerate(self._wakeups):
            if NOT_WAITING < slots[i] <= count:
                slots[i] = NOT_WAITING
                wakeup.release()

    # -- reading -----------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Samples written since the start; never wraps."""
        return self._words[COUNT]

    @property
    def oldest(self) -> int:
        """Absolute count of the oldest sample that can still be read."""
        return max(0, self._words[CLAIMED] - self.capacity)

    @property
    def finished(self) -> bool:
        """Whether the writer has said that no more samples will come."""
        return bool(self._words[CLOSED])

    @property
    def semaphores(self) -> tuple[int, ...]:
        """Where compiled code finds the wake-up of each reader that can wait; 0 where it cannot use it."""
        return self._semaphores if len(self._semaphores) == self.readers else (0,)

    def addresses(self) -> tuple[int, int]:
        """Return where the header's words and the readers' slots lie in this process, for compiled code."""
        return address(self._words), address(self._slots) if self.readers else 0

    @property
    def nbytes(self) -> int:
        """Bytes of all columns."""
        return sum(array.nbytes for array in self._arrays.values())

    def vouched(self, first: int, end: int) -> bool:
        """Return whether the writer has said that samples `first` to `end` are good; False when it has not yet."""
        if self._words[VOUCHED] < end:
            return False
        self._order()
        return self._words[ODD] <= first

    def next_target(self) -> int | None:
        """Return the lowest count that any reader waits for now, or None."""
        targets = [t for t in self._slots if t > NOT_WAITING]
        return min(targets) if targets else None

    def wait(self, target: int, timeout: float = LONGEST_WAIT, slot: int = 0) -> bool:
        """Wait until `count` reaches `target`, the writer finishes, or `timeout` seconds have passed.

        Parameters
        ----------
        target : int
            Absolute count to wait for.
        timeout : float
            Seconds that the operating system may block this process for: real ones, whatever a session clock
            shows.
        slot : int
            This reader's place among the ring's readers; no two readers share one.

        Returns
        -------
        bool
            Whether the count has reached the target.
        """
        if self.count >= target or self.finished:
            return self.count >= target
        if self._compiled_wait is not None:
            return self._compiled_wait(
                self._words_at, self._slots_at + 8 * slot, self._semaphores[slot], target, timeout
            )
        words, slots, wakeup = self._words, self._slots, self._wakeups[slot]
        while True:
            slots[slot] = target
            self._fence()
            if words[COUNT] >= target or words[CLOSED]:
                break
            if not wakeup.wait(timeout):
                break
            # The writer that wakes a reader has taken its target away: when it is reached, nothing is left to do.
            if words[COUNT] >= target:
                return True
            # A release for an earlier wait, or for a predecessor: it lay ready, so no time has passed.
        slots[slot] = NOT_WAITING
        return words[COUNT] >= target

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
