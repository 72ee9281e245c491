"""The crew starts again whoever dies or hangs, so often and no oftener."""

from types import SimpleNamespace
from typing import Any

import pytest

from bci.control.crew import LOADING_LIMIT, Crew
from bci.memory.board import Board, State
from bci.memory.program import Launch
from bci.signal.clock import ManualClock


class PlantedChild:
    """A program without a process: the test says how it fares."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.process = SimpleNamespace(pid=0)
        self.alive, self.failure, self.killed = True, "", False
        self.ready: dict[str, Any] | None = {}
        self.facts: dict[str, Any] = {}

    def listen(self) -> None:
        """Everything is known already."""

    def kill(self) -> None:
        self.alive, self.killed = False, True


class Bench:
    """A crew of one, and who has held its post."""

    def __init__(self, restarts: int) -> None:
        self.clock = ManualClock(100.0)
        self.board = Board.private(["decode"])
        self.row = self.board.row("decode")
        self.held: list[PlantedChild] = []
        self.crew = Crew(
            self.board,
            self.clock,
            restarts=restarts,
            hung_after=2.0,
            spawn=self.spawn,  # type: ignore[arg-type]
        )
        self.crew.launch(Launch("decode", "nowhere", {}, "folder", "board"))
        self.told: list[tuple[str, int, str]] = []
        self.beats()

    def spawn(self, launch: Launch) -> PlantedChild:
        self.held.append(PlantedChild(launch))
        return self.held[-1]

    def beats(self) -> None:
        self.row["state"], self.row["beat"] = State.RUNNING, self.clock.now()

    def look(self) -> list[str]:
        return self.crew.look_after(lambda *what: self.told.append(what))


def test_a_program_that_lives_is_left_alone() -> None:
    bench = Bench(restarts=1)
    bench.clock.advance(1.9)
    assert bench.look() == []
    assert len(bench.held) == 1


def test_a_program_that_died_is_started_again_and_is_told_that_it_is_a_successor() -> None:
    bench = Bench(restarts=2)
    bench.held[0].failure, bench.held[0].alive = "died with exit status -9", False
    assert bench.look() == []
    assert bench.told == [("decode", 1, "died with exit status -9")]
    assert [child.launch.restart for child in bench.held] == [0, 1]
    assert bench.row["state"] == State.ABSENT
    assert bench.crew.restarts == {"decode": 1}


def test_a_program_whose_heart_has_stopped_is_killed_first() -> None:
    bench = Bench(restarts=1)
    bench.clock.advance(2.1)
    bench.look()
    assert bench.held[0].killed
    assert "no heartbeat for 2.1 s" in bench.told[0][2]
    assert len(bench.held) == 2
    # The successor loads: its silence is another one.
    bench.row["state"] = State.LOADING
    bench.clock.advance(10.0)
    assert bench.look() == []
    assert len(bench.held) == 2


def test_a_program_that_never_gets_ready_counts_as_hung() -> None:
    bench = Bench(restarts=1)
    bench.row["state"] = State.LOADING
    bench.clock.advance(LOADING_LIMIT + 1)
    bench.look()
    assert bench.held[0].killed


@pytest.mark.parametrize("restarts", [0, 1, 3])
def test_after_its_restarts_a_program_is_given_up_once(restarts: int) -> None:
    bench = Bench(restarts=restarts)
    given_up = []
    for _ in range(restarts + 3):
        bench.held[-1].failure = "StreamMismatch: other channels"
        given_up += bench.look()
    assert given_up == ["decode"]
    assert len(bench.held) == restarts + 1
    assert bench.crew.describe_failures()[0].startswith("decode StreamMismatch: other channels")
