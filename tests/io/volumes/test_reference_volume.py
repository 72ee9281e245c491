"""A reference volume and masks are taken from a run as a session reads them, with left on the left."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted_region import AFFINE, CENTRE, RADIUS, SHAPE, SPHERE, volumes, write_run

from bci.errors import ConfigError, DiskError
from bci.io.files.run import load_run
from bci.signal.volumes.rigid import grid_points, matrix_of, moved
from bci.sim.scanner.head import head_affine, head_volume

pytest.importorskip("nibabel", reason="NIBABEL IS MISSING: pip install '.[fmri]' to run this test")

from bci.io.volumes.nifti import nifti_bytes
from bci.io.volumes.reference import RegionImage, Sphere, masks_picture, write_reference


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


def write_image(path: Path, radius_mm: float, values: float = 1.0) -> Path:
    """Write a ball around the planted region's centre on a finer grid whose voxels run the other way along x."""
    shape, affine = (64, 70, 52), np.diag([-3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = [90.0, -100.0, -70.0]
    near = np.linalg.norm(grid_points(shape, affine) - np.array(CENTRE), axis=1).reshape(shape) <= radius_mm
    path.write_bytes(nifti_bytes((near * values).astype(np.float32), affine))
    return path


def test_a_region_of_an_image_is_taken_where_it_lies_whatever_its_grid(tmp_path: Path) -> None:
    image = write_image(tmp_path / "v1.nii", RADIUS)
    regions = [RegionImage.parse(f"shown={image}"), Sphere.parse(SPHERE)]
    facts = write_reference(write_run(tmp_path / "run.nii"), tmp_path / "out", regions)
    masks = load_run(masks={name: tmp_path / "out" / f"{name}.nii.gz" for name in ("shown", "region")}).masks
    assert facts["voxels"]["shown"] == masks["shown"].sum() > 20
    # A ball drawn with 3 mm voxels is the ball but for its edge: no voxel whose centre lies 3 mm off that.
    away = np.linalg.norm(grid_points(SHAPE, AFFINE) - np.array(CENTRE), axis=1).reshape(SHAPE)
    clear = np.abs(away - RADIUS) > 3.0
    assert np.array_equal(masks["shown"] & clear, masks["region"] & clear)


def test_an_image_that_is_no_region_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run.nii")
    with pytest.raises(ConfigError, match="NAME=FILE"):
        RegionImage.parse("v1=image.png")
    with pytest.raises(ConfigError, match="zeros and ones"):
        write_reference(
            run, tmp_path / "out", [RegionImage("a", write_image(tmp_path / "a.nii", RADIUS, 2.0))]
        )
    with pytest.raises(ConfigError, match="shows no voxel of the brain"):
        write_reference(run, tmp_path / "out", [RegionImage("a", write_image(tmp_path / "a.nii", -1.0))])
    with pytest.raises(ConfigError, match=r"gone\.nii"):
        write_reference(run, tmp_path / "out", [RegionImage("a", tmp_path / "gone.nii")])


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_region_follows_the_head_it_was_drawn_on_and_a_mirrored_one_is_refused(
    tmp_path: Path, mirrored: bool
) -> None:
    shape, region = (32, 36, 22), Sphere.parse(SPHERE)
    grid = head_affine(shape, (6.0, 6.0, 6.0))
    (tmp_path / "run.nii").write_bytes(nifti_bytes(head_volume(shape, grid), grid))
    there = matrix_of(np.array([6.0, -4.0, 3.0, 0.05, -0.04, 0.06]), np.zeros(3))
    drawn_on = head_volume(shape, grid, there)
    points = moved(grid_points(shape, grid), np.linalg.inv(there))
    image = (np.linalg.norm(points - np.array(CENTRE), axis=1) <= RADIUS).reshape(shape)
    affine = np.diag([-1.0, 1, 1, 1]) @ grid if mirrored else grid
    (tmp_path / "drawn.nii").write_bytes(nifti_bytes(drawn_on, affine))
    (tmp_path / "it.nii").write_bytes(nifti_bytes(image.astype(np.uint8), affine))
    regions = [RegionImage.parse(f"it={tmp_path / 'it.nii'}"), region]
    if mirrored:
        with pytest.raises(ConfigError, match="mirrored, left for right, fits better"):
            write_reference(
                tmp_path / "run.nii", tmp_path / "out", regions, place=0, drawn_on=tmp_path / "drawn.nii"
            )
        return
    facts = write_reference(
        tmp_path / "run.nii", tmp_path / "out", regions, place=0, drawn_on=tmp_path / "drawn.nii"
    )
    names = {name: tmp_path / "out" / f"{name}.nii.gz" for name in ("it", "region")}
    masks = load_run(reference=tmp_path / "out" / "reference.nii.gz", masks=names).masks
    both = (masks["it"] & masks["region"]).sum() / (masks["it"] | masks["region"]).sum()
    assert both > 0.7
    assert facts["left"]["it"] == facts["voxels"]["it"] > 0


def test_a_full_disk_leaves_no_file_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def full_at_the_second(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == 2:
            raise OSError(28, "No space left on device")

    run = write_run(tmp_path / "run.nii")
    monkeypatch.setattr("os.fsync", full_at_the_second)
    with pytest.raises(DiskError, match=r"brain.nii.gz.*No space left on device"):
        write_reference(run, tmp_path / "out", [Sphere.parse(SPHERE)])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["reference.nii.gz"], (
        "what the disk took is whole"
    )
