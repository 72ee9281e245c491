"""DrawnTraces are what is drawn of a stream: the least and the greatest value in each column of pixels.

A line through a thousandth of the samples would hide a spike between two of them; the range of each column hides none,
and costs a browser the same for 100 samples a second as for 30,000.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Samples, Signal, Times

#: Seconds that are shown at least hold so many samples: a scanner's ten seconds would be six volumes.
_FEWEST_SAMPLES = 60

#: Samples are looked through in pieces that a processor's cache holds, values.
_PIECE = 1 << 18


@dataclass(frozen=True, eq=False)
class TracePicture:
    """The columns of some channels, oldest first.

    Attributes
    ----------
    times : (m,) float64
        Session seconds of each column's first sample.
    low, high : (m, channels) float32
        Range of the samples in it; NaN where none of them was a number.
    after_gap : (m,) bool
        Where a column does not go on from the one before it: a gap in time, or in what was looked at.
    """

    times: NDArray[np.float64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    after_gap: NDArray[np.bool_]

    def zigzag(self, channel: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return one channel as a line through its ranges, low to high and back, NaN where it is interrupted.

        Returns
        -------
        (k,) float64, (k,) float32
            Times and values.
        """
        n = len(self.times)
        values = np.empty(2 * n, np.float32)
        # Down in one column and up in the next: half the ink of a bar a column, and the same outline.
        values[0::4], values[1::4] = self.low[0::2, channel], self.high[0::2, channel]
        values[2::4], values[3::4] = self.high[1::2, channel], self.low[1::2, channel]
        times = np.repeat(self.times, 2)
        breaks = 2 * np.flatnonzero(self.after_gap[1:]) + 2
        return np.insert(times, breaks, np.nan), np.insert(values, breaks, np.nan)


class DrawnTraces:
    """The newest columns of one stream, kept up to date sample by sample.

    Parameters
    ----------
    signal : Signal
        The stream's.
    seconds : float
        How much is shown; more where so few samples would be too few to see anything.
    columns : int
        How many columns that is at most.
    speed : float
        How many times faster than its rate the stream is played.

    Attributes
    ----------
    seconds : float
        How much is shown.
    channels : int
        Values of one sample.
    """

    def __init__(self, signal: Signal, seconds: float, columns: int, speed: float = 1.0) -> None:
        self._rate = signal.rate * speed  # samples in a second of the session
        rate = self._rate or 1.0
        self.signal = signal
        self.seconds = max(seconds, _FEWEST_SAMPLES / rate)
        self.channels = math.prod(signal.shape)
        self._step = max(1, math.ceil(self.seconds * rate / columns))
        self._size = math.ceil(self.seconds * rate / self._step) + 1
        shape = self._size, self.channels
        self._low, self._high = (np.full(shape, value, np.float32) for value in (np.inf, -np.inf))
        self._numbers = np.full(self._size, -1)
        self._times = np.full(self._size, np.nan)
        self._broken = np.zeros(self._size, bool)
        self._next, self._last = -1, math.nan

    def add(self, first: int, samples: Samples, times: Times) -> None:
        """Take in consecutive samples.

        Parameters
        ----------
        first : int
            Absolute count of the first.
        samples : (n, *signal.shape) array
            Their values.
        times : (n,) float64
            Session seconds.
        """
        values = samples.reshape(len(samples), -1)
        piece = max(self._step, _PIECE // self.channels // self._step * self._step)
        at = 0
        while at < len(values):
            # Pieces end where columns do.
            upto = min(len(values), at + piece - (first + at) % self._step)
            self._add(first + at, values[at:upto], times[at:upto])
            at = upto

    def _add(self, first: int, values: Samples, times: Times) -> None:
        step, end = self._step, first + len(values)
        numbers = np.arange(first // step, (end - 1) // step + 1)
        starts = np.maximum(numbers * step - first, 0)
        with np.errstate(invalid="ignore"):
            low = np.fmin.reduceat(values, starts, axis=0).astype(np.float32)
            high = np.fmax.reduceat(values, starts, axis=0).astype(np.float32)
        jumps = np.empty(len(numbers), bool)
        before = np.concatenate([[self._last], times[starts[1:] - 1]])
        with np.errstate(invalid="ignore"):
            jumps[:] = times[starts] - before > self._longest_step()
        jumps[0] |= first != self._next
        places = numbers % self._size
        goes_on = self._numbers[places[0]] == numbers[0] and first == self._next
        if goes_on:
            place = places[0]
            low[0], high[0] = np.fmin(self._low[place], low[0]), np.fmax(self._high[place], high[0])
            jumps[0] |= self._broken[place]
        keep = slice(max(0, len(numbers) - self._size), None)
        self._low[places[keep]], self._high[places[keep]] = low[keep], high[keep]
        if not goes_on:
            self._times[places[0]] = times[0]
        inner = slice(max(1, keep.start), None)
        self._times[places[inner]] = times[starts[inner]]
        self._numbers[places[keep]], self._broken[places[keep]] = numbers[keep], jumps[keep]
        self._next, self._last = end, float(times[-1])

    def _longest_step(self) -> float:
        """Return after how many seconds without a sample time is interrupted."""
        return 1.5 / self._rate + 0.01 if self._rate else math.inf

    @property
    def newest(self) -> float:
        """Session seconds of the newest sample; NaN before the first."""
        return self._last

    def picture(self, channels: slice, now: float) -> TracePicture:
        """Return the columns of some channels that are not older than what is shown at a time, session seconds."""
        held = np.flatnonzero(self._numbers >= 0)
        held = held[np.argsort(self._numbers[held])]
        held = held[self._times[held] >= now - self.seconds - self._step / (self._rate or 1.0)]
        low, high = self._low[held, channels], self._high[held, channels]
        return TracePicture(
            self._times[held],
            np.where(np.isfinite(low), low, np.nan),
            np.where(np.isfinite(high), high, np.nan),
            self._broken[held],
        )


def unusable(picture: TracePicture) -> NDArray[np.bool_]:
    """Return which channels show nothing: not a number at times, or the same value all the time.

    Returns
    -------
    (channels,) bool
    """
    if len(picture.times) < 2:
        return np.zeros(picture.low.shape[1], bool)
    missing = np.isnan(picture.low).any(axis=0)
    with np.errstate(invalid="ignore"):
        # NaN compares as unequal, and is counted above.
        flat = (picture.low == picture.low[0]).all(axis=0) & (picture.high == picture.low[0]).all(axis=0)
    return np.asarray(missing | flat, np.bool_)
