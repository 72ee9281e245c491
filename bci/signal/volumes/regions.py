"""RegionMeans averages the voxels of regions that the session names: from rows of voxels to a value for each region."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.run import Run
from bci.signal.step import Kernel, Step, check_channels
from bci.signal.types import Flags, Samples, Signal
from bci.signal.volumes.mask import UnboundMask, session_mask

#: A region more of whose voxels must not be trusted is marked.
MOST_BAD = 0.5


@dataclass(frozen=True)
class RegionMeans:
    """RegionMeans gives the mean of each region's voxels; those that are marked are left out of it.

    It stands after the step that takes the voxels of a mask, and regions are masks on the same grid. Its side output
    ``regions`` has the same values, before later steps make z-scores of them; NaN where a region is marked.
    """

    mask: str
    """Name of the mask whose voxels come, in the session's ``[run] masks``."""
    voxels: int
    """Number of voxels in the mask."""
    regions: tuple[str, ...]
    """Names of the regions' masks there; of each, the voxels within `mask` count."""

    def output(self, signal: Signal) -> Signal:
        """Return a channel for each region."""
        check_channels(self, signal)
        if not self.regions or len(set(self.regions)) != len(self.regions):
            raise ConfigError(f"RegionMeans: expected one region or more, each once, came {self.regions}")
        if signal.shape != (self.voxels,):
            raise ConfigError(
                f"RegionMeans: expected rows of the {self.voxels} voxels of mask {self.mask!r}, came {signal.shape}. "
                "Put it after MotionCorrection or MaskVolume with that mask."
            )
        return replace(signal, shape=(len(self.regions),), channels=self.regions, dtype="float32")

    def start(self, signal: Signal) -> Kernel:
        """Return a stage that refuses its first sample: without a session there are no regions."""
        return _Unbound(self.mask, self.output(signal))

    def with_run(self, run: Run) -> Step:
        """Return the step with the session's regions.

        Raises
        ------
        ConfigError
            If a mask is missing or on another grid, or a region has no voxel within the mask.
        """
        mask = session_mask(run, self.mask, self.voxels)
        places = []
        for name in self.regions:
            region = np.asarray(run.mask(name), bool)
            if region.shape != mask.shape:
                raise ConfigError(
                    f"region {name!r} has the shape {region.shape}, mask {self.mask!r} {mask.shape}. "
                    "Give both on one grid."
                )
            within = np.flatnonzero(region[mask])
            if not len(within):
                raise ConfigError(
                    f"expected voxels of region {name!r} within mask {self.mask!r}, came none. Look at both over the "
                    "reference volume."
                )
            places.append(within)
        return _Named(self, tuple(places))


@dataclass(frozen=True, eq=False)
class _Named:
    """A _Named is a `RegionMeans` with the places of each region's voxels in a row."""

    settings: RegionMeans
    places: tuple[NDArray[np.intp], ...]

    def output(self, signal: Signal) -> Signal:
        return self.settings.output(signal)

    def start(self, signal: Signal) -> Kernel:
        return _Averaging(self.places, self.output(signal))


def _side(output: Signal) -> Signal:
    return replace(output, name="regions", dtype="float64")


class _Unbound(UnboundMask):
    """An _Unbound says what a session will have beside the samples, before it fixes the regions."""

    def __init__(self, mask: str, output: Signal) -> None:
        super().__init__(mask)
        self.side = _side(output)

    def take_side(self) -> tuple[int, Samples]:
        """Return no rows: it takes no samples."""
        return 0, np.empty((0, *self.side.shape))


class _Averaging:
    ratio = 1
    settle = 0

    def __init__(self, places: tuple[NDArray[np.intp], ...], output: Signal) -> None:
        self.side = _side(output)
        self._places = places
        self._first = self._next = 0
        self._rows: list[NDArray[np.float64]] = []

    def reset(self, first: int) -> None:
        """Forget what was not taken yet."""
        self._first = self._next = first
        self._rows.clear()

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        out = np.empty((len(samples), len(self._places)), np.float32)
        flags = np.zeros(out.shape, bool)
        for at, row in enumerate(samples):
            for region, places in enumerate(self._places):
                values = row[places].astype(np.float64)
                if bad is not None and bad[at, places].any():
                    good = ~bad[at, places]
                    flags[at, region] = good.mean() < 1.0 - MOST_BAD
                    values = values[good] if good.any() else values
                out[at, region] = values.mean()
        self._rows += list(np.where(flags, np.nan, out))
        self._next += len(samples)
        return out, flags if flags.any() else None

    def take_side(self) -> tuple[int, Samples]:
        """Return the rows since the last time, and the count of the first."""
        first, self._first = self._first, self._next
        rows, self._rows = np.array(self._rows, np.float64).reshape(-1, len(self._places)), []
        return first, rows
