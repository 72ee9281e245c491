"""A RecordedSight is one stream of a finished session as its page looks at it, at whatever time.

Samples are read from the recording where they are looked at.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.control.page.evoked import AFTER_S, BEFORE_S, NOT_WHOLE, Evoked
from bci.control.page.model import COLUMNS, SIDE_SAMPLES, SPECTRUM_S, SideCurve, channel_labels
from bci.control.page.spectrum import Spectrum, spectrum
from bci.control.page.steadiness import FEWEST, SteadinessSight
from bci.control.page.traces import DrawnTraces
from bci.session.frames import RecordedFrame
from bci.session.samples import RecordedStream
from bci.signal.types import Event

#: Volumes that are looked at for temporal SNR take no more memory, bytes: some hundreds of 64 × 64 × 36.
STEADY_BYTES = 200_000_000


class RecordedSight:
    """One recorded stream as it is looked at.

    Parameters
    ----------
    stream : RecordedStream
        It.
    frames : sequence of RecordedFrame
        Reconstructions that rest on it: they say at which session time its samples were.
    resumptions : sequence of (int, float)
        Counts of samples around its gaps, with their session times: between reconstructions time jumps there.
    seconds : float
        How much of it is shown at once.

    Attributes
    ----------
    signal, speed
        What the samples are, and how many times faster than their rate they came.
    """

    def __init__(
        self,
        stream: RecordedStream,
        frames: Sequence[RecordedFrame],
        resumptions: Sequence[tuple[int, float]],
        seconds: float,
    ) -> None:
        self._stream, self._asked = stream, seconds
        self.signal, self.speed = stream.signal, stream.info.speed
        self._rate = self.signal.rate * self.speed or 1.0  # samples in a second of the session
        self._counts, self._times = _clock(stream, frames, resumptions)
        self._drawn: tuple[float, DrawnTraces] | None = None

    @property
    def seconds(self) -> float:
        """How much is shown at once."""
        return (
            DrawnTraces(self.signal, self._asked, COLUMNS, self.speed).seconds
            if self._drawn is None
            else self._drawn[1].seconds
        )

    def count_at(self, time: float) -> int:
        """Return the count of the sample after a time, session seconds."""
        return round(float(_line(time, self._times, self._counts, self._rate))) + 1

    def times(self, counts: NDArray[Any]) -> NDArray[np.float64]:
        """Return the times of samples, session seconds."""
        return np.asarray(_line(counts, self._counts, self._times, 1 / self._rate), np.float64)

    def read(self, first: int, end: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the samples between two counts, as far as they are there, and their counts."""
        pieces = [(at, samples) for at, samples in self._stream.between(max(0, first), end) if len(samples)]
        if not pieces:
            return np.empty((0, *self.signal.shape), np.float32), np.empty(0, np.int64)
        counts = np.concatenate([at + np.arange(len(samples)) for at, samples in pieces])
        return np.concatenate([samples for _, samples in pieces]), counts

    def traces(self, now: float) -> DrawnTraces:
        """Return the columns of what is shown at a time."""
        if self._drawn is None or self._drawn[0] != now:
            drawn = DrawnTraces(self.signal, self._asked, COLUMNS, self.speed)
            end = self.count_at(now)
            for at, samples in self._stream.between(max(0, self.count_at(now - drawn.seconds) - 1), end):
                if len(samples):
                    drawn.add(at, samples, self.times(at + np.arange(len(samples))))
            self._drawn = now, drawn
        return self._drawn[1]

    def spectrum(self, channels: slice, now: float) -> Spectrum | None:
        """Return the spectrum of some channels in the seconds before a time; None of a stream without a rate."""
        if not self.signal.rate:
            return None
        end = self.count_at(now)
        samples, _ = self.read(end - int(SPECTRUM_S * self.signal.rate), end)
        return spectrum(samples.reshape(len(samples), -1)[:, channels], self.signal.rate)

    def curve(self, name: str, now: float) -> SideCurve:
        """Return the newest of what a step had said by a time."""
        end = self.count_at(now)
        samples, counts = self.read(end - SIDE_SAMPLES, end)
        values = np.asarray(samples, np.float64).reshape(len(samples), -1)
        return SideCurve(name, channel_labels(self.signal), self.times(counts), values)

    def steadiness(self, end: int) -> SteadinessSight:
        """Return how steady voxels were, of the newest volumes before a count: as many as `STEADY_BYTES` hold."""
        sight = SteadinessSight(self.signal)
        size = 4 * int(np.prod(self.signal.shape))
        for _, samples in self._stream.between(max(0, end - max(FEWEST, STEADY_BYTES // size)), end):
            sight.add(samples.reshape(-1, *self.signal.shape))
        return sight

    def average(self, event: Event, evoked: Evoked) -> None:
        """Average an event in."""
        around = self.count_at(event.time - 2 * BEFORE_S), self.count_at(event.time + AFTER_S + BEFORE_S)
        samples, counts = self.read(*around)
        times = self.times(counts)
        needed = evoked.needed(event, times, int(counts[0])) if len(counts) else None
        if needed is None:
            evoked.miss(NOT_WHOLE)
            return
        inside = (counts >= needed[0]) & (counts < needed[1])
        if int(inside.sum()) != needed[1] - needed[0]:
            evoked.miss(NOT_WHOLE)
            return
        evoked.add(event, samples[inside], times[inside])


def _clock(
    stream: RecordedStream, frames: Sequence[RecordedFrame], resumptions: Sequence[tuple[int, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return counts of samples with their session times: of those that reconstructions rest on, else of all."""
    pairs = {(frame.last_sample, frame.stamps.get("data", math.nan)) for frame in frames}
    if pairs:
        pairs |= set(resumptions)
    known = np.array(sorted(pair for pair in pairs if math.isfinite(pair[1])), float).reshape(-1, 2)
    if len(known) < 2:
        ends = [
            (stretch.first + place, stretch.times[place])
            for stretch in stream.stretches()
            for place in (0, len(stretch.times) - 1)
        ]
        known = np.array(ends, float).reshape(-1, 2)
    if not len(known):
        known = np.zeros((1, 2))
    return known[:, 0], np.maximum.accumulate(known[:, 1])


def _line(x: Any, xs: NDArray[np.float64], ys: NDArray[np.float64], slope: float) -> Any:
    """Return y at x between known points, and beyond them with a stated slope."""
    inside = np.interp(x, xs, ys)
    return inside + slope * (np.minimum(x - xs[0], 0) + np.maximum(x - xs[-1], 0))
