"""Physiology makes nuisance of a pulse and of breathing: RETROICOR's phases at each slice, and breath volume (RVT).

RETROICOR: Glover, Li & Ress 2000, Magnetic Resonance in Medicine 44:162. Respiration volume per time: Birn et al. 2006,
NeuroImage 31:1536; its lags are those at which its effect on blood oxygen is looked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError

Array = NDArray[np.float64]

#: Bins of the histogram of breathing, as Glover et al. take.
BINS = 100

#: Seconds by which a breath's volume may come before its effect.
RVT_LAGS_S = (0.0, 5.0, 10.0, 15.0, 20.0)

#: Hertz that a pulse and a breath lie within, and the shortest time between two of each, seconds.
PULSE_HZ, BREATH_HZ = (0.6, 4.0), (0.08, 0.8)
SHORTEST_S = {"pulse": 0.4, "breath": 1.5}


@dataclass(frozen=True, eq=False)
class Physiology:
    """A Physiology is a pulse, a breathing belt, or both, on the time of a run.

    Attributes
    ----------
    rate : float
        Samples a second.
    start_s : float
        Seconds in the traces at which the run's first volume began.
    pulse, breath : (n,) float64 or None
        The traces, in any unit; a beat is a peak, breathing in goes up.

    Raises
    ------
    ConfigError
        If neither is there, a value is no number, or fewer than three beats or breaths are found.
    """

    rate: float
    start_s: float
    pulse: Array | None = None
    breath: Array | None = None

    def __post_init__(self) -> None:
        traces = {
            name: trace
            for name, trace in (("pulse", self.pulse), ("breath", self.breath))
            if trace is not None
        }
        if not traces:
            raise ConfigError("expected a pulse, a trace of breathing, or both, came neither")
        for name, trace in traces.items():
            if trace.ndim != 1 or not np.isfinite(trace).all():
                raise ConfigError(
                    f"{name}: expected a trace (n,) of finite numbers, came {trace.shape} or others"
                )
            if len(trace) / self.rate < 10.0 or len(peaks_s(name, trace, self.rate)) < 3:
                raise ConfigError(
                    f"{name}: expected ten seconds or more with three beats or breaths, "
                    f"came {len(trace) / self.rate:.1f} s. Is it the right channel?"
                )

    def columns(
        self, volumes: int, tr_s: float, slice_times_s: Sequence[float], *, orders: tuple[int, int] = (2, 2)
    ) -> Array:
        """Return the regressors of each slice of each volume: (volumes, slices, k).

        Parameters
        ----------
        volumes : int
        tr_s : float
        slice_times_s : sequence of float
            When each slice is taken, from the beginning of its volume.
        orders : (int, int)
            Harmonics of the heart's phase and of breathing's: a sine and a cosine of each.

        Raises
        ------
        ConfigError
            If the traces do not cover the run.
        """
        at = self.start_s + np.arange(volumes)[:, None] * tr_s + np.asarray(slice_times_s, np.float64)[None]
        lasts = max(len(trace) for trace in (self.pulse, self.breath) if trace is not None) / self.rate
        if at.min() < 0.0 or at.max() > lasts:
            raise ConfigError(
                f"expected traces over the whole run, {at.min():.1f} to {at.max():.1f} s of them, came {lasts:.1f} s. "
                "Say at which of their seconds the first volume began."
            )
        found = []
        if self.pulse is not None:
            found += _harmonics(cardiac_phase(peaks_s("pulse", self.pulse, self.rate), at), orders[0])
        if self.breath is not None:
            found += _harmonics(respiratory_phase(self.breath, self.rate, at), orders[1])
            volume = breath_volume(
                self.breath, self.rate, np.concatenate([at - lag for lag in RVT_LAGS_S], axis=1)
            )
            found += np.split(volume, len(RVT_LAGS_S), axis=1)
        columns = np.stack(found, axis=-1)
        return np.asarray(columns - columns.mean(axis=0))


def _harmonics(phase: Array, order: int) -> list[Array]:
    return [wave(k * phase) for k in range(1, order + 1) for wave in (np.cos, np.sin)]


def peaks_s(kind: str, trace: Array, rate: float) -> Array:
    """Return the seconds at which a "pulse" or a "breath" peaks, (k,).

    >>> seconds = np.arange(0, 20, 0.02)
    >>> peaks_s("pulse", np.cos(2 * np.pi * seconds), 50.0)[:3].round(2).tolist()
    [1.0, 2.0, 3.0]
    """
    from scipy import signal

    clean = _within(trace, rate, PULSE_HZ if kind == "pulse" else BREATH_HZ)
    apart = max(1, round(SHORTEST_S[kind] * rate))
    places, _ = signal.find_peaks(clean, distance=apart, prominence=0.5 * float(clean.std()))
    return np.asarray(places / rate)


def _within(trace: Array, rate: float, band_hz: tuple[float, float]) -> Array:
    from scipy import signal

    high = min(band_hz[1], 0.45 * rate)
    sections = signal.butter(2, (band_hz[0], high), "bandpass", fs=rate, output="sos")
    return np.asarray(signal.sosfiltfilt(sections, trace - trace.mean()))


def cardiac_phase(beats_s: Array, at_s: Array) -> Array:
    """Return the phase within the heart's cycle, ``2 π (t − t₁) / (t₂ − t₁)``, radian; `at_s` is of any shape.

    Before the first beat and after the last, beats are taken to go on as the median interval.

    >>> cardiac_phase(np.array([0.0, 1.0, 3.0]), np.array([0.5, 2.0])).round(3).tolist()
    [3.142, 3.142]
    """
    usual = float(np.median(np.diff(beats_s)))
    before = beats_s[0] - usual * np.arange(max(1, np.ceil((beats_s[0] - at_s.min()) / usual) + 1), 0, -1)
    after = beats_s[-1] + usual * np.arange(1, max(1, np.ceil((at_s.max() - beats_s[-1]) / usual)) + 2)
    beats = np.concatenate([before, beats_s, after])
    last = np.searchsorted(beats, at_s, "right") - 1
    return np.asarray(2.0 * np.pi * (at_s - beats[last]) / (beats[last + 1] - beats[last]))


def respiratory_phase(trace: Array, rate: float, at_s: Array) -> Array:
    """Return the phase of breathing by the share of the trace's histogram below it, radian, −π to π.

    It is negative while breathing out.
    """
    clean = _within(trace, rate, BREATH_HZ)
    low, high = float(clean.min()), float(clean.max())
    counts, edges = np.histogram(clean, BINS, (low, high))
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    seconds = np.arange(len(clean)) / rate
    depth = np.interp(np.interp(at_s, seconds, clean), edges, share)
    rises = np.interp(at_s, seconds, np.gradient(clean)) >= 0
    return np.asarray(np.pi * depth * np.where(rises, 1.0, -1.0))


def breath_volume(trace: Array, rate: float, at_s: Array) -> Array:
    """Return respiration volume per time: from trough to peak, over the seconds from peak to peak; any shape.

    It is interpolated between breaths, and what it is at the ends goes on beyond them.
    """
    clean = _within(trace, rate, BREATH_HZ)
    tops, bottoms = peaks_s("breath", trace, rate), peaks_s("breath", -trace, rate)
    seconds = np.arange(len(clean)) / rate
    high = np.interp(tops, seconds, clean)
    low = np.interp(tops, bottoms, np.interp(bottoms, seconds, clean))
    middles = (tops[1:] + tops[:-1]) / 2.0
    volume = (high - low)[1:] / np.diff(tops)
    return np.asarray(np.interp(at_s, middles, volume))
