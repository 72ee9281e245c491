"""Running mean and spread of each voxel, and two steps that need them: z-scores as volumes come, and temporal SNR."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError
from bci.signal.step import LIKELY_RUN, Kernel, check_channels, check_whole
from bci.signal.types import Flags, Samples, Signal

Array = NDArray[np.float64]

#: A voxel whose standard deviation is below this part of its mean's size does not vary: it has no z-score.
LEAST_SPREAD = 1e-9


class RunningMoments:
    """RunningMoments holds mean and variance of each voxel over the values so far (Welford 1962, Technometrics 4:419).

    Values that are marked are left out, voxel by voxel.

    >>> moments = RunningMoments(2)
    >>> for row in ([1.0, 5.0], [3.0, 5.0], [5.0, 8.0]): moments.add(np.array(row))
    >>> moments.mean.tolist(), moments.spread().round(3).tolist()
    ([3.0, 6.0], [2.0, 1.732])
    """

    def __init__(self, voxels: int) -> None:
        self.counts: Array = np.zeros(voxels)
        self.mean: Array = np.zeros(voxels)
        self._squares: Array = np.zeros(voxels)

    def add(self, row: NDArray[np.floating], bad: Flags | None = None) -> None:
        """Take a value of each voxel, (voxels,), but of those that are marked."""
        good = 1.0 if bad is None else (~bad).astype(np.float64)
        self.counts += good
        change = (np.asarray(row, np.float64) - self.mean) * good
        self.mean += change / np.maximum(self.counts, 1.0)
        self._squares += change * (row - self.mean)

    def spread(self) -> Array:
        """Return the standard deviation of each voxel, (voxels,); 0 until there are two values."""
        return np.asarray(np.sqrt(np.maximum(self._squares, 0.0) / np.maximum(self.counts - 1.0, 1.0)))

    def z(self, row: NDArray[np.floating]) -> tuple[Array, Flags]:
        """Return z-scores (voxels,) by the values so far, and which have none because nothing varies: these are 0."""
        spread = self.spread()
        still = spread <= LEAST_SPREAD * np.abs(self.mean)
        return np.where(still, 0.0, (row - self.mean) / np.where(still, 1.0, spread)), still

    def state(self) -> dict[str, Array]:
        """Return all that it knows, as arrays; `restore` takes them."""
        return {"counts": self.counts.copy(), "mean": self.mean.copy(), "squares": self._squares.copy()}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from a state; DataError where it is of another number of voxels."""
        shapes = {name: np.shape(state.get(name, ())) for name in self.state()}
        if set(shapes.values()) != {self.mean.shape}:
            raise DataError(f"expected the state of {len(self.mean)} voxels, came arrays of {shapes}")
        self.counts, self.mean = state["counts"].copy(), state["mean"].copy()
        self._squares = state["squares"].copy()


@dataclass(frozen=True)
class RunningZScore:
    """RunningZScore gives each voxel in standard deviations from its mean, both of the volumes so far.

    Until the warm-up is over, everything is marked. Rows that are marked as a whole are no part of it. A gap begins a
    new warm-up.
    """

    warm_up: int
    """Volumes, or rows, that are only learned from."""
    frozen: bool = True
    """Whether mean and spread stay those of the warm-up; otherwise they go on growing, the newest volume in them."""

    @property
    def recalls(self) -> int:
        """A run that is not planned."""
        return max(self.warm_up, LIKELY_RUN)

    def output(self, signal: Signal) -> Signal:
        """Return the same signal, in standard deviations."""
        check_channels(self, signal)
        check_whole(self, 2, 100_000, warm_up=self.warm_up)
        return replace(signal, unit="z", dtype="float32")

    def start(self, signal: Signal) -> Kernel:
        """Return the stage at work."""
        self.output(signal)
        return _Standing(self, signal.shape[0])


class _Standing:
    ratio = 1

    def __init__(self, settings: RunningZScore, voxels: int) -> None:
        self._settings, self._voxels = settings, voxels
        self.settle = settings.warm_up
        self.reset(0)

    def reset(self, first: int) -> None:
        """Forget the volumes."""
        self._moments = RunningMoments(self._voxels)
        self._seen = 0

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        out = np.zeros((len(samples), self._voxels), np.float32)
        flags = np.zeros(out.shape, bool) if bad is None else bad.copy()
        for place, row in enumerate(samples):
            warm = self._seen >= self._settings.warm_up
            self._seen += bad is None or not bad[place].all()
            if not (warm and self._settings.frozen):
                self._moments.add(row, None if bad is None else bad[place])
            if not warm:
                flags[place] = True
                continue
            out[place], still = self._moments.z(row)
            flags[place] |= still
        return out, flags if flags.any() else None


@dataclass(frozen=True)
class TemporalSnr:
    """TemporalSnr says how steady voxels are: the median of their mean over standard deviation, of the volumes so far.

    Its side output ``tsnr`` has one value for each volume, NaN until a second one has come. Rows pass unchanged.
    """

    @property
    def recalls(self) -> int:
        """A run that is not planned."""
        return LIKELY_RUN

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        check_channels(self, signal)
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the stage at work."""
        self.output(signal)
        return _Steadiness(signal)


class _Steadiness:
    ratio = 1
    settle = 0

    def __init__(self, signal: Signal) -> None:
        self.side = Signal("tsnr", signal.rate, (1,), ("tsnr",), "", "float64")
        self._voxels = signal.shape[0]
        self.reset(0)

    def reset(self, first: int) -> None:
        """Forget the volumes."""
        self._moments = RunningMoments(self._voxels)
        self._first = self._next = first
        self._values: list[float] = []

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        for place, row in enumerate(samples):
            self._moments.add(np.ascontiguousarray(row), None if bad is None else bad[place])
            spread = self._moments.spread()
            vary = spread > LEAST_SPREAD * np.abs(self._moments.mean)
            self._values.append(
                float(np.median(self._moments.mean[vary] / spread[vary])) if vary.any() else np.nan
            )
        self._next += len(samples)
        return samples, bad

    def take_side(self) -> tuple[int, Samples]:
        """Return the values since the last time, and the count of the first."""
        first, self._first = self._first, self._next
        values, self._values = np.array(self._values).reshape(-1, 1), []
        return first, values
