"""Design, reference and masks are read with clear words about what is wrong, and kept with the session."""

from pathlib import Path

import numpy as np
import pytest

from bci.errors import ConfigError, RecordingError
from bci.io.files.run import ARRAYS, FACTS, PICTURE, load_run, read_run, save_run
from bci.signal.run import NO_RUN
from bci.signal.volumes.rigid import matrix_of
from bci.sim.scanner.head import head_affine, head_volume

TABLE = "onset\tduration\ttrial_type\n0\t1.5\tface\n6.1\t1.5\thouse\n"


def planted(folder: Path) -> dict[str, Path]:
    mask = np.zeros((4, 3, 2))
    mask[1, 1] = 1
    np.save(folder / "brain.npy", mask)
    np.save(folder / "reference.npy", np.arange(24.0).reshape(4, 3, 2))
    (folder / "events.tsv").write_text(TABLE)
    return {"design": folder / "events.tsv", "reference": folder / "reference.npy"}


def test_a_run_is_kept_with_the_session_and_read_again(tmp_path: Path) -> None:
    run = load_run(**planted(tmp_path), masks={"brain": tmp_path / "brain.npy"}, channel_map={"A1": "O1"})
    session = tmp_path / "session"
    session.mkdir()
    save_run(run, session)
    again = read_run(session)
    assert again.hashes == run.hashes
    assert set(run.hashes) == {"design", "reference", "masks.brain", "channel_map"}
    assert again.design is not None
    assert again.design.conditions == ("face", "house")
    assert again.design.onsets.tolist() == [0.0, 6.1]
    assert again.mask("brain").sum() == 2


def test_a_session_that_fixes_nothing_keeps_no_file(tmp_path: Path) -> None:
    save_run(NO_RUN, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_run(tmp_path) is NO_RUN


def test_a_part_that_has_changed_since_is_named(tmp_path: Path) -> None:
    run = load_run(**planted(tmp_path), masks={"brain": tmp_path / "brain.npy"})
    save_run(run, tmp_path)
    with np.load(tmp_path / ARRAYS) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["reference"][0, 0, 0] += 1
    np.savez(tmp_path / ARRAYS, **arrays)
    with pytest.raises(RecordingError, match="reference of the session's run"):
        read_run(tmp_path)
    (tmp_path / ARRAYS).unlink()
    with pytest.raises(RecordingError, match=r"design, masks\.brain, reference"):
        read_run(tmp_path)
    (tmp_path / FACTS).write_text("{")
    with pytest.raises(RecordingError, match="expected what the session fixed"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("onset\tduration\n0\t1\n", "columns onset, duration, trial_type, came onset, duration"),
        ("onset\tduration\ttrial_type\n", "came no row"),
        ("onset\tduration\ttrial_type\n0\t1\tface\nlater\t1\tface\n", "line 3: expected onset"),
        ("onset\tduration\ttrial_type\nnan\t1\tface\n", "finite onset"),
    ],
)
def test_a_design_that_is_none_says_where(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "events.tsv"
    path.write_text(content)
    with pytest.raises(ConfigError, match=words):
        load_run(design=path)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 3, 2)), "at least one voxel"),
        (np.full((4, 3, 2), 0.5), "zeros and ones"),
        (np.ones((4, 3)), "one volume"),
        (np.full((4, 3, 2), np.nan), "finite"),
    ],
)
def test_a_mask_that_is_none_says_why(tmp_path: Path, array: np.ndarray, words: str) -> None:
    np.save(tmp_path / "mask.npy", array)
    with pytest.raises(ConfigError, match=words):
        load_run(masks={"brain": tmp_path / "mask.npy"})


def test_a_file_that_is_no_array_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mask.npy").write_bytes(b"not an array")
    with pytest.raises(ConfigError, match="cannot read the volume"):
        load_run(masks={"brain": tmp_path / "mask.npy"})
    with pytest.raises(ConfigError, match="cannot read the volume"):
        load_run(reference=tmp_path / "nothing.npy")


def test_a_nifti_reference_brings_its_affine_and_masks_lie_on_its_grid(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    affine = np.array([[-3.0, 0, 0, 90], [0, 3, 0, -80], [0, 0, 4, -60], [0, 0, 0, 1]])
    mirrored = affine @ np.diag([-1.0, 1, 1, 1])
    values = np.arange(24.0, dtype="f4").reshape(4, 3, 2)
    for name, volume, grid in (
        ("reference", values, affine),
        ("brain", (values > 11).astype("u1"), affine),
        ("mirrored", (values > 11).astype("u1"), mirrored),
        ("series", np.stack([values, values], axis=3), affine),
    ):
        nibabel.save(nibabel.Nifti1Image(volume, grid), tmp_path / f"{name}.nii.gz")
    run = load_run(reference=tmp_path / "reference.nii.gz", masks={"brain": tmp_path / "brain.nii.gz"})
    assert run.affine is not None
    assert np.allclose(run.affine, affine)
    assert np.array_equal(run.mask("brain"), values > 11)
    save_run(run, tmp_path)
    again = read_run(tmp_path)
    assert again.hashes == run.hashes
    assert "affine" in run.hashes
    with pytest.raises(ConfigError, match=r"mirrored.*expected a mask on the reference's grid"):
        load_run(reference=tmp_path / "reference.nii.gz", masks={"brain": tmp_path / "mirrored.nii.gz"})
    with pytest.raises(ConfigError, match="came a run of several"):
        load_run(reference=tmp_path / "series.nii.gz")
    (tmp_path / "torn.nii").write_bytes(b"n+1" * 200)
    for name in ("torn", "missing"):
        with pytest.raises(ConfigError, match=r"cannot read the volume: .*\.nii"):
            load_run(reference=tmp_path / f"{name}.nii")


def test_rows_of_an_affine_stand_for_a_file_without_one(tmp_path: Path) -> None:
    rows = [[3.0, 0, 0, 0], [0, 3.0, 0, 0], [0, 0, 4.0, 0], [0, 0, 0, 1.0]]
    run = load_run(**planted(tmp_path), affine=rows)
    assert run.affine is not None
    assert run.affine.tolist() == rows
    for wrong in (rows[:3], [[0.0] * 4] * 4):
        with pytest.raises(ConfigError, match="affine"):
            load_run(**planted(tmp_path), affine=wrong)


def test_a_training_sessions_reference_is_registered_to_todays_and_pictured(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    shape = (32, 36, 22)
    affine = head_affine(shape, (6.0, 6.0, 6.0))
    six = np.array([5.0, -4.0, 3.0, 0.05, 0.0, 0.08])
    trained, today = head_volume(shape, affine), head_volume(shape, affine, matrix_of(six, np.zeros(3)))
    for name, volume in (("trained", trained), ("today", today), ("mirrored", today[::-1])):
        nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(volume), affine), tmp_path / f"{name}.nii")
    run = load_run(reference=tmp_path / "today.nii", trained_reference=tmp_path / "trained.nii")
    assert run.trained is not None
    assert np.allclose(run.trained.to_today, matrix_of(six, np.zeros(3)), atol=0.1)
    save_run(run, tmp_path)
    assert read_run(tmp_path).hashes == run.hashes
    assert (tmp_path / PICTURE).stat().st_size > 500
    with pytest.raises(ConfigError, match=r"could not be registered.*left for right"):
        load_run(reference=tmp_path / "mirrored.nii", trained_reference=tmp_path / "trained.nii")
    with pytest.raises(ConfigError, match="registered to today's reference volume, and its affine"):
        load_run(trained_reference=tmp_path / "trained.nii")
