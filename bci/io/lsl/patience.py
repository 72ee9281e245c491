"""Patience delays a pull until just before the last sample of the hop is due; windows are ready no later for it.

liblsl wakes a waiting pull at every sample that it hands over: ten times a hop where an amplifier sends one sample at a
time, which costs more than the processing of the samples. So once a second one pull is watched, and where nearly every
sample woke it, the pulls after it begin only shortly before the last sample of the hop is due.
"""

import sys
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bci.memory.hot import Hops
from bci.signal.clock import Clock

#: How often a pull is watched, seconds.
WATCH_EVERY_S = 1.0

#: The pull begins so many periods before the last sample is due, and no fewer seconds.
_PERIODS_AWAKE, _LEAST_AWAKE_S = 1.5, 1e-3

#: The longest sleep, seconds: a program beats its heart every 0.1 s.
_LONGEST_SLEEP_S = 0.08

#: A sleep shorter than this costs more than it saves, seconds.
_WORTH_S = 1e-4


class _Inlet(Protocol):
    def pull(
        self, samples: NDArray[Any], stamps: NDArray[np.float64], timeout: float
    ) -> tuple[int, bool]: ...


class Patience:
    """A Patience holds how the samples of one stream arrive: singly or in chunks.

    Parameters
    ----------
    clock : Clock
        The session clock.
    period : float
        Seconds between samples, as they arrive.

    Attributes
    ----------
    one_at_a_time : bool
        Whether the last pull that was watched was woken by nearly every sample.
    """

    def __init__(self, clock: Clock, period: float) -> None:
        self._clock, self._period = clock, period
        self._awake = max(_PERIODS_AWAKE * period, _LEAST_AWAKE_S)
        self._next_look = clock.now()
        self.one_at_a_time = False

    def lend(self, record: Hops) -> None:
        """Say to compiled code when the next pull is watched, and how long before the last sample it begins."""
        record.singly, record.awake, record.next_look = self.one_at_a_time, self._awake, self._next_look

    def pull(
        self, inlet: _Inlet, samples: NDArray[Any], stamps: NDArray[np.float64], timeout: float, due: float
    ) -> tuple[int, bool]:
        """Pull as `Inlet.pull` does; `due` is when the last sample may be expected, session seconds."""
        wanted = len(stamps)
        if timeout <= 0 or wanted < 4:
            return inlet.pull(samples, stamps, timeout)
        now = self._clock.now()
        if now >= self._next_look:
            self._next_look = now + WATCH_EVERY_S
            return self._watched(inlet, samples, stamps, timeout)
        if self.one_at_a_time:
            left = due - self._awake - now
            if left > _WORTH_S:
                self._clock.sleep_until(now + min(left, _LONGEST_SLEEP_S))
        return inlet.pull(samples, stamps, timeout)

    def _watched(
        self, inlet: _Inlet, samples: NDArray[Any], stamps: NDArray[np.float64], timeout: float
    ) -> tuple[int, bool]:
        """Pull without sleeping, and see how often that wakes this thread."""
        before = _switches()
        n, lost = inlet.pull(samples, stamps, timeout)
        self.one_at_a_time = n > 0 and _switches() - before >= 0.7 * n
        return n, lost


def _switches() -> int:
    """Return how often this thread has waited so far; 0 where the system does not count it for one thread."""
    if not sys.platform.startswith("linux"):
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
