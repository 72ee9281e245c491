"""An Offset is what has to be added to a sender's stamps to get ours; a change of it comes gradually into force."""

import numpy as np
from numpy.typing import NDArray

#: A new estimate of the clock offset is taken into use when it differs by more than this, seconds.
OFFSET_STEP = 5e-5

#: How long a change of the clock offset takes to come into full force, so that times stay in order, seconds.
OFFSET_SLEW_S = 1.0


class Offset:
    """An Offset holds the estimate in force and the one before it.

    Parameters
    ----------
    rate : float
        Samples per second, as they arrive.

    Attributes
    ----------
    seconds : float
        The newest estimate.
    known : bool
        Whether there is one since the last segment began.
    """

    def __init__(self, rate: float) -> None:
        self._slew = max(1, round(OFFSET_SLEW_S * rate))
        self._n = 0
        self._from = self.seconds = 0.0
        self._since = -self._slew
        self.known = False

    @property
    def settled(self) -> bool:
        """Whether the newest estimate is in full force."""
        return self._n - self._since >= self._slew

    def jump(self, seconds: float) -> None:
        """Take an estimate into force at once."""
        self.known = True
        self._from = self.seconds = seconds

    def move(self, seconds: float) -> bool:
        """Take an estimate into use, from the next sample on, gradually; False if it is as good as the one in use."""
        if abs(seconds - self.seconds) <= OFFSET_STEP:
            return False
        share = min((self._n - self._since) / self._slew, 1.0)
        self._from, self.seconds = self._from + (self.seconds - self._from) * share, seconds
        self._since = self._n
        return True

    def add(self, times: NDArray[np.float64]) -> None:
        """Add to the times of the next samples (n,) what is in force at each."""
        n = len(times)
        since = self._n - self._since
        if since < self._slew:
            share = np.minimum((since + 1 + np.arange(n)) / self._slew, 1.0)
            times += self._from + (self.seconds - self._from) * share
        elif self.seconds:
            times += self.seconds
        self._n += n

    def count(self, n: int) -> None:
        """Count samples whose times were given before they came; the estimate was `settled`."""
        self._n += n
