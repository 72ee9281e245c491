"""A Pacer stands in for the refresh of a headless display: a grid of times on the session clock."""

import math

from bci.signal.clock import Clock

#: After so many late wake-ups in a row a flip goes ahead between two places, so that the heartbeat goes on.
_TRIES = 2


class Pacer:
    """A Pacer keeps flips on the grid ``start + k / refresh_hz``.

    A flip that is not ready in time takes the next place on the grid, as it would wait for the next refresh of
    a monitor; the places passed over are dropped flips.

    Parameters
    ----------
    clock : Clock
        The session clock.
    refresh_hz : float
        Places per second.
    """

    def __init__(self, clock: Clock, refresh_hz: float) -> None:
        self._clock = clock
        self._hz = refresh_hz
        self._start = clock.now()
        self._place = 0

    def wait(self) -> None:
        """Return at the next place of the grid."""
        for _ in range(_TRIES):
            # The place after the last one even when rounding puts the clock just short of it: none comes twice.
            passed = math.floor((self._clock.now() - self._start) * self._hz)
            self._place = max(self._place, passed) + 1
            due = self._start + self._place / self._hz
            self._clock.sleep_until(due)
            if (self._clock.now() - due) * self._hz < 0.5:
                return
