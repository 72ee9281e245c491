"""A rail is the largest or smallest value of an amplifier or converter; many samples lie exactly on it."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: An extreme value is a rail when so many samples lie exactly on it, and so many times as many as on the next
#: value inside. A peak of a smooth signal in coarse steps holds its top value for some 2.4 times as long as the
#: next (the square root of time in a parabola); a clipped signal piles up there everything that lay beyond.
_PILED, _TIMES = 10, 10


class Extreme:
    """An Extreme holds the largest value so far, the next smaller one, and the number of samples exactly on each."""

    def __init__(self, channels: int) -> None:
        self._values = np.full((2, channels), -np.inf)
        self._counts = np.zeros((2, channels), np.int64)

    @property
    def value(self) -> Array:
        """The largest value: (channels,); -inf before the first."""
        value: Array = self._values[0]
        return value

    @property
    def piled(self) -> NDArray[np.int64]:
        """Samples on the largest value where it is a rail, else 0: (channels,)."""
        first, second = self._counts
        # A channel with a single value is flat, which is reported as such.
        rail = (first >= _PILED) & (second > 0) & (first >= _TIMES * second)
        return np.where(rail, first, 0)

    def add(self, values: Array, group: slice) -> None:
        """Take values, -inf where there is none: (n, channels of the group)."""
        first = values.max(axis=0)
        below = np.where(values == first, -np.inf, values)
        second = below.max(axis=0)
        new = np.stack([first, second])
        # There are four candidates; of two equal ones, one takes both counts.
        all_values = np.concatenate([self._values[:, group], new])
        all_counts = np.concatenate(
            [self._counts[:, group], [(values == first).sum(axis=0), (below == second).sum(axis=0)]]
        )
        all_counts[np.isneginf(all_values)] = 0
        for place in range(2):
            best = all_values.max(axis=0)
            same = all_values == best
            self._values[place, group] = best
            self._counts[place, group] = np.where(same, all_counts, 0).sum(axis=0)
            all_values = np.where(same, -np.inf, all_values)
