r"""A SpikingParticipant simulates a person with microelectrodes in visual cortex, whose neurons fire for what is shown.

Each channel is one unit of the simulated cortex. Its spikes are counted in bins, and drawn from a Poisson distribution:

.. math:: rate(t) = \max\left(0, r_0 + g \sum_{looks} drive \cdot course(t)\right)

with a base rate of 10 spikes a second, and a course that rises after the unit's latency, falls to half of that, and
ends with the picture. The signal-to-noise ratio sets g: the variance over reference pictures of the expected count of
70 to 300 ms after a flip, by the variance of the count itself, at the base rate.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Signal
from bci.sim.cortex.gaze import Pictures
from bci.sim.observer import Observer
from bci.sim.seeds import numbered

Array = NDArray[np.float64]
Drives = NDArray[np.float32]

_SPIKES = 61

BASE_HZ = 10.0
#: Latencies of early and of higher units, seconds; how fast the first burst falls, and to what share of it.
EARLY_S, HIGHER_S, FALL_S, SUSTAINED = 0.04, 0.07, 0.08, 0.5
#: Where the signal-to-noise ratio is taken, seconds after the flip.
INTERVAL = (0.07, 0.3)
#: Bins whose random numbers are drawn together.
_BLOCK = 256


@dataclass(slots=True, eq=False)
class _Look:
    drive: Drives
    began: float
    ended: float = math.inf


class SpikingParticipant:
    """A SpikingParticipant answers pictures with counts of spikes, one sample a bin.

    Parameters
    ----------
    observer : Observer
        The participant's eye, cortex, attention and memory; a channel for each unit of its cortex.
    subject : int
        Number of the participant.
    snr : float
        Single-trial signal-to-noise ratio, a ratio of variances; 0 for a null run.
    rate : float
        Bins in a second.

    Attributes
    ----------
    signal : Signal
        Rate, channels and unit of the samples that `read` returns.
    gain : float
        Spikes a second for a drive of one standard deviation, in the first burst.
    late : int
        Changes of the screen that arrived after samples that should have held their answer.
    """

    simulated = True
    kind = "Spikes"
    dead_time = EARLY_S

    def __init__(self, observer: Observer, subject: int, *, snr: float = 1.0, rate: float = 100.0) -> None:
        if not 0 <= snr < math.inf or not 10 <= rate <= 1000:
            raise ValueError(f"spikes need snr ≥ 0 and 10 to 1000 bins a second, got {snr} and {rate}")
        self.observer, self.subject, self.snr = observer, subject, snr
        units = len(observer.population)
        labels = tuple(f"U{unit:03d}" for unit in range(units))
        self.signal = Signal("SimulatedSpikes", rate, (units,), labels, "spikes")
        self.latency = np.where(observer.population.is_early, EARLY_S, HIGHER_S)
        times = np.arange(*INTERVAL, 1 / rate)
        share = float(_course(times[:, None] - HIGHER_S, math.inf).mean())
        self.gain = math.sqrt(snr * BASE_HZ / (INTERVAL[1] - INTERVAL[0])) / share
        self.reset()

    def reset(self) -> None:
        """Begin the session again at sample 0."""
        self.observer.reset()
        self._looks: list[_Look] = []
        self._next = 0
        self.late = 0

    def see(self, picture: Pictures, time: float) -> None:
        """Take a change of the screen: (h, w, 3) uint8, flipped `time` seconds after sample 0."""
        look = self.observer.see(picture, time)
        if look is None:
            return
        self.late += self._next > 0 and time + EARLY_S < (self._next - 1) / self.signal.rate
        if self._looks:
            self._looks[-1].ended = min(self._looks[-1].ended, time)
        if look[1].any():
            self._looks.append(_Look(look[1], time))

    def rates(self, first: int, end: int) -> Array:
        """Return the expected rates of bins `first` to `end`, spikes a second: (end - first, units)."""
        times = np.arange(first, end) / self.signal.rate
        rates = np.full((end - first, len(self.latency)), BASE_HZ)
        for look in self._looks:
            since = times[:, None] - look.began - self.latency
            rates += self.gain * look.drive * _course(since, look.ended - look.began)
        return np.asarray(np.maximum(rates, 0))

    def read(self, n: int) -> NDArray[np.float32]:
        """Return the next `n` samples (n, units) float32, spikes in each bin."""
        first, self._next = self._next, self._next + n
        expected = self.rates(first, self._next) / self.signal.rate
        over = (first / self.signal.rate) - HIGHER_S
        self._looks = [look for look in self._looks if look.ended > over]
        out = np.empty((n, len(self.latency)), np.float32)
        for block in range(first // _BLOCK, (self._next - 1) // _BLOCK + 1 if n else 0):
            low, high = max(first, block * _BLOCK), min(self._next, (block + 1) * _BLOCK)
            # A block's numbers are the same however many of its bins are read at once.
            random = numbered(self.observer.session, _SPIKES, block).random((_BLOCK, len(self.latency)))
            part = random[low - block * _BLOCK : high - block * _BLOCK]
            out[low - first : high - first] = _poisson(expected[low - first : high - first], part)
        return out


def _course(since: Array, lasts: float) -> Array:
    """Return the share of the burst that is left `since` seconds after a unit's latency, of a look of `lasts`."""
    course = SUSTAINED + (1 - SUSTAINED) * np.exp(-np.maximum(since, 0) / FALL_S)
    return np.where((since >= 0) & (since < lasts), course, 0.0)


def _poisson(mean: Array, random: Array) -> Array:
    """Return counts of these means for uniform random numbers, by the inverse of the distribution.

    >>> _poisson(np.array([0.0, 1.0, 1.0]), np.array([0.99, 0.3, 0.7])).tolist()
    [0.0, 0.0, 1.0]
    """
    counts, term = np.zeros(mean.shape), np.exp(-mean)
    below = term.copy()
    for k in range(1, 200):
        more = random > below
        if not more.any():
            break
        counts += more
        term = term * mean / k
        below += term
    return counts
