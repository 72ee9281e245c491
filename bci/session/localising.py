"""A mask is taken from localiser runs: voxels that answer most to a contrast, or whose answers repeat, on one grid."""

import gzip
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.errors import ConfigError
from bci.io.files.folder import write_whole
from bci.io.volumes.nifti import nifti_bytes
from bci.io.volumes.reference import masks_picture
from bci.session.volume_quality import VolumeRun
from bci.signal.volumes.localiser import halved, highest, joined_z, reliability
from bci.signal.volumes.rigid import grid_points
from bci.signal.volumes.survey import Surveyed

#: Degrees of freedom of a model below which no mask is taken from a run.
FEWEST_FREEDOM = 10


@dataclass(frozen=True)
class Wanted:
    """Which voxels are wanted.

    Attributes
    ----------
    voxels : int
        How many at most: those with the highest z, or the most reliable ones.
    contrast : str
        A condition or a difference of two; empty where reliability alone decides.
    reliable : float or None
        Least correlation of the answers to the conditions between two halves of the trials.
    region : str
        A mask of the run that voxels must lie in; empty for the brain.
    """

    voxels: int
    contrast: str = ""
    reliable: float | None = None
    region: str = ""

    def __post_init__(self) -> None:
        if not self.contrast and self.reliable is None:
            raise ConfigError(
                "expected a contrast of the design, a least reliability, or both, came neither."
            )


def localise(runs: Sequence[VolumeRun], wanted: Wanted) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Return a mask on the runs' reference grid (x, y, z), and what is said of it.

    Parameters
    ----------
    runs : sequence of VolumeRun
        With one reference volume and designs.
    wanted : Wanted

    Raises
    ------
    ConfigError
        If a run has no design or too few volumes for it, or fewer voxels are there.
    """
    values = np.zeros(runs[0].run.mask(runs[0].mask).shape)
    facts: dict[str, Any] = {"runs": len(runs)}
    allowed = np.asarray(runs[0].run.mask(wanted.region or runs[0].mask), bool)
    if wanted.reliable is not None:
        again = reliability([_surveyed(run.with_events(halved(run.planned)), ()) for run in runs])
        allowed &= np.nan_to_num(again, nan=-1.0) >= wanted.reliable
        values = again
        facts["reliable"] = int(allowed.sum())
    if wanted.contrast:
        values = joined_z([_surveyed(run, (wanted.contrast,)) for run in runs], wanted.contrast)
    values = np.where(allowed, values, np.nan)
    known = int(np.isfinite(values).sum())
    if not known:
        raise ConfigError(
            "expected voxels as they are wanted, came none. Ask for less reliable ones, or look at the run."
        )
    mask = highest(values, min(wanted.voxels, known))
    across = grid_points(mask.shape, runs[0].grid)[:, 0].reshape(mask.shape)
    middle = float(across[np.asarray(runs[0].run.mask(runs[0].mask), bool)].mean())
    facts |= {
        "voxels": int(mask.sum()),
        "left": int((mask & (across < middle)).sum()),
        "right": int((mask & (across >= middle)).sum()),
        "least": float(values[mask].min()),
        "of": "z" if wanted.contrast else "r",
    }
    return mask, facts


def _surveyed(run: VolumeRun, contrasts: Sequence[str]) -> Surveyed:
    found = run.survey(contrasts)
    if found.freedom < FEWEST_FREEDOM or not found.contrasts:
        words = f": {'; '.join(found.words)}" if found.words else ""
        raise ConfigError(
            f"{run.name}: the model of {found.fitted} volumes leaves {found.freedom} degrees of freedom, expected "
            f"{FEWEST_FREEDOM} or more{words}. Take a longer run, or fewer conditions."
        )
    return found


def write_mask(out: Path, mask: NDArray[np.bool_], run: VolumeRun) -> Path:
    """Write a mask as a NIfTI file, and beside it a picture of it on the reference volume; return the picture's path.

    Raises
    ------
    ConfigError
        If the file is not called ``NAME.nii.gz``.
    DiskError
        If the disk does not take them.
    """
    if not out.name.endswith(".nii.gz"):
        raise ConfigError(f"{out}: expected a file NAME.nii.gz")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, gzip.compress(nifti_bytes(mask.astype(np.uint8), run.grid, math.nan), mtime=0))
    drawn = masks_picture(run.reference, run.grid, {out.name.removesuffix(".nii.gz"): mask})
    picture = out.with_name(out.name.removesuffix(".nii.gz") + ".png")
    Image.fromarray(drawn).save(picture)
    return picture
