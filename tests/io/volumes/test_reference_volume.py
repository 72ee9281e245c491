"""A reference volume and masks are taken from a run as a session reads them, with left on the left."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted_region import AFFINE, CENTRE, RADIUS, SHAPE, SPHERE, volumes, write_run

from bci.errors import ConfigError
from bci.io.files.run import load_run
from bci.signal.volumes.rigid import grid_points

pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")

from bci.io.volumes.reference import Sphere, masks_picture, write_reference


def test_a_session_reads_the_volume_and_the_masks_that_were_written(tmp_path: Path) -> None:
    facts = write_reference(
        write_run(tmp_path / "run.nii"), tmp_path / "out", [Sphere.parse(SPHERE)], place=3
    )
    assert facts["tr"] == 0.5
    assert sorted(facts["files"]) == sorted(path.name for path in (tmp_path / "out").iterdir())
    run = load_run(
        reference=tmp_path / "out" / "reference.nii.gz",
        masks={name: tmp_path / "out" / f"{name}.nii.gz" for name in ("brain", "region")},
    )
    assert run.reference is not None
    assert run.affine is not None
    assert np.array_equal(run.reference, volumes()[3])
    assert np.allclose(run.affine, AFFINE)
    points = grid_points(SHAPE, AFFINE)
    region, brain = run.mask("region"), run.mask("brain")
    near = np.linalg.norm(points - np.array(CENTRE), axis=1).reshape(SHAPE) <= RADIUS
    assert np.array_equal(region, near & brain)
    assert facts["voxels"] == {"brain": brain.sum(), "region": region.sum()}
    assert brain[10, 12, 6]
    assert not brain[0, 0, 0]
    with Image.open(tmp_path / "out" / "reference.png") as picture:
        assert picture.size == (6 * SHAPE[0] * 2, 2 * SHAPE[1] * 2 + 16)


@pytest.mark.parametrize("flip", [False, True])
def test_left_is_drawn_on_the_left_however_the_voxels_run(flip: bool) -> None:
    points = grid_points(SHAPE, AFFINE).reshape(*SHAPE, 3)
    left_front = (points[..., 0] < -20) & (points[..., 1] > 30)
    volume, affine = np.ones(SHAPE, np.float32), AFFINE.copy()
    if flip:
        left_front = left_front[::-1]
        affine[0] = [-AFFINE[0, 0], 0, 0, AFFINE[0, 3] + AFFINE[0, 0] * (SHAPE[0] - 1)]
    tile = masks_picture(volume, affine, {"it": left_front})[: SHAPE[1] * 2, : SHAPE[0] * 2]
    rows, columns = np.nonzero(tile[..., 0] != tile[..., 1])
    assert rows.size > 0
    assert rows.max() < SHAPE[1]
    assert columns.max() < SHAPE[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("region", "NAME=X,Y,Z,RADIUS"),
        ("region=1,2,3", "NAME=X,Y,Z,RADIUS"),
        ("region=1,2,3,0", "radius above 0"),
        ("region=nan,2,3,4", "finite"),
        ("../region=1,2,3,4", "letters, digits"),
        ("brain=1,2,3,4", "other than brain"),
    ],
)
def test_a_sphere_that_cannot_be_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Sphere.parse(text)


def test_nothing_is_written_of_a_sphere_outside_or_a_volume_that_is_not_there(tmp_path: Path) -> None:
    run, out = write_run(tmp_path / "run.nii"), tmp_path / "out"
    with pytest.raises(ConfigError, match="no voxel of the brain, which reaches from x -"):
        write_reference(run, out, [Sphere("far", (400.0, 0.0, 0.0), 9.0)])
    with pytest.raises(ConfigError, match="no whole volume at place 40"):
        write_reference(run, out, place=40)
    with pytest.raises(ConfigError, match="a name of its own"):
        write_reference(run, out, [Sphere("a", CENTRE, 9.0), Sphere("a", CENTRE, 20.0)])
    assert not out.exists()
