"""The first volume of a run is awaited for a TR after the scanner began, and missed no later than any other."""

from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bci.control.posts import COUNTERS
from bci.live.first_volume import NOT_AWAITED, NOT_BEGUN, FirstVolume
from bci.memory.alarms import alarms
from bci.memory.board import Board, State
from bci.memory.program import Launch, Program
from bci.signal.clock import ManualClock
from bci.signal.types import Signal
from bci.sim.scanner.phantom import phantom_series

TR, LIMIT = 1.5, 4.5
VOLUMES = Signal("bold", 1 / TR, phantom_series((8, 8, 4), tr=TR, total=0).shape, (), "")


@pytest.fixture
def opened() -> Iterator[tuple[Program, Board, ManualClock]]:
    clock = ManualClock(100.0)
    _, far_end = Pipe()
    with Board.private({"acquire": COUNTERS["acquire"], "scanner": COUNTERS["scanner"]}) as board:
        program = Program(
            Launch("acquire", "bci.live.acquire", {}, str(Path.cwd()), ""), far_end, board, clock
        )
        program.row["data"] = program.row["data_limit"] = float("nan")
        program.row["state"] = State.RUNNING
        yield program, board, clock
        program.close()


def source_of(signal: Signal = VOLUMES) -> Any:
    return SimpleNamespace(signal=signal, speed=1.0, received=0, data_age_limit=LIMIT, excused=0.0)


def said(board: Board, now: float) -> list[str]:
    for name in board.programs:
        board.row(name)["beat"] = now
    return [alarm.line for alarm in alarms(board, now)]


def test_it_is_due_a_tr_after_the_scanner_began_and_missed_a_limit_later(
    opened: tuple[Program, Board, ManualClock],
) -> None:
    program, board, clock = opened
    source = source_of()
    first = FirstVolume(program, source)
    clock.advance(20.0)
    first.look()
    assert program.row["first_due_ms"] == NOT_BEGUN
    assert said(board, clock.now()) == ["first volume due a TR after the scanner begins"]
    board.row("scanner")["state"] = State.RUNNING
    first.look()
    assert first.due == source.excused == 120.0 + TR
    assert said(board, clock.now()) == ["first volume due in 1.5 s"]
    clock.advance(TR + LIMIT)
    first.look()
    assert first.due == 120.0 + TR
    assert said(board, clock.now()) == ["first volume was due 4.5 s ago"]
    clock.advance(0.01)
    first.look()
    # As acquire does now: it owes data.
    program.row["data_limit"] = LIMIT
    assert program.row["first_due_ms"] == NOT_AWAITED
    assert said(board, clock.now()) == ["NO DATA yet"]


def test_nothing_is_awaited_once_it_came_of_other_streams_or_after_a_restart(
    opened: tuple[Program, Board, ManualClock],
) -> None:
    program, board, clock = opened
    board.row("scanner")["state"] = State.RUNNING
    source = source_of()
    first = FirstVolume(program, source)
    source.received = 1
    first.look()
    assert said(board, clock.now()) == []
    assert FirstVolume(program, source_of(Signal("eeg", 250.0, (2,), ("a", "b"), "uV"))).due == clock.now()
    assert said(board, clock.now()) == []
    program.row["data"], program.row["data_limit"] = 90.0, LIMIT
    assert FirstVolume(program, source_of()).due == clock.now()
    assert said(board, clock.now()) == ["NO DATA 10 s"]
