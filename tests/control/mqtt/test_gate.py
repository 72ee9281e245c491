"""What the gate lets in: messages as a broker would hand them over, two clocks turned by hand."""

import json
from itertools import count
from typing import Any

import pytest

from bci.control.mqtt.commands import CommandAnswer, CommandVerdict
from bci.control.mqtt.gate import BURST, MOST_OPEN, RATE, Gate, Judgement
from bci.signal.clock import ManualClock

TO_SESSION = "bci/v1/demo/session/cmd"


class Desk:
    """A gate with both clocks, and numbers for commands."""

    def __init__(self) -> None:
        self.clock, self.wall = ManualClock(50.0), ManualClock(1_764_000_000.0)
        self.gate = Gate("demo", self.clock, self.wall.now, skew_s=1.0)
        self._numbers = count()

    def pass_by(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.wall.advance(seconds)

    def send(
        self, *, ahead: float = 0.0, topic: str = TO_SESSION, retained: bool = False, **values: Any
    ) -> Judgement:
        command = {
            "id": f"c{next(self._numbers)}",
            "kind": "pause",
            "issued": self.wall.now() + ahead,
        } | values
        return self.gate.judge(topic, json.dumps(command).encode(), retained=retained)

    def done(self, judgement: Judgement) -> CommandAnswer:
        assert judgement.command is not None
        answer = CommandAnswer(
            id=judgement.command.id,
            kind=judgement.command.kind,
            verdict=CommandVerdict.DONE,
            at=self.wall.now(),
            acted=self.clock.now(),
        )
        self.gate.remember(answer)
        return answer


@pytest.fixture
def desk() -> Desk:
    return Desk()


def verdict(judgement: Judgement) -> CommandVerdict:
    assert judgement.answer is not None
    assert not judgement.let_in
    return judgement.answer.verdict


def test_a_command_in_time_is_let_in_until_its_own_end(desk: Desk) -> None:
    judgement = desk.send(ahead=-2.0, expires_s=5.0)
    assert judgement.let_in
    assert judgement.answer is None
    assert judgement.until == pytest.approx(53.0), "two of its five seconds were over"


def test_a_command_that_comes_again_acts_once_and_gets_the_same_answer(desk: Desk) -> None:
    first = desk.send(id="one")
    again = desk.send(id="one")
    assert (again.let_in, again.repeated, again.answer) == (False, True, None), "it is still open"
    answer = desk.done(first)
    desk.pass_by(3600.0)
    for _ in range(3):
        late = desk.send(id="one", ahead=-3600.0)
        assert (late.let_in, late.repeated, late.answer) == (False, True, answer)


def test_an_answer_that_was_given_before_a_restart_is_remembered(desk: Desk) -> None:
    answer = CommandAnswer(id="old", kind="stop", verdict=CommandVerdict.DONE, at=1.0)
    desk.gate.remember(answer)
    assert desk.send(id="old").answer == answer


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [(-5.01, CommandVerdict.EXPIRED), (-1e9, CommandVerdict.EXPIRED), (1.01, CommandVerdict.REFUSED)],
)
def test_a_command_out_of_its_time_is_turned_away_with_the_seconds(
    desk: Desk, ahead: float, expected: CommandVerdict
) -> None:
    judgement = desk.send(ahead=ahead)
    assert verdict(judgement) is expected
    assert judgement.answer is not None
    assert "clock" in judgement.answer.detail


def test_a_clock_that_is_ahead_within_the_limit_gains_no_time(desk: Desk) -> None:
    judgement = desk.send(ahead=0.9, expires_s=5.0)
    assert judgement.let_in
    assert judgement.until == pytest.approx(55.0)


def test_a_retained_command_is_never_carried_out(desk: Desk) -> None:
    assert verdict(desk.send(retained=True, id="kept")) is CommandVerdict.REFUSED
    assert desk.send(id="kept").let_in, "sent properly it is another matter"


@pytest.mark.parametrize(
    "topic",
    [
        "bci/v1/other/session/cmd",
        "bci/v1/demo/session/ack",
        "bci/v1/demo/+/cmd",
        "bci/v1/demo/session/cmd/x",
        "x",
    ],
)
def test_a_message_elsewhere_is_no_command(desk: Desk, topic: str) -> None:
    assert verdict(desk.send(topic=topic)) is CommandVerdict.MALFORMED


def test_a_flood_is_let_in_at_its_rate_and_each_of_it_is_answered(desk: Desk) -> None:
    let_in = 0
    for _ in range(1000):
        judgement = desk.send()
        if judgement.let_in:
            let_in += 1
            desk.done(judgement)
        else:
            assert verdict(judgement) is CommandVerdict.REFUSED
        desk.pass_by(0.001)
    assert let_in == pytest.approx(BURST + RATE, abs=1)


def test_a_flood_does_not_keep_out_what_makes_the_session_safer(desk: Desk) -> None:
    for _ in range(100):
        desk.send(kind="resume")
    for kind in ("neutral", "stop", "abort"):
        desk.pass_by(0.0)
        judgement = desk.send(kind=kind)
        assert judgement.let_in, kind


def test_no_more_than_so_many_wait_for_the_supervisor(desk: Desk) -> None:
    waiting = []
    for _ in range(3 * MOST_OPEN):
        judgement = desk.send()
        waiting += [judgement] if judgement.let_in else []
        desk.pass_by(1.0)
    assert len(waiting) == MOST_OPEN
    desk.done(waiting[0])
    assert desk.send().let_in


def test_what_is_turned_away_costs_no_memory(desk: Desk) -> None:
    for _ in range(500):
        desk.send(ahead=-60.0)
        desk.gate.judge(TO_SESSION, b"nonsense", retained=False)
    assert not desk.gate._answers
    assert not desk.gate._open
