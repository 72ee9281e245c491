"""An order is carried out once, in its time, by a program that knows it; anything else is refused and counted."""

import multiprocessing
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

import pytest

from bci.memory.board import Board
from bci.memory.orders import HOLD, STOP, Acknowledgement, Inbox, Order, Verdict
from bci.memory.program import Launch, Program
from bci.signal.clock import ManualClock


def test_an_order_is_carried_out_with_its_payload_and_answered_once() -> None:
    inbox, done = Inbox(), []
    inbox.obey("gain", lambda payload: done.append(payload["value"]))
    order = Order("gain", {"value": 3})
    assert inbox.take(order, 0.0) == Acknowledgement(order.id, "gain", Verdict.DONE)
    assert inbox.take(order, 0.0) is None
    assert (done, inbox.refused) == ([3], 1)


def test_orders_that_are_too_late_or_unknown_or_impossible_are_refused_and_counted() -> None:
    inbox = Inbox()

    def refuse(payload: Mapping[str, Any]) -> None:
        raise ValueError(f"a gain above 0 was expected, {payload['value']} came")

    inbox.obey("gain", refuse)
    answers = [
        inbox.take(order, 10.0)
        for order in (Order("gain", expires=9.5), Order("paint"), Order("gain", {"value": -1}, expires=10.0))
    ]
    assert [answer and answer.verdict for answer in answers] == [
        Verdict.EXPIRED,
        Verdict.UNKNOWN,
        Verdict.FAILED,
    ]
    assert answers[1] is not None
    assert "this program obeys gain" in answers[1].detail
    assert answers[2] is not None
    assert "-1 came" in answers[2].detail
    assert inbox.refused == 3


class Bench:
    """A program at the end of a pipe, and a clock turned by hand."""

    def __init__(self, board: Board, pipe: Connection, far: Connection) -> None:
        self.clock = ManualClock(100.0)
        self.row, self.pipe = board.row("display"), pipe
        self.program = Program(Launch("display", "", {}, "", ""), far, board, self.clock)

    def tick(self) -> bool:
        self.clock.advance(0.1)
        return self.program.tick()

    def answers(self) -> list[Verdict]:
        said = []
        while self.pipe.poll():
            kind, facts = self.pipe.recv()
            if kind == "acknowledged":
                said.append(facts["acknowledgement"].verdict)
        return said


@pytest.fixture
def bench() -> Iterator[Bench]:
    pipe, far = multiprocessing.Pipe()
    with Board.private({"display": ["flips"]}) as board, pipe, far:
        yield Bench(board, pipe, far)


def test_a_program_stops_when_told_to_and_says_so(bench: Bench) -> None:
    assert bench.tick()
    bench.pipe.send(Order(STOP))
    assert not bench.tick()
    assert bench.answers() == [Verdict.DONE]


def test_a_program_counts_what_it_refuses_beside_its_heart(bench: Bench) -> None:
    bench.program.ready()
    twice = Order(STOP, expires=50.0)
    for order in (twice, twice, Order("paint"), Order(HOLD)):
        bench.pipe.send(order)
    assert bench.tick()
    assert bench.answers() == [Verdict.EXPIRED, Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert bench.row["refused"] == 4
    assert not bench.program.held


def test_an_order_that_comes_while_a_program_loads_is_carried_out_when_it_is_ready(bench: Bench) -> None:
    bench.pipe.send(Order(HOLD))
    assert bench.tick()
    bench.program.holds()
    bench.program.ready()
    assert bench.program.held
    assert bench.answers() == [Verdict.DONE]
    assert bench.row["refused"] == 0


def test_an_order_to_stop_is_not_kept_waiting_by_loading(bench: Bench) -> None:
    bench.pipe.send(Order(STOP))
    assert not bench.tick()


def test_a_pipe_that_is_closed_means_that_the_supervisor_is_gone(bench: Bench) -> None:
    bench.pipe.close()
    assert not bench.tick()
    assert bench.program.orphaned


def test_a_successor_goes_on_counting_what_was_refused(bench: Bench) -> None:
    bench.row["refused"] = 5
    pipe, far = multiprocessing.Pipe()
    with Board.private({"display": []}) as board, pipe, far:
        board.row("display")["refused"] = 5
        program = Program(Launch("display", "", {}, "", "", restart=1), far, board, bench.clock)
        program.ready()
        pipe.send(Order("paint"))
        bench.clock.advance(0.1)
        program.tick()
        assert board.row("display")["refused"] == 6
