"""A Fit is the line through stamps against the numbers of their samples: least squares, the past fading."""

import math
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: A line through fewer stamps is too uncertain to use.
LEAST = 8

#: A slope is believed beside the nominal one from so many of its standard errors on.
_BELIEVED = 2.0

#: Over so many blocks the earliest packet is looked for.
_EARLIEST_OF = 16


class Moments(NamedTuple):
    """Moments are what a line was laid by: weights, means, sums of squares and products; and its slope, with its error.

    The weight may be less than what was seen, so that the line finds its place anew.
    """

    weight: float = 0.0
    seen: float = 0.0
    mean_i: float = 0.0
    mean_t: float = 0.0
    s_ii: float = 0.0
    s_it: float = 0.0
    s_tt: float = 0.0
    period: float = 0.0
    error: float = math.inf


class Fit:
    """A Fit is empty at first.

    Parameters
    ----------
    nominal : float
        Stated seconds between samples.
    forget : float
        What a block weighs when the next is added, as a share.

    Attributes
    ----------
    moments : Moments
        What it holds; another's can be put in its place.
    earliest : float
        By how much the earliest packet lies above the line through the ends of all, seconds; 0 where there are none.
    """

    def __init__(self, nominal: float, forget: float) -> None:
        self._nominal, self._forget = nominal, forget
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self.moments = Moments(period=self._nominal)
        self._early: deque[NDArray[np.float64]] = deque(maxlen=_EARLIEST_OF)
        self.earliest = 0.0

    @property
    def period(self) -> float:
        """Seconds between two samples: fitted, or nominal before the first fit."""
        return self.moments.period

    def add(self, stamps: NDArray[np.float64], numbers: NDArray[np.float64], together: float) -> None:
        """Add a block of stamps (n,) of samples with these numbers, of which so many share a delay; the past fades.

        The moments are about the joint mean (Chan, Golub and LeVeque 1983).
        """
        old, size, forget = self.moments, len(stamps), self._forget
        weight = old.weight * forget
        total, seen = weight + size, old.seen * forget + size
        s_ii, s_it, s_tt = old.s_ii * forget, old.s_it * forget, old.s_tt * forget
        if not size:
            self.moments = old._replace(weight=weight, seen=seen, s_ii=s_ii, s_it=s_it, s_tt=s_tt)
            return
        mean_t, mean_i = float(stamps.sum()) / size, float(numbers.sum()) / size
        off_i, off_t = numbers - mean_i, stamps - mean_t
        between = weight * size / total
        d_i, d_t = mean_i - old.mean_i, mean_t - old.mean_t
        s_ii += float((off_i * off_i).sum()) + between * d_i * d_i
        s_it += float((off_i * off_t).sum()) + between * d_i * d_t
        s_tt += float((off_t * off_t).sum()) + between * d_t * d_t
        period, error = self._slope(total, seen, (s_ii, s_it, s_tt), together)
        mean_i, mean_t = old.mean_i + d_i * size / total, old.mean_t + d_t * size / total
        self.moments = Moments(total, seen, mean_i, mean_t, s_ii, s_it, s_tt, period, error)

    def _slope(
        self, weight: float, seen: float, squares: tuple[float, float, float], together: float
    ) -> tuple[float, float]:
        """Return the slope, drawn to the nominal one as far as chance explains their difference; and its error.

        A crystal is as good as stated, but for some parts in a million, and a slope through few stamps is not. The
        difference d, with a standard error e, counts for (1 - (ke)²/d²), not below 0 (James and Stein 1961). Samples
        that share a delay count as one.
        """
        s_ii, s_it, s_tt = squares
        if not s_ii:
            return self._nominal, math.inf
        noise = max(0.0, s_tt - s_it * s_it / s_ii) / seen
        error = math.sqrt(noise * together / s_ii)
        fitted = s_it / s_ii
        off = fitted - self._nominal
        if weight < LEAST or fitted <= 0 or not off:
            return self._nominal, error
        return self._nominal + off * max(0.0, 1 - (_BELIEVED * error / off) ** 2), error

    def loosen(self, weight: float) -> None:
        """Let the line find its place anew, as if no more stamps had been seen; its slope stays as firm as it was."""
        self.moments = self.moments._replace(weight=min(self.moments.weight, weight))

    def keep_early(self, stamps: NDArray[np.float64], numbers: NDArray[np.float64]) -> None:
        """Keep the two earliest of a block's packets, by their ends, and find when the earliest of all would come.

        That is before the earliest seen, by about as much as this is before the next: 2 x(1) - x(2), with a mean error
        that is small beside that of x(1) where few were seen (Robson and Whitlock 1964).
        """
        if len(stamps):
            first = np.argsort(stamps - self.mean(numbers))[:2]
            self._early.append(np.stack([numbers[first], stamps[first]]))
        if self._early:
            ends = np.concatenate(self._early, axis=1)
            one, *others = np.sort(ends[1] - self.mean(ends[0]))[:3].tolist()
            self.earliest = 2 * one - others[0] if len(others) == 2 else one

    def forget_early(self) -> None:
        """Forget the packets: none come."""
        self._early.clear()
        self.earliest = 0.0

    def mean(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the line through all stamps that were added, at these numbers (n,)."""
        moments = self.moments
        return np.asarray(moments.mean_t + moments.period * (numbers - moments.mean_i), np.float64)

    def line(self, number: float) -> float:
        """Return the line at a number: that through all stamps, or through the earliest packets."""
        moments = self.moments
        return moments.mean_t + moments.period * (number - moments.mean_i) + self.earliest
