"""RemoveNuisance takes drift and head motion out of each voxel as volumes come; MarkSpikes marks volumes that jump."""

from collections import deque
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.step import Kernel, Seconds, check_channels, check_positive, check_regular, check_whole
from bci.signal.types import Flags, Samples, Signal
from bci.signal.volumes.glm import IncrementalGlm
from bci.signal.volumes.motion import COLUMNS, motion_regressors
from bci.signal.volumes.responses import Drift, drifts

#: Volumes whose median says what a usual jump is, and how many must be there.
USUAL, FEWEST_USUAL = 40, 8


@dataclass(frozen=True)
class RemoveNuisance:
    """RemoveNuisance fits nuisance to the volumes so far and gives what it leaves of the newest.

    It is causal: a volume's remainder is that of the model of the volumes up to it, and never mended by later ones. It
    is marked until `freedom` degrees of freedom are left. A volume that is marked as a whole is not fitted, and stays
    marked. It remembers all since the last reset.
    """

    volumes: int
    """Volumes of the planned run, over which drifts are laid."""
    motion: bool = True
    """Whether the six parameters of the MotionCorrection before are nuisance."""
    drift: str = "polynomial"
    """Slow courses: cosine, polynomial or none."""
    cutoff_s: Seconds = 128.0
    """Shortest period that cosines take for drift."""
    order: int = 2
    """Highest power of polynomials."""
    freedom: int = 5
    """Degrees of freedom that must be left."""
    physiology: bool = False
    """Whether the columns of the PhysiologicalNoise before are nuisance."""

    @property
    def recalls(self) -> int:
        """The planned run."""
        return self.volumes

    def output(self, signal: Signal) -> Signal:
        """Return the same signal around 0."""
        check_channels(self, signal)
        check_regular(self, signal)
        check_whole(self, 3, 20_000, volumes=self.volumes)
        check_whole(self, 0, 20, order=self.order)
        check_whole(self, 1, 20_000, freedom=self.freedom)
        check_positive(self, cutoff_s=self.cutoff_s)
        if self.drift not in get_args(Drift):
            raise ConfigError(
                f"RemoveNuisance: drift must be one of {', '.join(get_args(Drift))}, got {self.drift!r}"
            )
        return replace(signal, dtype="float32")

    def start(self, signal: Signal) -> Kernel:
        """Return the stage at work."""
        self.output(signal)
        return _Remaining(self, signal)


class _Remaining:
    ratio = 1
    settle = 0

    def __init__(self, settings: RemoveNuisance, signal: Signal) -> None:
        self.hears = "motion" if settings.motion else ""
        self._settings, self._voxels = settings, signal.shape[0]
        self.confounded, self._width = settings.physiology, 0
        self._sets = [np.arange(self._voxels)]
        kind: Drift = settings.drift  # type: ignore[assignment]  # checked by output
        slow = drifts(kind, settings.volumes, 1.0 / signal.rate, settings.cutoff_s, settings.order)
        self._steady = np.column_stack([np.ones(settings.volumes), slow])
        self._heard: Samples = np.zeros((0, 6))
        self._columns: Samples = np.zeros((0, 1, 0))
        self.reset(0)

    def share(self, width: int, sets: NDArray[np.intp] | None) -> None:
        """Take how many columns of physiology come for which voxels."""
        self._width, self._sets = width, voxels_of_sets(sets, self._voxels)
        self.reset(0)

    def reset(self, first: int) -> None:
        """Forget the volumes; their count stays, and with it the place in the run."""
        columns = self._steady.shape[1] + (6 if self.hears else 0) + self._width
        self._glms = [IncrementalGlm(columns, len(places)) for places in self._sets]
        self._next = first

    def hear(self, rows: Samples) -> None:
        """Take the motion of the next volumes."""
        self._heard = motion_regressors(rows)

    def confound(self, columns: Samples) -> None:
        """Take the columns of physiology of the next volumes."""
        self._columns = columns

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        out = np.zeros((len(samples), self._voxels), np.float32)
        flags = np.zeros(out.shape, bool) if bad is None else bad.copy()
        for place, values in enumerate(samples):
            volume = self._next
            self._next += 1
            if volume >= self._settings.volumes or flags[place].all():
                flags[place] = True
                continue
            row = np.concatenate([self._steady[volume], *self._heard[place : place + 1]])
            values = np.asarray(values, np.float64)
            for one, (places, glm) in enumerate(zip(self._sets, self._glms, strict=True)):
                own = np.concatenate([row, self._columns[place, one]]) if self.confounded else row
                left = self._left(glm, own, values[places])
                if left is None:
                    flags[place, places] = True
                else:
                    out[place, places] = left
        return out, flags if flags.any() else None

    def _left(self, glm: IncrementalGlm, row: Samples, values: Samples) -> Samples | None:
        """Return what nuisance leaves of one volume; None while too little is known."""
        glm.add(row, values)
        known = None if glm.degrees_of_freedom < self._settings.freedom else glm.explained(row)
        return None if known is None else np.asarray(values - known)


def voxels_of_sets(sets: NDArray[np.intp] | None, voxels: int) -> list[NDArray[np.intp]]:
    """Return the voxels of each set of columns; all of them where there is one set.

    Raises
    ------
    ConfigError
        If the sets are of other voxels.
    """
    if sets is None:
        return [np.arange(voxels)]
    if len(sets) != voxels:
        raise ConfigError(
            f"expected rows of the {len(sets)} voxels whose slices are known, came {voxels} channels: put the step "
            "that uses physiology before the one that averages regions"
        )
    return [np.flatnonzero(sets == one) for one in range(int(sets.max()) + 1)]


@dataclass(frozen=True)
class MarkSpikes:
    """MarkSpikes marks every voxel of a volume at which the head jumped, or the picture changed all at once.

    The change is DVARS (`dvars.Dvars`), against its median over the last volumes that were no spikes.
    """

    displacement_mm: float = 0.9
    """Framewise displacement from which a volume is marked (Siegel et al. 2014, Human Brain Mapping 35:1981)."""
    times_usual: float = 3.0
    """How many times its median DVARS must be."""

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        check_channels(self, signal)
        check_positive(self, displacement_mm=self.displacement_mm, times_usual=self.times_usual)
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the stage at work."""
        self.output(signal)
        return _Jumps(self)


class _Jumps:
    ratio = 1
    settle = 0
    hears = "motion"

    def __init__(self, settings: MarkSpikes) -> None:
        self._settings = settings
        self._heard: Samples = np.zeros((0, len(COLUMNS)))
        self.reset(0)

    def reset(self, first: int) -> None:
        """Forget the volumes before."""
        self._before: Samples | None = None
        self._usual: deque[float] = deque(maxlen=USUAL)

    def hear(self, rows: Samples) -> None:
        """Take the motion of the next volumes."""
        self._heard = rows

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        displaced = self._heard[:, COLUMNS.index("framewise_displacement")] >= self._settings.displacement_mm
        spikes = np.array(
            [bool(moved) | self._changed(row) for row, moved in zip(samples, displaced, strict=True)], bool
        )
        if not spikes.any():
            return samples, bad
        flags = np.zeros(samples.shape, bool) if bad is None else bad.copy()
        flags[spikes] = True
        return samples, flags

    def _changed(self, row: Samples) -> bool:
        """Return whether a volume differs from the one before by much more than is usual."""
        row = np.array(row, np.float64)
        before, self._before = self._before, row
        if before is None:
            return False
        change = float(np.sqrt(np.mean((row - before) ** 2)))
        enough = len(self._usual) >= FEWEST_USUAL
        if enough and change > self._settings.times_usual * float(np.median(self._usual)):
            return True
        self._usual.append(change)
        return False
