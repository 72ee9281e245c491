"""The supervisor, with programs that are none: the test says how they fare, and turns the clock."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bci.config.control import ControlSettings
from bci.control.line import Line, Post
from bci.control.mqtt.commands import make_command
from bci.control.plan import Facts, Rules, SessionOutcome
from bci.control.snapshot import SessionSnapshot, SessionState
from bci.control.supervisor import RIG_MARKS, Supervisor
from bci.errors import ProgramError, StreamNotFound
from bci.io.lsl.metadata import StreamInfo
from bci.memory.board import Row, State
from bci.memory.frames import frame_columns, write_frame
from bci.memory.marks import create_marks, read_marks
from bci.memory.orders import HOLD, NEUTRAL, STOP, Acknowledgement, Order, OrderVerdict
from bci.memory.program import Launch
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.types import MarkKind, Reconstruction, Signal

SIGNAL = Signal("planted", 100.0, (3,), (), "uV")


class PlantedChild:
    """A program without a process."""

    def __init__(self, launch: Launch, row: Row, clock: ManualClock) -> None:
        self.launch, self.name = launch, launch.name
        self.process = SimpleNamespace(pid=1000 + 10 * launch.restart)
        self.alive, self.failure, self.killed, self.hopeless = True, "", False, False
        self.ready: dict[str, Any] | None = None
        self.facts: dict[str, Any] = {}
        self.orders: list[Order] = []
        self.answers: dict[str, Acknowledgement] = {}
        self.requests: deque[dict[str, Any]] = deque()
        self.row, self.clock = row, clock

    def beat(self) -> None:
        """Live on for a moment."""
        if self.alive:
            self.row["state"], self.row["beat"] = State.RUNNING, self.clock.now()
            if self.ready is None:
                self.ready = {"said": self.name}

    def listen(self) -> None:
        """Everything is known already."""

    def send(self, order: Order) -> None:
        self.orders.append(order)
        self.answers[order.id] = Acknowledgement(order.id, order.kind, OrderVerdict.DONE)

    def join(self, timeout: float) -> bool:
        self.alive = False
        return True

    def kill(self) -> None:
        self.alive, self.killed = False, True

    def as_error(self) -> Exception:
        return StreamNotFound(self.failure)


class PlantedPlan:
    """A small line: a screen, two decoders' worth of rings, a recorder, an extra that can be done without."""

    name, key = "planted", ""
    rules = Rules(restarts=1, hung_after_s=2.0, when_latched="hold")
    control = ControlSettings()

    def __init__(self, key: str) -> None:
        self.key = key
        self.rings: dict[str, Ring | Stream] = {}
        self.stages: list[list[str]] = []
        self.told: dict[str, Any] = {}
        self.end = ""
        self.outcome: SessionOutcome | None = None
        streams = {"stream": "stream"}
        self.line = Line(
            [
                Post("acquire", "m", streams=streams, writes=["stream"], counters=("samples",)),
                Post(
                    "decode",
                    "m",
                    # What it is told rests on who is ready before it.
                    lambda: {"rate": 100, "known": sorted(self.told)},
                    streams=streams,
                    rings={"frames": "frames"},
                    writes=["frames"],
                    waits=["stream"],
                    counters=("windows", "skipped"),
                ),
                Post(
                    "display",
                    "m",
                    rings={"frames": "frames"},
                    obeys=frozenset({STOP, HOLD}),
                    counters=("flips",),
                ),
                Post("publish", "m", rings={"frames": "frames"}, waits=["frames"], dispensable=True),
                Post("record", "m", streams=streams, rings={"frames": "frames", "rig_marks": RIG_MARKS}),
            ],
            outside=[RIG_MARKS],
        )

    @property
    def streams(self) -> dict[str, StreamInfo]:
        return {"stream": StreamInfo(SIGNAL, "amp-1")}

    def make(self, name: str, segment: str, readers: int) -> Ring | Stream:
        made: Ring | Stream
        if name == "stream":
            made = Stream.create(segment, SIGNAL, 2.0, readers=readers)
        elif name == RIG_MARKS:
            made = create_marks(segment, 1)
        else:
            made = Ring.create(segment, frame_columns(2, 2, 1), 8, 2, readers)
        self.rings[name] = made
        return made

    def begin(self, folder: Path) -> None:
        assert folder.is_dir()
        assert not self.stages, "a program was started before the folder was ready for it"

    def ready(self, stage: Sequence[Post], told: Facts, folder: Path) -> None:
        self.stages.append([post.name for post in stage])
        self.told |= told

    def ended(self, facts: Facts, elapsed: float) -> str:
        return self.end

    def summarise(self, outcome: SessionOutcome) -> dict[str, Any]:
        self.outcome = outcome
        return {"state": outcome.snapshot.state, "failures": outcome.failures}


class PlantedNetwork:
    """Keeps why it was to look around."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def take(self, why: str) -> None:
        self.asked += [] if self.asked else [why]

    def close(self) -> None:
        self.asked.append("closed")


class Bench:
    """A session of planted programs; `script` is what happens, a step each tenth of a second."""

    def __init__(self, key: str, out: Path) -> None:
        self.clock = ManualClock(100.0)
        self.plan = PlantedPlan(key)
        self.held: dict[str, list[PlantedChild]] = {}
        self.script: Iterator[None] = iter(())
        self.silent: set[str] = set()
        self.states: list[SessionState] = []
        self.marks: list[tuple[MarkKind, str]] = []
        self.network = PlantedNetwork()
        self.supervisor = Supervisor(
            self.plan,
            out,
            self.observe,
            self.clock,
            spawn=self.spawn,  # type: ignore[arg-type]
            wait=self.wait,  # type: ignore[arg-type]
            network=lambda folder: self.network,  # type: ignore[arg-type,return-value]
        )

    def spawn(self, launch: Launch) -> PlantedChild:
        child = PlantedChild(launch, self.supervisor.board.row(launch.name), self.clock)
        self.held.setdefault(launch.name, []).append(child)
        return child

    def wait(self, children: Sequence[PlantedChild], seconds: float) -> None:
        self.clock.advance(0.1)
        for child in children:
            if child.name not in self.silent:
                child.beat()

    def observe(self, supervisor: Supervisor) -> None:
        if not self.states or self.states[-1] is not supervisor.state:
            self.states.append(supervisor.state)
        marks, _ = read_marks(self.plan.rings[RIG_MARKS], 0)  # type: ignore[arg-type]
        self.marks = [(MarkKind(int(m["kind"])), bytes(m["detail"]).decode()) for m in marks]
        if next(self.script, "end") == "end":
            self.plan.end = "the script is over"

    def run(self, *steps: Callable[[], object]) -> dict[str, Any]:
        """Run a session in which these things happen, one a second."""

        def script() -> Iterator[None]:
            for step in steps:
                step()
                for _ in range(10):
                    yield

        self.script = script()
        return self.supervisor.run()

    def newest(self, name: str) -> PlantedChild:
        return self.held[name][-1]

    def die(self, name: str) -> Callable[[], object]:
        def act() -> None:
            self.newest(name).alive = False
            self.newest(name).failure = "died with exit status -9"

        return act

    def orders(self, name: str) -> list[list[str]]:
        return [[order.kind for order in child.orders] for child in self.held[name]]


@pytest.fixture
def bench(segment_name: str, tmp_path: Path) -> Bench:
    return Bench(segment_name, tmp_path)


def test_a_session_goes_through_its_states_and_its_programs_through_the_lines_order(bench: Bench) -> None:
    assert bench.supervisor.state is SessionState.PREPARING
    summary = bench.run(lambda: None)
    assert bench.states == [SessionState.RUNNING]
    assert bench.plan.stages == [["decode", "display", "publish", "record"], ["acquire"]]
    assert list(bench.held) == ["decode", "display", "publish", "record", "acquire"]
    assert summary == {"state": "done", "failures": []}
    assert bench.supervisor.ended_by == "the script is over"
    assert {name: bench.orders(name) for name in bench.held} == {name: [["stop"]] for name in bench.held}


def test_what_a_program_is_told_and_opens_is_in_its_launch(bench: Bench) -> None:
    bench.run()
    launch = bench.newest("decode").launch
    assert launch.spec == {"rate": 100, "known": []}
    assert (set(launch.streams), set(launch.rings), launch.slots) == ({"stream"}, {"frames"}, {"stream": 0})
    assert bench.newest("publish").launch.slots == {"frames": 0}


def test_a_dead_program_is_started_again_and_the_recording_says_so(bench: Bench) -> None:
    bench.run(bench.die("decode"), lambda: None)
    assert [child.launch.restart for child in bench.held["decode"]] == [0, 1]
    assert bench.marks == [(MarkKind.RESTART, "decode died with exit status -9")]
    assert bench.states == [SessionState.RUNNING]
    assert bench.plan.outcome is not None
    assert bench.plan.outcome.snapshot.restarts == {"decode": 1}


def test_a_program_that_hangs_is_killed_first(bench: Bench) -> None:
    bench.run(lambda: bench.silent.add("decode"), lambda: None, lambda: None, bench.silent.clear)
    assert bench.held["decode"][0].killed
    assert "no heartbeat for 2." in bench.marks[0][1]


def test_a_program_given_up_latches_the_session_and_the_screen_is_ordered_to_hold(bench: Bench) -> None:
    summary = bench.run(bench.die("decode"), bench.die("decode"), lambda: None)
    assert bench.states == [SessionState.RUNNING, SessionState.LATCHED]
    assert bench.supervisor.latched == "decode died with exit status -9, after 1 restart"
    assert bench.orders("display") == [["hold", "stop"]]
    assert bench.marks[-1][0] is MarkKind.LATCHED
    assert summary["failures"] == ["decode died with exit status -9, after 1 restart"]


def test_a_screen_that_is_replaced_in_a_latched_session_holds_as_well(bench: Bench) -> None:
    bench.run(bench.die("decode"), bench.die("decode"), bench.die("display"), lambda: None)
    assert bench.orders("display") == [["hold"], ["hold", "stop"]]


def test_without_a_screen_that_can_hold_the_session_ends(bench: Bench) -> None:
    bench.run(bench.die("display"), bench.die("display"), lambda: None, lambda: None)
    assert bench.supervisor.ended_by == (
        "display died with exit status -9, after 1 restart: nothing can be shown"
    )


def test_a_session_that_is_told_so_ends_at_once_where_another_is_latched(bench: Bench) -> None:
    bench.plan.rules = replace(bench.plan.rules, when_latched="end")
    bench.run(bench.die("decode"), bench.die("decode"), lambda: pytest.fail("it went on"))
    assert bench.supervisor.ended_by == "decode died with exit status -9, after 1 restart"
    assert bench.orders("display") == [["hold", "stop"]]


def test_a_session_goes_on_without_what_is_dispensable(bench: Bench) -> None:
    summary = bench.run(bench.die("publish"), bench.die("publish"), lambda: None)
    assert bench.states == [SessionState.RUNNING]
    assert bench.supervisor.ended_by == "the script is over"
    assert summary["failures"] == ["publish died with exit status -9, after 1 restart"]


def test_a_program_that_fails_at_its_start_ends_what_was_begun(bench: Bench) -> None:
    bench.silent.add("acquire")

    def fail(launch: Launch) -> PlantedChild:
        child = bench.spawn(launch)
        if launch.name == "acquire":
            child.failure = "no stream 'amp-1'"
        return child

    bench.supervisor._spawn = fail  # type: ignore[assignment]
    with pytest.raises(StreamNotFound, match="amp-1"):
        bench.run()
    assert bench.network.asked == ["a stream was not found", "closed"]
    assert bench.supervisor.state is SessionState.DONE
    assert not any(child.alive for children in bench.held.values() for child in children)


def test_an_operator_can_end_it_at_any_time(bench: Bench) -> None:
    bench.run(lambda: None, bench.supervisor.stop, lambda: None, lambda: None)
    assert bench.supervisor.ended_by == "stopped by the operator"
    early = Bench(bench.plan.key + "x", bench.supervisor.folder)
    early.supervisor.stop()
    with pytest.raises(ProgramError, match="stopped before"):
        early.run()


def test_an_order_reaches_its_program_with_an_expiry_and_its_answer_is_known(bench: Bench) -> None:
    sent: list[Order] = []
    answers: list[Acknowledgement | None] = []
    bench.run(
        lambda: sent.append(bench.supervisor.order("decode", "gain", {"value": 2}, within=1.5)),
        lambda: answers.append(bench.supervisor.answer(sent[0])),
    )
    (order,) = sent
    assert (order.kind, order.payload) == ("gain", {"value": 2})
    assert order.expires is not None
    assert order.expires - bench.supervisor.started == pytest.approx(1.6)
    assert answers == [Acknowledgement(order.id, "gain", OrderVerdict.DONE)]
    assert bench.newest("decode").orders[0] is order


def test_a_snapshot_says_how_everything_stands(bench: Bench) -> None:
    taken: list[SessionSnapshot] = []

    def work() -> None:
        bench.newest("decode").row["windows"] = 7
        stream, frames = bench.plan.rings["stream"], bench.plan.rings["frames"]
        assert isinstance(stream, Stream)
        assert isinstance(frames, Ring)
        place = stream.samples.claim(5)
        place["samples"][:] = 0
        stream.samples.commit(5)
        write_frame(frames, reconstruction())

    bench.run(work, lambda: taken.append(bench.supervisor.snapshot()))
    (snapshot,) = taken
    assert (snapshot.name, snapshot.state, snapshot.ended_by) == ("planted", SessionState.RUNNING, "")
    assert snapshot.elapsed == pytest.approx(1.1)
    assert snapshot.programs["decode"].counters == {"windows": 7, "skipped": 0}
    assert snapshot.programs["decode"].state == "running"
    assert snapshot.programs["decode"].heart_age == pytest.approx(0.0)
    assert snapshot.programs["display"].counters == {"flips": 0}
    assert snapshot.streams["stream"].samples == 5
    assert snapshot.streams["stream"].source_id == "amp-1"
    assert snapshot.newest["decode"].latent == (0.25,)
    assert snapshot.newest["decode"].last_sample == 4
    published = snapshot.as_json()
    assert published["state"] == "running"
    assert published["programs"]["decode"]["counters"]["windows"] == 7


def reconstruction() -> Reconstruction:
    return Reconstruction(
        np.zeros((2, 2, 3), np.uint8), np.array([0.25], np.float32), 0.5, True, "", first=0, last_sample=4
    )


def test_a_session_is_not_begun_on_a_disk_without_room(
    tmp_path: Path, segment_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bci.errors import DiskError
    from bci.io.files import space

    monkeypatch.setattr(space.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_000_000))
    with pytest.raises(DiskError, match="free disk space"):
        Bench(segment_name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_summary_that_the_disk_does_not_take_is_returned_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bci.control import supervisor
    from bci.errors import DiskError

    def full(path: Path, value: object) -> None:
        raise DiskError.of(path, OSError(28, "No space left on device"))

    monkeypatch.setattr(supervisor, "write_json", full)
    summary = bench.run(lambda: None)
    assert "summary.json cannot be written: No space left on device" in summary["failures"][-1]


def test_silence_and_alarms_are_in_the_snapshot(bench: Bench) -> None:
    taken: list[SessionSnapshot] = []

    def fall_silent() -> None:
        row = bench.newest("acquire").row
        row["data_limit"], row["data"] = 0.5, bench.clock.now()

    bench.run(
        fall_silent,
        lambda: taken.append(bench.supervisor.snapshot()),
        lambda: None,
        lambda: taken.append(bench.supervisor.snapshot()),
    )
    assert [alarm.line for alarm in taken[0].alarms] == ["NO DATA 1.0 s"]
    assert taken[1].silences["acquire"].now
    assert taken[1].silences["acquire"].seconds == pytest.approx(3.0, abs=0.2)
    assert bench.network.asked == ["acquire without data for 2 s", "closed"]
    outcome = bench.plan.outcome
    assert outcome is not None
    assert outcome.at_end.silences["acquire"].times == 1
    assert outcome.at_end.alarms


def test_why_a_program_is_started_again_is_said_while_it_is(bench: Bench) -> None:
    taken: list[SessionSnapshot] = []

    def refuse() -> None:
        bench.newest("acquire").alive = False
        bench.newest("acquire").failure = "StreamMismatch: expected 160 Hz, came 250 Hz"
        bench.silent.add("acquire")

    bench.run(refuse, lambda: taken.append(bench.supervisor.snapshot()), lambda: bench.silent.clear())
    (alarm,) = [alarm for alarm in taken[0].alarms if alarm.key == "restart acquire"]
    assert alarm.line == "acquire starts again"
    assert alarm.what.startswith("acquire StreamMismatch: expected 160 Hz, came 250 Hz. ")


def test_a_program_that_is_given_up_is_said_to_be_with_its_reason_however_it_ended(bench: Bench) -> None:
    taken: list[SessionSnapshot] = []
    bench.run(
        bench.die("decode"),
        bench.die("decode"),
        lambda: None,
        lambda: taken.append(bench.supervisor.snapshot()),
        lambda: None,
    )
    alarms = {alarm.key: alarm for alarm in taken[0].alarms}
    assert "failed decode" in alarms
    assert "It is given up: died with exit status -9, after 1 restart." in alarms["failed decode"].what
    assert "silent decode" not in alarms


def test_what_was_received_last_does_not_become_young_while_its_program_is_started_again(
    bench: Bench,
) -> None:
    taken: list[SessionSnapshot] = []

    def unplug() -> None:
        row = bench.newest("acquire").row
        row["data_limit"], row["data"] = 0.5, bench.clock.now()

    def fail() -> None:
        bench.silent.add("acquire")
        bench.die("acquire")()

    bench.run(
        unplug,
        lambda: None,
        fail,
        lambda: taken.append(bench.supervisor.snapshot()),
        lambda: bench.silent.clear(),
        lambda: taken.append(bench.supervisor.snapshot()),
    )
    for snapshot in taken:
        assert "no data acquire" in {alarm.key for alarm in snapshot.alarms}
    assert taken[1].silences["acquire"].times == 1


def test_commands_are_carried_out_by_the_supervisor_and_hold_for_a_screen_that_is_started_again(
    segment_name: str, tmp_path: Path
) -> None:
    bench = Bench(segment_name, tmp_path)
    display = bench.plan.line.changed("display", obeys=frozenset({STOP, HOLD, NEUTRAL}))
    bench.plan.line = Line([*display, Post("control", "m")], outside=[RIG_MARKS])

    def command(kind: str) -> Callable[[], object]:
        def act() -> None:
            request = {
                "node": "session",
                "command": make_command(kind, issued=0.0),
                "until": bench.clock.now() + 5,
            }
            bench.newest("control").requests.append(request)

        return act

    bench.run(command("neutral"), lambda: None, bench.die("display"), command("stop"), lambda: None)
    assert bench.orders("display") == [["neutral"], ["neutral", "stop"]]
    assert bench.supervisor.ended_by == "stopped by the operator"
    answers = [
        order.payload["answer"] for order in bench.newest("control").orders if order.kind == "answered"
    ]
    assert [(answer.kind, answer.verdict) for answer in answers] == [("neutral", "done"), ("stop", "done")]
    details = [detail for kind, detail in bench.marks if kind is MarkKind.COMMAND]
    assert details[0] == "neutral", "what was commanded stands in the recording"
