"""A Clock tells the time of the session and waits for it; tests turn one by hand.

The session clock of a real run is `bci.memory.lsl_clock.LslClock`; this module holds what needs no library.
"""

from typing import Protocol


class Clock(Protocol):
    """A Clock tells the session time and waits for it; all code that waits takes one."""

    def now(self) -> float:
        """Return the session time, seconds."""
        ...

    def sleep_until(self, when: float) -> None:
        """Return at or after `when` (session seconds); at once when it has passed."""
        ...


class ManualClock:
    """A ManualClock moves only by `advance` and by `sleep_until`: a test turns it by hand.

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
