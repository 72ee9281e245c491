"""A Timetable holds when each sample and marker of a recording is due, in seconds after its first event.

Sample i of an evenly spaced recording is due at ``(i - start) / (rate · speed)``: at N times the speed the
stamps are N times closer. The recording's own stamps are followed, so a stream whose true rate is not its
nominal one, and the gaps between its segments, come out as they were, scaled.
"""

import math
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.io.files.recording import Recording, sample_at
from bci.signal.types import Event, Times

#: A pass of a loop begins this long after the end of the one before, in seconds of the recording, so that
#: no window spans the seam. The same stands in for a gap too short for a consumer to see.
SEAM = 1.0
#: Markers are played that far outside the samples, in seconds of the recording; others are counted.
MARGIN = 5.0
#: A block is about this much real time, seconds.
BLOCK = 0.01
#: The recording is read in pieces of this much real time, seconds, and at most so many bytes.
_PIECE = 0.25
_PIECE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A Block holds samples that are pushed at once.

    Attributes
    ----------
    first : int
        Count of the first sample in the recording.
    samples : (n, *signal.shape) float32
        The samples.
    due : (n,) float64
        Due time of each sample, seconds after the first event.
    """

    first: int
    samples: NDArray[np.float32]
    due: Times

    @property
    def when(self) -> float:
        """When the block is due: as its last sample is taken."""
        return float(self.due[-1])


@dataclass(frozen=True, slots=True)
class Due:
    """A Due is an event of the recording and its due time, seconds after the first one played."""

    event: Event
    when: float


@dataclass(frozen=True, slots=True)
class _Run:
    """A _Run is a stretch without a gap, samples `first` to `end`, from `start` in the recording, due at `due`."""

    first: int
    end: int
    start: float
    due: float


class Timetable:
    """A Timetable lays out the samples and markers of a recording in time.

    Parameters
    ----------
    recording : Recording
        The recording to play.
    speed : float
        How many times faster than real time.
    start, stop : float
        Seconds of the recording to begin and end at; `stop` None is its end.
    loop : bool
        Begin again at the end, for ever.
    longest_gap : float, optional
        Gaps longer than this, in seconds of the recording, are shortened to it. By default gaps keep their length,
        so that a replayed session shows how the line behaves in them.

    Attributes
    ----------
    first, end : int
        Samples of one pass; `end` is at most `sys.maxsize` for an endless recording.
    samples : int or None
        How many are played in all; None when that never ends.
    left_out : int
        Markers of the recording that lie too far from the samples played.

    Raises
    ------
    ConfigError
        If there is nothing between `start` and `stop`, or an endless recording is to loop.
    """

    def __init__(
        self,
        recording: Recording,
        speed: float = 1.0,
        *,
        start: float = 0.0,
        stop: float | None = None,
        loop: bool = False,
        longest_gap: float | None = None,
    ) -> None:
        self.recording = recording
        self.speed = speed
        self.loop = loop
        self._period = 1 / recording.signal.rate
        endless = recording.n is None and stop is None
        if endless and loop:
            raise ConfigError(f"{recording.name} never ends: leave out the loop")
        # Half a sample of slack, so that 1.0 s at 160 Hz is sample 160 whatever the rounding.
        slack = self._period / 2
        self.first = sample_at(recording, start - slack)
        self.end = sys.maxsize if recording.n is None else recording.n
        if stop is not None:
            self.end = min(self.end, sample_at(recording, stop - slack))
        if self.end <= self.first:
            length = "endless"
            if recording.n is not None:
                length = f"{self._time(recording.n - 1) + self._period:g} s long"
            until = "its end" if stop is None else f"{stop:g} s"
            raise ConfigError(
                f"nothing of {recording.name} lies between {start:g} s and {until}; it is {length}"
            )
        self.samples = None if endless or loop else self.end - self.first
        self._runs = self._lay_out(longest_gap)
        self._starts = [run.start for run in self._runs]
        # Markers shortly before the first sample are played too, where the recording is played from its start.
        self._from = self._runs[0].start - (MARGIN if self.first == 0 else 0.0)
        early = [] if self.first else recording.markers_between(self._from, self._runs[0].start)
        self._lead = (self._runs[0].start - early[0].time) / speed if early else 0.0
        self._until = math.inf if endless else self._end_of_markers()
        self._cycle = math.inf if endless else self._length()
        played = 0 if endless else len(recording.markers_between(self._from, self._until))
        whole = self.first == 0 and stop is None and not endless
        self.left_out = len(recording.markers) - played if whole else 0

    def events(self) -> Iterator[Block | Due]:
        """Yield blocks and markers in the order in which they are due, pass after pass."""
        turn = 0
        while True:
            yield from self._one_pass(turn * self._cycle if turn else 0.0)
            if not self.loop:
                return
            turn += 1

    def due(self, seconds: float) -> float:
        """Return when what happened at `seconds` of the recording is due in the first pass."""
        at = max(0, bisect_right(self._starts, seconds) - 1)
        run = self._runs[at]
        due = run.due + (seconds - run.start) / self.speed
        if at + 1 < len(self._runs):
            # Within a gap that was shortened, no later than the sample that ends it.
            due = min(due, self._runs[at + 1].due)
        return self._lead + due

    def gaps(self) -> tuple[tuple[int, float], ...]:
        """Return (count of the first sample after it, length in seconds of replay) of every gap."""
        return tuple(
            (b.first, b.due - self._run_end(a) + self._period / self.speed)
            for a, b in zip(self._runs, self._runs[1:], strict=False)
        )

    # -- laying out --------------------------------------------------------------------------------------

    def _time(self, sample: int) -> float:
        return float(self.recording.times(sample, sample + 1)[0])

    def _lay_out(self, longest_gap: float | None) -> list[_Run]:
        runs: list[_Run] = []
        for segment_first, segment_end in self.recording.segments:
            first, end = max(segment_first, self.first), min(segment_end, self.end)
            if first >= end:
                continue
            start, due = self._time(first), 0.0
            if runs:
                last = runs[-1]
                gap = start - self._time(last.end - 1)
                if gap < 2 * self._period:
                    gap = SEAM
                elif longest_gap is not None:
                    gap = min(gap, max(longest_gap, 2 * self._period))
                due = self._last_due(last) + gap / self.speed
            runs.append(_Run(first, end, start, due))
        return runs

    def _last_due(self, run: _Run) -> float:
        return run.due + (self._time(run.end - 1) - run.start) / self.speed

    def _run_end(self, run: _Run) -> float:
        return self._last_due(run) + self._period / self.speed

    def _end_of_markers(self) -> float:
        end = self._time(self.end - 1) + self._period
        return end + MARGIN if self.end == self.recording.n else end

    def _length(self) -> float:
        """Return the seconds from the first event of one pass to that of the next."""
        end = self._run_end(self._runs[-1])
        late = self.recording.markers_between(self._time(self.end - 1), self._until)
        if late:
            end = max(end, self.due(late[-1].time) - self._lead)
        return self._lead + end + max(SEAM, 10 * self._period) / self.speed

    # -- one pass ----------------------------------------------------------------------------------------

    def _one_pass(self, offset: float) -> Iterator[Block | Due]:
        recording, speed = self.recording, self.speed
        played_until = self._from
        rate = recording.signal.rate * speed
        sample_bytes = 4 * math.prod(recording.signal.shape)
        n = max(1, int(rate * BLOCK))
        piece = max(1, min(int(rate * _PIECE), _PIECE_BYTES // sample_bytes) // n) * n
        for run in self._runs:
            for at in range(run.first, run.end, piece):
                stop = min(at + piece, run.end)
                samples, times = recording.read(at, stop), recording.times(at, stop)
                due = offset + self._lead + run.due + (times - run.start) / speed
                for i in range(0, stop - at, n):
                    block = Block(at + i, samples[i : i + n], due[i : i + n])
                    seen = float(times[min(i + n, stop - at) - 1])
                    # A marker at the time of a sample comes before it.
                    for marker in recording.markers_between(played_until, math.nextafter(seen, math.inf)):
                        yield Due(marker, offset + self.due(marker.time))
                    played_until = max(played_until, math.nextafter(seen, math.inf))
                    yield block
        if not math.isinf(self._until):
            for marker in recording.markers_between(played_until, self._until):
                yield Due(marker, offset + self.due(marker.time))
