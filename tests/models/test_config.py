"""A training file that cannot be used says which key and why."""

from pathlib import Path

import pytest

from bci.errors import ConfigError
from models.settings import find_data_root
from models.systems.alpha.settings import load_training

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "configs" / "alpha-train.toml").read_text(encoding="utf-8")


def load(folder, text):
    path = folder / "train.toml"
    path.write_text(text, encoding="utf-8")
    return load_training(path)


def test_the_shipped_file_can_be_read():
    config = load_training(ROOT / "configs" / "alpha-train.toml")
    assert config.name == "alpha"
    assert [recording.state for recording in config.recordings] == [0, 1]
    assert config.split.train == (0.0, 0.5)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("shrinkage =", "shrinkge =", r"readout\.shrinkge: there is no such key"),
        ("state = 1", "state = 0", "must hold both states"),
        ("test = [0.5, 1.0]", "test = [0.4, 1.0]", "do not overlap"),
        ("eegmmidb_S001/S001R01.edf", "../S001R01.edf", "below the data root"),
        ("folds = 5", "folds = 1", r"readout\.folds"),
        ("seed = ", "seed = -", "seed"),
        ("[window]", "[window", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, old, new, said):
    assert old in TEXT
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, TEXT.replace(old, new))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the training file: there is no file .*nowhere"):
        load_training(tmp_path / "nowhere.toml")


def test_the_data_root_is_the_one_named_else_the_environment_else_beside_the_checkout(tmp_path, monkeypatch):
    named, told, beside = tmp_path / "named", tmp_path / "told", tmp_path / "shared" / "data"
    for folder in (named, told, beside, tmp_path / "checkout"):
        folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "checkout")
    monkeypatch.setenv("BCI_DATA", str(told))
    assert find_data_root(named) == named
    assert find_data_root(None) == told
    monkeypatch.delenv("BCI_DATA")
    assert find_data_root(None).resolve() == beside
    beside.rmdir()
    with pytest.raises(ConfigError, match="--data FOLDER"):
        find_data_root(None)
