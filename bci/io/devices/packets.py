"""Packets: what a board hands over in bursts, numbered by its counter and given times by number and rate.

A sample is stamped when it arrives, which can be late and never early. Its number is not late: so the time of sample
`n` is ``anchor + n / rate``, with the anchor at the earliest that the arrivals of the last seconds allow. Numbers that
the board's counter leaves out are samples that were lost; they keep their places.
"""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

#: Over so many seconds the earliest arrival is looked for: long enough for late ones, short enough for another rate.
WINDOW_S = 4.0

#: Two samples are stamped at least so many periods apart.
_LEAST_STEP = 0.25

#: A step of the counter that stands for more lost samples at once says something else: a board that began anew.
_MOST_LOST_S = 2.0


class Packets:
    """A Packets follows one stream of samples.

    Parameters
    ----------
    rate : float
        Samples per second, nominal.

    Examples
    --------
    >>> packets = Packets(100.0)
    >>> arrivals = np.repeat([1.04, 1.08], 4)  # four at a time
    >>> [float(round(t, 3)) for t in packets(np.arange(8), arrivals)]
    [1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07, 1.08]
    """

    def __init__(self, rate: float) -> None:
        self._period = 1.0 / rate
        self._count = BoardCount(max(1, round(_MOST_LOST_S * rate)))
        self._next = 0
        self._newest = -math.inf
        self._anchors: deque[tuple[float, float]] = deque()  # arrival and anchor, the anchors rising

    @property
    def lost(self) -> int:
        """Samples that the counter left out."""
        return self._count.lost

    @property
    def resets(self) -> int:
        """How often the counter began anew, so that nothing can be said of what was lost."""
        return self._count.resets

    def __call__(self, counter: NDArray[np.float64], arrivals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the times of the next samples, rising.

        Parameters
        ----------
        counter : (n,)
            The board's own count, which may begin again at 0 after any number; NaN where it has none.
        arrivals : (n,)
            When each arrived, seconds.
        """
        numbers = self._number(counter)
        # All that was handed over at once is known before any of it is given a time.
        for number, arrival in zip(numbers, arrivals, strict=True):
            self._learn(arrival, arrival - number * self._period)
        times = np.empty(len(numbers))
        for i, number in enumerate(numbers):
            due = self._anchors[0][1] + number * self._period
            self._newest = times[i] = max(due, self._newest + _LEAST_STEP * self._period)
        return times

    def _number(self, counter: NDArray[np.float64]) -> list[int]:
        """Give each sample its place, lost ones counted."""
        numbers = []
        for value in counter:
            self._next += self._count.missing(float(value))
            numbers.append(self._next)
            self._next += 1
        return numbers

    def _learn(self, arrival: float, anchor: float) -> None:
        """Keep the earliest anchor of the last seconds in front."""
        while self._anchors and self._anchors[-1][1] >= anchor:
            self._anchors.pop()
        self._anchors.append((arrival, anchor))
        while self._anchors[0][0] < arrival - WINDOW_S:
            self._anchors.popleft()


class BoardCount:
    """A BoardCount reads a board's own count: what it counts by and to, and how many samples share a number, are seen.

    Parameters
    ----------
    most_lost : int
        A step that stands for more lost samples says something else: a board that began anew.

    Attributes
    ----------
    lost, resets : int
        See `Packets`.

    Examples
    --------
    >>> counter = BoardCount(100)
    >>> [counter.missing(n) for n in (253, 254, 255, 0, 1, 4)]
    [0, 0, 0, 0, 0, 2]
    """

    def __init__(self, most_lost: int) -> None:
        self._most_lost = most_lost
        self._newest = math.nan
        self._stride = math.inf  # the smallest step seen
        self._top = -1.0  # the largest number seen
        self._turned = False  # whether it was seen to begin again right behind the largest
        self._run = self._per_number = (
            1  # samples that share the newest number, and those that shared the last one
        )
        self.lost = self.resets = 0

    def missing(self, value: float) -> int:
        """Return how many samples are left out before the one that has this number; NaN where it has none."""
        step, self._newest, before = value - self._newest, value, self._newest
        if step == 0:
            self._run += 1
            return 0
        if math.isfinite(step):
            self._per_number, self._run = self._run, 1
        if math.isfinite(step) and step < 0:
            step = self._over_the_top(before, value)
        if math.isfinite(value):
            self._top = max(self._top, value)
        if not math.isfinite(step):
            return 0
        self._stride = min(self._stride, step)
        missing = (round(step / self._stride) - 1) * self._per_number
        if missing > self._most_lost:
            self.resets += 1
            return 0
        self.lost += missing
        return missing

    def _over_the_top(self, before: float, value: float) -> float:
        """Return the step from a number to a smaller one, NaN where it cannot be told."""
        stride = self._stride if math.isfinite(self._stride) else 1.0
        if before == self._top and value < stride:
            self._turned = True
            return stride
        if self._turned and before <= self._top:
            return self._top + stride - before + value
        self.resets += 1
        return math.nan
