"""Pace measures the time of a stream from its stamps: the true rate, and the jitter.

Stamps are compared with a straight line over the sample count (least squares), one for each run without a gap: the
jitter is their deviation from the line of their own run, the rate that of the slope that all runs share. The sums are
over each stamp's distance from the nominal grid, which stays small, so hours lose no precision.
"""

import math
from dataclasses import dataclass

import numpy as np

from bci.signal.types import Times


@dataclass(frozen=True, slots=True)
class Pace:
    """A Pace holds the rate and the jitter of a stream, measured from its stamps.

    Attributes
    ----------
    nominal, measured : float
        Samples per second as the stream states it, and by its stamps; NaN when there are too few.
    jitter : float
        Standard deviation of the stamps about the line, seconds.
    largest_step : float
        Longest time between two stamps of one run, seconds.
    runs : int
        Stretches without a gap.
    """

    nominal: float
    measured: float
    jitter: float
    largest_step: float
    runs: int


class RunningPace:
    """A RunningPace measures a `Pace` while stamps arrive.

    Parameters
    ----------
    rate : float
        Nominal samples per second.

    Examples
    --------
    >>> pace = RunningPace(100.0)
    >>> pace.add(np.arange(1000) / 99.5 + 7.0)
    >>> round(pace.pace().measured, 6), round(pace.pace().jitter, 9)
    (99.5, 0.0)
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._runs: list[_Stretch] = []
        self._largest = 0.0

    def add(self, stamps: Times, *, fresh: bool = False) -> None:
        """Take the stamps of the next samples, seconds; `fresh` says that these samples follow a gap."""
        if not len(stamps):
            return
        if fresh or not self._runs:
            self._runs.append(_Stretch(float(stamps[0])))
            steps = np.diff(stamps)
        else:
            steps = np.diff(stamps, prepend=self._runs[-1].last)
        self._largest = max(self._largest, float(steps.max(initial=0.0)))
        self._runs[-1].add(stamps, self._rate)

    def pace(self) -> Pace:
        """Return the pace of all stamps so far."""
        n = sum(run.n for run in self._runs)
        across = sum(run.across for run in self._runs)
        freedom = n - 2 * len(self._runs)
        if freedom < 1 or across <= 0:
            return Pace(self._rate, math.nan, math.nan, self._largest, len(self._runs))
        slope = (
            sum(run.together for run in self._runs) / across
        )  # seconds per sample beyond the nominal period
        period = 1 / self._rate + slope
        left = sum(max(0.0, run.along - run.together**2 / run.across) for run in self._runs if run.across)
        return Pace(
            self._rate,
            1 / period if period > 1e-6 / self._rate else math.nan,  # stamps that stand still tell no rate
            math.sqrt(left / freedom),
            self._largest,
            len(self._runs),
        )


class _Stretch:
    """A _Stretch holds sums of squares about the means of one run (Welford 1962, in blocks: Chan et al. 1979)."""

    def __init__(self, start: float) -> None:
        self.start = self.last = start
        self.n = 0
        self.across = self.along = self.together = 0.0
        self._mean_count = self._mean_error = 0.0

    def add(self, stamps: Times, rate: float) -> None:
        count = np.arange(self.n, self.n + len(stamps), dtype=np.float64)
        error = stamps - self.start - count / rate
        m = len(stamps)
        mean_count, mean_error = float(count.mean()), float(error.mean())
        by_count, by_error = mean_count - self._mean_count, mean_error - self._mean_error
        weight = self.n * m / (self.n + m)
        self.across += float(((count - mean_count) ** 2).sum()) + weight * by_count**2
        self.along += float(((error - mean_error) ** 2).sum()) + weight * by_error**2
        self.together += (
            float(((count - mean_count) * (error - mean_error)).sum()) + weight * by_count * by_error
        )
        self.n += m
        self._mean_count += by_count * m / self.n
        self._mean_error += by_error * m / self.n
        self.last = float(stamps[-1])
