"""A Dejitter turns the jittered stamps of a regular stream into the evenly spaced times they were taken at.

A sender stamps a sample when its driver hands it over, which is late by a varying amount. The sample's number
does not vary, so a straight line through the stamps against the numbers is a better clock than the stamps.
The line is fitted by least squares with exponential forgetting, over blocks counted from the first sample of
a segment, and the line fitted up to the end of a block is applied to the next block only:

    within block k:   time(i) = y[k] + (i - e[k]) * (L[k](e[k+1]) - y[k]) / B

with B the block's length, e[k] the number of its first sample, L[k] the line through all earlier blocks and
y[k] where the previous block's line ended. The times are continuous and converge to the fit within a block.
Nothing depends on how the stamps were cut into chunks. The first block passes, made non-decreasing.
"""

import numpy as np
from numpy.typing import NDArray

#: Length of a block, seconds, and how old a block weighs half. Longer lives average more jitter and follow a
#: wandering sampling clock less: over stamps that come 32 at a time, late by 5 ms on average, the error is
#: 0.3 ms at 10 s and 0.24 ms at 60 s; a recording paced by sleeping is followed a quarter more closely at 10 s.
BLOCK_S, HALF_LIFE_S = 0.5, 10.0

#: A line through fewer stamps is too uncertain to use.
_LEAST_BLOCK = 8

#: Up to so many stamps at a time are worked on as Python numbers: the same arithmetic, the same bits, and sooner
#: done by a process that has just slept.
FEW = 32


class Dejitter:
    """A Dejitter holds the fit of one stream; `restart` begins a new segment.

    Parameters
    ----------
    rate : float
        Samples per second as the stream says, at the speed it plays. The true rate is found by the fit.

    Examples
    --------
    >>> dejitter = Dejitter(rate=100.0)
    >>> true = np.arange(1000) / 92.9
    >>> jittered = true + 1e-3 * (np.arange(1000) % 7 == 0)
    >>> times = np.empty(1000)
    >>> dejitter(jittered, times)
    >>> bool(np.abs(times[500:] - true[500:]).max() < 3e-4), round(1 / dejitter.period, 1)
    (True, 92.9)
    """

    def __init__(self, rate: float) -> None:
        self._nominal = 1.0 / rate
        self._size = max(_LEAST_BLOCK, round(BLOCK_S * rate))
        self._forget = 0.5 ** (self._size * self._nominal / HALF_LIFE_S)
        self._ramp = np.arange(self._size, dtype=np.float64)
        self._centred = self._ramp - (self._size - 1) / 2
        self._spread = float((self._centred * self._centred).sum())
        self._block = np.empty(self._size)
        self.restart()

    def restart(self) -> None:
        """Forget everything: the next stamp is the first of a segment."""
        self._at = 0  # place in the current block
        self._blocks = 0  # blocks completed
        self._origin = 0.0
        self._newest = -np.inf
        self._knot = self._slope = 0.0
        self._weight = self._mean_i = self._mean_t = self._s_ii = self._s_it = 0.0

    @property
    def period(self) -> float:
        """Seconds between two samples: fitted, or nominal before the first fit."""
        fitted = self._s_it / self._s_ii if self._s_ii else 0.0
        return fitted if fitted > 0 else self._nominal

    def expect(self, out: NDArray[np.float64]) -> bool:
        """Write the times of the next samples, as far as earlier blocks tell; False, and nothing, where they do not.

        Within a block nothing depends on its own stamps, so these are the very times that a call would write.
        """
        if not self._blocks or self._at + len(out) > self._size:
            return False
        self._lay(out)
        return True

    def take(self, stamps: NDArray[np.float64]) -> None:
        """Learn from the stamps of samples whose times were expected."""
        end = self._at + len(stamps)
        np.subtract(stamps, self._origin, out=self._block[self._at : end])
        self._at = end
        if end == self._size:
            self._fit()

    def _lay(self, out: NDArray[np.float64]) -> None:
        """Write the line of this block from where it stands."""
        at, n = self._at, len(out)
        if n <= FEW:
            knot, slope, origin = self._knot, self._slope, self._origin
            out[:] = [i * slope + knot + origin for i in range(at, at + n)]
        else:
            np.multiply(self._ramp[at : at + n], self._slope, out=out)
            out += self._knot
            out += self._origin

    def __call__(self, stamps: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        """Write the time of each stamp into `out`.

        Parameters
        ----------
        stamps : (n,) float64
            Of consecutive samples, as sent.
        out : (n,) float64
            Receives the times, on the sender's clock; may not overlap `stamps`.
        """
        done, n = 0, len(stamps)
        while done < n:
            if self._at == 0 and self._blocks == 0:
                self._origin = float(stamps[done])
            step = min(n - done, self._size - self._at)
            piece, place = stamps[done : done + step], out[done : done + step]
            if self._blocks:
                self._lay(place)
            else:
                np.maximum.accumulate(piece, out=place)
                np.maximum(place, self._newest, out=place)
                self._newest = float(place[-1])
            self.take(piece)
            done += step

    def _fit(self) -> None:
        """Take the full block into the fit and lay the line of the next one."""
        size = self._size
        first = self._blocks * size
        mean_t = float(self._block.sum()) / size
        mean_i = first + (size - 1) / 2
        weight = self._weight * self._forget
        total = weight + size
        between = weight * size / total
        d_i, d_t = mean_i - self._mean_i, mean_t - self._mean_t
        # Moments about the joint mean (Chan, Golub and LeVeque 1983), the past ones faded.
        self._s_ii = self._s_ii * self._forget + self._spread + between * d_i * d_i
        self._s_it = (
            self._s_it * self._forget
            + float((self._centred * (self._block - mean_t)).sum())
            + between * d_i * d_t
        )
        self._mean_i += d_i * size / total
        self._mean_t += d_t * size / total
        self._weight = total

        here = first + size
        if self._blocks:
            self._knot += self._slope * size
        else:
            self._knot = max(self._line(here), self._newest - self._origin)
        self._slope = max(0.0, (self._line(here + size) - self._knot) / size)
        self._at = 0
        self._blocks += 1

    def _line(self, i: int) -> float:
        return self._mean_t + self.period * (i - self._mean_i)
