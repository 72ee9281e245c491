"""windows() cuts a signal into windows on a fixed grid, by the same code live and offline.

Windows end at output counts ``length + k * hop``, counted from the start of the stream, whatever the chunks,
the resets, or how late the reader is. No window holds samples from before a reset.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from bci.errors import ConfigError
from bci.signal.pipeline import Pipeline
from bci.signal.types import Flags, Lender, Samples, Signal, Times, Window


class _History:
    """A _History holds the newest outputs, each window contiguous: positions up to `longest` are written twice.

    It is a ring in this process's own memory, without what sharing costs.
    """

    def __init__(self, signal: Signal, capacity: int, longest: int) -> None:
        rows = capacity + longest
        self.count = 0
        self.capacity = capacity
        self._longest = longest
        self._samples = np.zeros((rows, *signal.shape), signal.dtype)
        self._times = np.zeros(rows)
        self._bad = np.zeros((rows, *signal.flag_shape), bool)
        self._spotless_from = 0  # before this count, flags are written out; from it on all places are clear

    def write(self, samples: Samples, times: Times, bad: Flags | None) -> None:
        """Append at most `longest` outputs; None for `bad` says that all may be trusted."""
        n, at = len(samples), self.count % self.capacity
        self._put(self._samples, at, samples)
        self._put(self._times, at, times)
        self.count += n
        if bad is not None:
            self._spotless_from = self.count + self.capacity
            self._put(self._bad, at, bad)
        elif self.count - n < self._spotless_from:
            self._put(self._bad, at, np.zeros((n, *self._bad.shape[1:]), bool))

    def spoil(self) -> None:
        """Flag everything written so far."""
        self._spotless_from = self.count + self.capacity
        self._bad[:] = True

    def _put(self, array: Samples, at: int, values: Samples) -> None:
        end = at + len(values)
        array[at:end] = values
        if at < self._longest:
            upto = min(end, self._longest)
            array[at + self.capacity : upto + self.capacity] = array[at:upto]
        if end > self.capacity:
            array[: end - self.capacity] = array[self.capacity : end]

    def view(self, end: int, length: int) -> tuple[Samples, Times, Flags]:
        """Return the `length` outputs before count `end`."""
        at = (end - length) % self.capacity
        to = at + length
        return self._samples[at:to], self._times[at:to], self._bad[at:to]


class Windows:
    """Windows cuts windows and holds the state of that: a running pipeline and the outputs that the next window needs.

    Parameters
    ----------
    signal : Signal
        Signal of the chunks.
    pipeline : Pipeline
        Steps that the chunks pass first.
    length, hop : int
        In output samples of the pipeline.
    newest : bool
        Of the windows that one chunk completes, give the newest and count the others.
    copy : bool
        Whether windows own their samples; otherwise they are valid until the next one is asked for, and where the
        pipeline has no steps and the chunks are lent by a ring, the windows are lent by it too: see `Window.intact`.

    Attributes
    ----------
    windows, yielded, skipped : int
        Windows of the grid that could be formed, given out, and passed over; ``windows = yielded + skipped``.
    source_start, source_step : int
        Source counts at which windows end: ``source_start + k * source_step``.
    """

    def __init__(
        self,
        signal: Signal,
        pipeline: Pipeline,
        *,
        length: int,
        hop: int,
        newest: bool = False,
        copy: bool = True,
    ) -> None:
        if length < 1 or hop < 1:
            raise ValueError(f"a window has a length and a hop of at least 1 sample, got {length} and {hop}")
        self.pipeline = pipeline.start(signal)
        if self.pipeline.hears_events:
            raise ConfigError(
                "a step of this pipeline is told of events, and sliding windows have none: cut epochs"
            )
        self.length, self.hop = length, hop
        self.source_start = length * self.pipeline.ratio
        self.source_step = hop * self.pipeline.ratio
        self.windows = self.yielded = self.skipped = 0
        self._newest, self._copy = newest, copy
        self._passed = 0  # skipped since the last window given out
        # Room for a window and as much again to write before it is overwritten.
        self._history = _History(self.pipeline.output, 2 * (length + hop), length + hop)
        self._shift = 0  # output count of the history's sample 0
        self._segment = 0  # first output sample since the last reset
        #: Whether this segment's windows are still all in the ring, and none in the history.
        self._lent = False
        self._foreseen: tuple[Window, Window] | None = None  # a chunk, and the window that it completes
        self._clear = np.zeros((length, *self.pipeline.output.flag_shape), bool)

    def foresee(self, chunk: Window) -> None:
        """Make the window that a chunk will complete before its samples have come, where both are lent by a ring.

        `push` gives it, if the chunk is then pushed and nothing but its samples is new.
        """
        self._foreseen = None
        ends = self._ends(chunk.first, chunk.end) if self._lent and not chunk.reset else range(0)
        if len(ends) == 1:
            passed, yielded = self._passed, self.yielded
            self._foreseen = chunk, self._window(ends[0], chunk.lender)
            self._passed, self.yielded = passed, yielded

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples and return the windows that they complete; all windows must be taken.

        Parameters
        ----------
        chunk : Window
            Consecutive samples; may begin anywhere, and says in `reset` when a segment begins.

        Raises
        ------
        RuntimeError
            If windows of the chunk before were not taken (with `newest`, taking none is fine).
        """
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is not None and foreseen[0] is chunk and self.pipeline.passes(chunk):
            self.windows += 1
            self.yielded += 1
            self._passed = 0
            return iter(foreseen[1:])
        first, samples, times, bad, reset = self.pipeline.run(chunk)
        end = first + len(samples)
        if reset:
            self._segment = first
            self._shift = first - self._history.count
            self._lent = self._may_lend(chunk.lender)
        elif not self._lent and first != self._history.count + self._shift:
            raise RuntimeError("the windows of a chunk must all be taken before the next chunk is pushed")
        ends = self._ends(first, end)
        if self._lent:
            assert chunk.lender is not None
            if bad is None and chunk.intact:
                return self._newest_of(ends, chunk.lender)
            self._take_over(chunk.lender, first)
        if self._newest:
            # All outputs are kept at once, so that a caller that takes only the newest window loses none.
            self._keep(samples, times, bad, 0, len(samples))
        elif chunk.lender is not None:
            samples, times, bad = samples.copy(), times.copy(), None if bad is None else bad.copy()
        if not chunk.intact:
            return iter(())  # what was kept is spoilt; the next chunk begins a new segment
        if self._newest:
            return self._newest_of(ends)
        self.windows += len(ends)
        return self._give(first, samples, times, bad, ends)

    def _may_lend(self, lender: Lender | None) -> bool:
        """Return whether windows can be the ring's own memory."""
        return (
            lender is not None
            and lender.longest >= self.length
            and self.pipeline.plain
            and self._newest
            and not self._copy
        )

    def _take_over(self, lender: Lender, first: int) -> None:
        """Keep the outputs of this segment from now on, because they no longer equal the ring's samples."""
        self._lent = False
        start = max(self._segment, first - self.length)
        self._shift = start - self._history.count
        if start < first:
            samples, times = lender.lend(start, first)
            self._history.write(samples, times, None)
            if not lender.holds(start):
                self._history.spoil()

    def _newest_of(self, ends: range, lender: Lender | None = None) -> Iterator[Window]:
        """Yield the last of the windows that end at `ends`, and count the others."""
        if not ends:
            return iter(())
        passed = len(ends) - 1
        self.windows += passed + 1
        self.skipped += passed
        self._passed += passed
        return iter((self._window(ends[-1], lender),))

    def _give(
        self, first: int, samples: Samples, times: Times, bad: Flags | None, ends: range
    ) -> Iterator[Window]:
        done = 0
        for end in ends:
            done = self._keep(samples, times, bad, done, end - first)
            yield self._window(end)
        self._keep(samples, times, bad, done, len(samples))

    def _ends(self, first: int, end: int) -> range:
        """Return the grid points in (first, end] whose window lies within the segment."""
        earliest = max(first + 1, self._segment + self.length, self.length)
        k = -(-(earliest - self.length) // self.hop)
        return range(self.length + k * self.hop, end + 1, self.hop)

    def _keep(self, samples: Samples, times: Times, bad: Flags | None, done: int, upto: int) -> int:
        """Write outputs `done` to `upto` of a chunk into the history."""
        history = self._history
        # Outputs that no window can need any more are not written: only the count goes on.
        skip = upto - done - history.capacity
        if skip > 0 and self._newest:
            self._shift += skip
            done += skip
        while done < upto:
            to = min(upto, done + self.length + self.hop)
            if done == 0 and to == len(samples):
                history.write(samples, times, bad)
            else:
                history.write(samples[done:to], times[done:to], None if bad is None else bad[done:to])
            done = to
        return done

    def _window(self, end: int, lender: Lender | None = None) -> Window:
        ratio, first = self.pipeline.ratio, end - self.length
        if lender is not None:
            (samples, times), bad = lender.lend(first, end), self._clear
        else:
            samples, times, bad = self._history.view(end - self._shift, self.length)
        if self._copy:
            samples, times, bad = samples.copy(), times.copy(), bad.copy()
        passed, self._passed = self._passed, 0
        self.yielded += 1
        return Window(
            self.pipeline.output,
            first,
            samples,
            times,
            bad,
            end * ratio - 1,
            settled=(first + 1) * ratio - 1 >= self.pipeline.settled_from,
            skipped=passed,
            lender=lender,
        )


def windows(
    chunks: Iterable[Window],
    pipeline: Pipeline,
    *,
    length: int,
    hop: int,
    newest: bool = False,
    copy: bool = True,
) -> Iterator[Window]:
    """Cut consecutive chunks of one signal into windows.

    Parameters are those of `Windows`.

    Examples
    --------
    >>> import numpy as np
    >>> from bci.signal.types import Signal
    >>> signal = Signal("count", 10.0, (1,))
    >>> samples = np.arange(10, dtype="f4")[:, None]
    >>> chunk = Window(signal, 0, samples, np.arange(10) / 10, np.zeros((10, 1), bool), 9, reset="start")
    >>> [w.samples[:, 0].tolist() for w in windows([chunk], Pipeline(), length=4, hop=3)]
    [[0.0, 1.0, 2.0, 3.0], [3.0, 4.0, 5.0, 6.0], [6.0, 7.0, 8.0, 9.0]]
    """
    cutter: Windows | None = None
    for chunk in chunks:
        if cutter is None:
            cutter = Windows(chunk.signal, pipeline, length=length, hop=hop, newest=newest, copy=copy)
        yield from cutter.push(chunk)
