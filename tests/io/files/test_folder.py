"""A session's folder is new, and its files are whole and plain."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from bci.errors import ConfigError, DiskError
from bci.io.files.folder import make_folder, plain, write_json, write_whole


def test_two_sessions_never_share_a_folder(tmp_path: Path) -> None:
    folders = {make_folder(tmp_path, "alpha") for _ in range(5)}
    assert len(folders) == 5
    assert all(f.is_dir() and "alpha" in f.name for f in folders)


def test_a_place_that_cannot_hold_a_session_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--out"):
        make_folder(tmp_path / "file", "alpha")


def test_json_is_whole_and_leaves_no_partial_file(tmp_path: Path) -> None:
    write_json(
        tmp_path / "a.json", {"x": np.float32(0.5), "y": float("nan"), "z": Path("p"), "n": np.int64(3)}
    )
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 0.5, "y": None, "z": "p", "n": 3}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_plain_keeps_true_and_nested_values() -> None:
    assert plain({"a": [True, None, (1, np.bool_(False))]}) == {"a": [True, None, [1, False]]}


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "a\\b", "/etc", "..", ".hidden", "-rf", "", "C:", "nul\n", "a" * 65, "ä"]
)
def test_a_name_that_could_climb_is_no_part_of_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"letters, digits, - and _ were expected"):
        make_folder(tmp_path / "out", name)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_a_file_is_a_disk_error_that_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(DiskError, match=r"page\.html"):
        write_whole(tmp_path / "page.html", "words")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_only_what_must_outlast_a_loss_of_power_waits_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(os, "fsync", waited.append)
    write_json(tmp_path / "fleeting.json", {"a": 1}, durable=False)
    assert waited == []
    write_json(tmp_path / "lasting.json", {"a": 1})
    assert len(waited) == 1
    assert (tmp_path / "fleeting.json").read_bytes() == (tmp_path / "lasting.json").read_bytes()
