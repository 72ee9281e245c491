"""What the recordings of a training file hold is said before anything is trained."""

from pathlib import Path

import numpy as np
import pytest
from commands import call

pytest.importorskip("sklearn", reason="training needs the extra train")

EVENTS = """
kind = "events"
name = "planted"
folds = 2
[classes]
left = "1"
right = "2"
[[recordings]]
path = "one.npz"
rate = 100
unit = "uV"
[[recordings]]
path = "two.npz"
rate = 100
unit = "uV"
[signal]
channels = ["1", "2"]
unit = "uV"
[epoch]
stop = 0.4
"""


def plant(folder: Path) -> Path:
    for seed, name in enumerate(("one.npz", "two.npz")):
        stim = np.zeros(2000, np.int16)
        stim[100:1900:100] = np.tile([1, 2, 7], 6)
        stim[1990] = 1
        data = np.random.default_rng(seed).standard_normal((2000, 2)).astype(np.float32)
        np.savez(folder / name, data=data, stim=stim)
    path = folder / "planted.toml"
    path.write_text(EVENTS)
    return path


def test_trials_are_counted_by_class_and_recording_with_what_is_left_out(tmp_path: Path) -> None:
    done = call("data", plant(tmp_path), "--data", tmp_path, "--out", tmp_path / "page", "--json")
    assert done.status == 0, done.words
    assert done.result["columns"] == ["recording", "left", "right", "trials"]
    assert done.result["rows"] == [["one.npz", 6, 6, 12], ["two.npz", 6, 6, 12], ["all", 12, 12, 24]]
    assert (
        done.result["left_out"] == {"other markers": 12, "end": 2}
        or done.result["left_out"]["other markers"] == 12
    )
    assert sum(done.result["left_out"].values()) == 14
    assert done.result["repeats"] == ""  # the markers say no more than the class
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "Mean response" in page
    assert "left out: " in page


def test_a_file_whose_markers_match_nothing_says_which_there_are(tmp_path: Path) -> None:
    path = plant(tmp_path)
    path.write_text(EVENTS.replace('left = "1"', 'left = "S 1"'))
    done = call("data", path, "--data", tmp_path)
    assert done.status == 2
    assert "'7' (12)" in done.words


def test_other_kinds_of_training_files_are_named(tmp_path: Path) -> None:
    done = call("data", Path(__file__).resolve().parents[2] / "configs" / "hyper-insilico-train.toml")
    assert done.status == 2
    assert "kind 'events' or 'numbers'" in done.words
