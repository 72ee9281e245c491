"""The HYPER release is read as it lies on the disk, and nothing that a pickle asks for is run."""

import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bci.errors import DataError
from models.datasets.hyper import GENERATOR, load_boundaries, load_hyper
from models.datasets.plain_pickle import load_plain

VOXELS = 24


def release(folder: Path, protocol: int = 3, **changed: Any) -> list[Any]:
    """Write a small release in the true layout: X_tr, T_tr, X_te, T_te, as main.py and the notebook load it."""
    rng = np.random.default_rng(1)
    parts = {
        "x_train": rng.standard_normal((9, VOXELS)),
        "t_train": rng.standard_normal((9, 512)).astype(np.float32),
        "x_test": rng.standard_normal((4, VOXELS)),
        "t_test": rng.standard_normal((4, 512)).astype(np.float32),
    } | changed
    with (folder / "data_1.dat").open("wb") as file:
        pickle.dump(list(parts.values()), file, protocol)
    return list(parts.values())


@pytest.mark.parametrize("protocol", [0, 2, 3, 5])
def test_the_four_parts_become_training_and_test_trials(tmp_path: Path, protocol: int) -> None:
    x_train, t_train, x_test, t_test = release(tmp_path, protocol)
    train, test = load_hyper(tmp_path, 1)
    for found, x, t, repeats in ((train, x_train, t_train, 1), (test, x_test, t_test, 14)):
        assert np.array_equal(found.brain, x.astype(np.float32))
        assert np.array_equal(found.latents, t)
        assert set(found.repeats.tolist()) == {repeats}
        assert found.runs is None
        assert not found.simulated
        assert (found.subject, found.stimuli.generator) == ("hyper-1", GENERATOR)


def test_arrays_as_old_versions_of_numpy_and_python_named_them_are_read(tmp_path: Path) -> None:
    release(tmp_path, 2)
    old = (tmp_path / "data_1.dat").read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert b"numpy.core.multiarray" in old
    (tmp_path / "data_1.dat").write_bytes(old)
    assert len(load_hyper(tmp_path, 1)[0]) == 9


def test_lists_of_rows_are_read_too(tmp_path: Path) -> None:
    rows = [np.arange(VOXELS, dtype=float) + i for i in range(9)]
    release(tmp_path, x_train=rows)
    assert np.array_equal(load_hyper(tmp_path, 1)[0].brain, np.array(rows, np.float32))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil"),))


def test_a_pickle_that_asks_for_more_than_numbers_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for evil in (Evil(), [np.zeros(3), {"a": Evil()}], np.array([Evil()], object)):
        Path("data_1.dat").write_bytes(pickle.dumps(evil))
        with pytest.raises(DataError, match="it asks for pathlib"):
            load_hyper(tmp_path, 1)
    assert not Path("evil").exists()
    command = b"cos\nsystem\n(S'touch evil'\ntR."
    assert next(pickletools.genops(command))[0].name == "GLOBAL"
    Path("data_1.dat").write_bytes(command)
    with pytest.raises(DataError, match=r"it asks for os\.system"):
        load_hyper(tmp_path, 1)
    assert not Path("evil").exists()


def test_a_damaged_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    release(tmp_path)
    whole = (tmp_path / "data_1.dat").read_bytes()
    for cut in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        (tmp_path / "data_1.dat").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"data_1\.dat"):
            load_hyper(tmp_path, 1)
    (tmp_path / "numbers").write_bytes(pickle.dumps({"a": [1, 2.5, None]}))
    assert load_plain(tmp_path / "numbers") == {"a": [1, 2.5, None]}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"t_test": np.zeros((5, 512), np.float32)}, "as many test latents as answers, came 5 and 4"),
        ({"x_test": np.zeros((4, 7))}, "the same voxels in training and test, came 24 and 7"),
        (
            {"t_train": np.zeros((9, 100)), "t_test": np.zeros((4, 100))},
            r"latents of 512 dimensions \(pggan-celebahq-1024\), came 100",
        ),
        ({"x_train": np.zeros(9)}, "expected four matrices"),
        ({"x_train": ["a", "b"]}, "training answers as numbers of one shape"),
        ({"x_train": [[1.0, 2.0], [1.0]]}, "training answers as numbers of one shape"),
        ({"extra": 1}, "expected four parts .*, came 5 parts"),
        ({"x_train": np.full((9, VOXELS), np.nan)}, "NaN or infinity in 9 of 9 trials"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_both_sides(
    tmp_path: Path, changed: dict[str, Any], words: str
) -> None:
    release(tmp_path, **changed)
    with pytest.raises(DataError, match=words):
        load_hyper(tmp_path, 1)


def test_another_subject_that_is_not_there_is_named(tmp_path: Path) -> None:
    release(tmp_path)
    with pytest.raises(DataError, match=r"expected data_2.dat in .*, came data_1.dat"):
        load_hyper(tmp_path, 2)
    with pytest.raises(DataError, match=r"came no \.dat file"):
        load_hyper(tmp_path / "nowhere", 1)


def test_the_test_pictures_and_boundaries_beside_it_are_read(tmp_path: Path) -> None:
    release(tmp_path)
    (tmp_path / "stimuli").mkdir()
    for i in range(4):
        Image.fromarray(np.full((8, 8, 3), 10 * i, np.uint8)).save(tmp_path / "stimuli" / f"{i}.png")
    images = load_hyper(tmp_path, 1)[1].stimuli.images
    assert images is not None
    assert images[:, 0, 0, 0].tolist() == [0, 10, 20, 30]
    (tmp_path / "stimuli" / "2.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(DataError, match=r"2.png: expected the picture of test stimulus 2"):
        load_hyper(tmp_path, 1)
    (tmp_path / "bounds").mkdir()
    np.save(tmp_path / "bounds" / "pggan_celebahq_smile_boundary.npy", np.full((1, 512), 3.0))
    found = load_boundaries(tmp_path)
    assert list(found) == ["smile"]
    assert np.linalg.norm(found["smile"]) == pytest.approx(1)
    np.save(tmp_path / "bounds" / "pggan_celebahq_age_boundary.npy", np.zeros((1, 100)))
    with pytest.raises(DataError, match=r"age_boundary.npy: expected 512 numbers"):
        load_boundaries(tmp_path)
