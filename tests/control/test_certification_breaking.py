"""The breaker breaks one program at a time, only while the rig is well, and says what it did."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from bci.control.certify import breaking
from bci.control.certify.breaking import LATCHED_S, Breaker, Fault, Journal, read_journal
from bci.control.snapshot import ProgramSnapshot, ReconstructionSnapshot, SessionSnapshot, SessionState
from bci.signal.clock import ManualClock

PROGRAMS = ("acquire", "decode")


class PlantedRig:
    """A supervisor without processes: the test turns the clock and says who lives."""

    def __init__(self, programs: Sequence[str] = PROGRAMS) -> None:
        self.clock = ManualClock(100.0)
        self.latched = ""
        self.pids = {name: 10 * (i + 1) for i, name in enumerate(programs)}
        #: Decoders whose newest picture is invalid.
        self.frozen: set[str] = set()

    def snapshot(self) -> SessionSnapshot:
        now = self.clock.now()
        return SessionSnapshot(
            name="rig",
            state=SessionState.LATCHED if self.latched else SessionState.RUNNING,
            since=100.0,
            at=now,
            elapsed=now - 100.0,
            programs={
                name: ProgramSnapshot("running", pid, 0.0, {}, refused=0, restarts=0, failure="")
                for name, pid in self.pids.items()
            },
            newest={
                name: ReconstructionSnapshot(7, name not in self.frozen, "", 0.5, (0.0,), 9, now, now)
                for name in self.pids
                if name.startswith("decode")
            },
            latched=self.latched,
        )

    def run(self, seconds: float, breaker: Breaker) -> None:
        """Let the time pass, everybody's heart beating."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            breaker(self)  # type: ignore[arg-type]

    def replace(self, name: str) -> None:
        """Put a successor in a program's place."""
        self.pids[name] += 1


@pytest.fixture
def done_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, str]]]:
    """Give what was done to which process id, instead of doing it; SIGINT to this process as (pid, "stop")."""
    done: list[tuple[int, str]] = []

    def process(pid: int) -> SimpleNamespace:
        return SimpleNamespace(
            kill=lambda: done.append((pid, "killed")), suspend=lambda: done.append((pid, "frozen"))
        )

    monkeypatch.setattr(psutil, "Process", process)
    monkeypatch.setattr(signal, "raise_signal", lambda number: done.append((os.getpid(), "stop")))
    return done


STOP = (os.getpid(), "stop")


Order = Callable[..., Breaker]


@pytest.fixture
def order(tmp_path: Path) -> Iterator[Order]:
    """Give what makes a breaker that writes into ``journal``."""
    journal = Journal(tmp_path / "journal")

    def make(*faults: tuple[str, str], **orders: Any) -> Breaker:
        return Breaker([Fault(*fault) for fault in faults], journal, 0.1, **orders)

    yield make
    journal.close()


def events(folder: Path) -> list[str]:
    return [line["event"] for line in read_journal(folder / "journal") if line["event"] != "time"]


def test_each_fault_waits_until_the_rig_has_recovered_from_the_one_before(
    tmp_path: Path, order: Order, done_to: list[tuple[int, str]]
) -> None:
    rig, breaker = PlantedRig(), order(("decode", "killed"), ("acquire", "frozen"))
    rig.run(2.0, breaker)
    assert done_to == []
    rig.run(1.0, breaker)
    assert done_to == [(20, "killed")]
    rig.run(20.0, breaker)
    assert done_to == [(20, "killed")]
    rig.replace("decode")
    rig.run(3.0, breaker)
    assert done_to == [(20, "killed"), (10, "frozen")]
    rig.replace("acquire")
    rig.run(5.0, breaker)
    assert done_to[2:] == [STOP]
    assert events(tmp_path) == ["broken", "recovered", "broken", "recovered", "through"]
    assert read_journal(tmp_path / "journal")[3]["program"] == "decode"


def test_a_rig_is_well_only_when_each_of_its_decoders_gives_valid_pictures(
    order: Order, done_to: list[tuple[int, str]]
) -> None:
    rig, breaker = PlantedRig(("acquire", "decode", "decode:second")), order(("decode:second", "killed"))
    rig.frozen = {"decode:second"}
    rig.run(10.0, breaker)
    assert done_to == []
    rig.frozen = set()
    rig.run(3.0, breaker)
    assert done_to == [(30, "killed")]


def test_a_rig_that_does_not_recover_is_not_broken_further(
    tmp_path: Path, order: Order, done_to: list[tuple[int, str]]
) -> None:
    rig, breaker = PlantedRig(), order(("decode", "killed"), ("acquire", "frozen"))
    rig.run(3.0, breaker)
    rig.frozen = {"decode"}
    rig.replace("decode")
    rig.run(2 * breaking.PATIENCE_S + 10, breaker)
    assert done_to == [(20, "killed"), STOP]
    assert events(tmp_path) == ["broken", "given up", "never well"]


def test_one_program_is_killed_again_and_again_until_the_session_latches_and_that_is_watched(
    tmp_path: Path, order: Order, done_to: list[tuple[int, str]]
) -> None:
    rig, breaker = PlantedRig(), order(exhaust="decode")
    for _ in range(3):
        rig.run(4.0, breaker)
        rig.replace("decode")
    rig.run(4.0, breaker)
    assert [what for _, what in done_to] == ["killed"] * 4
    rig.latched = "decode died"
    rig.run(LATCHED_S - 1, breaker)
    assert len(done_to) == 4
    rig.run(2.0, breaker)
    assert done_to[4:] == [STOP]
    assert events(tmp_path)[-1] == "latched"


def test_a_breaker_that_holds_leaves_the_session_running(
    tmp_path: Path, order: Order, done_to: list[tuple[int, str]]
) -> None:
    rig, breaker = PlantedRig(), order(hold=True)
    rig.run(30.0, breaker)
    assert done_to == []
    assert events(tmp_path) == ["through"]


def test_a_line_of_the_journal_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"event": "session"}\n{"event": "bro', encoding="utf-8")
    assert [line["event"] for line in read_journal(path)] == ["session"]
    assert read_journal(tmp_path / "none") == []
