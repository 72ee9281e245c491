"""SmoothVoxels smooths rows of the voxels of a mask, within the mask: what lies outside it never comes in."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.run import Run
from bci.signal.step import Kernel, Step, check_channels, check_positive
from bci.signal.types import Flags, Samples, Signal
from bci.signal.volumes.mask import UnboundMask, session_mask
from bci.signal.volumes.rigid import voxel_sizes_mm
from bci.signal.volumes.sampling import smoothed


@dataclass(frozen=True)
class SmoothVoxels:
    """SmoothVoxels is a Gaussian over the voxels of a mask, each weighted sum divided by the weights within the mask.

    So a voxel at the mask's edge is not darkened by what lies beyond (normalised convolution, Knutsson & Westin 1993,
    CVPR, p. 515). Voxels that are marked count for nothing, and take the value of their neighbours; they stay marked.
    """

    mask: str
    """Name of the mask whose voxels come, in the session's ``[run] masks``."""
    voxels: int
    """Number of voxels in the mask."""
    fwhm_mm: float = 5.0
    """Full width at half maximum, millimetre."""

    def output(self, signal: Signal) -> Signal:
        """Return the same rows."""
        check_channels(self, signal)
        check_positive(self, fwhm_mm=self.fwhm_mm)
        if signal.shape != (self.voxels,):
            raise ConfigError(
                f"SmoothVoxels: expected rows of the {self.voxels} voxels of mask {self.mask!r}, came {signal.shape}. "
                "Put it after MotionCorrection or MaskVolume with that mask."
            )
        return replace(signal, dtype="float32")

    def start(self, signal: Signal) -> Kernel:
        """Return a stage that refuses its first sample: without a session there is no mask."""
        self.output(signal)
        return UnboundMask(self.mask)

    def with_run(self, run: Run) -> Step:
        """Return the step with the session's mask and the size of its voxels.

        Raises
        ------
        ConfigError
            If the mask is missing or another one, or there is no affine.
        """
        mask = session_mask(run, self.mask, self.voxels)
        affine = run.affine if run.trained is None else run.trained.affine
        if affine is None:
            raise ConfigError(
                "SmoothVoxels: expected an affine in [run], which says how large a voxel is, came none"
            )
        return _Within(self, mask, voxel_sizes_mm(affine))


@dataclass(frozen=True, eq=False)
class _Within:
    """A _Within is a `SmoothVoxels` with the session's mask."""

    settings: SmoothVoxels
    mask: NDArray[np.bool_]
    voxel_mm: NDArray[np.float64]

    def output(self, signal: Signal) -> Signal:
        return self.settings.output(signal)

    def start(self, signal: Signal) -> Kernel:
        self.output(signal)
        return _Smoothing(self.mask, self.settings.fwhm_mm, self.voxel_mm)


class _Smoothing:
    ratio = 1
    settle = 0

    def __init__(self, mask: NDArray[np.bool_], fwhm_mm: float, voxel_mm: NDArray[np.float64]) -> None:
        # Only the box around the mask is smoothed.
        sides = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        self._mask = mask[tuple(slice(side[0], side[-1] + 1) for side in sides)]
        self._fwhm_mm, self._voxel_mm = fwhm_mm, voxel_mm
        self._weights = self._smoothed(np.ones(int(mask.sum()), np.float32))

    def reset(self, first: int) -> None:
        """Have nothing to forget."""

    def _smoothed(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        # A voxel of margin on every side: beyond the edge the outermost voxels are met again, and these are zeros.
        box = np.zeros(tuple(n + 2 for n in self._mask.shape), np.float32)
        inner = (slice(1, -1),) * 3
        box[inner][self._mask] = row
        return np.asarray(smoothed(box, self._fwhm_mm, self._voxel_mm)[inner][self._mask])

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        out = np.empty(samples.shape, np.float32)
        for place, row in enumerate(samples):
            row = np.asarray(row, np.float32)
            good = None if bad is None or not bad[place].any() or bad[place].all() else ~bad[place]
            if good is None:
                out[place] = self._smoothed(row) / self._weights
                continue
            weights = self._smoothed(good.astype(np.float32))
            sums = self._smoothed(np.where(good, row, 0.0).astype(np.float32))
            out[place] = np.where(weights > 1e-3, sums / np.maximum(weights, 1e-3), row)
        return out, bad
