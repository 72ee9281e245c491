"""Programs are forked from a process that has imported what they need, and do not depend on it afterwards."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bci.control import nursery
from bci.control.spawn import Child
from bci.memory.board import Board
from bci.memory.program import Launch

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not nursery.forks(), reason="PROGRAMS ARE STARTED ANEW ON THIS SYSTEM"),
]


@pytest.fixture
def start(segment_name: str, tmp_path: Path) -> Iterator[Callable[[], Child]]:
    """Give a function that starts a program and waits until it is ready."""
    children = []

    def started() -> Child:
        child = Child(Launch("lingers", "lingering_program", {}, str(tmp_path), segment_name))
        children.append(child)
        until(lambda: child.ready is not None, child)
        return child

    with Board.create(segment_name, {"lingers": ()}):
        yield started
        for child in children:
            child.kill()


def until(condition: Callable[[], bool], child: Child) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, child.failure
        child.listen()
        time.sleep(0.005)


def test_a_program_has_the_environment_of_the_supervisor_and_none_of_the_nursery(
    start: Callable[[], Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    nursery.open_nursery()
    monkeypatch.setenv("BCI_TEST_TOLD", "after the nursery was opened")
    child = start()
    assert child.ready is not None
    assert child.ready["told"] == "after the nursery was opened"
    assert child.ready["safe"] == os.environ.get("PYTHONSAFEPATH", "")
    assert child.ready["main"] is None  # and nothing of our own script
    assert child.ready["parent"] != os.getpid()
    assert child.ready["heavy"] == []  # a program that needs one of them imports it itself
    child.ask_to_stop()
    assert child.join(10)
    assert (child.process.exitcode, child.failure) == (0, "")


def test_programs_live_on_when_the_nursery_dies_and_are_known_to(start: Callable[[], Child]) -> None:
    child = start()
    assert child.ready is not None
    os.kill(int(child.ready["parent"]), signal.SIGKILL)
    child.process.join(10)
    assert child.process.exitcode == 255  # what it says who cannot know
    child.listen()
    assert (child.alive, child.failure) == (True, "")
    another = start()  # from a new one
    assert another.alive
    child.ask_to_stop()
    assert child.join(10)
    assert child.failure == ""
    another.kill()
    another.listen()
    assert another.failure == "died with exit status -9"


def test_a_program_that_a_dying_nursery_does_not_start_comes_from_a_new_one(
    start: Callable[[], Child],
) -> None:
    child = start()
    for _ in range(3):
        assert child.ready is not None
        nurse = int(child.ready["parent"])
        os.kill(nurse, signal.SIGKILL)
        child = start()  # at once: the system may still take the old one for alive
        assert child.ready is not None
        assert child.ready["parent"] != nurse


def test_where_it_is_asked_for_programs_are_started_anew(
    start: Callable[[], Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(nursery.METHOD, "spawn")
    child = start()
    assert child.ready is not None
    assert child.ready["parent"] == os.getpid()
    child.kill()
    child.listen()
    assert child.failure == "died with exit status -9"
