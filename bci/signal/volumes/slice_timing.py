"""SliceTiming brings the slices of each volume to the time at which the volume begins; volumes stay volumes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.step import Kernel, Seconds, check_regular, check_volume
from bci.signal.types import Flags, Samples, Signal


@dataclass(frozen=True)
class SliceTiming:
    """SliceTiming interpolates each slice between this volume and the one before, on a straight line.

    Causal: a slice taken at ``τ`` after the volume's begin is given as ``(τ/TR) before + (1 − τ/TR) now``, its value at
    the begin. Nothing waits for the next volume, and the slices halfway are blurred most. It stands before
    MotionCorrection, and takes the head to have lain still between two volumes.
    """

    times_s: tuple[Seconds, ...]
    """When each slice is taken, from the bottom of the array's third axis up, seconds after the volume's begin; of a
    second volume, because the first of a multiband series may carry those of its single-band reference."""

    def output(self, signal: Signal) -> Signal:
        """Return the same volumes."""
        check_volume(self, signal)
        check_regular(self, signal)
        times = np.array(self.times_s, np.float64)
        if times.shape != signal.shape[2:] or not ((times >= 0) & (times < 1.0 / signal.rate)).all():
            raise ConfigError(
                f"SliceTiming: expected a time within the TR of {1 / signal.rate:g} s for each of {signal.shape[2]} "
                f"slices, came {len(times)} from {times.min(initial=0):g} to {times.max(initial=0):g} s. "
                "Read them from the files."
            )
        return replace(signal, dtype="float32")

    def start(self, signal: Signal) -> Kernel:
        """Return the stage at work."""
        self.output(signal)
        return _Between(np.array(self.times_s, np.float64) * signal.rate, signal)


class _Between:
    ratio = 1
    settle = 1

    def __init__(self, part: NDArray[np.float64], signal: Signal) -> None:
        self._before_weight, self._now_weight = part.astype(np.float32), (1.0 - part).astype(np.float32)
        self._shape, self._flag_shape = signal.shape, signal.flag_shape
        self.reset(0)

    def reset(self, first: int) -> None:
        """Forget the volume before; the first one is given as it is, and marked."""
        self._before: NDArray[np.float32] | None = None
        self._before_bad: Flags = np.ones(self._flag_shape, bool)

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        out = np.empty((len(samples), *self._shape), np.float32)
        flags = np.empty((len(samples), *self._flag_shape), bool)
        for place, volume in enumerate(samples):
            now = np.array(volume, np.float32)
            marked: Flags = np.zeros(self._flag_shape, bool) if bad is None else bad[place]
            before = now if self._before is None else self._before
            out[place] = before * self._before_weight + now * self._now_weight
            flags[place] = marked | self._before_bad
            self._before, self._before_bad = now, marked.copy()
        return out, flags if flags.any() else None
