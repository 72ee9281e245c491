"""A folder that is there stays whole whatever becomes of the one that should replace it."""

import os
from pathlib import Path

import pytest

from bci.errors import ConfigError, DiskError
from bci.io.files import replacing
from bci.io.files.folder import write_whole
from bci.io.files.replacing import replaced


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a folder that holds a file."""
    folder = tmp_path / "stimuli"
    folder.mkdir()
    (folder / "old.png").write_text("old")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_whole_folder_takes_the_place_and_leaves_nothing_beside_it(place: Path) -> None:
    with replaced(place) as new:
        (new / "new.png").write_text("new")
        assert contents(place) == {"old.png": "old"}
    assert contents(place) == {"new.png": "new"}
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_was_there_stays_when_the_writing_fails(place: Path, error: BaseException) -> None:
    def half(new: Path) -> None:
        (new / "new.png").write_text("half")
        raise error

    with pytest.raises(type(error)), replaced(place) as new:
        half(new)
    assert contents(place) == {"old.png": "old"}
    assert list(place.parent.iterdir()) == [place]


def test_what_was_there_comes_back_when_the_exchange_fails(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = os.replace

    def failing(source: Path, target: Path) -> None:
        if Path(target) == place and "replaced" not in Path(source).name:
            raise PermissionError(13, "Permission denied")
        exchange(source, target)

    monkeypatch.setattr(replacing.os, "replace", failing)
    with (
        pytest.raises(ConfigError, match=r"stimuli: Permission denied. What was there stays"),
        replaced(place) as new,
    ):
        (new / "new.png").write_text("new")
    assert contents(place) == {"old.png": "old"}


def test_a_link_is_followed(place: Path) -> None:
    link = place.parent / "link"
    link.symlink_to(place, target_is_directory=True)
    with replaced(link) as new:
        (new / "new.png").write_text("new")
    assert link.is_symlink()
    assert contents(place) == {"new.png": "new"}


def test_a_place_below_a_file_is_refused_in_words(place: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write the folder"), replaced(place / "old.png" / "below"):
        pytest.fail("there is no such place")


def test_a_page_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "index.html"
    write_whole(page, "before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match=r"index\.html cannot be written: No space left"):
        write_whole(page, "after")
    assert page.read_text() == "before"
    assert list(tmp_path.iterdir()) == [page]
