"""A program, seen from inside, keeps the promises by which the supervisor judges it."""

import uuid
from collections.abc import Iterator

import pytest

from bci.memory.board import Board, State
from bci.memory.program import Launch, Program
from bci.signal.clock import ManualClock


@pytest.fixture
def board() -> Iterator[Board]:
    with Board.create(f"t{uuid.uuid4().hex[:12]}", ["decode"]) as board:
        yield board


def test_a_program_that_took_long_to_load_is_not_silent_when_it_is_ready(board: Board) -> None:
    clock = ManualClock(100.0)
    program = Program(Launch("decode", "", {}, "", ""), None, board, clock)
    program.tick()
    clock.advance(60.0)  # libraries, a large model
    program.ready()
    row = board.row("decode")
    assert (row["state"], row["beat"]) == (State.RUNNING, 160.0)
