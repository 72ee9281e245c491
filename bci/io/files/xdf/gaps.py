"""A Gaps counts the gaps in the stamps of one recorded stream, chunk by chunk, by the rule of the live line.

What is a gap depends on the stream: half a sample where stamps are exact, more where they jitter, a whole packet where
packets are stamped on arrival (`bci.io.lsl.stamps`). Stamps in milliseconds are read as such.
"""

import numpy as np
from numpy.typing import NDArray

from bci.io.lsl.stamps import Stamps
from bci.signal.quality.stamping import in_seconds
from bci.signal.types import MarkKind

#: The first so many samples, and two seconds of them, show in which unit of time the stamps are.
_LEAST, _ENOUGH_S = 16, 2.0

#: Streams of other rates, and stamps further from zero (30,000 years), are no recording's: no gap is looked for.
_RATES, _FURTHEST_S = (1e-3, 1e6), 1e12


class Gaps:
    """A Gaps holds the running state of one stream.

    Parameters
    ----------
    rate : float
        Samples per second as the stream states it; 0 when irregular, then nothing is a gap.
    speed : float
        How many times faster than real time it was played.
    exact : bool
        Whether its stamps are the samples' own times.

    Examples
    --------
    >>> gaps = Gaps(250.0)
    >>> gaps.add(np.delete(np.arange(1000) / 250, slice(600, 612)))
    >>> gaps.count()
    1
    """

    def __init__(self, rate: float, speed: float = 1.0, exact: bool = False) -> None:
        self._rate = rate * speed
        self._stamps = None
        if _RATES[0] <= rate <= _RATES[1] and _RATES[0] <= self._rate <= _RATES[1]:
            self._stamps = Stamps(rate, speed, exact)
        self._enough = max(_LEAST, round(_ENOUGH_S * self._rate)) if self._stamps else 0
        self._scale: float | None = None
        self._waiting: NDArray[np.float64] = np.empty(0)
        self._gaps = 0

    def add(self, stamps: NDArray[np.float64]) -> None:
        """Take the stamps (n,) of the next samples, as sent."""
        if self._stamps is None:
            return
        self._waiting = np.concatenate([self._waiting, stamps])
        if self._scale is not None or len(self._waiting) >= self._enough:
            self._judge(last=False)

    def skip(self) -> None:
        """Go on behind samples that cannot be read: what is missing there is no gap."""
        if self._stamps is not None:
            self._judge(last=True)
            self._stamps.restart()

    def count(self) -> int:
        """Return how many gaps there are, when no more samples follow."""
        self._judge(last=True)
        return self._gaps

    def _judge(self, *, last: bool) -> None:
        waiting = self._waiting
        if self._stamps is None or not len(waiting):
            return
        if self._scale is None:
            self._scale, _ = in_seconds(waiting, self._rate)
        stamps = waiting / self._scale
        if np.abs(stamps).max() > _FURTHEST_S:
            self._stamps, self._waiting = None, np.empty(0)
            return
        events, decided = self._stamps(stamps, np.empty(len(stamps)), last=last)
        self._gaps += sum(event.kind is MarkKind.GAP for event in events)
        self._waiting = waiting[decided:]
