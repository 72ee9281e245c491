"""A run in which one region answers to faces, a volume is missing, a head is lost, and the picture flashes once."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.signal.run import Design
from bci.signal.volumes.responses import ResponseGrid
from bci.signal.volumes.rigid import grid_points, matrix_of
from bci.sim.scanner.head import head_affine, head_volume

SHAPE, TR, N = (20, 24, 12), 2.0, 72
AFFINE = head_affine(SHAPE, (9.0, 9.0, 11.0))
#: In millimetre: to the left, behind, above the middle.
CENTRE, RADIUS = (-30.0, -20.0, 14.0), 20.0
MISSING, LOST, FLASH = 50, 20, 34
#: Percent of a voxel's brightness at the peak of a response.
PERCENT = 5.0

ONSETS = np.arange(6.0, 130.0, 16.0)
DESIGN = Design(
    ONSETS, np.full(len(ONSETS), 2.0), tuple(["faces", "houses"][k % 2] for k in range(len(ONSETS)))
)


def faces() -> NDArray[np.float64]:
    """Return the predicted response to faces at each volume."""
    grid = ResponseGrid(N, TR)
    return np.asarray(np.sum([grid.column(onset, 2.0) for onset in ONSETS[::2]], axis=0))


def inside() -> NDArray[np.bool_]:
    """Return the voxels that answer (x, y, z)."""
    near = np.linalg.norm(grid_points(SHAPE, AFFINE) - np.array(CENTRE), axis=1) < RADIUS
    return near.reshape(SHAPE)


def volumes(seed: int = 3) -> NDArray[np.float32]:
    """Return the run (n, x, y, z); NaN at the missing place."""
    still = head_volume(SHAPE, AFFINE)
    course = faces() / faces().max()
    gain = 1.0 + 0.01 * PERCENT * course[:, None, None, None] * inside()
    run = gain * still + np.random.default_rng(seed).normal(0, 4, (N, *SHAPE))
    run[LOST] = head_volume(SHAPE, AFFINE, matrix_of(np.array([0, 0, 0, 0, 0, 0.4]), np.zeros(3)))
    run[FLASH] *= 1.3
    run[MISSING] = np.nan
    return run.astype(np.float32)


def write_run(path: Path, seed: int = 3) -> Path:
    """Write the run as a NIfTI file, and its design beside it as ``events.tsv``."""
    import nibabel

    image = nibabel.Nifti1Image(np.moveaxis(volumes(seed), 0, -1), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = TR
    nibabel.save(image, path)
    rows = zip(DESIGN.onsets, DESIGN.durations, DESIGN.conditions, strict=True)
    lines = ["onset\tduration\ttrial_type", *(f"{on:g}\t{long:g}\t{kind}" for on, long, kind in rows)]
    (path.parent / "events.tsv").write_text("\n".join(lines) + "\n")
    return path
