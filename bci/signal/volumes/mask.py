"""MaskVolume keeps the voxels of a mask that the session fixes: from volumes to rows of voxels."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.run import Run
from bci.signal.step import Kernel, Step, check_volume
from bci.signal.types import Flags, Samples, Signal


@dataclass(frozen=True)
class MaskVolume:
    """MaskVolume keeps the voxels of a mask, in the order in which they lie in memory (C order).

    Attributes
    ----------
    mask : str
        Name of the mask in the session's ``[run] masks``.
    voxels : int
        Number of voxels in the mask; a decoder's size depends on it.
    sha256 : str
        Hash that the mask must have (`Run.hashes`); empty where any mask of the right size will do.
    """

    mask: str
    voxels: int
    sha256: str = ""

    def output(self, signal: Signal) -> Signal:
        """Return the row of voxels."""
        check_volume(self, signal)
        if isinstance(self.voxels, bool) or not isinstance(self.voxels, int) or self.voxels < 1:
            raise ConfigError(f"MaskVolume: voxels must be a whole number from 1, got {self.voxels!r}")
        return replace(signal, shape=(self.voxels,), channels=())

    def start(self, signal: Signal) -> Kernel:
        """Return a stage that refuses its first sample: without a session there is no mask."""
        self.output(signal)
        return UnboundMask(self.mask)

    def with_run(self, run: Run) -> Step:
        """Return the step with the session's mask.

        Raises
        ------
        ConfigError
            If there is none of that name, or another one than the decoder was made with.
        """
        if run.trained is not None:
            raise ConfigError(
                f"mask {self.mask!r} lies on the grid of the training session, and MaskVolume takes voxels as they lie "
                "today. Use a decoder with MotionCorrection, or leave [run] trained_reference out."
            )
        mask = session_mask(run, self.mask, self.voxels, self.sha256)
        return _Masked(self, mask)


def session_mask(run: Run, name: str, voxels: int, sha256: str = "") -> NDArray[np.bool_]:
    """Return a mask (x, y, z) of the session that is the one a decoder was made with.

    Raises
    ------
    ConfigError
        If there is none of that name, or another one.
    """
    mask = np.asarray(run.mask(name), bool)
    count, digest = int(mask.sum()), run.hashes[f"masks.{name}"]
    if count != voxels or (sha256 and sha256 != digest):
        raise ConfigError(
            f"mask {name!r}: the decoder expects {voxels} voxels"
            f"{f', SHA-256 {sha256[:12]}…' if sha256 else ''}; the session's has {count}, "
            f"{digest[:12]}…. Give the mask that the decoder was made with."
        )
    return mask


@dataclass(frozen=True, eq=False)
class _Masked:
    """A _Masked is a `MaskVolume` with the session's mask."""

    settings: MaskVolume
    mask: NDArray[np.bool_]

    def output(self, signal: Signal) -> Signal:
        if signal.shape != self.mask.shape:
            raise ConfigError(
                f"mask {self.settings.mask!r} has the shape {self.mask.shape}, and the volumes of {signal.name!r} "
                f"{signal.shape}. Give a mask on the grid of these volumes."
            )
        return self.settings.output(signal)

    def start(self, signal: Signal) -> Kernel:
        self.output(signal)
        return _Take(np.flatnonzero(self.mask), self.mask.shape)


class UnboundMask:
    """An UnboundMask stands for a step whose mask is not known yet, and refuses samples."""

    ratio = 1
    settle = 0

    def __init__(self, mask: str) -> None:
        self._mask = mask

    def reset(self, first: int) -> None:
        """Have nothing to forget."""

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        """Refuse samples: ConfigError."""
        raise ConfigError(
            f"this pipeline takes the voxels of mask {self._mask!r}, which only a session fixes: name its file in "
            "[run] masks, or call Pipeline.for_run first"
        )


class _Take:
    ratio = 1
    settle = 0

    def __init__(self, places: NDArray[np.intp], shape: tuple[int, ...]) -> None:
        self._places, self._shape = places, shape

    def reset(self, first: int) -> None:
        """Have nothing to forget."""

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        row = samples.reshape(len(samples), -1)[:, self._places]
        if bad is None:
            return row, None
        # A flag is of one voxel, or of all that share an index of the first axis.
        wide = bad.reshape(*bad.shape, *(1,) * (1 + len(self._shape) - bad.ndim))
        flags = np.broadcast_to(wide, (len(samples), *self._shape)).reshape(len(samples), -1)
        return row, flags[:, self._places]
