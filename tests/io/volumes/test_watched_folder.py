"""A watched folder gives each image once it is whole, by notification or by looking."""

import os
import shutil
from pathlib import Path

import pytest

from bci.errors import ConfigError
from bci.io.volumes.folder import WatchedFolder
from bci.io.volumes.volume import Volume
from bci.memory.lsl_clock import LslClock
from bci.signal.clock import ManualClock
from bci.sim.scanner.dicom import write_mosaic
from bci.sim.scanner.phantom import phantom, phantom_series

SERIES = phantom_series((8, 8, 4))


def test_a_file_that_its_writer_closes_or_renames_is_read_at_once_where_the_system_notifies(
    tmp_path: Path,
) -> None:
    pytest.importorskip("watchdog", reason="WATCHDOG IS MISSING: pip install '.[fmri]' to run this test")
    clock = LslClock()
    (tmp_path / "in").mkdir()
    with WatchedFolder(tmp_path / "in", clock) as watched:
        assert watched.notified
        watched._looked = float("inf")  # the folder itself is never looked at
        (tmp_path / "in/1.dcm").write_bytes(write_mosaic(SERIES, 0, phantom(SERIES, 0)))
        (tmp_path / "2.dcm").write_bytes(write_mosaic(SERIES, 1, phantom(SERIES, 1)))
        shutil.move(tmp_path / "2.dcm", tmp_path / "in/2.dcm")
        found: list[object] = []
        deadline = clock.now() + 5.0
        while len(found) < 2 and clock.now() < deadline:
            watched.wait(0.05)
            found += watched.poll()
    assert sorted(piece.index for piece in found if isinstance(piece, Volume)) == [0, 1]


def test_without_notifications_the_folder_is_looked_at(tmp_path: Path) -> None:
    clock = ManualClock(5.0)
    with WatchedFolder(tmp_path, clock, notify=False) as watched:
        assert not watched.notified
        content = write_mosaic(SERIES, 0, phantom(SERIES, 0))
        (tmp_path / "deep/er").mkdir(parents=True)
        path = tmp_path / "deep/er/1.dcm"
        path.write_bytes(content[:-100])
        for _ in range(8):
            assert list(watched.poll()) == [], "half a file is not read"
            clock.advance(0.1)
        with path.open("ab") as file:
            file.write(content[-100:])
        found: list[object] = []
        for _ in range(4):
            found += watched.poll()
            clock.advance(0.1)
    assert len(found) == 1


def test_what_is_no_image_is_given_up_in_words_that_name_no_person(tmp_path: Path) -> None:
    clock = ManualClock(5.0)
    with WatchedFolder(tmp_path, clock, notify=False, give_up=0.5) as watched:
        (tmp_path / "Smith_John_0007.dcm").write_bytes(b"no image")
        (tmp_path / "notes.txt").write_text("not looked at")
        found: list[object] = []
        for _ in range(12):
            found += watched.poll()
            clock.advance(0.1)
    [words] = found
    assert isinstance(words, str)
    assert words.startswith("…_0007.dcm")
    assert "Smith" not in words


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="PIPES NOT TESTED: needs a file system that has them")
def test_a_pipe_in_the_folder_is_given_up_and_not_waited_for(tmp_path: Path) -> None:
    clock = ManualClock(5.0)
    with WatchedFolder(tmp_path, clock, notify=False, give_up=0.5) as watched:
        os.mkfifo(tmp_path / "Smith_John_0007.dcm")
        found: list[object] = []
        for _ in range(12):
            found += watched.poll()
            clock.advance(0.1)
    assert found == ["…_0007.dcm: expected a regular file, came a named pipe. Name a file on a disk."]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        WatchedFolder(tmp_path / "nowhere", ManualClock())
