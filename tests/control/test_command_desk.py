"""What a session does on commands: a planted supervisor, a clock turned by hand, orders answered as the test says."""

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bci.config.control import ControlSettings
from bci.control.command_desk import CommandDesk
from bci.control.line import Line, Post
from bci.control.mqtt.commands import CommandAnswer, CommandVerdict, make_command
from bci.io.shipped import SHIPPED
from bci.memory.orders import (
    HOLD,
    LOAD_BUNDLE,
    NEUTRAL,
    PAUSE,
    RELEASE,
    SET,
    START,
    STOP,
    Acknowledgement,
    Order,
    OrderVerdict,
)  # fmt: skip
from bci.signal.clock import ManualClock
from bci.signal.types import MarkKind

LINE = Line(
    [
        Post("decode", "m", obeys=frozenset({STOP, LOAD_BUNDLE})),
        Post("decode:arms", "m", obeys=frozenset({STOP, LOAD_BUNDLE})),
        Post("display", "m", obeys=frozenset({STOP, HOLD, NEUTRAL, RELEASE, SET})),
        Post("engine", "m", obeys=frozenset({STOP, START, PAUSE})),
        Post("control", "m"),
    ]
)
SETTINGS = ControlSettings(broker="embedded", limits={"fresh_for": (0.1, 1.0)})


class Session:
    """A supervisor of programs that are none."""

    def __init__(self, line: Line = LINE, settings: ControlSettings = SETTINGS) -> None:
        self.clock = ManualClock(100.0)
        self.latched = ""
        self.stopped = 0
        self.marks: list[str] = []
        self.orders: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: dict[str, Acknowledgement] = {}
        self.sent: list[Order] = []
        self.restart_control()
        self.desk = CommandDesk(self, line, settings, lambda: 1000.0)  # type: ignore[arg-type]
        self.replies = True

    def restart_control(self) -> None:
        self.sent = []
        control = SimpleNamespace(requests=deque(), send=self.sent.append)
        names = ("decode", "decode:arms", "display", "engine")
        self.children: dict[str, Any] = dict.fromkeys(names, SimpleNamespace()) | {"control": control}

    def order(self, program: str, kind: str, payload: Any = None, *, within: float | None = None) -> Order:
        order = Order(kind, payload or {}, None if within is None else self.clock.now() + within)
        self.orders.append((program, kind, dict(order.payload)))
        if self.replies:
            self.reply(order)
        return order

    def reply(self, order: Order, verdict: OrderVerdict = OrderVerdict.DONE, detail: str = "") -> None:
        self.answers[order.id] = Acknowledgement(
            order.id, order.kind, verdict, detail, self.clock.now() + 0.01
        )

    def answer(self, order: Order) -> Acknowledgement | None:
        return self.answers.get(order.id)

    def stop(self) -> None:
        self.stopped += 1

    def mark(self, kind: MarkKind, detail: str) -> None:
        assert kind is MarkKind.COMMAND
        self.marks.append(detail)

    def command(
        self, kind: str, node: str = "session", *, id: str = "", **values: Any
    ) -> list[CommandAnswer]:
        """Hand a command to the desk as the control program does; return the answers to it so far."""
        command = make_command(kind, issued=0.0, **values)
        command = command.model_copy(update={"id": id or command.id})
        request = {"node": node, "command": command, "until": self.clock.now() + 5.0}
        self.children["control"].requests.append(request)
        self.desk.poll()
        return self.told(command.id)

    def told(self, id: str) -> list[CommandAnswer]:
        return [order.payload["answer"] for order in self.sent if order.payload["answer"].id == id]

    def refusal(self, kind: str, node: str = "session", **values: Any) -> tuple[CommandVerdict, str]:
        (answer,) = self.command(kind, node, **values)
        assert answer.acted is None
        assert self.marks == [], "what was not carried out leaves no mark"
        return answer.verdict, answer.detail


@pytest.fixture
def session() -> Session:
    return Session()


def test_a_mark_and_the_end_are_the_supervisors_own(session: Session) -> None:
    (answer,) = session.command("mark", text="a cough")
    assert (answer.verdict, answer.acted) == (CommandVerdict.DONE, 100.0)
    session.command("stop")
    assert session.stopped == 1
    assert session.marks == ["mark: a cough", "stop"]


def test_a_command_becomes_an_order_to_the_program_that_obeys_it(session: Session) -> None:
    (answer,) = session.command("pause")
    assert answer.acted == pytest.approx(100.01), "when the program acted"
    session.command("neutral")
    session.command("set", name="fresh_for", value=0.5)
    session.command("load_bundle", path="alpha")
    session.command("load_bundle", "decode:arms", path="alpha")
    alpha = {"path": str(SHIPPED["bundles"] / "alpha")}
    assert session.orders == [
        ("engine", PAUSE, {}),
        ("display", NEUTRAL, {}),
        ("display", SET, {"name": "fresh_for", "value": 0.5}),
        ("decode", LOAD_BUNDLE, alpha),
        ("decode:arms", LOAD_BUNDLE, alpha),
    ]
    assert session.marks == [
        "pause",
        "neutral",
        "set: fresh_for = 0.5",
        "load_bundle: alpha",
        "load_bundle: alpha",
    ]


def test_each_id_acts_once_and_is_answered_alike_also_after_the_control_program_was_killed(
    session: Session,
) -> None:
    (first,) = session.command("mark", id="one", text="once")
    assert session.command("mark", id="one", text="once") == [first, first]
    session.restart_control()
    assert session.command("mark", id="one", text="once") == [first]
    assert session.marks == ["mark: once"]


def test_an_order_without_an_answer_is_not_waited_for(session: Session) -> None:
    session.replies = False
    assert session.command("pause", id="slow") == []
    assert session.command("pause", id="slow") == [], "one that is open is not ordered again"
    assert len(session.orders) == 1
    session.clock.advance(6.5)
    session.desk.poll()
    (answer,) = session.told("slow")
    assert answer.verdict is CommandVerdict.FAILED
    assert "engine did not answer" in answer.detail


def test_a_program_that_cannot_is_quoted(session: Session) -> None:
    session.replies = False
    session.command("pause", id="p")
    session.desk._pending["p"]
    session.reply(session.desk._pending["p"].order, OrderVerdict.FAILED, "it is paused already")
    session.desk.poll()
    assert [(a.verdict, a.detail) for a in session.told("p")] == [
        (CommandVerdict.FAILED, "it is paused already")
    ]
    assert session.marks == []


def test_what_may_not_be_is_refused_with_both_sides(session: Session) -> None:
    assert session.refusal("set", name="fresh_for", value=3.0) == (
        CommandVerdict.REFUSED,
        "fresh_for may be 0.1 to 1 ([control.limits]); 3 came",
    )
    verdict, why = session.refusal("set", name="heartbeat_limit", value=0.2)
    assert (verdict, "lets fresh_for be" in why) == (CommandVerdict.REFUSED, True)
    assert session.refusal("resume")[0] is CommandVerdict.UNKNOWN
    assert session.refusal("pause", "display")[1] == "display does not obey pause; engine does"
    assert "there are session, decode" in session.refusal("pause", "nobody")[1]
    assert session.refusal("stop", "display")[0] is CommandVerdict.UNKNOWN
    assert session.stopped == 0
    session.latched = "decode died"
    assert "until it ends" in session.refusal("release")[1]
    assert session.orders == []


@pytest.mark.parametrize("path", ["../x", "/etc", "nowhere", ".", "a\0b", "x" * 256])
def test_no_bundle_is_loaded_from_elsewhere(path: str, tmp_path: Path) -> None:
    (tmp_path / "mine" / "one").mkdir(parents=True)
    (tmp_path / "x").mkdir()
    for settings in (SETTINGS, SETTINGS.model_copy(update={"bundles": tmp_path / "mine"})):
        session = Session(settings=settings)
        if path != "." or settings.bundles is None:
            assert session.refusal("load_bundle", path=path)[0] is CommandVerdict.REFUSED
    session.command("load_bundle", path="one")
    assert session.orders[-1][2] == {"path": str(tmp_path / "mine" / "one")}


def test_a_command_that_waited_too_long_for_the_supervisor_is_expired(session: Session) -> None:
    command = make_command("stop", issued=0.0)
    request = {"node": "session", "command": command, "until": 101.0}
    session.children["control"].requests.append(request)
    session.clock.advance(2.0)
    session.desk.poll()
    assert [answer.verdict for answer in session.told(command.id)] == [CommandVerdict.EXPIRED]
    assert session.stopped == 0


def test_a_screen_that_was_started_again_is_neutral_again_and_keeps_its_limits(session: Session) -> None:
    session.command("neutral")
    session.command("set", name="fresh_for", value=0.5)
    session.orders.clear()
    session.desk.stand_again("decode")
    assert session.orders == []
    session.desk.stand_again("display")
    assert [(kind, payload) for _, kind, payload in session.orders] == [
        (NEUTRAL, {}),
        (SET, {"name": "fresh_for", "value": 0.5}),
    ]
    session.command("release")
    session.orders.clear()
    session.desk.stand_again("display")
    assert session.orders[0][1] == RELEASE


def test_at_the_end_everything_open_is_answered(session: Session) -> None:
    session.replies = False
    session.command("pause", id="open")
    command = make_command("mark", issued=0.0, text="late")
    session.children["control"].requests.append({"node": "session", "command": command, "until": 200.0})
    session.desk.turn_away()
    assert [a.verdict for a in session.told("open")] == [CommandVerdict.FAILED]
    assert [a.verdict for a in session.told(command.id)] == [CommandVerdict.REFUSED]
    assert session.marks == []


def test_without_an_experiment_there_is_nothing_to_pause() -> None:
    session = Session(Line([Post("decode", "m"), Post("control", "m")]))
    assert session.refusal("pause") == (CommandVerdict.UNKNOWN, "this session has no experiment")
    assert session.refusal("neutral") == (CommandVerdict.UNKNOWN, "this session has no screen")
