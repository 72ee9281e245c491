"""A Beginning says how many of a stream's first samples are held until it is known whether they come in packets.

The samples of a packet that is stamped when it arrives are stamped late by up to the packet's length, and how late
shows only by where packets end. So the first samples of such a stream are held for half a second, and longer only where
too few packets have ended by then; all of them get their times at once. A stream that is not stamped so shows it by its
second sample, or by how few stamps lie together, and is handed on as it comes.
"""

import numpy as np
from numpy.typing import NDArray

from bci.io.lsl.packets import PACKETS, TOGETHER

#: Of so many packets the ends are waited for: the earliest of them tells when samples are taken.
_ENDS = 3

#: A first step of at most so many periods is that of a stream that sends sample by sample.
_STEADY = 1.5


class Beginning:
    """A Beginning watches the first samples of a segment.

    Parameters
    ----------
    period : float
        Nominal seconds between samples.
    block : int
        So many samples are held at least.

    Attributes
    ----------
    open : bool
        Whether it is open how the first samples are stamped.
    waits : bool
        Whether samples are held because they look like those of packets.
    """

    def __init__(self, period: float, block: int) -> None:
        self._period, self._block = period, block
        self.restart()

    def restart(self) -> None:
        """Watch again: a new segment begins."""
        self.open, self.waits = True, False

    def look(self, stamps: NDArray[np.float64], most: int, last: bool) -> int | None:
        """Return how many of a segment's first stamps are those of packets, for all to be given times at once.

        Parameters
        ----------
        stamps : (n,) float64, n ≥ 1
            From the first of the segment on; more of them never change what fewer have shown.
        most : int
            So many samples are held at most.
        last : bool
            Whether none will be waited for.

        Returns
        -------
        int or None
            0 where they are not those of packets, or no packet has ended; None while that is open.
        """
        n = len(stamps)
        steps = stamps[1:] - stamps[:-1]
        ends = np.flatnonzero(steps >= TOGETHER * self._period)
        # The end of a packet shows by the first sample of the next.
        wanted = max(self._block, int(ends[_ENDS - 1]) + 2) if len(ends) >= _ENDS else most
        size = min(n, wanted, most)
        if self._sent_singly(steps[: size - 1]):
            self.open = self.waits = False
            return 0
        if n < wanted and n < most and not last:
            self.waits = n > 1
            return None
        self.open = self.waits = False
        return size if len(ends) and ends[0] < size - 1 else 0

    def _sent_singly(self, steps: NDArray[np.float64]) -> bool:
        """Return whether some of the first steps (n,) show that samples do not come in packets."""
        if not len(steps):
            return False
        near = np.cumsum(np.abs(steps) < TOGETHER * self._period)
        few = near < PACKETS * np.arange(1, len(steps) + 1)
        # What is received first may be the last sample of a packet: then a longer step comes first.
        few[0] &= 0 < steps[0] <= _STEADY * self._period
        return bool(few.any())
