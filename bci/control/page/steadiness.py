"""A SteadinessSight is how steady each voxel of a session's volumes is, as its page shows it: temporal SNR."""

import numpy as np
from numpy.typing import NDArray

from bci.control.page.moment import PagePicture, Tone
from bci.signal.types import Samples, Signal
from bci.signal.volumes.rigid import Affine
from bci.signal.volumes.running import RunningMoments
from bci.signal.volumes.tiles import coloured, tiles

#: Volumes below which a standard deviation says nothing.
FEWEST = 5

#: A voxel is drawn where its mean is above this part of the bright voxels'.
_BRIGHT = 0.25

#: Largest width of the picture, pixels, and slices at most.
_WIDTH, _SLICES = 320, 24


class SteadinessSight:
    """Mean over standard deviation of each voxel, of the volumes as they came: neither aligned nor cleaned.

    Parameters
    ----------
    signal : Signal
        Of volumes (x, y, z).
    """

    def __init__(self, signal: Signal) -> None:
        self._shape = signal.shape
        self._moments = RunningMoments(int(np.prod(signal.shape)))
        self.volumes = 0

    def add(self, samples: Samples) -> None:
        """Take volumes (n, x, y, z); those that are not whole are left out."""
        for volume in samples:
            if np.isfinite(volume).all():
                self._moments.add(np.ascontiguousarray(volume, np.float64).reshape(-1))
                self.volumes += 1

    def values(self) -> NDArray[np.float64]:
        """Return the map (x, y, z); NaN outside the head, and everywhere before `FEWEST` volumes."""
        mean, spread = self._moments.mean, self._moments.spread()
        head = mean > _BRIGHT * float(np.percentile(mean, 98))
        known = head & (spread > 0) & (self.volumes >= FEWEST)
        out = np.divide(mean, spread, out=np.full(len(mean), np.nan), where=known)
        return np.asarray(out.reshape(self._shape))

    def picture(self, affine: Affine | None) -> PagePicture | None:
        """Return it as a picture, left to the left where the affine is known; None while it says nothing."""
        if self.volumes < FEWEST:
            return None
        values = self.values()
        middle = float(np.nanmedian(values))
        top = max(10.0, 10.0 * round(2.0 * middle / 10.0))
        step = -(-values.shape[2] // _SLICES)
        grid = np.eye(4) if affine is None else affine
        thinned = values[:, :, ::step] if _runs_up(grid) else values
        drawn = tiles(coloured(thinned, 0.0, top), grid, width=6, scale=1)
        fold = -(-drawn.shape[1] // _WIDTH)
        words = f"median {middle:.0f}, {self.volumes} volumes as they came; bright: {top:g}"
        if affine is None:
            words += "; which side is left is not known"
        return PagePicture("Temporal SNR", np.ascontiguousarray(drawn[::fold, ::fold]), words, Tone.GOOD)


def _runs_up(affine: Affine) -> bool:
    """Whether the third axis of the array is the one of slices, up or down."""
    return bool(np.argmax(np.abs(affine[2, :3])) == 2)
