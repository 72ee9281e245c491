"""A run whose head creeps and one of whose regions answers: what feedback of that region must show is known."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.signal.volumes.rigid import grid_points, matrix_of
from bci.sim.scanner.head import head_affine, head_volume

SHAPE, TR, N, WARM_UP = (20, 24, 12), 0.5, 40, 16
AFFINE = head_affine(SHAPE, (9.0, 9.0, 11.0))
#: In millimetre: to the left, behind, above the middle.
CENTRE, RADIUS = (-30.0, -20.0, 14.0), 20.0
#: Volumes at which the region is brighter, and by how much of its brightness.
ANSWERS, BRIGHTER = np.isin(np.arange(N), [*range(22, 27), *range(33, 37)]), 0.05

#: Options of `bci volumes reference`.
SPHERE = "region=" + ",".join(f"{value:g}" for value in (*CENTRE, RADIUS))


def volumes() -> NDArray[np.float32]:
    """Return the run (n, x, y, z)."""
    rng = np.random.default_rng(5)
    inside = np.linalg.norm(grid_points(SHAPE, AFFINE) - np.array(CENTRE), axis=1) < RADIUS + 6.0
    gain = 1.0 + BRIGHTER * inside.reshape(SHAPE)
    run = []
    for place in range(N):
        moved = matrix_of(np.array([0.05 * place, -0.04 * place, 0, 0, 0, 0.0008 * place]), np.zeros(3))
        run.append(head_volume(SHAPE, AFFINE, moved) * (gain if ANSWERS[place] else 1.0))
    return (np.array(run) + rng.normal(0, 4, (N, *SHAPE))).astype(np.float32)


def write_run(path: Path) -> Path:
    """Write the run as one NIfTI file."""
    import nibabel

    image = nibabel.Nifti1Image(np.moveaxis(volumes(), 0, -1), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = TR
    nibabel.save(image, path)
    return path


def write_training(folder: Path, masks: Path) -> Path:
    """Write the training file of the region's mean."""
    path = folder / "region-train.toml"
    path.write_text(
        f"""
kind = "measure"
name = "region"
[signal]
name = "BOLD-raw"
rate = {1 / TR}
[[pipeline]]
step = "motion_correction"
mask = "brain"
[[pipeline]]
step = "region_means"
mask = "brain"
regions = ["region"]
[[pipeline]]
step = "running_z_score"
warm_up = {WARM_UP}
[window]
[measure]
name = "region"
unit = "z"
channels = ["region"]
low = -3.0
high = 3.0
[run]
reference = "{masks.name}/reference.nii.gz"
masks = {{ brain = "{masks.name}/brain.nii.gz", region = "{masks.name}/region.nii.gz" }}
"""
    )
    return path
