"""Dvars measures how much each volume differs from the one before, which shows spikes and motion; volumes pass."""

from dataclasses import dataclass

import numpy as np

from bci.errors import ConfigError
from bci.signal.step import Kernel
from bci.signal.types import Flags, Samples, Signal


@dataclass(frozen=True)
class Dvars:
    """Dvars is the root mean square over voxels of the change between volumes (Power et al. 2012, NeuroImage 59:2142).

    Its side output has one value for each volume, in the signal's unit; NaN for the first after a reset. Volumes, or
    rows of voxels, pass unchanged.
    """

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        if len(signal.shape) not in (1, 3):
            raise ConfigError(
                f"Dvars needs volumes (x, y, z) or rows of voxels; samples of {signal.name!r} have the shape "
                f"{signal.shape}"
            )
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the stage at work."""
        return _VolumeDifference(self.output(signal))


class _VolumeDifference:
    ratio = 1
    settle = 0

    def __init__(self, signal: Signal) -> None:
        self.side = Signal("dvars", signal.rate, (1,), ("dvars",), signal.unit, "float64")
        self._before = np.full(int(np.prod(signal.shape)), np.nan)
        self._first = self._next = 0
        self._values: list[float] = []

    def reset(self, first: int) -> None:
        """Forget the volume before."""
        self._before[:] = np.nan
        self._first = self._next = first
        self._values.clear()

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        for volume in samples:
            row = np.ascontiguousarray(volume, np.float64).reshape(-1)
            difference = row - self._before
            # A reduction over one contiguous row does not depend on how volumes are divided among calls.
            self._values.append(float(np.sqrt(np.mean(difference * difference))))
            self._before[:] = row
        self._next += len(samples)
        return samples, bad

    def take_side(self) -> tuple[int, Samples]:
        """Return the values since the last time, and the count of the first."""
        first, self._first = self._first, self._next
        values, self._values = np.array(self._values).reshape(-1, 1), []
        return first, values
