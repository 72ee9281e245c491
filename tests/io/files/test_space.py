"""How long a disk lasts is known before a session and while it runs, whichever program fills it."""

import errno
import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from bci.errors import DiskError
from bci.io.files import space
from bci.io.files.folder import write_json, write_whole
from bci.io.files.space import Space, recorded_per_second, require_room
from bci.signal.types import Signal


class Disk:
    """A disk of 10 GB that other programs fill."""

    def __init__(self) -> None:
        self.free = 10e9

    def usage(self, folder: Path) -> SimpleNamespace:
        return SimpleNamespace(total=10**10, used=10**10 - self.free, free=int(self.free))


def test_it_lasts_as_long_as_what_is_written_and_what_others_write_leave(tmp_path: Path) -> None:
    disk = Disk()
    room = Space(tmp_path, disk.usage)
    room.look(0.0, 0)
    assert (room.free, room.left_s) == (10**10, math.inf)
    room.look(5.0, 5_000_000)  # ours, not yet seen by the file system
    assert room.left_s == pytest.approx(10e9 / 1e6)
    disk.free -= 5e9  # another program copies its films
    room.look(10.0, 10_000_000)
    assert room.left_s == pytest.approx(5e9 / 0.5e9)
    for second in range(15, 100, 5):
        room.look(float(second), 10_000_000)
    assert room.left_s == math.inf, "nothing is written any more"


def test_a_disk_without_room_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    monkeypatch.setattr(space.shutil, "disk_usage", disk.usage)
    assert require_room(tmp_path / "not" / "yet" / "made") == 10**10
    disk.free = 3e6
    with pytest.raises(
        DiskError, match=r"expected at least 100 MB of free disk space for .*, came 3\.0 MB.*--out"
    ):
        require_room(tmp_path)


def test_a_place_that_is_no_folder_or_may_not_be_written_to_is_refused_before_anything_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match=r"place to make one, at .*; .*file is none. Name another with --out"):
        require_room(tmp_path / "file" / "sessions")
    monkeypatch.setattr(space.os, "access", lambda place, mode: place != tmp_path)
    with pytest.raises(DiskError, match=r"sessions cannot be written to: .* Change its permissions"):
        require_room(tmp_path / "sessions")


@pytest.mark.parametrize(
    ("number", "words"), [(errno.EACCES, "work on a copy"), (errno.ENOSPC, "Free space")]
)
def test_what_to_do_fits_what_the_disk_says(number: int, words: str) -> None:
    assert words in str(DiskError.of("a.csv", OSError(number, "why")))


def test_the_rate_is_that_of_the_file(tmp_path: Path) -> None:
    """Compared with the recording that the recorder's own writer leaves."""
    import numpy as np

    from bci.io.files.xdf.writer import XdfWriter
    from bci.io.lsl.metadata import StreamInfo
    from bci.signal.clock import ManualClock

    signal = Signal("eeg", 250.0, (64,), tuple(f"c{i}" for i in range(64)), "uV")
    with XdfWriter(tmp_path / "r.xdf", ManualClock()) as writer:
        stream = writer.add_stream(StreamInfo(signal, "eeg-1"))
        for second in range(60):
            stamps = second + np.arange(250) / 250
            writer.write(stream, np.zeros((250, 64), "f4"), stamps)
    written = sum(path.stat().st_size for path in tmp_path.iterdir()) / 60
    assert written == pytest.approx(recorded_per_second(signal), rel=0.1)


@pytest.mark.parametrize("write", [write_json, write_whole])
def test_a_file_that_the_disk_does_not_take_is_named_and_nothing_of_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: object
) -> None:
    import errno
    import os

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        DiskError, match=r"summary\.json cannot be written: No space left on device\. Free space"
    ):
        write(tmp_path / "summary.json", "{}")  # type: ignore[operator]
    assert list(tmp_path.iterdir()) == []
