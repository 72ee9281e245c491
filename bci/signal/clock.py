"""A Clock tells the time of the session and waits for it; tests turn one by hand.

The session clock is Lab Streaming Layer's `local_clock`: float64 seconds, monotonic, of this host.
"""

import sys
import time
from collections.abc import Callable
from typing import Protocol

from bci.signal.liblsl import pylsl

#: Two readings of one clock lie this close together, seconds; other clocks have other origins.
_SAME_CLOCK = 1e-3


class Clock(Protocol):
    """What anything that waits is given."""

    def now(self) -> float:
        """Return the session time, seconds."""
        ...

    def sleep_until(self, when: float) -> None:
        """Return at or after `when` (session seconds); at once when it has passed."""
        ...


class LslClock:
    """The wall clock of the session, in Lab Streaming Layer's time.

    On Linux `time.perf_counter` reads the same clock at a tenth of the cost; where that holds, which is looked at
    when the clock is made, it is read instead.
    """

    def __init__(self) -> None:
        same = sys.platform.startswith("linux") and _apart() < _SAME_CLOCK
        self._read: Callable[[], float] = time.perf_counter if same else pylsl.local_clock

    def now(self) -> float:
        """Return the time of `pylsl.local_clock`, seconds."""
        return self._read()

    def sleep_until(self, when: float) -> None:
        """Sleep until `when`; `time.sleep` overshoots by some 60 µs on Linux, up to 15 ms on Windows."""
        while (left := when - self.now()) > 0:
            time.sleep(left)


def _apart() -> float:
    """Return by how much `local_clock` and `perf_counter` differ at most, seconds; the least of a few looks."""
    looks = []
    for _ in range(5):
        before, lsl, after = time.perf_counter(), pylsl.local_clock(), time.perf_counter()
        looks.append(max(abs(lsl - before), abs(after - lsl)))
    return float(min(looks))


class ManualClock:
    """A clock that moves only when told to: by `advance`, or by whoever sleeps on it.

    Examples
    --------
    >>> clock = ManualClock(10.0)
    >>> clock.sleep_until(12.5)
    >>> clock.advance(0.5)
    >>> clock.now()
    13.0
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start

    def now(self) -> float:
        """Return the hand's position, seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Turn the hand forward by `seconds`."""
        if seconds < 0:
            raise ValueError(f"a clock turns forward: advance({seconds})")
        self._now += seconds

    def sleep_until(self, when: float) -> None:
        """Turn the hand to `when`, never back."""
        self._now = max(self._now, when)
