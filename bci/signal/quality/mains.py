r"""Line noise is the mains' part of a signal, measured as narrow spectral peaks at 50 or 60 Hz and their multiples.

Power of each bin of a Hann-windowed segment, two seconds long and half of it shared with the next (Welch 1967, IEEE
Trans. Audio Electroacoust. 15:70), scaled so that all bins of one segment add up to its variance:

.. math:: P_k = \frac{2 |X_k|^2}{n \sum_t w_t^2}

A sine of amplitude :math:`a` then adds :math:`a^2 / 2` to the bins around it, wherever between two bins it lies.
The neighbouring bins give the background, which is subtracted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Frequencies of mains, hertz; and the highest multiple that is searched.
MAINS = (50.0, 60.0)
HIGHEST = 600.0

#: Power below this is drift, which is left out of the total, hertz.
_SLOWEST = 1.0

#: A grid's frequency stays within this, hertz; its multiples wander further in proportion.
_WANDER = 0.25
#: Hertz on either side of a peak over which the background is estimated.
_AROUND = 2.0

#: Groups of segments whose median is taken.
_MOST_GROUPS = 32

#: A peak counts when it is so many spreads above its background, and so many times its background.
_SIGMAS, _FACTOR = 5.0, 1.3


class RunningSpectrum:
    """A RunningSpectrum estimates power around the mains and their multiples, per bin and channel.

    Segments are averaged in groups of equal size, at most `_MOST_GROUPS` of them (when there are more, neighbours are
    joined), and the estimate is the groups' median: seconds of movement, or of an amplifier that settles, spoil
    a few groups and not the spectrum.

    Parameters
    ----------
    rate : float
        Samples per second.
    second : int
        Samples of half a segment, which is about a second.
    channels : int
        Number of channels.

    Attributes
    ----------
    bin : float
        Hertz between two bins; a Hann window spreads a sine over two of them to either side.
    frequencies : (bins,) float64
        Centre of each bin that is kept.
    """

    def __init__(self, rate: float, second: int, channels: int) -> None:
        n = 2 * second
        self._window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
        self._scale = 2 / (n * float(np.sum(self._window**2)))
        self.bin = rate / n
        frequencies = np.arange(second) * self.bin
        away = [
            np.abs(frequencies - k * f) - k * _WANDER for f in MAINS for k in range(1, int(HIGHEST / f) + 1)
        ]
        self._kept = np.flatnonzero(np.min(away, axis=0) <= 2 * self.bin + _AROUND)
        self._counts = np.append(frequencies, rate / 2) >= _SLOWEST
        self.frequencies = np.asarray(frequencies[self._kept], np.float64)
        # The last row of a group is the power of everything above 1 Hz.
        self._group = np.zeros((len(self._kept) + 1, channels), np.float32)
        self._segments = np.zeros(channels, np.int64)
        self._groups: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []
        self._size, self._in_group = 1, 0

    def add(self, segment: Array, channels: slice) -> None:
        """Take one segment: (2 · second, channels of the slice) float64; channels with a hole in it are left out."""
        x = segment.T
        good = np.isfinite(x).all(axis=1)
        x = _straightened(x[good]) * self._window
        power = self._scale * np.abs(np.fft.rfft(x, axis=1)) ** 2
        at = np.arange(len(self._segments))[channels][good]
        self._group[:-1, at] += power[:, self._kept].T
        self._group[-1, at] += power[:, self._counts].sum(axis=1)
        self._segments[at] += 1

    def next(self) -> None:
        """Go on to the next segment, after `add` has taken every channel of this one."""
        self._in_group += 1
        if self._in_group < self._size:
            return
        self._groups.append((self._group, self._segments))
        self._group, self._segments = np.zeros_like(self._group), np.zeros_like(self._segments)
        self._in_group = 0
        if len(self._groups) == _MOST_GROUPS:
            pairs = zip(self._groups[::2], self._groups[1::2], strict=True)
            self._groups = [(a[0] + b[0], a[1] + b[1]) for a, b in pairs]
            self._size *= 2

    def median(self) -> tuple[Array, Array, NDArray[np.int64]]:
        """Return the median over the groups.

        Returns
        -------
        power : (bins, channels) float64
            NaN where no segment could be used.
        total : (channels,) float64
            Power above 1 Hz.
        segments : (channels,) int64
            Number of segments that were used.
        """
        channels = len(self._segments)
        segments = np.sum([n for _, n in self._groups], axis=0, dtype=np.int64) + np.zeros(channels, np.int64)
        out = np.full((len(self._kept) + 1, channels), np.nan)
        for channel in np.flatnonzero(segments):
            means = [group[:, channel] / n[channel] for group, n in self._groups if n[channel]]
            out[:, channel] = np.median(np.array(means, np.float64), axis=0)
        return out[:-1], out[-1], segments


@dataclass(frozen=True, slots=True, eq=False)
class LineNoise:
    """LineNoise holds the mains frequency and its amplitude in each channel.

    Attributes
    ----------
    mains : float
        50 or 60 Hz, the same for all channels; NaN when no channel shows either.
    searched : bool
        Whether a search was possible: two seconds without a gap, and a rate well above twice the mains.
    harmonics : tuple of float
        Multiples of `mains` that were searched, `mains` first, hertz.
    amplitudes : (harmonics, channels) float64
        Amplitude of each harmonic as a sine, in the signal's unit; 0 where no peak stands out.
    share : (channels,) float64
        Share of the power above 1 Hz that the harmonics make together; NaN where no search was possible.
    """

    mains: float
    searched: bool
    harmonics: tuple[float, ...]
    amplitudes: Array
    share: Array


def find_line_noise(spectrum: RunningSpectrum, mains: Sequence[float] = MAINS) -> LineNoise:
    """Find which mains frequency the channels show, if any, and its amplitude in each."""
    power, total, segments = spectrum.median()
    no_share = np.where(segments > 0, 0.0, np.nan)
    look = partial(_peak, spectrum, power, segments)
    candidates = {f: peak for f in mains if (peak := look(f, 1)) is not None}
    searched = bool(segments.any()) and bool(candidates)
    strength = {f: float(np.log(p.ratio[p.stands]).sum()) for f, p in candidates.items() if p.stands.any()}
    if not strength:
        return LineNoise(math.nan, searched, (), np.zeros((0, len(segments))), no_share)
    mains_hz = max(strength, key=lambda f: strength[f])
    peaks: list[_Peak] = []
    while (peak := look((len(peaks) + 1) * mains_hz, len(peaks) + 1)) is not None:
        peaks.append(peak)
    excess = np.array([np.where(peak.stands, peak.excess, 0.0) for peak in peaks])
    share = no_share.copy()
    np.divide(excess.sum(axis=0), total, out=share, where=total > 0)
    harmonics = tuple((k + 1) * mains_hz for k in range(len(peaks)))
    return LineNoise(mains_hz, True, harmonics, np.sqrt(2 * excess), np.minimum(share, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Peak:
    """A _Peak holds power above the background, the ratio of the two, and whether it counts: each (channels,)."""

    excess: Array
    ratio: Array
    stands: NDArray[np.bool_]


def _peak(
    spectrum: RunningSpectrum, power: Array, segments: NDArray[np.int64], frequency: float, number: int
) -> _Peak | None:
    """Compare a peak with the background around it; None beyond the spectrum."""
    away = np.abs(spectrum.frequencies - frequency)
    half = 2 * spectrum.bin + number * _WANDER
    near, around = away <= half, (away > half) & (away <= half + _AROUND)
    if not len(away) or frequency + half > spectrum.frequencies[-1]:
        return None
    n = int(np.count_nonzero(near))
    some = np.maximum(segments, 1)
    background = np.median(power[around], axis=0)
    inside = power[near].sum(axis=0)
    ratio = np.ones(len(some))
    np.divide(inside, n * background, out=ratio, where=background > 0)
    # Where the background has no power, any peak counts.
    ratio[(background == 0) & (inside > 0)] = np.inf
    # A Hann window correlates neighbouring bins: 1.5 of them count as one independent bin.
    stands = ratio > np.maximum(_FACTOR, 1 + _SIGMAS / np.sqrt(some * n / 1.5))
    return _Peak(np.maximum(inside - n * background, 0.0), np.minimum(ratio, 1e12), stands)


def _straightened(x: Array) -> Array:
    """Return rows without their linear trend, whose leakage would reach every bin: (channels, n)."""
    t = np.arange(x.shape[1]) - (x.shape[1] - 1) / 2
    x = x - x.mean(axis=1, keepdims=True)
    slope: Array = (x * t).sum(axis=1, keepdims=True) / np.sum(t**2)
    straightened: Array = x - slope * t
    return straightened
