"""epochs() cuts a signal around events; each event becomes an epoch, or is counted as lost with a reason."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bci.signal.pipeline import Pipeline
from bci.signal.step import Seconds
from bci.signal.types import Event, Flags, Samples, Signal, Times, Window


@dataclass(frozen=True, slots=True, eq=False)
class Epoch:
    """An Epoch holds the samples around one marker.

    Attributes
    ----------
    window : Window
        The samples, from `start` to `stop` around the event; they carry it.
    event : Event
        The marker.
    index : int
        Output count of the sample that the marker was put on; reproduction uses it again.
    """

    window: Window
    event: Event
    index: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A Lost is a marker without an epoch.

    Attributes
    ----------
    event : Event
        The marker.
    reason : str
        ``"gap"``: the samples around it have a gap; ``"late"``: they were dropped before the marker arrived.
    """

    event: Event
    reason: str


@dataclass(slots=True)
class _Waiting:
    event: Event
    index: int | None
    told: bool = False


class Epochs:
    """Epochs cuts a signal around markers, and holds the samples and markers that wait.

    Parameters
    ----------
    signal : Signal
        Signal of the chunks; of a regular rate.
    pipeline : Pipeline
        Steps that the chunks pass first.
    start, stop : float
        Seconds around the marker: ``-0.2, 0.8``. An epoch has ``round((stop - start) * rate)`` output samples,
        the first of them ``round(start * rate)`` from the marker's.
    keep : float
        Seconds of signal that are kept for markers that arrive late.

    Attributes
    ----------
    yielded : int
        Epochs given out.
    lost : list of Lost
        Markers without one.
    segment : int
        How many resets there were before the epoch that was given out last.
    """

    def __init__(
        self, signal: Signal, pipeline: Pipeline, *, start: Seconds, stop: Seconds, keep: Seconds = 10.0
    ) -> None:
        if not signal.rate:
            raise ValueError(f"epochs need a signal with a regular rate; {signal.name!r} has none")
        self.pipeline = pipeline.start(signal)
        rate = self.pipeline.output.rate
        self._offset = round(start * rate)
        self._length = round((stop - start) * rate)
        if self._length < 1:
            raise ValueError(f"an epoch from {start:g} to {stop:g} s holds no sample at {rate:g} Hz")
        self._keep = self._length + round(keep * rate)
        self.yielded = 0
        self.lost: list[Lost] = []
        self.segment = 0
        self._waiting: list[_Waiting] = []
        self._parts: list[Window] = []  # the current segment's outputs, newest last
        self._kept = 0

    @property
    def waiting(self) -> int:
        """Markers whose epoch is still open."""
        return len(self._waiting)

    def push(
        self, chunk: Window, markers: Sequence[Event] = (), indices: Sequence[int | None] = ()
    ) -> Iterator[Epoch]:
        """Take the next samples and markers, and yield the epochs that are complete.

        A marker is put on the output sample nearest to it in time, as soon as data time has passed it.

        Parameters
        ----------
        chunk : Window
            Consecutive samples.
        markers : sequence of Event
            In session time, in any order, before or after their samples.
        indices : sequence of int or None
            For each marker, the output count it was put on when the session ran; None chooses it again.
        """
        given = [*indices, *[None] * (len(markers) - len(indices))]
        self._waiting += [_Waiting(event, index) for event, index in zip(markers, given, strict=True)]
        if self.pipeline.hears_events:
            # Each event is told before the first sample after it is run, whatever the chunks.
            for part in _single(chunk):
                self._tell(part)
                yield from self._push(part)
        else:
            yield from self._push(chunk)

    def _push(self, chunk: Window) -> Iterator[Epoch]:
        out = self.pipeline(chunk)
        if out.reset:
            yield from self._settle_before_reset()
            self.segment += 1
        if len(out.samples):
            # Owned: the chunk's memory may be used again.
            own = replace(out, samples=out.samples.copy(), times=out.times.copy(), bad=out.bad.copy())
            if not chunk.intact:
                return  # the lender has overwritten it; the next chunk begins a new segment
            self._parts.append(own)
            self._kept += len(out.samples)
        yield from self._complete()
        while self._parts and self._kept - len(self._parts[0].samples) >= self._keep:
            self._kept -= len(self._parts.pop(0).samples)

    def finish(self) -> None:
        """Count every open marker as lost: the signal has ended."""
        self._lose(self._waiting, "gap")
        self._waiting = []

    def _tell(self, part: Window) -> None:
        """Tell the pipeline of the events up to the one sample that comes next, in the order of time."""
        if part.reset or not self._parts or self._parts[-1].end != part.first:
            return  # what begins a segment makes the pipeline forget: tell before the sample after it
        for one in sorted(self._waiting, key=lambda waiting: waiting.event.time):
            time = one.event.time
            if one.told or (time > part.times[0] if one.index is None else one.index > part.first):
                continue
            index = one.index
            if index is None:
                index = self._nearest(min(time, float(self._parts[-1].times[-1])))
                if index is not None and abs(part.times[0] - time) < abs(self._time(index) - time):
                    index = part.first
            if index is not None and index >= self._parts[0].first:
                at = float(part.times[0]) if index == part.first else self._time(index)
                self.pipeline.begin_trial(index, self._signal_seconds(time - at, part))
                one.told = True

    def _signal_seconds(self, seconds: float, part: Window) -> float:
        """Return a time on the stamps' clock in the signal's own seconds: what is played faster has closer stamps."""
        spacing = float(part.times[0] - self._parts[-1].times[-1])
        return seconds / spacing / self.pipeline.output.rate if spacing > 0 else seconds

    def _settle_before_reset(self) -> Iterator[Epoch]:
        """Complete or lose the markers of the segment that has ended."""
        yield from self._complete()
        if self._parts:
            end = self._parts[-1].end
            last = float(self._parts[-1].times[-1]) + 0.5 / self.pipeline.output.rate
            over: list[_Waiting] = []
            still: list[_Waiting] = []
            for one in self._waiting:
                past = one.event.time <= last if one.index is None else one.index < end
                (over if past else still).append(one)
            self._lose(over, "gap")
            self._waiting = still
        self._parts, self._kept = [], 0

    def _lose(self, waiting: Sequence[_Waiting], reason: str) -> None:
        self.lost += [Lost(w.event, reason) for w in waiting]

    def _complete(self) -> Iterator[Epoch]:
        if not self._parts or not self._waiting:
            return
        first, end = self._parts[0].first, self._parts[-1].end
        before = float(self._parts[0].times[0]) - 0.5 / self.pipeline.output.rate
        gone = "late" if first > self._segment_first() else "gap"
        still: list[_Waiting] = []
        ready: list[tuple[int, Event]] = []
        for one in self._waiting:
            if one.index is None and one.event.time < before:
                self._lose([one], gone)
                continue
            if one.index is None:
                one.index = self._nearest(one.event.time)
            if one.index is None or one.index + self._offset + self._length > end:
                still.append(one)
            elif one.index + self._offset < first:
                self._lose([one], gone)
            else:
                ready.append((one.index, one.event))
        self._waiting = still
        for index, event in sorted(ready, key=lambda pair: (pair[0], pair[1].time)):
            self.yielded += 1
            yield Epoch(self._cut(index + self._offset, event), event, index)

    def _segment_first(self) -> int:
        ratio = self.pipeline.ratio
        return (self.pipeline.settled_from - self.pipeline.settle) // ratio

    def _nearest(self, time: float) -> int | None:
        """Return the output sample nearest to `time`, the earlier of two; None while it may still come."""
        if time > self._parts[-1].times[-1]:
            return None
        for part in reversed(self._parts):
            if time >= part.times[0] or part is self._parts[0]:
                break
        after = int(np.searchsorted(part.times, time))
        place = part.first + after
        candidates = [c for c in (place - 1, place) if self._parts[0].first <= c < self._parts[-1].end]
        return min(candidates, key=lambda c: (abs(self._time(c) - time), c))

    def _time(self, count: int) -> float:
        for part in self._parts:
            if count < part.end:
                return float(part.times[count - part.first])
        raise AssertionError("a candidate lies within the parts")

    def _cut(self, first: int, event: Event) -> Window:
        end = first + self._length
        samples: list[Samples] = []
        times: list[Times] = []
        bad: list[Flags] = []
        for part in self._parts:
            a, b = max(first, part.first) - part.first, min(end, part.end) - part.first
            if a < b:
                samples.append(part.samples[a:b])
                times.append(part.times[a:b])
                bad.append(part.bad[a:b])
        ratio = self.pipeline.ratio
        return Window(
            self.pipeline.output,
            first,
            np.concatenate(samples),
            np.concatenate(times),
            np.concatenate(bad),
            end * ratio - 1,
            settled=(first + 1) * ratio - 1 >= self.pipeline.settled_from,
            event=event,
        )


def _single(chunk: Window) -> Iterator[Window]:
    """Yield the samples of a chunk one at a time."""
    for place in range(len(chunk.samples)):
        here = slice(place, place + 1)
        yield replace(
            chunk,
            first=chunk.first + place,
            samples=chunk.samples[here],
            times=chunk.times[here],
            bad=chunk.bad[here],
            last_sample=chunk.first + place,
            reset=chunk.reset if place == 0 else "",
        )


def epochs(
    chunks: Iterable[Window],
    markers: Sequence[Event],
    pipeline: Pipeline,
    *,
    start: Seconds,
    stop: Seconds,
    indices: Sequence[int | None] = (),
) -> Iterator[Epoch]:
    """Cut consecutive chunks of one signal around markers that are all known; `Epochs` also lists lost markers."""
    cutter: Epochs | None = None
    for chunk in chunks:
        if cutter is None:
            cutter = Epochs(chunk.signal, pipeline, start=start, stop=stop)
            yield from cutter.push(chunk, markers, indices)
        else:
            yield from cutter.push(chunk)
