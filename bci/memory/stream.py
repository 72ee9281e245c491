"""A Stream is one signal's rings: its samples with their stamps, and beside them the marks about them.

`follow` turns a stream that is being written into the chunks that `windows()` and `epochs()` take, in order,
each sample once, never across a mark that starts a new segment.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from bci.errors import Overrun
from bci.memory.closing import Closing
from bci.memory.marks import CAPACITY, create_marks, mark_columns, read_marks, write_mark
from bci.memory.ring import Column, Ring, RingHandle
from bci.signal.types import MarkKind, Samples, Signal, Times, Window

#: The memory that the samples of one stream may take where nothing else is said, megabytes: 256 channels at 30 kHz fill
#: it in 13 s. A session's own default is smaller, see `bci.config.stream`.
BUFFER_MB = 512.0

#: Samples that are held at least, of a stream however slow; and fewer only where so many exceed the memory allowed.
_LEAST, _FEWEST = 64, 8
#: Seconds that are held whatever memory is allowed: a slow disk or a restarted program takes as long to come back.
_LEAST_S = 2.0
#: Samples of an irregular stream.
_IRREGULAR = 4096


@dataclass(frozen=True, slots=True)
class Capacity:
    """A Capacity states how much of a stream its ring holds.

    Attributes
    ----------
    samples : int
        Samples that stay readable.
    longest : int
        The longest chunk that is written or read in one piece, samples.
    nbytes : int
        Bytes that samples and stamps take.
    seconds : float
        How long a sample stays readable; infinite when the stream is irregular.
    wanted : int
        Samples that would stay readable, had memory been no matter.
    """

    samples: int
    longest: int
    nbytes: int
    seconds: float
    wanted: int

    @property
    def shortened(self) -> bool:
        """Whether less is held than was wanted, for the memory that it would take."""
        return self.samples < self.wanted

    def __str__(self) -> str:
        lasting = f", {self.seconds:.3g} s," if math.isfinite(self.seconds) else ""
        words = f"{self.samples} samples{lasting} in {self.nbytes / 1e6:.3g} MB"
        if self.shortened:
            words += f"; the {self.wanted} wanted would take more memory than is allowed"
        return words

    def facts(self) -> dict[str, float | int | bool | None]:
        """Return it for machines: ``samples``, ``seconds`` (None when irregular), ``megabytes``, ``shortened``."""
        return {
            "samples": self.samples,
            "seconds": self.seconds if math.isfinite(self.seconds) else None,
            "megabytes": self.nbytes / 1e6,
            "shortened": self.shortened,
        }


def plan_capacity(signal: Signal, seconds: float, megabytes: float = BUFFER_MB, needed: int = 0) -> Capacity:
    """Return how much of a stream to hold.

    Parameters
    ----------
    signal : Signal
        What will be written.
    seconds : float
        How long a sample shall stay readable; at least 64 samples are held.
    megabytes : float
        The memory that samples and stamps may take. What would take more is shortened, but never below 2 s, 8 samples
        and `needed`; that much is held whatever it takes.
    needed : int
        Samples without which a reader cannot work: the longest window and its hop.
    """
    each = sum(column.nbytes for column in _columns(signal))
    wanted = max(_LEAST, math.ceil(seconds * signal.rate)) if signal.rate else _IRREGULAR

    def take(capacity: int) -> int:
        return each * (capacity + max(1, capacity // 4))

    samples = wanted
    if take(wanted) > megabytes * 1e6:
        least = max(_FEWEST, needed, math.ceil(_LEAST_S * signal.rate))
        samples = min(wanted, max(least, int(megabytes * 1e6 / each / 1.25)))
    return Capacity(
        samples=samples,
        longest=max(1, samples // 4),
        nbytes=take(samples),
        seconds=samples / signal.rate if signal.rate else math.inf,
        wanted=wanted,
    )


@dataclass(frozen=True, slots=True)
class StreamHandle:
    """A StreamHandle lets a spawned program open a stream."""

    signal: Signal
    samples: RingHandle
    marks: RingHandle


class Stream(Closing):
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
    def create(
        cls,
        name: str,
        signal: Signal,
        seconds: float = 12.0,
        readers: int = 4,
        *,
        capacity: Capacity | None = None,
    ) -> Self:
        """Create the rings of a stream.

        Parameters
        ----------
        name : str
            Prefix of the shared-memory names, unique on this host.
        signal : Signal
            What will be written.
        seconds : float
            How long a sample stays readable, in the memory allowed by default; see `plan_capacity`.
        readers : int
            How many programs can wait on it at once.
        capacity : Capacity, optional
            How much is held, where that is planned already.
        """
        capacity = capacity or plan_capacity(signal, seconds)
        samples = Ring.create(name, _columns(signal), capacity.samples, capacity.longest, readers)
        try:
            marks = create_marks(marks_of(name), readers)
        except BaseException:
            samples.close()
            raise
        return cls(signal, samples, marks)

    @classmethod
    def private(cls, signal: Signal, seconds: float) -> Self:
        """Create the rings of a stream that is written and read in this process alone."""
        capacity = plan_capacity(signal, seconds)
        samples = Ring.private(_columns(signal), capacity.samples, capacity.longest)
        return cls(signal, samples, Ring.private(mark_columns(), CAPACITY, CAPACITY // 4))

    @classmethod
    def attach(cls, handle: StreamHandle) -> Self:
        """Open a stream that the supervisor created."""
        return cls(handle.signal, Ring.attach(handle.samples), Ring.attach(handle.marks))

    @classmethod
    def look(cls, name: str, signal: Signal) -> Self:
        """Open a stream that another process created as `name`, to look at and for nothing else; see `Ring.look`."""
        samples = Ring.look(name)
        try:
            return cls(signal, samples, Ring.look(marks_of(name)))
        except BaseException:
            samples.close()
            raise

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


def marks_of(name: str) -> str:
    """Return what the ring of marks beside a stream's samples is called in shared memory."""
    return name + "m"


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
    foresee: Callable[[Window], None] = lambda chunk: None,
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
    foresee : callable
        Given the chunk that is waited for before its samples have come: what can be made ready by then, comes sooner.
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
        # The chunk that is waited for is made before it comes, too.
        target, ahead = grid.after(at), None
        if not breaks and target - at <= size:
            samples, times = lender.lend(at, target)
            ahead = Window(
                signal, at, samples, times, good[: target - at], target - 1, reset=reset, lender=lender
            )
            foresee(ahead)
        ring.wait(target, slot=slot)
        end = ring.count
        if ahead is not None and end == target and stream.marks.count == marks_read and ring.holds(at):
            yield ahead
            if ring.holds(at):
                at, reset = end, ""
                continue
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
