"""Filters: recursive filters in second-order sections, and decimation behind one.

Every recursive filter runs `bci.signal.steps.sections` with float64 state from rest (zeros) at each reset: the result
is the same for any chunking, which matrix products and FIR convolution are not.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from bci.errors import ConfigError
from bci.signal.step import (
    TOLERANCE,
    Hertz,
    Kernel,
    check_positive,
    check_regular,
    check_whole,
)
from bci.signal.steps.remembering import Memory
from bci.signal.steps.sections import Passes, Sections, butterworth, notch, poles_of, section_loop
from bci.signal.types import Flags, Samples, Signal

#: A filter that needs longer to settle than this many samples is a mistake.
_LONGEST_MEMORY = 10_000_000

#: A filter whose input has gone silent decays into denormal numbers and then runs some forty times slower, for
#: ever. So what is left below `_DUST` is swept out wherever the sample count is a multiple of `_SWEEP`: at
#: fixed counts, and so far below float32 that no output shows it.
_SWEEP, _DUST = 4096, 1e-150


def settling_samples(sos: Sections) -> int:
    """Return the number of samples after which a disturbance's effect is at most `TOLERANCE` of its size.

    With the impulse response h, an input that stayed within ±a leaves at most a·Σₖ|h[k]| over the lags k that still
    reach it: the smallest n with Σₖ₌ₙ|h[k]| ≤ `TOLERANCE`. A constant offset, a burst at the worst frequency and a
    single spike are all within that bound. Filters here pass their band at a gain of one, so size at the input is
    size at the output.
    """
    slowest = float(np.abs(poles_of(sos)).max(initial=0.0))
    if slowest >= 1:
        raise ConfigError("this filter never settles: a pole lies on or outside the unit circle")
    n = 64
    if slowest > 0:
        n = max(n, math.ceil(math.log(TOLERANCE * 1e-4) / math.log(slowest)))
    if n > _LONGEST_MEMORY:
        raise ConfigError(
            f"this filter remembers some {n:.0e} samples, more than {_LONGEST_MEMORY:.0e}: "
            "choose a higher edge, a lower order, or a lower quality"
        )
    impulse = np.zeros((1, n))
    impulse[0, 0] = 1.0
    section_loop()(sos, impulse, np.zeros((1, len(sos), 2)))
    left = np.cumsum(np.abs(impulse[0, ::-1]))[::-1]
    return int(np.searchsorted(-left, -TOLERANCE))


class Sos:
    """A Sos filters every channel with a cascade of second-order sections.

    Parameters
    ----------
    sos : (sections, 6) float64
        See `bci.signal.steps.sections`.
    signal : Signal
        The input signal.
    """

    ratio = 1

    def __init__(self, sos: Sections, signal: Signal) -> None:
        self.settle = settling_samples(sos)
        self._sos = sos
        self._loop = section_loop()
        self._zi = np.zeros((math.prod(signal.shape), len(sos), 2))
        self._memory = Memory(signal.flag_shape, self.settle)
        self._next = 0

    def reset(self, first: int) -> None:
        """Return to rest; the next sample is number `first`."""
        self._next = first
        self._zi[:] = 0
        self._memory.reset()

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        """Filter the next samples; float64."""
        n = len(samples)
        if n == 0:
            return samples.astype(np.float64), self._memory(bad, 0)
        # Channels in rows, which are filtered in place.
        rows = np.array(samples.reshape(n, -1).T, np.float64, order="C")
        parts = []
        at = 0
        while at < n:
            to = min(n, at + _SWEEP - self._next % _SWEEP)
            part = np.ascontiguousarray(rows[:, at:to])
            self._loop(self._sos, part, self._zi)
            parts.append(part)
            self._next += to - at
            at = to
            if self._next % _SWEEP == 0:
                self._zi[np.abs(self._zi) < _DUST] = 0
        filtered = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return filtered.T.reshape(samples.shape), self._memory(bad, n)


def _butterworth(
    step: object, signal: Signal, order: int, edges: float | tuple[float, float], kind: Passes
) -> Sections:
    check_regular(step, signal)
    check_whole(step, 1, 20, order=order)
    low, high = edges if isinstance(edges, tuple) else (edges, edges)
    name = type(step).__name__
    if isinstance(edges, tuple) and low >= high:
        raise ConfigError(f"{name}: the lower edge must be below the upper, got {low:g} and {high:g} Hz")
    if high >= signal.rate / 2:
        raise ConfigError(
            f"{name}: {high:g} Hz is not below half the rate of signal {signal.name!r} ({signal.rate:g} Hz); "
            f"choose an edge below {signal.rate / 2:g} Hz, or a stream with a higher rate"
        )
    return butterworth(order, edges, kind, signal.rate)


class _Filter(ABC):
    """A _Filter is a step with one recursive filter, the same for every channel; designing it checks the settings."""

    @abstractmethod
    def sections(self, signal: Signal) -> Sections:
        """Design the filter for the rate of `signal`: (sections, 6); ConfigError when it does not fit."""

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        self.sections(signal)
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the filter at rest."""
        return Sos(self.sections(signal), signal)


@dataclass(frozen=True)
class BandPass(_Filter):
    """BandPass is a Butterworth band-pass filter of `order` between `low` and `high` hertz."""

    low: Hertz
    """Lower edge."""
    high: Hertz
    """Upper edge."""
    order: int = 4
    """Of each edge: the higher, the steeper, and the longer it rings."""

    def sections(self, signal: Signal) -> Sections:
        """Design the filter for the rate of `signal`: (sections, 6)."""
        check_positive(self, low=self.low, high=self.high)
        return _butterworth(self, signal, self.order, (self.low, self.high), "bandpass")


@dataclass(frozen=True)
class HighPass(_Filter):
    """HighPass is a Butterworth high-pass filter of `order` at `low` hertz."""

    low: Hertz
    """Its edge."""
    order: int = 4
    """The higher, the steeper, and the longer it rings."""

    def sections(self, signal: Signal) -> Sections:
        """Design the filter for the rate of `signal`: (sections, 6)."""
        check_positive(self, low=self.low)
        return _butterworth(self, signal, self.order, self.low, "highpass")


@dataclass(frozen=True)
class LowPass(_Filter):
    """LowPass is a Butterworth low-pass filter of `order` at `high` hertz."""

    high: Hertz
    """Its edge."""
    order: int = 4
    """The higher, the steeper, and the longer it rings."""

    def sections(self, signal: Signal) -> Sections:
        """Design the filter for the rate of `signal`: (sections, 6)."""
        check_positive(self, high=self.high)
        return _butterworth(self, signal, self.order, self.high, "lowpass")


@dataclass(frozen=True)
class Notch(_Filter):
    """Notch is a second-order notch filter at `frequency` hertz, `quality` times narrower than its frequency."""

    frequency: Hertz
    """What is taken out."""
    quality: float = 30.0
    """The frequency over the width of what is taken out."""

    def sections(self, signal: Signal) -> Sections:
        """Design the filter for the rate of `signal`: (sections, 6)."""
        check_regular(self, signal)
        check_positive(self, frequency=self.frequency, quality=self.quality)
        if self.frequency >= signal.rate / 2:
            raise ConfigError(
                f"Notch: {self.frequency:g} Hz is not below half the rate of signal {signal.name!r} "
                f"({signal.rate:g} Hz); leave the step out for this stream"
            )
        return notch(self.frequency, self.quality, signal.rate)


@dataclass(frozen=True)
class Decimate(_Filter):
    """Decimate keeps every `factor`-th sample, after a low-pass (Butterworth, 80 % of the new Nyquist frequency).

    The low-pass is of `order`. Of each `factor` samples, counted from sample zero, the last is kept.
    """

    factor: int
    """Of how many samples one is kept."""
    order: int = 8
    """Of the low-pass before."""

    def output(self, signal: Signal) -> Signal:
        """Return the signal at the lower rate."""
        super().output(signal)
        return replace(signal, rate=signal.rate / self.factor)

    def start(self, signal: Signal) -> Kernel:
        """Return the decimation at rest."""
        return _Decimation(self.sections(signal), self.factor, signal)

    def sections(self, signal: Signal) -> Sections:
        """Design the filter for the rate of `signal`: (sections, 6)."""
        check_regular(self, signal)
        check_whole(self, 2, 1000, factor=self.factor)
        return _butterworth(self, signal, self.order, 0.4 * signal.rate / self.factor, "lowpass")


class _Decimation(Sos):
    def __init__(self, sos: Sections, factor: int, signal: Signal) -> None:
        super().__init__(sos, signal)
        self.ratio = factor

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        """Filter, then keep the last of each `factor`."""
        keep = slice(-(self._next + 1) % self.ratio, None, self.ratio)
        filtered, marked = super().__call__(samples, bad)
        return filtered[keep], None if marked is None else marked[keep]
