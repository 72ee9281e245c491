"""A Stream is one signal's rings: its samples with their stamps, and beside them the marks about them.

`follow` turns a stream that is being written into the chunks that `windows()` and `epochs()` take, in order,
each sample once, never across a mark that starts a new segment.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from bci.errors import Overrun
from bci.memory.marks import CAPACITY, create_marks, mark_columns, read_marks, write_mark
from bci.memory.ring import Column, Ring, RingHandle
from bci.signal.types import MarkKind, Samples, Signal, Times, Window


@dataclass(frozen=True, slots=True)
class StreamHandle:
    """What a spawned program needs to open a stream."""

    signal: Signal
    samples: RingHandle
    marks: RingHandle


class Stream:
    """One signal in shared memory.

    Attributes
    ----------
    signal : Signal
        What the samples are.
    samples : Ring
        Columns ``samples`` (*signal.shape) and three stamps of each, float64: ``times`` (corrected and dejittered),
        ``raw`` (as sent) and ``arrived`` (when it was in our hands).
    marks : Ring
        Column ``mark``: records of `MARK_DTYPE`. A mark is written before the sample it concerns.
    """

    def __init__(self, signal: Signal, samples: Ring, marks: Ring) -> None:
        self.signal = signal
        self.samples = samples
        self.marks = marks

    @classmethod
    def create(cls, name: str, signal: Signal, seconds: float = 12.0, readers: int = 4) -> Self:
        """Create the rings of a stream.

        Parameters
        ----------
        name : str
            Prefix of the shared-memory names, unique on this host.
        signal : Signal
            What will be written.
        seconds : float
            How long a sample stays readable; a quarter of it is the longest chunk.
        readers : int
            How many programs can wait on it at once.
        """
        capacity = max(64, math.ceil(seconds * signal.rate)) if signal.rate else 4096
        samples = Ring.create(name, _columns(signal), capacity, max(16, capacity // 4), readers)
        try:
            marks = create_marks(name + "m", readers)
        except BaseException:
            samples.close()
            raise
        return cls(signal, samples, marks)

    @classmethod
    def private(cls, signal: Signal, seconds: float) -> Self:
        """Create the rings of a stream that is written and read in this process alone."""
        capacity = max(64, math.ceil(seconds * signal.rate))
        samples = Ring.private(_columns(signal), capacity, capacity // 4)
        return cls(signal, samples, Ring.private(mark_columns(), CAPACITY, CAPACITY // 4))

    @classmethod
    def attach(cls, handle: StreamHandle) -> Self:
        """Open a stream that the supervisor created."""
        return cls(handle.signal, Ring.attach(handle.samples), Ring.attach(handle.marks))

    @property
    def handle(self) -> StreamHandle:
        """What a program spawned now needs to open this stream."""
        return StreamHandle(self.signal, self.samples.handle, self.marks.handle)

    def mark(
        self,
        kind: MarkKind,
        first: int,
        *,
        count: int = 0,
        time: float = math.nan,
        value: float = math.nan,
        detail: str = "",
    ) -> None:
        """Write one mark; `first` is the count of the first sample after it."""
        write_mark(self.marks, kind, first, count=count, time=time, value=value, detail=detail)

    def arrived(self, count: int) -> float:
        """Return when sample `count` was in our hands; NaN when it has left the ring."""
        try:
            arrived = float(self.samples.view(count, count + 1)["arrived"][0])
            self.samples.check(count)
        except (Overrun, ValueError):
            return math.nan
        return arrived

    def close(self) -> None:
        """Let go of the rings."""
        self.samples.close()
        self.marks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _columns(signal: Signal) -> tuple[Column, ...]:
    stamps = (Column.of(name, "f8") for name in ("times", "raw", "arrived"))
    return Column.of("samples", signal.dtype, signal.shape), *stamps


class _Lender:
    """A stream's ring as its chunks and windows know it; see `bci.signal.types.Lender`."""

    def __init__(self, ring: Ring) -> None:
        self.longest = ring.max_window
        self.holds, self.vouched = ring.holds, ring.vouched
        self._capacity = ring.capacity
        self._samples, self._times = ring.array("samples"), ring.array("times")

    def lend(self, first: int, end: int) -> tuple[Samples, Times]:
        at = first % self._capacity
        to = at + end - first
        return self._samples[at:to], self._times[at:to]


@dataclass(frozen=True, slots=True)
class Grid:
    """The source counts at which windows end: ``start + k·step``, counted from the start of the stream.

    >>> Grid(start=100, step=10).after(100), Grid(100, 10).after(5), Grid(100, 10).after(109)
    (110, 100, 110)
    """

    start: int
    step: int

    def after(self, count: int) -> int:
        """Return the first grid point greater than `count`."""
        if count < self.start:
            return self.start
        return self.start + ((count - self.start) // self.step + 1) * self.step


def follow(
    stream: Stream,
    grid: Grid,
    tick: Callable[[], bool],
    on_overrun: Callable[[int, int], None],
    *,
    first: int = 0,
    reset: str = "start",
    slot: int = 0,
) -> Iterator[Window]:
    """Yield what is written to a stream, in order, each sample once.

    Waits for grid points, so a stream pushed sample by sample costs one wake-up per hop; hands on all that
    is there when it wakes. A chunk ends before a mark that starts a new segment, and the chunk after it says
    why in `reset`. A chunk's arrays are the ring's own memory, lent until the next chunk is asked for: see
    `Window.intact`. After an order to stop, what a writer that has finished left in the ring still comes.

    Parameters
    ----------
    stream : Stream
        What to follow.
    grid : Grid
        Counts worth waking up for.
    tick : callable
        Called after every wait (at most 0.1 s apart); False ends the iteration.
    on_overrun : callable
        Told (first, lost) when samples were overwritten before they were read; reading goes on behind them
        with a reset.
    first : int
        Absolute count to start at.
    reset : str
        Why a segment begins there.
    slot : int
        This reader's place among the stream's readers.
    """
    ring, signal = stream.samples, stream.signal
    size = ring.max_window
    lender = _Lender(ring)
    good = np.zeros((size, *signal.flag_shape), bool)
    breaks: list[tuple[int, str]] = []
    marks_read, at = 0, first
    while True:
        # Orders are looked for before the wait: between the sample that ends a window and the window lies nothing.
        if not tick() and not ring.finished:
            return
        ring.wait(grid.after(at), slot=slot)
        end = ring.count
        if end == at:
            if ring.finished:
                return
            continue
        if stream.marks.count != marks_read:
            new_marks, marks_read = read_marks(stream.marks, marks_read)
            breaks += [
                (int(m["first"]), MarkKind(int(m["kind"])).name.lower())
                for m in new_marks
                if MarkKind(int(m["kind"])).starts_segment and m["first"] >= at
            ]
        while at < end:
            while breaks and breaks[0][0] <= at:
                reset = breaks.pop(0)[1]
            upto = min(end, at + size, breaks[0][0] if breaks else end)
            try:
                ring.check(at)
                samples, times = lender.lend(at, upto)
                yield Window(
                    signal, at, samples, times, good[: upto - at], upto - 1, reset=reset, lender=lender
                )
                ring.check(at)
            except Overrun:
                # Resume with room to spare, or the writer would be upon us again at once.
                resume = min(end, ring.oldest + size // 2)
                on_overrun(at, resume - at)
                at, reset = resume, "overrun"
                continue
            at, reset = upto, ""
