"""An LslClock is the session clock of a real run: Lab Streaming Layer's `local_clock`.

It gives float64 seconds, monotonic, the same for every program of this host.
"""

import sys
import time
from collections.abc import Callable

from bci.memory.liblsl import pylsl

#: Two readings of one clock lie this close together, seconds; other clocks have other origins.
_SAME_CLOCK = 1e-3


class LslClock:
    """An LslClock tells the session's time in Lab Streaming Layer's seconds.

    On Linux `time.perf_counter` reads the same clock at a tenth of the cost; it is read instead where a check at
    construction finds that this holds.
    """

    def __init__(self) -> None:
        same = sys.platform.startswith("linux") and _apart() < _SAME_CLOCK
        #: Whether it reads the monotonic clock of this machine, which compiled code reads as well.
        self.is_machines = same
        self._read: Callable[[], float] = time.perf_counter if same else pylsl.local_clock

    def now(self) -> float:
        """Return the time of `pylsl.local_clock`, seconds."""
        return self._read()

    def sleep_until(self, when: float) -> None:
        """Sleep until `when`; `time.sleep` overshoots by some 60 µs on Linux, up to 15 ms on Windows."""
        while (remaining := when - self.now()) > 0:
            time.sleep(remaining)


def _apart() -> float:
    """Return by how much `local_clock` and `perf_counter` differ at most, seconds: the smallest of a few readings."""
    looks = []
    for _ in range(5):
        before, lsl, after = time.perf_counter(), pylsl.local_clock(), time.perf_counter()
        looks.append(max(abs(lsl - before), abs(after - lsl)))
    return float(min(looks))
