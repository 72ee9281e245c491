"""Masking: steps that mark values which must not be trusted, and never alter a value."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.step import Kernel, Seconds, check_channels, check_positive, check_regular
from bci.signal.steps.remembering import Memory
from bci.signal.types import Flags, Samples, Signal


def _either(one: Flags | None, other: Flags | None) -> Flags | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other


def _over(samples: Samples, limit: float, flag_shape: tuple[int, ...]) -> Flags | None:
    """Return (n, *flag_shape) flags of values whose size reaches `limit`, None when there are none."""
    # Not by the absolute value: that of the lowest integer is negative.
    over = (samples >= limit) | (samples <= -limit)
    if not over.any():
        return None
    return np.asarray(over.reshape(len(samples), *flag_shape, -1).any(axis=-1))


class _Threshold:
    """A _Threshold marks values that reach a limit, and those within `settle` samples after."""

    ratio = 1

    def __init__(self, limit: float, flag_shape: tuple[int, ...], settle: int) -> None:
        self.settle = settle
        self._limit = limit
        self._flag_shape = flag_shape
        self._memory = Memory(flag_shape, settle)

    def reset(self, first: int) -> None:
        """Forget the values that were over the limit."""
        self._memory.reset()

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        return samples, _either(
            bad, self._memory(_over(samples, self._limit, self._flag_shape), len(samples))
        )


@dataclass(frozen=True)
class Saturation:
    """Saturation marks values whose size reaches `limit`, the amplifier's end, in the signal's unit."""

    limit: float
    """Size, in the signal's unit, from which a value counts as saturated."""

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        check_positive(self, limit=self.limit)
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the mask at work."""
        check_positive(self, limit=self.limit)
        return _Threshold(self.limit, signal.flag_shape, 0)


@dataclass(frozen=True)
class Artefact:
    """Artefact marks values whose size reaches `threshold` (after a high-pass: blinks, movement), and `seconds` on."""

    threshold: float
    """Size, in the signal's unit, from which a value counts as an artefact."""
    seconds: Seconds = 0.2
    """For how long what follows is marked too."""

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        check_regular(self, signal)
        check_positive(self, threshold=self.threshold, seconds=self.seconds)
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the mask at work."""
        self.output(signal)
        return _Threshold(self.threshold, signal.flag_shape, math.ceil(self.seconds * signal.rate))


@dataclass(frozen=True)
class Flat:
    """Flat marks a channel that has moved by no more than `tolerance` from sample to sample for `seconds`.

    A flat stretch shows only once it has lasted: its first `seconds` are not marked.
    """

    seconds: Seconds = 0.5
    """For how long it must have stood still."""
    tolerance: float = 0.0
    """Movement from sample to sample, in the signal's unit, that still counts as none."""

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        check_regular(self, signal)
        check_channels(self, signal)
        check_positive(self, seconds=self.seconds, tolerance=self.tolerance or 1.0)
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the mask at work."""
        self.output(signal)
        return _Flatness(max(2, math.ceil(self.seconds * signal.rate)), self.tolerance, signal.shape[0])


class _Flatness:
    ratio = 1

    def __init__(self, length: int, tolerance: float, channels: int) -> None:
        self.settle = length
        self._length = length
        self._tolerance = tolerance
        self._channels = channels
        self.reset(0)

    def reset(self, first: int) -> None:
        """Begin again as if every channel had just moved."""
        self._count = 0
        self._moved: NDArray[np.int64] = np.zeros(self._channels, np.int64)
        self._before: Samples = np.full(self._channels, np.nan)

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        n = len(samples)
        if n == 0:
            return samples, bad
        count, self._count = self._count, self._count + n
        steps = np.abs(np.diff(samples, axis=0, prepend=self._before[None]))
        self._before = np.array(samples[-1], np.float64)
        at = np.arange(count, count + n)[:, None]
        # A difference of NaN (before the first sample) counts as a move.
        moved = np.maximum.accumulate(np.where(~(steps <= self._tolerance), at, 0), axis=0)
        np.maximum(moved, self._moved, out=moved)
        self._moved = moved[-1].copy()
        flat = at - moved + 1 >= self._length
        return samples, _either(bad, flat) if flat.any() else bad
