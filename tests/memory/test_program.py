"""A program, seen from inside, keeps the promises by which the supervisor judges it."""

import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bci.errors import ConfigError
from bci.memory.board import Board, State
from bci.memory.ending import ENDING
from bci.memory.orders import HOLD, STOP, Order, OrderVerdict
from bci.memory.program import ORDER_WITHIN, Launch, Program, run_program
from bci.memory.ring import Column, Ring
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.types import Signal

SIGNAL = Signal("planted", 100.0, (2,), ("a", "b"), "uV")


class Bench:
    """A program in this process, and the supervisor's end of its pipe."""

    def __init__(self, board: Board, **launch: Any) -> None:
        self.clock = ManualClock(100.0)
        self.board = board
        self.row = board.row("decode")
        self.supervisor, far_end = Pipe()
        self.program = Program(Launch("decode", "", {}, "", "", **launch), far_end, board, self.clock)
        self.program.holds()
        self.far_end = far_end

    def tick_after(self, seconds: float) -> bool:
        self.clock.advance(seconds)
        return self.program.tick()

    def messages(self) -> list[tuple[str, dict[str, Any]]]:
        found = []
        while self.supervisor.poll():
            found.append(self.supervisor.recv())
        return found

    def close(self) -> None:
        self.program.close()
        self.supervisor.close()
        self.far_end.close()


@pytest.fixture
def make() -> Iterator[Callable[..., Bench]]:
    with contextlib.ExitStack() as opened:
        board = opened.enter_context(
            Board.private({"acquire": ["samples"], "decode": ["windows", "skipped"]})
        )

        def begin(**launch: Any) -> Bench:
            bench = Bench(board, **launch)
            opened.callback(bench.close)
            return bench

        yield begin
    gc.unfreeze()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    return make()


# -- heartbeat -------------------------------------------------------------------------------------------


def test_its_heart_beats_at_a_tick_but_no_oftener_than_every_20_ms(bench: Bench) -> None:
    assert np.isnan(bench.row["beat"])
    beats = []
    for _ in range(50):
        assert bench.tick_after(0.001)
        beats.append(float(bench.row["beat"]))
    times = sorted(set(beats))
    assert times[0] == pytest.approx(100.001)
    assert 2 <= len(times) <= 3
    assert np.diff(times).min() >= 0.02 - 1e-9
    # A program that was busy for long beats at once, and then goes on from there.
    assert bench.tick_after(5.0)
    assert bench.row["beat"] == bench.clock.now()


def test_a_program_that_took_long_to_load_is_not_silent_when_it_is_ready(bench: Bench) -> None:
    bench.program.tick()
    bench.clock.advance(60.0)  # libraries, a large model
    bench.program.ready()
    assert (bench.row["state"], bench.row["beat"]) == (State.RUNNING, 160.0)


def test_only_its_own_row_is_touched(bench: Bench) -> None:
    bench.program.tick()
    bench.program.ready()
    assert np.isnan(bench.board.row("acquire")["beat"])
    assert bench.board.row("acquire")["state"] == State.ABSENT


# -- orders ----------------------------------------------------------------------------------------------


def test_an_order_to_stop_is_seen_at_the_next_beat_and_holds_for_good(bench: Bench) -> None:
    assert bench.program.tick()
    bench.supervisor.send(Order(STOP))
    assert bench.tick_after(0.001), "orders are looked for at beats only"
    assert not bench.tick_after(0.02)
    assert not bench.tick_after(0.001)
    assert not bench.program.orphaned


def test_an_order_to_hold_lets_it_go_on_and_is_not_forgotten(bench: Bench) -> None:
    bench.supervisor.send(Order(HOLD))
    assert not bench.program.held
    assert bench.program.tick()
    assert bench.program.held
    assert bench.tick_after(1.0)
    assert bench.program.held


def test_several_orders_are_obeyed_in_one_look(bench: Bench) -> None:
    bench.supervisor.send(Order(HOLD))
    bench.supervisor.send(Order(STOP))
    assert not bench.program.tick()
    assert bench.program.held


def test_every_order_is_acknowledged_once_and_what_is_refused_is_counted_beside_the_heart(
    bench: Bench,
) -> None:
    bench.program.ready()
    late = Order(STOP, expires=50.0)
    for order in (late, late, Order("paint"), Order(HOLD)):
        bench.supervisor.send(order)
    assert bench.program.tick()
    answers = [facts["acknowledgement"] for kind, facts in bench.messages() if kind == "acknowledged"]
    assert [answer.verdict for answer in answers] == [
        OrderVerdict.EXPIRED,
        OrderVerdict.UNKNOWN,
        OrderVerdict.DONE,
    ]
    assert (answers[0].order, answers[0].kind) == (late.id, STOP)
    assert bench.row["refused"] == 3
    assert bench.program.held


def test_a_program_that_shows_nothing_refuses_to_hold() -> None:
    supervisor, far_end = Pipe()
    with Board.private(["decode"]) as board, supervisor, far_end:
        program = Program(Launch("decode", "", {}, "", ""), far_end, board, ManualClock(1.0))
        program.ready()
        supervisor.send(Order(HOLD))
        assert program.tick()
        assert not program.held
        assert board.row("decode")["refused"] == 1
    gc.unfreeze()


def test_an_order_that_comes_while_it_loads_is_obeyed_when_it_is_ready(bench: Bench) -> None:
    painted: list[str] = []
    bench.supervisor.send(Order("paint", {"colour": "grey"}))
    assert bench.program.tick()
    bench.program.obeys("paint", lambda payload: painted.append(payload["colour"]))
    assert painted == []
    bench.program.ready()
    assert painted == ["grey"]
    assert bench.row["refused"] == 0


def test_a_successor_goes_on_counting_what_was_refused(make: Callable[..., Bench]) -> None:
    make().row["refused"] = 5
    second = make(restart=1)
    second.program.ready()
    second.supervisor.send(Order("paint"))
    assert second.program.tick()
    assert second.row["refused"] == 6


def test_after_a_sigterm_it_goes_on_until_the_order_comes_but_not_for_ever(
    make: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    bench = make()
    bench.program.await_order()
    assert bench.tick_after(ORDER_WITHIN - 1)
    bench.program.await_order()  # a second one gives no more time
    assert not bench.tick_after(1)
    assert [record.message for record in caplog.records] == [
        "told to end by SIGTERM, and no order came: ending"
    ]


def test_when_the_supervisor_is_gone_it_stops_and_says_so_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    assert bench.program.tick()
    bench.supervisor.close()
    assert not bench.tick_after(0.02)
    assert bench.program.orphaned
    assert not bench.tick_after(0.02)
    bench.program.report(samples=3)
    assert [record.message for record in caplog.records] == ["the supervisor is gone: ending"]


def test_orders_sent_before_the_supervisor_died_are_obeyed(bench: Bench) -> None:
    bench.supervisor.send(Order(HOLD))
    bench.supervisor.close()
    assert not bench.program.tick()
    assert (bench.program.held, bench.program.orphaned) == (True, True)


def test_a_report_to_a_supervisor_that_is_gone_is_an_order_to_stop(bench: Bench) -> None:
    assert bench.program.tick()
    bench.supervisor.close()
    bench.program.report(samples=3)
    assert bench.program.orphaned
    assert not bench.program.tick()


def test_a_program_without_a_supervisor_runs_until_it_ends_itself() -> None:
    with Board.private(["decode"]) as board:
        program = Program(Launch("decode", "", {}, "", ""), None, board, ManualClock(1.0))
        program.report(samples=3)
        assert program.tick()
        assert not program.orphaned


# -- messages --------------------------------------------------------------------------------------------


def test_it_tells_when_its_modules_were_there_and_what_it_found(bench: Bench) -> None:
    bench.clock.advance(3.0)
    bench.program.ready(provider="cpu")
    bench.program.report(samples=5)
    assert bench.messages() == [
        ("ready", {"provider": "cpu", "imported": 100.0}),
        ("report", {"samples": 5}),
    ]


def test_counters_go_on_from_where_its_predecessor_left_them(make: Callable[..., Bench]) -> None:
    first = make()
    first.row["windows"], first.row["skipped"] = 41, 2
    second = make(restart=1)
    assert second.program.restart == 1
    assert (second.program.inherited["windows"], second.program.inherited["skipped"]) == (41, 2)
    assert second.row["windows"] == 41
    second.row["windows"] += 1
    assert second.program.inherited["windows"] == 41


def test_what_it_opened_by_role_is_closed_with_it(make: Callable[..., Bench], segment_name: str) -> None:
    with (
        Stream.create(segment_name, SIGNAL, 1.0) as stream,
        Ring.create(segment_name + "f", [Column.of("count", "i8")], 8, 4) as ring,
    ):
        bench = make(
            streams={"stream": stream.handle}, rings={"frames": ring.handle}, slots={"stream": 1, "frames": 0}
        )
        program = bench.program
        assert [program.has(role) for role in ("stream", "frames", "shown")] == [True, True, False]
        assert (program.slot("stream"), program.slot("frames")) == (1, 0)
        opened = program.ring("frames")
        ring.write(count=np.arange(3))
        assert opened.count == 3
        assert program.stream("stream").samples.count == 0
        with pytest.raises(KeyError):
            program.ring("shown")
        program.close()
        with pytest.raises((ValueError, TypeError)):
            opened.read(0, 1)
        assert ring.read(0, 3)["count"].tolist() == [0, 1, 2], "the owner's view outlives it"


# -- a whole life ----------------------------------------------------------------------------------------


class _Exit(BaseException):
    """What ended the process."""


class Life:
    """`run_program` in this process: what its module does, what it says, and the status that it ends with."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.board = Board.private(["decode"])
        self.supervisor: Connection
        self._monkeypatch = monkeypatch

        def end(status: int) -> None:
            raise _Exit(status)

        monkeypatch.setattr(os, "_exit", end)
        monkeypatch.setattr(logging, "shutdown", lambda: None)
        # A process that ends never lets go of its board; this one goes on.
        monkeypatch.setattr(Board, "attach", lambda name: self.board)

    def run(self, main: Callable[[Program], None]) -> tuple[int, State, list[tuple[str, dict[str, Any]]]]:
        """Return the status, the state on the board, and what was said."""
        module = ModuleType("planted_program")
        module.main = main  # type: ignore[attr-defined]
        self._monkeypatch.setitem(sys.modules, "planted_program", module)
        self.supervisor, far_end = Pipe()
        said = []
        launch = Launch("decode", "planted_program", {}, str(self.folder), "board")
        with self.supervisor, far_end:
            with pytest.raises(_Exit) as ended:
                run_program(launch, far_end)
            while self.supervisor.poll():
                said.append(self.supervisor.recv())
            assert said.pop() == ("ended", {"status": ended.value.args[0]})  # its last words
            return ended.value.args[0], State(self.board.row("decode")["state"]), said

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text(encoding="utf-8")


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield Life(tmp_path, monkeypatch)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for handler in set(root.handlers) - set(handlers):
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
        gc.unfreeze()


def test_an_ordered_end_is_status_0(life: Life) -> None:
    def main(program: Program) -> None:
        assert program.row["state"] == State.LOADING
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN, "the supervisor alone heeds Ctrl-C"
        program.ready(facts=1)
        assert program.row["state"] == State.RUNNING
        program.log.info("here")

    status, state, said = life.run(main)
    assert (status, state) == (0, State.STOPPED)
    assert [kind for kind, _ in said] == ["ready"]
    assert "decode INFO here" in life.log


def test_an_expected_failure_is_status_2_and_its_words_are_for_the_experimenter(life: Life) -> None:
    def main(program: Program) -> None:
        raise ConfigError("expected a bundle, came a cake")

    status, state, said = life.run(main)
    assert (status, state) == (2, State.FAILED)
    (message,) = said
    assert message == (
        "failed",
        {"error": "ConfigError", "message": "expected a bundle, came a cake", "expected": True},
    )
    assert "decode ERROR ConfigError: expected a bundle, came a cake" in life.log
    assert "Traceback" not in life.log


def test_any_other_failure_is_status_1_with_its_traceback_in_the_log(life: Life) -> None:
    def main(program: Program) -> None:
        raise ZeroDivisionError("planted")

    status, state, said = life.run(main)
    assert (status, state) == (1, State.FAILED)
    ((kind, facts),) = said
    assert (kind, facts["error"], facts["expected"]) == ("failed", "ZeroDivisionError", False)
    assert facts["message"] == "planted (traceback in log.txt)"
    assert "Traceback" in life.log
    assert "test_program.py" in life.log


def test_a_failure_that_no_supervisor_hears_is_in_the_log(life: Life) -> None:
    def main(program: Program) -> None:
        life.supervisor.close()
        raise ConfigError("no stream there")

    with pytest.raises(OSError, match="closed"):
        life.run(main)
    assert "the supervisor is gone; not told" in life.log
