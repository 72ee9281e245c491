"""Shared memory that a killed session left is removed; nothing that lives, and nothing of another owner, ever is."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import shared_memory
from pathlib import Path

import pytest

from bci.control import doctor
from bci.memory.leftovers import PLACE, hold, remove_leftovers
from bci.memory.ring import Column, Ring

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="shared memory is listed on Linux alone"
)

COLUMNS = [Column.of("samples", "f4", (4,))]

#: Makes a ring, says so, and lives until it is killed.
MAKER = """
import sys, time
from bci.memory.ring import Column, Ring
ring = Ring.create(sys.argv[1], [Column.of("samples", "f4", (4,))], 64, 16, 2)
print(*(wakeup.name for wakeup in ring.handle.wakeups), flush=True)
time.sleep(600)
"""


def ours(name: str) -> set[str]:
    return {path.name for path in PLACE.iterdir() if path.name.startswith(name)}


def removed(name: str) -> set[str]:
    """Remove what is dead; return what of it began with this name: other sessions of this machine go on meanwhile."""
    return {left.name for left in remove_leftovers() if left.name.startswith(name)}


class Maker:
    """A process that owns a ring, with its resource tracker."""

    def __init__(self, name: str) -> None:
        env = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAKER, name],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=env,
        )
        assert self.process.stdout is not None
        self.wakeups = self.process.stdout.readline().split()

    def kill_everything(self) -> None:
        """Kill it and what would clean up behind it, which shares its process group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill_everything()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def maker(segment_name: str) -> Iterator[Maker]:
    maker = Maker(segment_name)
    yield maker
    maker.close()
    for name in ours(segment_name):
        (PLACE / name).unlink()


def test_what_a_process_left_that_was_killed_with_its_tracker_is_removed(
    maker: Maker, segment_name: str
) -> None:
    semaphores = {f"sem.{name.lstrip('/')}" for name in maker.wakeups}
    assert len(semaphores) == 2
    assert removed(segment_name) == set(), "its owner lives"
    maker.kill_everything()
    assert ours(segment_name) == {segment_name}, "nothing is left: the test shows nothing"
    assert removed(segment_name) == {segment_name}
    assert ours(segment_name) == set()
    assert not semaphores & {path.name for path in PLACE.iterdir()}


def test_a_program_that_outlives_its_supervisor_keeps_what_it_uses(maker: Maker, segment_name: str) -> None:
    with Ring.attach(segment_name):
        maker.kill_everything()
        assert removed(segment_name) == set()
    assert removed(segment_name) == {segment_name}


def test_a_ring_of_this_process_is_alive_and_one_that_is_closed_is_gone(segment_name: str) -> None:
    with Ring.create(segment_name, COLUMNS, 64, 16):
        assert removed(segment_name) == set()
        assert ours(segment_name) == {segment_name}
    assert ours(segment_name) == set()


def test_memory_of_other_programs_is_left_alone_however_it_is_called(segment_name: str) -> None:
    other = shared_memory.SharedMemory(segment_name + "bci", create=True, size=4096)
    try:
        assert removed(segment_name) == set()
        assert ours(segment_name) == {segment_name + "bci"}
    finally:
        other.close()
        other.unlink()


def test_links_short_files_and_damaged_layouts_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"BCIRING")
    (tmp_path / "link").symlink_to(tmp_path / "short")
    (tmp_path / "folder").mkdir()
    (tmp_path / "noise").write_bytes(os.urandom(4096))
    magic = 0x0342434952494E47
    (tmp_path / "damaged").write_bytes(magic.to_bytes(8, "little") + b"\xff" * 4096)
    assert remove_leftovers(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 5


def test_holding_what_is_not_there_is_no_failure(segment_name: str) -> None:
    assert hold(segment_name) is None


def test_the_doctor_removes_it_and_says_so(maker: Maker, segment_name: str) -> None:
    maker.kill_everything()
    findings = {finding.what: finding for finding in doctor.examine()}
    assert ours(segment_name) == set()
    assert findings["Killed sessions"].ok
    assert "removed" in findings["Killed sessions"].seen


def test_descriptors_are_given_back(segment_name: str) -> None:
    assert multiprocessing.parent_process() is None
    with Ring.create(segment_name + "warm", COLUMNS, 64, 16):
        pass
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with Ring.create(segment_name, COLUMNS, 64, 16) as ring, Ring.attach(ring.handle):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
