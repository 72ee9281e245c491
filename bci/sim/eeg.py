"""An AlphaSimulator generates endless EEG with a planted state: eyes open and eyes closed, in turn.

::

    samples = background + gain(state) · alpha + gain(state) · beta + blinks while open + line noise

Its figures are those of one real recording of each state (S001R01 and S001R02 of the eegmmidb set, Schalk et
al. 2004), so that a decoder trained on the real EEG works on the simulated one, and the reverse. It is a
`bci.io.files.recording.Recording`: any sample can be read at any time; its value depends on the seed alone.
"""

import math
import sys
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.signal.types import Event, Signal, Times
from bci.sim.noise import SpectralNoise, coefficients
from bci.sim.seeds import numbered
from bci.sim.sites import SITES, background_modes, directions

Array = NDArray[np.float64]

OPEN, CLOSED = 0, 1
STATES = ("eyes open", "eyes closed")

#: Mean seconds of each state; each participant's own pace differs by up to a tenth, so that two of them do not
#: stay in step, and each change comes up to `_JITTER` seconds earlier or later.
STATE_S = 8.0
_PACE, _JITTER = 0.1, 1.5
#: The rhythm follows a change of state within this many seconds.
_RAMP = 0.6

#: Samples are made in slots of this many seconds. The noise of each slot is the overlap of two blocks.
_SLOT = 8.0

#: Background spectrum per channel, µV²/Hz: ``A f^-1.2 / (1 + (f/18)²)``, without what is slower than 0.3 Hz.
_BACKGROUND = 640.0
_SLOPE, _KNEE, _DRIFT = 1.2, 18.0, 0.3
#: Correlation of the background between sites an angle apart: Gaussian, radian. Fitted to Oz with Pz .89,
#: Cz .69, Fz .41, Fp1 .23.
_REACH = 1.3
_MODES = 20
#: Share of the background that each sensor has alone, and the sensor's white noise, µV²/Hz.
_OWN = 0.04
_WHITE = 0.25

#: Rhythms: centre and spread, Hz, and how strong they are with open and with closed eyes.
_ALPHA, _ALPHA_GAIN = (10.0, 0.45), (0.19, 1.0)
_BETA, _BETA_GAIN = (19.0, 4.0), (0.6, 1.0)

#: A blink may come once in so many seconds; its chance; its width, seconds (standard deviation).
_BLINK_EVERY, _BLINK_CHANCE, _BLINK_S = 3.0, 0.5, 0.075

_LINE_UV = 1.0

_NOISE, _STATE, _BLINKS = range(3)  # which stream of random numbers


class AlphaSimulator:
    """An AlphaSimulator generates the EEG of a person who opens or closes the eyes every eight seconds or so.

    Parameters
    ----------
    seed : int
        Number of the participant; the same seed gives the same samples.
    seconds : float, optional
        Length; endless when absent.
    rate : float
        Samples per second.
    line_hz : float
        Frequency of the mains.

    Attributes
    ----------
    signal : Signal
        64 channels with the names of the 10-10 system, microvolts.
    simulated : bool
        Always True.
    """

    simulated = True
    defects: tuple[str, ...] = ()

    def __init__(
        self, seed: int = 0, seconds: float | None = None, rate: float = 160.0, line_hz: float = 60.0
    ) -> None:
        if seed < 0 or rate < 80 or (seconds is not None and seconds * rate < 1):
            raise ValueError(
                f"a simulator needs a seed ≥ 0, a rate ≥ 80 Hz and a sample at least, got {seed}, {rate}, {seconds}"
            )
        self.seed = seed
        self.rate = rate
        self.name = f"simulated eyes, seed {seed}"
        self.signal = Signal("SimulatedEEG", rate, (len(SITES),), SITES, "uV")
        self.n = None if seconds is None else round(seconds * rate)
        self.segments = ((0, sys.maxsize if self.n is None else self.n),)
        self.markers = self.markers_between(0.0, 3600.0 if self.n is None else self.n / rate)
        self._line = line_hz / rate
        self._size = round(_SLOT * rate)
        self._noise = SpectralNoise(_spectra(self._size, rate), seed, _NOISE)
        self._patterns = _patterns()
        self._slot = lru_cache(4)(self._make_slot)

    # -- what is planted ---------------------------------------------------------------------------------

    def state(self, times: ArrayLike) -> NDArray[np.int64]:
        """Return the planted state, 0 eyes open or 1 eyes closed, at `times` (seconds from the start)."""
        times = np.asarray(times, np.float64)
        if not times.size:
            return np.zeros(times.shape, np.int64)
        low, changes = self._changes(float(times.min()), float(times.max()))
        return (low - 1 + np.searchsorted(changes, times, "right")) % 2

    def markers_between(self, start: float, stop: float) -> tuple[Event, ...]:
        """Return the changes of state with ``start ≤ time < stop``, the first at 0: "eyes open", "eyes closed"."""
        return tuple(self._markers(start, stop))

    def _markers(self, start: float, stop: float) -> Iterator[Event]:
        if start <= 0 < stop:
            yield Event(0.0, STATES[OPEN])
        if stop > start:
            low, changes = self._changes(max(start, 0.0), stop)
            for number, time in enumerate(changes, low):
                if start <= time < stop:
                    yield Event(float(time), STATES[number % 2])

    def _changes(self, start: float, stop: float) -> tuple[int, Array]:
        """Return (number of the first, times) of the changes around `start` to `stop`; change k is to state k % 2."""
        pace = _pace(self.seed)
        low = max(1, math.floor(start / pace) - 1)
        high = max(low, math.ceil(stop / pace) + 1)
        return low, np.array([_change(self.seed, k) for k in range(low, high + 1)])

    # -- reading -----------------------------------------------------------------------------------------

    def read(self, first: int, end: int) -> NDArray[np.float32]:
        """Return samples `first` to `end`: (end - first, 64) float32, microvolt."""
        self._check(first, end)
        out = np.empty((end - first, len(SITES)), np.float32)
        at = first
        while at < end:
            slot, offset = divmod(at, self._size)
            stop = min(end, (slot + 1) * self._size)
            out[at - first : stop - first] = self._slot(slot)[offset : offset + stop - at]
            at = stop
        return out

    def times(self, first: int, end: int) -> Times:
        """Return the times of samples `first` to `end`: (end - first,) float64 seconds from the start."""
        self._check(first, end)
        return np.arange(first, end) / self.rate

    def _check(self, first: int, end: int) -> None:
        if not 0 <= first <= end or (self.n is not None and end > self.n):
            raise ValueError(f"{self.name} has samples 0 to {self.n}; asked for {first} to {end}")

    # -- making ------------------------------------------------------------------------------------------

    def _make_slot(self, slot: int) -> NDArray[np.float32]:
        """Return one slot: (size, 64)."""
        size = self._size
        times = np.arange(slot * size, (slot + 1) * size) / self.rate
        sources = self._noise.slot(slot)
        gain = self._gain(times)
        # einsum without optimisation adds in one order everywhere; a matrix product does not.
        modes = sources[:, :_MODES]
        sensor_noise = sources[:, _MODES : _MODES + len(SITES)]
        alpha = sources[:, _MODES + len(SITES) : -1]
        beta = sources[:, -1:]
        out = np.einsum("nm,mc->nc", modes, self._patterns["background"]) + sensor_noise
        out += np.einsum("nm,mc->nc", alpha * _between(_ALPHA_GAIN, gain), self._patterns["alpha"])
        out += np.einsum("nm,mc->nc", beta * _between(_BETA_GAIN, gain), self._patterns["beta"])
        out += self._blinks(times)[:, np.newaxis] * self._patterns["blink"]
        turns = np.modf(np.arange(slot * size, (slot + 1) * size) * self._line)[0]
        out += _LINE_UV * np.sin(2 * np.pi * turns)[:, np.newaxis]
        samples: NDArray[np.float32] = out.astype(np.float32)
        return samples

    def _gain(self, times: Array) -> Array:
        """Return the rhythms' gain at each time: (n, 1), from 0 (eyes open) to 1 (eyes closed)."""
        low, changes = self._changes(float(times[0]) - _RAMP, float(times[-1]))
        gain = np.full(len(times), float((low - 1) % 2))
        for number, change in enumerate(changes, low):
            share = np.clip((times - change) / _RAMP, 0, 1)
            gain += (1.0 if number % 2 == CLOSED else -1.0) * share * share * (3 - 2 * share)
        return gain[:, np.newaxis]

    def _blinks(self, times: Array) -> Array:
        """Return the blinks' time course at the site where they are largest: (n,) microvolt."""
        out = np.zeros(len(times))
        first, last = (math.floor(t / _BLINK_EVERY) for t in (times[0] - 1, times[-1] + 1))
        for cell in range(max(0, first), last + 1):
            chance, where, size = numbered(self.seed, _BLINKS, cell).random(3)
            middle = (cell + where) * _BLINK_EVERY
            if chance < _BLINK_CHANCE and self.state(middle) == OPEN:
                out += (150 + 200 * size) * np.exp(-(((times - middle) / _BLINK_S) ** 2) / 2)
        return out


@lru_cache(16)
def _pace(seed: int) -> float:
    return STATE_S * float(numbered(seed, _STATE, 0).uniform(1 - _PACE, 1 + _PACE))


@lru_cache(1024)
def _change(seed: int, number: int) -> float:
    return number * _pace(seed) + float(numbered(seed, _STATE, number).uniform(-_JITTER, _JITTER))


def _between(gains: tuple[float, float], share: Array) -> Array:
    return gains[0] + (gains[1] - gains[0]) * share


def _spectra(size: int, rate: float) -> Array:
    """Return the standard deviation of each source's Fourier coefficients in a block: (sources, bins)."""
    f: Array = np.asarray(np.fft.rfftfreq(2 * size, 1 / rate), np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        background = f**-_SLOPE / (1 + (f / _KNEE) ** 2) * f**2 / (f**2 + _DRIFT**2)
    background[0] = 0.0
    sensor_power = _OWN * _BACKGROUND * background + _WHITE
    sensor_power[0] = 0.0
    rows = [_BACKGROUND * (1 - _OWN) * background] * _MODES + [sensor_power] * len(SITES)
    rows += [_line_shape(f, *_ALPHA)] * 3 + [_line_shape(f, *_BETA)]
    return coefficients(np.array(rows), rate, 2 * size)


def _line_shape(f: Array, centre: float, spread: float) -> Array:
    """Return a Gaussian density of power 1."""
    return np.asarray(np.exp(-(((f - centre) / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi)))


def _patterns() -> dict[str, Array]:
    """Return each source's topography: (sources, 64), µV per unit of source."""
    at = directions()
    angle = np.arccos(np.clip(at @ at.T, -1, 1))

    def around(site: str, reach: float) -> Array:
        return np.asarray(np.exp(-((angle[SITES.index(site)] / reach) ** 2) / 2))

    # The three strongest components of the closed eyes' alpha band: occipital, frontal to central of the
    # other sign, and left against right.
    alpha = np.stack(
        [
            54.0 * around("Oz", 0.58),
            23.0 * at @ at[SITES.index("Fz")],
            68.0 * at[:, 0] * around("Oz", 0.58),
        ]
    )
    return {
        "background": background_modes(angle, _REACH, _MODES),
        "alpha": alpha,
        "beta": 16.0 * around("Oz", 0.7)[np.newaxis],
        "blink": around("Fpz", 0.45),
    }
