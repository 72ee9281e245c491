"""FlipTimes counts flips, their intervals, and dropped flips."""

import math
from typing import Any

import numpy as np

#: An interval longer than this many frames means that a refresh passed without a flip.
DROP_LIMIT = 1.5

_BIN_SECONDS = 5e-5
_BINS = 20_000


class FlipTimes:
    """FlipTimes counts the flips of a run of any length, in memory that does not grow.

    Parameters
    ----------
    refresh_hz : float
        The display's refresh rate, measured or stated.

    Attributes
    ----------
    flips : int
        Flips so far.
    dropped : int
        Refreshes that passed without a flip: for each interval longer than 1.5 frames, its length in frames
        less one.
    late : int
        Intervals longer than 1.5 frames.
    last : float
        Session time of the last flip; NaN before the first.
    """

    def __init__(self, refresh_hz: float) -> None:
        self._hz = refresh_hz
        self._limit = DROP_LIMIT / refresh_hz
        self._histogram = np.zeros(_BINS + 1, np.int64)
        self._longest = 0.0
        self._on_time = 0.0
        self.flips = self.dropped = self.late = 0
        self.last = math.nan

    def add(self, time: float) -> float:
        """Count a flip at session time `time`; return the seconds since the one before, 0 for the first."""
        self.flips += 1
        if self.flips == 1:
            self.last = time
            return 0.0
        interval = time - self.last
        self.last = time
        if interval > self._limit:
            self.late += 1
            self.dropped += max(1, round(interval * self._hz) - 1)
        else:
            self._on_time += interval
        self._histogram[min(_BINS, max(0, int(interval / _BIN_SECONDS)))] += 1
        self._longest = max(self._longest, interval)
        return interval

    @property
    def refresh_hz(self) -> float | None:
        """Flips per second over all intervals without a drop; None before there is one."""
        intervals = self.flips - 1 - self.late
        return intervals / self._on_time if intervals > 0 and self._on_time > 0 else None

    def percentile_ms(self, percent: float) -> float | None:
        """Return the interval that `percent` of all do not exceed, milliseconds, to within 0.05 ms."""
        reached = np.cumsum(self._histogram)
        if not reached[-1]:
            return None
        at = int(np.searchsorted(reached, reached[-1] * percent / 100.0))
        return min((at + 1) * _BIN_SECONDS, self._longest) * 1e3

    def summary(self) -> dict[str, Any]:
        """Return the drop report: counts, rate and the intervals' percentiles."""
        return {
            "flips": self.flips,
            "dropped_flips": self.dropped,
            "late_intervals": self.late,
            "refresh_hz": self.refresh_hz,
            "flip_interval_ms": {
                "p50": self.percentile_ms(50),
                "p95": self.percentile_ms(95),
                "p99": self.percentile_ms(99),
                "max": self._longest * 1e3,
                "n": max(0, self.flips - 1),
            },
        }
