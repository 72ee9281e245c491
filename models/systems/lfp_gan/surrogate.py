r"""A SurrogateLfp is an endless recording whose spectrum, bursts and responses to pictures are known.

.. math:: x(t) = \sum_m M_m\, s_m(t) + e(t) + \sum_b a_b\, g(t - t_b)\, w_b + \sum_k c(k, t - t_k)

Sources :math:`s_m` are Gaussian with density :math:`1 / (1 + (f/12)^2)`, mixed over the depth of the probe; each
channel has white noise `e` of its own. Bursts of 60 Hz come at random, twice a second, each at a depth of its own and
with an amplitude of heavy tail, so that no Gaussian has them. Every 0.3 s a picture is shown: four blobs of random
contrast on grey. What a window after it holds in the mean is a common wave and four others, each weighted by the
contrast of one blob. The same seed gives the same samples, and any of them can be read at any time.
"""

import math
import sys
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Event, Signal, Times
from bci.sim.noise import SpectralNoise, coefficients
from bci.sim.seeds import numbered

Array = NDArray[np.float64]

CHANNELS, RATE = 22, 1250.0
#: From picture to picture, samples; height and width of a picture.
PERIOD, SIZE = 375, (24, 36)
#: Blobs of a picture: places as shares of height and width, and their deviation in pixels.
_BLOBS = ((0.3, 0.25), (0.3, 0.75), (0.7, 0.25), (0.7, 0.75))
_BLOB = 4.0

_SLOT = 1250
_KNEE_HZ, _MODES, _REACH, _SENSOR = 12.0, 12, 2.5, 0.02
_BURST_HZ, _BURST_S, _BURSTS, _BURST_SIZE, _BURST_REACH = 60.0, 0.02, 2.0, 4.0, 2.0
#: Peak of the common wave and of each other one, in deviations of the ongoing signal.
_COMMON, _OWN = 1.0, 1.2
_NOISE, _BURST, _ORDER, _PICTURE, _WAVES = range(5)


def density(frequency: Array) -> Array:
    """Return the density of the ongoing signal over frequency, without its scale.

    >>> density(np.array([0.0, 12.0])).round(2).tolist()
    [1.0, 0.5]
    """
    return np.asarray(1 / (1 + (frequency / _KNEE_HZ) ** 2))


class SurrogateLfp:
    """A SurrogateLfp is a `bci.io.files.recording.Recording` of 22 channels at 1250 Hz, in microvolts.

    Parameters
    ----------
    seed : int
        Of everything.
    pictures : int
        How many there are; each is shown once before any is shown again.
    presentations : int, optional
        Length, in pictures shown; endless when absent.

    Attributes
    ----------
    pictures : (k, height, width) float32
        0 to 1.
    contrasts : (k, 4) float64
        Of their blobs, -1 to 1.
    """

    simulated = True
    defects: tuple[str, ...] = ()

    def __init__(self, seed: int = 0, pictures: int = 118, presentations: int | None = None) -> None:
        self.seed = seed
        labels = tuple(f"LFP{c:02d}" for c in range(CHANNELS))
        self.signal = Signal("SurrogateLFP", RATE, (CHANNELS,), labels, "uV")
        self.name = f"surrogate LFP, seed {seed}"
        self.n = None if presentations is None else presentations * PERIOD
        self.segments = ((0, sys.maxsize if self.n is None else self.n),)
        draw = numbered(seed, _PICTURE, 0)
        self.contrasts: Array = draw.uniform(-1, 1, (pictures, len(_BLOBS)))
        self.pictures = _draw_pictures(self.contrasts)
        frequency = np.fft.rfftfreq(2 * _SLOT, 1 / RATE)
        slow = density(frequency) * (frequency > 0.5)
        step = frequency[1] - frequency[0]
        slow /= slow.sum() * step
        white = np.full_like(slow, 1 / (RATE / 2))
        rows = [slow] * _MODES + [_SENSOR * white] * CHANNELS
        self._noise = SpectralNoise(coefficients(np.array(rows), RATE, 2 * _SLOT), seed, _NOISE)
        depth = np.arange(CHANNELS)
        mixing = _bump(depth, np.linspace(0, CHANNELS - 1, _MODES)[:, None], _REACH)
        self._mixing = mixing / np.sqrt((mixing**2).sum(0).mean())
        self._waves = _draw_waves(seed)
        self._slot = lru_cache(8)(self._make_slot)
        self.markers = self.markers_between(0.0, 3600.0 if self.n is None else self.n / RATE)

    def picture_at(self, presentation: int) -> int:
        """Return which picture is shown as number `presentation`."""
        block, place = divmod(presentation, len(self.pictures))
        return int(self._order(block)[place])

    def response(self, picture: int) -> NDArray[np.float32]:
        """Return the mean response to a picture, as planted: (PERIOD, 22)."""
        weights = np.concatenate([[1.0], self.contrasts[picture]])
        return np.asarray(np.einsum("j,jtc->tc", weights, self._waves), np.float32)

    def markers_between(self, start: float, stop: float) -> tuple[Event, ...]:
        """Return the onsets with ``start ≤ time < stop``: ``image 17``."""
        stop = stop if self.n is None else min(stop, self.n / RATE)
        low, high = (math.ceil(max(time, 0) * RATE / PERIOD - 1e-9) for time in (start, stop))
        return tuple(Event(k * PERIOD / RATE, f"image {self.picture_at(k)}") for k in range(low, high))

    def read(self, first: int, end: int) -> NDArray[np.float32]:
        """Return samples `first` to `end`: (end - first, 22) float32, microvolt."""
        self._check(first, end)
        out = np.empty((end - first, CHANNELS), np.float32)
        at = first
        while at < end:
            slot, offset = divmod(at, _SLOT)
            stop = min(end, (slot + 1) * _SLOT)
            out[at - first : stop - first] = self._slot(slot)[offset : offset + stop - at]
            at = stop
        return out

    def times(self, first: int, end: int) -> Times:
        """Return the times of samples `first` to `end`, seconds."""
        self._check(first, end)
        return np.arange(first, end) / RATE

    def _check(self, first: int, end: int) -> None:
        if not 0 <= first <= end or (self.n is not None and end > self.n):
            raise ValueError(f"{self.name} has samples 0 to {self.n}; asked for {first} to {end}")

    @lru_cache(64)  # noqa: B019 - a recording lives as long as its process
    def _order(self, block: int) -> NDArray[np.int64]:
        return numbered(self.seed, _ORDER, block).permutation(len(self.pictures))

    def _make_slot(self, slot: int) -> NDArray[np.float32]:
        """Return one second: (1250, 22)."""
        sources = self._noise.slot(slot)
        # einsum without optimisation adds in one order everywhere.
        out = np.einsum("tm,mc->tc", sources[:, :_MODES], self._mixing) + sources[:, _MODES:]
        first = slot * _SLOT
        for before in (slot - 1, slot, slot + 1):
            if before >= 0:
                self._add_bursts(out, before, first)
        for k in range(first // PERIOD, (first + _SLOT - 1) // PERIOD + 1):
            low, high = max(first, k * PERIOD), min(first + _SLOT, (k + 1) * PERIOD)
            out[low - first : high - first] += self.response(self.picture_at(k))[
                low - k * PERIOD : high - k * PERIOD
            ]
        return (100 * out).astype(np.float32)

    def _add_bursts(self, out: Array, second: int, first: int) -> None:
        """Add the bursts whose middle lies in a second to a slot that begins at sample `first`."""
        random = numbered(self.seed, _BURST, second)
        times = (first + np.arange(len(out))) / RATE
        for _ in range(int(random.poisson(_BURSTS))):
            middle, phase, depth = (
                second + random.random(),
                2 * math.pi * random.random(),
                random.uniform(0, CHANNELS - 1),
            )
            size = _BURST_SIZE * math.exp(0.5 * random.standard_normal())
            course = np.exp(-(((times - middle) / _BURST_S) ** 2) / 2)
            course *= np.cos(2 * math.pi * _BURST_HZ * (times - middle) + phase)
            out += size * course[:, None] * _bump(np.arange(CHANNELS), depth, _BURST_REACH)


def _bump(at: NDArray[np.integer], middle: Array | float, reach: float) -> Array:
    return np.asarray(np.exp(-(((at - middle) / reach) ** 2) / 2))


def _draw_pictures(contrasts: Array) -> NDArray[np.float32]:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    blobs = [
        np.exp(-((rows - y * SIZE[0]) ** 2 + (columns - x * SIZE[1]) ** 2) / (2 * _BLOB**2))
        for y, x in _BLOBS
    ]
    return np.asarray(np.clip(0.5 + 0.5 * np.einsum("kj,jyx->kyx", contrasts, blobs), 0, 1), np.float32)


def _draw_waves(seed: int) -> Array:
    """Return the common wave and one for each blob: (5, PERIOD, 22)."""
    random = numbered(seed, _WAVES, 0)
    time = np.arange(PERIOD) / RATE
    waves = []
    for number in range(1 + len(_BLOBS)):
        latency, width = 0.05 + 0.03 * number, random.uniform(0.012, 0.02)
        about = (time - latency) / width
        course = -about * np.exp(-(about**2) / 2 + 0.5)
        where = _bump(np.arange(CHANNELS), random.uniform(2, CHANNELS - 3), random.uniform(3, 6))
        waves.append((_OWN if number else _COMMON) * course[:, None] * where)
    return np.array(waves)
