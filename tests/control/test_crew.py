"""The crew starts its programs, starts again whatever dies or hangs, so often and no oftener, and stops them."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from bci.control.crew import FINISH_LIMIT, LOADING_LIMIT, STOP_LIMIT, Crew, on_signals
from bci.errors import BciError, ConfigError, ProgramError
from bci.memory.board import Board, State
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch
from bci.signal.clock import ManualClock


class PlantedChild:
    """A program without a process: the test says how it fares.

    Attributes
    ----------
    ready_after : float
        Session seconds at which it is ready.
    ends_after : float
        Seconds from the order to stop to its end.
    beats : bool
        Whether its heart beats while it is waited for.
    """

    def __init__(self, launch: Launch, clock: ManualClock, board: Board) -> None:
        self.launch, self.name = launch, launch.name
        self.answers: dict[str, Any] = {}
        self.process = SimpleNamespace(pid=0)
        self.waitables = ()
        self.alive, self.failure, self.killed, self.hopeless = True, "", False, False
        self.ready: dict[str, Any] | None = None
        self.facts: dict[str, Any] = {}
        self.asked_to_stop = float("nan")
        self.ready_after, self.ends_after, self.beats = 0.0, 0.0, True
        self._clock, self._row = clock, board.row(launch.name)

    def listen(self) -> None:
        if self._clock.now() >= self.ready_after and self.ready is None:
            self.ready = {}

    def as_error(self) -> BciError:
        return ConfigError(self.failure)

    def send(self, order: Order) -> None:
        assert order.kind == STOP
        self.asked_to_stop = self._clock.now()

    def join(self, timeout: float) -> bool:
        left = self.asked_to_stop + self.ends_after - self._clock.now()
        self._clock.advance(max(0.0, min(timeout, left)))
        if self.beats:
            self._row["beat"] = self._clock.now()
        self.alive = self.alive and left > timeout
        return not self.alive

    def kill(self) -> None:
        self.alive, self.killed = False, True


class Bench:
    """A crew, and every process that has held a post in it."""

    def __init__(self, restarts: int = 1, names: tuple[str, ...] = ("decode",)) -> None:
        self.clock = ManualClock(100.0)
        self.board = Board.private(names)
        self.row = self.board.row(names[0])
        self.held: list[PlantedChild] = []
        self.crew = Crew(
            self.board,
            self.clock,
            restarts=restarts,
            hung_after=2.0,
            spawn=self.spawn,  # type: ignore[arg-type]
        )
        for name in names:
            self.crew.launch(Launch(name, "nowhere", {}, "folder", "board"))
        self.noted: list[tuple[str, int, str]] = []
        self.beats()

    def spawn(self, launch: Launch) -> PlantedChild:
        self.held.append(PlantedChild(launch, self.clock, self.board))
        return self.held[-1]

    def beats(self) -> None:
        self.row["state"], self.row["beat"] = State.RUNNING, self.clock.now()

    def look(self) -> list[str]:
        return self.crew.look_after(lambda *what: self.noted.append(what))


# -- while it runs ---------------------------------------------------------------------------------------


def test_a_program_that_lives_is_left_alone() -> None:
    bench = Bench()
    bench.clock.advance(1.9)
    assert bench.look() == []
    assert len(bench.held) == 1


def test_a_program_that_died_is_started_again_and_is_told_that_it_is_a_successor() -> None:
    bench = Bench(restarts=2)
    bench.held[0].failure, bench.held[0].alive = "died with exit status -9", False
    assert bench.look() == []
    assert bench.noted == [("decode", 1, "died with exit status -9")]
    assert [child.launch.restart for child in bench.held] == [0, 1]
    assert bench.row["state"] == State.ABSENT
    assert bench.crew.restarts == {"decode": 1}
    assert bench.crew.children["decode"] is bench.held[1]


def test_a_program_that_ends_without_a_word_is_started_again() -> None:
    bench = Bench()
    bench.held[0].alive = False
    bench.look()
    assert bench.noted == [("decode", 1, "ended by itself")]
    assert not bench.held[0].killed


def test_a_program_whose_heart_has_stopped_is_killed_first() -> None:
    bench = Bench()
    bench.clock.advance(2.1)
    bench.look()
    assert bench.held[0].killed
    assert "no heartbeat for 2.1 s" in bench.noted[0][2]
    assert len(bench.held) == 2
    # The successor loads: its silence is another one.
    bench.row["state"] = State.LOADING
    bench.clock.advance(10.0)
    assert bench.look() == []
    assert len(bench.held) == 2


def test_a_program_that_never_gets_ready_counts_as_hung() -> None:
    bench = Bench()
    bench.row["state"] = State.LOADING
    bench.clock.advance(LOADING_LIMIT)
    assert bench.look() == []
    assert not bench.held[0].killed
    bench.clock.advance(1.0)
    bench.look()
    assert bench.held[0].killed
    assert "not ready within 120 s" in bench.noted[0][2]


def test_one_that_hangs_does_not_cost_another_its_post() -> None:
    bench = Bench(names=("decode", "display"))
    other = bench.board.row("display")
    bench.clock.advance(3.0)
    other["state"], other["beat"] = State.RUNNING, bench.clock.now()
    bench.look()
    assert [name for name, *_ in bench.noted] == ["decode"]
    assert bench.crew.children["display"] is bench.held[1]


def test_a_successor_works_again_when_it_is_ready_which_is_said_with_the_time_it_took(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.held[0].alive = False
    bench.look()
    bench.row["state"] = State.LOADING
    bench.held[1].ready_after = bench.clock.now() + 3.0
    for _ in range(4):
        bench.clock.advance(1.0)
        bench.held[1].listen()
        bench.look()
    again = [record.message for record in caplog.records if "works again" in record.message]
    assert again == ["decode works again after 3.0 s"]


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
    # One that is given up is not stopped a second time over, and keeps the reason it was given up for.
    bench.crew.stop("decode")
    assert len(bench.crew.describe_failures()) == 1


# -- at the start ----------------------------------------------------------------------------------------


def never() -> bool:
    return False


def starting(monkeypatch: pytest.MonkeyPatch, *names: str) -> Bench:
    """Return a crew whose clock turns while it waits for what its programs say."""
    bench = Bench(names=names)

    def wait(waitables: list[object], timeout: float) -> None:
        assert 0 < timeout <= 0.1, "an order to stop must be seen within 0.1 s"
        bench.clock.advance(timeout)

    monkeypatch.setattr("bci.control.crew.wait", wait)
    return bench


def test_a_program_that_no_restart_helps_is_given_up_at_once() -> None:
    bench = Bench(restarts=3)
    child = bench.held[0]
    child.failure, child.alive, child.hopeless = "StreamTimeError: 160 samples a second …", False, True
    assert bench.look() != []
    assert bench.crew.restarts == {}
    assert "160 samples" in next(iter(bench.crew.failures.values()))


def test_it_is_ready_when_the_slowest_program_is(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = starting(monkeypatch, "decode", "display")
    bench.held[0].ready_after, bench.held[1].ready_after = 101.0, 105.0
    bench.crew.await_ready(["decode"], never)
    assert bench.clock.now() == pytest.approx(101.0, abs=0.11)
    bench.crew.await_ready(["decode", "display"], never)
    assert bench.clock.now() == pytest.approx(105.0, abs=0.11)


def test_a_program_that_fails_at_the_start_is_raised_as_the_error_that_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = starting(monkeypatch, "decode", "display")
    bench.held[0].ready_after = 1e9
    bench.held[1].failure = "expected a screen, came none"
    with pytest.raises(ConfigError, match="expected a screen, came none"):
        bench.crew.await_ready(["decode"], never)


def test_a_program_that_is_not_ready_in_time_is_named_with_where_to_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = starting(monkeypatch, "decode", "display")
    bench.held[0].ready_after = 1e9
    with pytest.raises(ProgramError, match=r"^decode not ready within 120 s; see log\.txt in folder"):
        bench.crew.await_ready(["decode", "display"], never)
    assert bench.clock.now() == pytest.approx(100.0 + LOADING_LIMIT, abs=0.2)


def test_an_order_to_stop_ends_the_wait_for_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = starting(monkeypatch, "decode")
    bench.held[0].ready_after = 1e9
    with pytest.raises(ProgramError, match="stopped before everything was ready"):
        bench.crew.await_ready(["decode"], lambda: bench.clock.now() > 103.0)
    assert bench.clock.now() == pytest.approx(103.0, abs=0.2)


# -- at the end ------------------------------------------------------------------------------------------


def test_a_program_that_follows_an_order_to_stop_is_no_failure() -> None:
    bench = Bench()
    bench.held[0].ends_after = STOP_LIMIT - 1
    bench.crew.stop("decode")
    assert bench.held[0].asked_to_stop == 100.0
    assert bench.crew.failures == {}
    assert not bench.held[0].killed


def test_one_that_was_never_launched_need_not_be_stopped() -> None:
    bench = Bench()
    bench.crew.stop("publish")
    assert bench.crew.failures == {}


@pytest.mark.parametrize(("finishes", "limit"), [(False, STOP_LIMIT), (True, FINISH_LIMIT)])
def test_a_program_that_does_not_stop_is_killed_and_said_to_have_failed(finishes: bool, limit: float) -> None:
    bench = Bench()
    bench.held[0].ends_after = 1e9
    bench.crew.stop("decode", finishes=finishes)
    assert bench.held[0].killed
    assert bench.crew.describe_failures() == ["decode did not stop when told to"]
    assert bench.clock.now() == pytest.approx(100.0 + limit, abs=STOP_LIMIT)


def test_one_that_has_a_file_to_finish_gets_its_time_while_its_heart_beats() -> None:
    bench = Bench()
    bench.held[0].ends_after = 60.0
    bench.crew.stop("decode", finishes=True)
    assert bench.clock.now() == 160.0
    assert bench.crew.failures == {}
    silent = Bench()
    silent.held[0].ends_after, silent.held[0].beats = 60.0, False
    silent.crew.stop("decode", finishes=True)
    assert silent.held[0].killed
    assert silent.clock.now() < 110.0


def test_what_failed_while_it_stopped_is_told() -> None:
    bench = Bench()
    bench.held[0].failure = "RecordingError: the disk is full"
    bench.crew.stop("decode")
    assert bench.crew.failures == {"decode": "RecordingError: the disk is full"}


def test_the_facts_of_a_program_are_those_of_its_last_successor() -> None:
    bench = Bench()
    bench.held[0].facts = {"samples": 3}
    assert bench.crew.facts() == {"decode": {"samples": 3}}
    bench.held[0].alive = False
    bench.look()
    bench.held[1].facts = {"samples": 8}
    assert bench.crew.facts() == {"decode": {"samples": 8}}


def test_ctrl_c_and_sigterm_are_orders_while_it_says_so_and_what_they_were_afterwards() -> None:
    heard: list[str] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with on_signals(lambda: heard.append("stop")):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert heard == ["stop", "stop"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
