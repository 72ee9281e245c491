"""An ElectrodeParticipant simulates a person with electrodes, who answers each picture with an evoked response.

Ten sources under the electrodes read the simulated visual cortex, the early units soon and the higher ones later. Each
has waves of its own, at latencies that jitter from look to look, and reaches all channels. The background falls as
a power of frequency. Signal-to-noise ratio is the variance over looks at reference pictures of the evoked response
by that of the background, both averaged over channels and over 50 to 600 ms after the flip: 0.1 is -10 dB.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Signal
from bci.sim.cortex.gaze import Pictures
from bci.sim.noise import SpectralNoise, coefficients
from bci.sim.observer import Observer
from bci.sim.seeds import numbered
from bci.sim.sensors import OWN, Sensors

Array = NDArray[np.float64]
Drives = NDArray[np.float32]

_ANATOMY, _NOISE, _JITTER = 51, 52, 53

SOURCES = 10

#: Waves of a source: latency and width (standard deviation), seconds, and how much of it early units make.
WAVES = (
    (0.09, 0.012, 1.0),
    (0.12, 0.016, 1.0),
    (0.17, 0.022, 0.7),
    (0.23, 0.030, 0.4),
    (0.30, 0.045, 0.1),
    (0.40, 0.070, 0.0),
)
#: An evoked response begins and ends at these times, seconds after the flip.
DEAD, SPAN = 0.03, 0.8
#: Where the signal-to-noise ratio is taken.
INTERVAL = (0.05, 0.6)

#: Latency jitter of all sources together and of each, standard deviations in seconds; clipped at three of them.
JITTER_S, SOURCE_JITTER_S = 0.006, 0.003

#: Size of the response that all pictures share, in standard deviations of the part that differs between pictures.
_COMMON = 2.0

#: Slot of the background, seconds, and below what frequency it no longer grows.
_SLOT, _FLAT_BELOW = 8.0, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Evoked:
    waves: Array  # (sources, waves)
    began: float
    jitter: Array  # (sources,)


class ElectrodeParticipant:
    """An ElectrodeParticipant answers pictures with EEG or LFP samples, in microvolts.

    Parameters
    ----------
    observer : Observer
        The participant's eye, cortex, attention and memory.
    subject : int
        Number of the participant, which fixes its sources.
    sensors : callable
        Takes the number of sources and a generator: `bci.sim.sensors.scalp` or `probe`.
    snr : float
        Single-trial signal-to-noise ratio, a ratio of variances; 0 for a null run.
    slope : float
        The background's density falls as frequency to the minus `slope`.

    Attributes
    ----------
    signal : Signal
        Rate, channels and unit of the samples that `read` returns.
    simulated : bool
        Always True.
    late : int
        Changes of the screen that arrived after samples that should have held their answer.
    """

    simulated = True
    dead_time = DEAD

    def __init__(
        self,
        observer: Observer,
        subject: int,
        sensors: Callable[[int, np.random.Generator], Sensors],
        *,
        snr: float = 0.1,
        slope: float = 1.0,
    ) -> None:
        if not 0 <= snr < math.inf or not 0 <= slope <= 3:
            raise ValueError(f"electrodes need snr ≥ 0 and a slope of 0 to 3, got {snr} and {slope}")
        rng = numbered(subject, _ANATOMY, 0)
        self.observer, self.subject, self.snr = observer, subject, snr
        self.sensors = sensors(SOURCES, rng)
        self.kind = self.sensors.kind
        rate, labels = self.sensors.rate, self.sensors.labels
        self.signal = Signal(f"Simulated{self.kind}", rate, (len(labels),), labels, "uV")
        self.readout = _readout(observer, rng)
        size = round(_SLOT * rate)
        density = _density(size, rate, slope) * self.sensors.background_uv**2
        sources = len(self.sensors.modes) + len(labels)
        spectra = np.repeat(coefficients(density, rate, 2 * size)[np.newaxis], sources, axis=0)
        self._noise = SpectralNoise(spectra, observer.session, _NOISE)
        self.scale = self._scaled()
        self.reset()

    def reset(self) -> None:
        """Begin the session again at sample 0."""
        self.observer.reset()
        self._evoked: list[_Evoked] = []
        self._next = 0
        self._looks = 0
        self.late = 0

    def see(self, picture: Pictures, time: float) -> None:
        """Take a change of the screen: (h, w, 3) uint8, flipped `time` seconds after sample 0."""
        look = self.observer.see(picture, time)
        if look is not None and look[0] is not None:
            self.answer(look[1], time, look[0].number)

    def answer(self, drive: Drives, time: float, look: int) -> None:
        """Answer look number `look`, flipped at `time`, with this drive (units,)."""
        self.late += self._next > 0 and time + DEAD < (self._next - 1) / self.signal.rate
        if drive.any():
            self._evoked.append(_Evoked(self.waves(drive[np.newaxis])[0], time, self.jitter(look)))

    def read(self, n: int) -> NDArray[np.float32]:
        """Return the next `n` samples (n, channels) float32, microvolt: background and answers to all looks so far."""
        first, self._next = self._next, self._next + n
        out = self.background(first, self._next)
        times = np.arange(first, self._next) / self.signal.rate
        self._evoked = [evoked for evoked in self._evoked if first / self.signal.rate - evoked.began < SPAN]
        for evoked in self._evoked:
            out += self.evoked(evoked.waves, times - evoked.began, evoked.jitter)
        return out.astype(np.float32)

    def background(self, first: int, end: int) -> Array:
        """Return the background of samples `first` to `end`, without any picture: (end - first, channels) microvolt."""
        sources = self._noise.read(first, end)
        modes = len(self.sensors.modes)
        # einsum without optimisation adds in one order however many samples there are; a matrix product does not.
        common = np.einsum("nm,mc->nc", np.ascontiguousarray(sources[:, :modes]), self.sensors.modes)
        return np.asarray(common + math.sqrt(OWN) * sources[:, modes:])

    def background_covariance(self, first: int, n: int) -> Array:
        """Return the covariance in time (n, n) of any channel's samples from `first` on, microvolt²."""
        return self._noise.covariance(0, first, n)

    def waves(self, drives: Drives) -> Array:
        """Return the size of every source's waves for drives (n, units): (n, sources, waves)."""
        flat = np.einsum("nu,uw->nw", drives.astype(np.float64), self.readout)
        return np.asarray(flat.reshape(len(drives), SOURCES, len(WAVES)))

    def jitter(self, look: int) -> Array:
        """Return how much later than usual each source answers look number `look`: (sources,) seconds."""
        return np.asarray(_jitter(numbered(self.observer.session, _JITTER, look), 1)[0])

    def evoked(self, waves: Array, since: Array, jitter: Array) -> Array:
        """Return the evoked response to one look: (n, channels), microvolt.

        Parameters
        ----------
        waves : (sources, waves) float64
            Sizes of the waves, from the method `waves`.
        since : (n,) float64
            Seconds since the flip.
        jitter : (sources,) float64
            Seconds.
        """
        courses = np.einsum("nsw,sw->ns", _courses(since[:, np.newaxis] - jitter, since), waves)
        return np.asarray(self.scale * np.einsum("ns,sc->nc", courses, self.sensors.topographies))

    def _scaled(self) -> float:
        """Return the microvolts that a wave of one standard deviation is worth where it is largest."""
        waves = self.waves(self.observer.population.reference)
        since = np.arange(*(round(t * self.signal.rate) for t in INTERVAL)) / self.signal.rate
        # Latencies jitter here as in sessions, so that the response shared by all pictures varies, too.
        jitters = _jitter(numbered(self.subject, _JITTER, 0), len(waves))
        self.scale = 1.0
        evoked = np.stack([self.evoked(w, since, j) for w, j in zip(waves, jitters, strict=True)])
        return float(math.sqrt(self.snr * self.sensors.background_uv**2 / evoked.var(axis=0).mean()))


def _jitter(rng: np.random.Generator, looks: int) -> Array:
    """Return how much later than usual every source answers (looks, sources), seconds."""
    common, single = rng.standard_normal((looks, 1)), rng.standard_normal((looks, SOURCES))
    return np.asarray(JITTER_S * np.clip(common, -3, 3) + SOURCE_JITTER_S * np.clip(single, -3, 3))


def _courses(at: Array, since: Array) -> Array:
    """Return the course of every source's waves at its own time (n, sources): (n, sources, waves)."""
    latency, width, _ = np.array(WAVES).T
    courses = np.exp(-(((at[:, :, np.newaxis] - latency) / width) ** 2) / 2)
    courses[(since < DEAD) | (since >= SPAN)] = 0.0
    return np.asarray(courses)


def _readout(observer: Observer, rng: np.random.Generator) -> Array:
    """Return weights (units, sources · waves): every wave has variance 1 over the reference pictures."""
    population = observer.population
    early = np.array([share for *_, share in WAVES] * SOURCES)
    weights = rng.standard_normal((len(population), len(early)))
    counts = {True: population.is_early.sum(), False: (~population.is_early).sum()}
    for is_early, share in ((True, early), (False, 1 - early)):
        weights[population.is_early == is_early] *= np.sqrt(share / max(1, counts[is_early]))
    # The response shared by all pictures is planted separately, so that its size is known.
    mean = population.mean.astype(np.float64)
    weights -= mean[:, None] * (mean @ weights) / (mean @ mean)
    weights /= (population.reference @ weights).std(axis=0)
    weights += mean[:, None] * (_COMMON * rng.standard_normal(len(early))) / (mean @ mean)
    return np.asarray(weights)


def _density(size: int, rate: float, slope: float) -> Array:
    """Return the background's one-sided density (bins,) in 1/Hz, of variance 1."""
    f = np.fft.rfftfreq(2 * size, 1 / rate)
    density = np.maximum(f, _FLAT_BELOW) ** -slope
    density[0] = 0.0
    return np.asarray(density / (density.sum() * rate / (2 * size)))
