"""A StreamSight is one stream of a running session as its page looks at it: traces, gaps, spectrum and averages.

The stream's writer never waits for it: what is looked at too late to be whole is left out.
"""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from bci.control.page.evoked import NOT_WHOLE, Evoked
from bci.control.page.model import COLUMNS, SPECTRUM_S, GapBand, SideCurve, channel_labels
from bci.control.page.spectrum import Spectrum, spectrum
from bci.control.page.steadiness import SteadinessSight
from bci.control.page.traces import DrawnTraces
from bci.errors import Overrun
from bci.memory.marks import read_marks
from bci.memory.stream import Stream
from bci.signal.types import Event, MarkKind

#: Gaps and silences that are remembered.
_GAPS = 64

#: Events of uncertain time that are remembered; many more than can wait for their samples.
_UNCERTAIN = 256


class StreamSight:
    """One stream of samples as it is looked at.

    Parameters
    ----------
    stream : Stream
        Its rings, opened to be looked at.
    seconds : float
        How much of it is shown at once.
    speed : float
        How many times faster than its rate it is played.

    Attributes
    ----------
    stream, signal, speed
        The rings, what the samples are, and how fast they come.
    traces : DrawnTraces
        The newest of it, in columns of pixels.
    steadiness : SteadinessSight or None
        Of volumes.
    uncertain : deque of float
        Times of the newest events that were marked uncertain, session seconds.
    """

    def __init__(self, stream: Stream, seconds: float, speed: float = 1.0) -> None:
        self.stream, self.signal, self.speed = stream, stream.signal, speed
        self.traces = DrawnTraces(stream.signal, seconds, COLUMNS, speed)
        self.steadiness = SteadinessSight(stream.signal) if len(stream.signal.shape) == 3 else None
        ring = stream.samples
        self._at = max(ring.oldest, ring.count - ring.max_window)
        self._marks_read = 0
        self._gaps: deque[GapBand] = deque(maxlen=_GAPS)
        self.uncertain: deque[float] = deque(maxlen=_UNCERTAIN)

    def look(self) -> None:
        """Take in the newest samples and marks; what is too old to be whole is passed over."""
        ring = self.stream.samples
        end = ring.count
        # Half of the ring is left to the writer: what is closer to it may be overwritten while it is read.
        at = max(self._at, ring.oldest, end - ring.capacity // 2)
        while at < end:
            upto = min(end, at + ring.max_window)
            try:
                view = ring.view(at, upto)
                samples, times = view["samples"], view["times"].copy()
                self.traces.add(at, samples, times)
                kept = None if self.steadiness is None else samples.copy()
                ring.check(at)
                if self.steadiness is not None and kept is not None:
                    self.steadiness.add(kept)
            except Overrun:
                break  # what was drawn of it may be torn; it leaves the screen in seconds
            at = upto
        self._at = end
        marks, self._marks_read = self._new_marks()
        for mark in marks:
            kind = MarkKind(int(mark["kind"]))
            if kind.starts_segment or kind is MarkKind.STALLED:
                self._gaps.append(gap_band(kind, float(mark["time"]), float(mark["value"])))
            elif kind is MarkKind.UNCERTAIN:
                self.uncertain.append(float(mark["time"]))

    def _new_marks(self) -> tuple[NDArray[np.void], int]:
        try:
            return read_marks(self.stream.marks, self._marks_read)
        except Overrun:
            return np.empty(0, np.void), self.stream.marks.count

    def gaps(self, now: float) -> list[GapBand]:
        """Return the gaps that are in sight at a time."""
        return [band for band in self._gaps if band.stop >= now - self.traces.seconds]

    def spectrum(self, channels: slice) -> Spectrum | None:
        """Return the spectrum of the newest seconds."""
        ring, rate = self.stream.samples, self.signal.rate
        end = ring.count
        n = min(int(SPECTRUM_S * rate), ring.max_window, end - ring.oldest)
        if not rate or n < 16:
            return None
        try:
            view = ring.view(end - n, end)["samples"]
            samples = view.reshape(n, -1)[:, channels].copy()
            ring.check(end - n)
        except (Overrun, ValueError):
            return None
        return spectrum(samples, rate)

    def average(self, event: Event, evoked: Evoked) -> bool:
        """Average an event in, or give it up; False while its samples are still to come."""
        ring = self.stream.samples
        end = ring.count
        first = max(ring.oldest, end - ring.max_window)
        if end == first:
            return False
        try:
            view = ring.view(first, end)
            needed = evoked.needed(event, view["times"], first)
            if needed is None:
                # After the newest sample it may still come; before the oldest it is gone.
                if event.time <= float(view["times"][0]):
                    evoked.miss(NOT_WHOLE)
                    return True
                return False
            start, stop = needed
            if stop > end:
                return False
            if start < first:
                evoked.miss(NOT_WHOLE)
                return True
            part = slice(start - first, stop - first)
            samples, times = view["samples"][part].copy(), view["times"][part].copy()
            ring.check(first)
        except (Overrun, ValueError):
            return False
        evoked.add(event, samples, times)
        return True

    def curve(self, name: str, now: float) -> SideCurve:
        """Return the newest of what a step says; of columns that hold several samples, the middle of their range."""
        drawn = self.traces.picture(slice(None), now)
        values = (drawn.low.astype(np.float64) + drawn.high) / 2.0
        return SideCurve(name, channel_labels(self.signal), drawn.times, values)


def gap_band(kind: MarkKind, time: float, value: float) -> GapBand:
    """Return what a mark says of missing data: `time` is when data came again, `value` how long they were away."""
    # Of a clock that was set the value is by how much: nothing is missing there.
    away = kind is not MarkKind.CLOCK_RESET and math.isfinite(value) and value > 0
    lasted_s = value if away else 0.0
    return GapBand(time - lasted_s, time, kind.name.lower().replace("_", " "))
