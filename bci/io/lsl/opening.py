"""An Opening compares the first seconds of a connection with the session clock, to see whether its time can be used."""

import time

import numpy as np

from bci.errors import StreamTimeError
from bci.signal.clock import Clock
from bci.signal.quality.stamping import ENOUGH_S, SOON_S, Stamping, judge_stamps, unit_of
from bci.signal.types import Times

#: How often it is judged while samples come, seconds.
_EVERY_S = 0.5


class Opening:
    """An Opening listens to one connection until its time is known.

    Parameters
    ----------
    source_id : str
        The stream's, for messages.
    rate : float
        Samples per second as stated, at the speed it plays.
    clock : Clock
        The session clock.
    strict : bool
        Whether a stream whose time cannot be used is refused; else that is only said.

    Attributes
    ----------
    found : Stamping
        What has been found so far.
    open : bool
        Whether it still listens.
    scale : float
        By what the stamps have to be divided to be seconds: 1, or as found at the last fault.
    """

    def __init__(self, source_id: str, rate: float, clock: Clock, strict: bool) -> None:
        self._source_id, self._rate, self._clock, self._strict = source_id, rate, clock, strict
        self.found = Stamping()
        self.scale = 1.0
        self.restart()

    def restart(self) -> None:
        """Listen again: a new connection, or the sender's clock was set."""
        self.open = True
        self._stamps: list[Times] = []
        self._arrived: list[Times] = []
        self._began = np.nan
        self._next = SOON_S

    def add(self, stamps: Times, arrived: float, offset: float) -> str:
        """Take the next samples; return in words what is wrong, once, when that is known.

        Parameters
        ----------
        stamps : (n,) float64
            As sent.
        arrived : float
            When they were received.
        offset : float
            Seconds to add to the stamps for the sender's clock.

        Raises
        ------
        StreamTimeError
            If it is strict and the stream's time cannot be used.
        """
        self._stamps.append(stamps + offset)
        self._arrived.append(np.full(len(stamps), arrived))
        if np.isnan(self._began):
            self._began = arrived
        passed = arrived - self._began
        if passed < self._next and np.isfinite(stamps).all():
            return ""
        self._next = min(passed + _EVERY_S, max(ENOUGH_S, passed))
        known = np.concatenate(self._stamps), np.concatenate(self._arrived)
        self.found = judge_stamps(*known, self._rate, time.time() - self._clock.now())
        if not self.found.fault and passed < ENOUGH_S:
            return ""
        self.open = False
        seconds = not self.found.fault or self.found.kind == "not a number"
        self.scale = 1.0 if seconds else unit_of(self._pace(known[0][0], known[0][1:]))
        self._stamps, self._arrived = [], []
        if self.found.fault and self._strict:
            raise StreamTimeError(f"stream {self._source_id!r}: {self.found.fault}")
        return self.found.fault or self.found.note

    def doubts(self, before: float, stamps: Times) -> bool:
        """Return whether steps between stamps (n,), or from the one `before`, may be of another unit than seconds.

        Then nothing can be said of losses. It is so until the connection has been judged for the first time.
        """
        if not self.open or self._next > SOON_S:
            return False
        if np.isnan(before):
            before, stamps = float(stamps[0]), stamps[1:]
        return unit_of(self._pace(before, stamps)) != 1

    def _pace(self, before: float, stamps: Times) -> float:
        """Return how many times faster than seconds stamps (n,) pass, by the rate, from the one before them."""
        return (float(stamps[-1]) - before) * self._rate / len(stamps) if len(stamps) else 0.0

    def seconds(self, stamps: Times) -> Times:
        """Return stamps (n,) in seconds, whatever they count; themselves where it is that."""
        return stamps if self.scale == 1 else stamps / self.scale
