"""A source that dies, hangs, comes back, comes back as another, or has a double: marked or refused."""

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sender import START, Sender

from bci.control.posts import COUNTERS
from bci.control.spawn import Child
from bci.errors import DuplicateStream, StreamMismatch
from bci.io.lsl.source import LslSource, describe
from bci.memory.board import Board, State
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import read_marks
from bci.memory.program import Launch
from bci.memory.stream import Stream
from bci.signal.types import MarkKind, Signal

pytestmark = pytest.mark.system

needs_sigstop = pytest.mark.skipif(
    not hasattr(signal, "SIGSTOP"), reason="THIS SYSTEM CANNOT STOP A PROCESS WITHOUT ENDING IT"
)

SIGNAL = Signal("planted", 1000.0, (2,), ("a", "b"), "uV")


def until(condition: Callable[[], bool], meanwhile: Callable[[], object] = lambda: time.sleep(0.005)) -> None:
    """Wait for a condition; a minute is more than any of them needs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        meanwhile()


class Line:
    """A source, what it writes into, and the senders it hears."""

    def __init__(self, segment_name: str, opened: ExitStack) -> None:
        self.opened = opened
        self.source_id = f"source-{uuid.uuid4().hex[:8]}"
        self.stream = opened.enter_context(Stream.create(segment_name, SIGNAL, seconds=20.0))
        self.source: LslSource

    def sender(self, **facts: object) -> Sender:
        return self.opened.enter_context(Sender(self.source_id, **facts))

    def listen(self) -> None:
        self.source = self.opened.enter_context(
            LslSource(self.source_id, clock=LslClock(), data_age_limit=1.0)
        )

    def pull_until(self, condition: Callable[[], bool]) -> None:
        until(condition, lambda: self.source.pull_into(self.stream))

    def receive(self, count: int) -> list[int]:
        """Pull until the ring holds `count` samples; return the counts that they carry."""
        self.pull_until(lambda: self.stream.samples.count >= count)
        assert self.stream.samples.count == count
        return self.stream.samples.read(0, count)["samples"][:, 0].astype(int).tolist()

    def marked(self, kind: MarkKind) -> Callable[[], bool]:
        return lambda: self.source.marked[kind] > 0

    def marks(self) -> list[tuple[MarkKind, int, int]]:
        """Return all marks except of clock offsets: kind, first, count."""
        return marks(self.stream)


def marks(stream: Stream) -> list[tuple[MarkKind, int, int]]:
    records, _ = read_marks(stream.marks, 0)
    found = [(MarkKind(int(m["kind"])), int(m["first"]), int(m["count"])) for m in records]
    return [mark for mark in found if mark[0] is not MarkKind.CLOCK_OFFSET]


@pytest.fixture
def line(segment_name: str) -> Iterator[Line]:
    with ExitStack() as opened:
        yield Line(segment_name, opened)


def test_a_source_that_dies_and_comes_back_is_marked_and_what_is_missing_counted(line: Line) -> None:
    first = line.sender()
    line.listen()
    first.push(0, 105)
    line.receive(105)
    first.kill()
    line.pull_until(line.marked(MarkKind.LOST))
    second = line.sender()
    line.pull_until(lambda: line.source.info.uid == describe(line.source_id).uid)
    second.push(150, 200)
    assert line.receive(155) == [*range(105), *range(150, 200)]
    assert line.marks() == [(MarkKind.LOST, 105, 0), (MarkKind.RECONNECT, 105, 45)]
    assert (line.source.received, line.source.lost) == (155, 45)
    stamps = line.stream.samples.read(0, 155)["raw"]
    assert stamps[-1] == START + 199 / 1000


def test_samples_sent_just_before_a_source_dies_are_kept(line: Line) -> None:
    sender = line.sender()
    line.listen()
    sender.push(0, 7)  # three less than the source waits for
    line.receive(7)
    sender.kill()
    line.pull_until(line.marked(MarkKind.LOST))
    assert line.receive(7) == list(range(7))


@needs_sigstop
def test_a_source_that_hangs_and_goes_on_loses_nothing(line: Line) -> None:
    sender = line.sender()
    line.listen()
    sender.order("beat")
    line.pull_until(lambda: line.source.received > 10)
    sender.hang()
    line.pull_until(line.marked(MarkKind.STALLED))
    stalled = line.source.received
    sender.go_on()
    line.pull_until(lambda: line.source.received > stalled + 10)
    assert line.marks() == [(MarkKind.STALLED, stalled, 0), (MarkKind.RESUMED, stalled, 0)]
    n = line.stream.samples.count
    assert line.receive(n) == list(range(n))
    assert line.source.lost == 0


@needs_sigstop
def test_a_source_that_hangs_and_is_started_anew_is_left_for_the_new_one(line: Line) -> None:
    hanging = line.sender()
    line.listen()
    hanging.push(0, 20)
    line.receive(20)
    hanging.hang()
    line.pull_until(line.marked(MarkKind.STALLED))
    new = line.sender()
    line.pull_until(line.marked(MarkKind.LOST))
    line.pull_until(lambda: line.source._inlet is not None)
    new.push(30, 40)
    assert line.receive(30) == [*range(20), *range(30, 40)]
    kinds = [kind for kind, *_ in line.marks() if kind is not MarkKind.DOUBLE]
    assert kinds == [MarkKind.STALLED, MarkKind.LOST, MarkKind.RECONNECT, MarkKind.RESUMED]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": ("a", "b", "c")}, r"samples of shape \(2,\) were expected, \(3,\) came"),
        ({"labels": ("b", "a")}, "channel 0 was expected to be 'a', 'b' came"),
        ({"rate": 500.0}, "1000 Hz were expected, 500 Hz came"),
    ],
)
def test_a_source_that_comes_back_as_another_is_refused(
    change: dict[str, object], says: str, line: Line
) -> None:
    sender = line.sender()
    line.listen()
    sender.push(0, 20)
    line.receive(20)
    sender.kill()
    line.pull_until(line.marked(MarkKind.LOST))
    other = line.sender(**change)
    with pytest.raises(StreamMismatch, match=says):
        line.pull_until(lambda: False)
    assert line.marks() == [(MarkKind.LOST, 20, 0), (MarkKind.REFUSED, 20, 0)]
    # Set right, it is taken again: nothing has to be started anew for that.
    other.kill()
    right = line.sender()
    line.pull_until(lambda: line.source._inlet is not None)
    right.push(20, 30)
    assert line.receive(30) == list(range(30))


def test_a_double_that_appears_is_marked_and_the_first_source_goes_on(
    line: Line, caplog: pytest.LogCaptureFixture
) -> None:
    first = line.sender()
    line.listen()
    first.push(0, 10)
    line.receive(10)
    second = line.sender()
    line.pull_until(line.marked(MarkKind.DOUBLE))
    second.push(900, 910)
    first.push(10, 20)
    assert line.receive(20) == list(range(20))
    assert (MarkKind.DOUBLE, 10, 0) in line.marks()
    assert line.source.marked[MarkKind.DOUBLE] == 1
    assert "a second source with the same id" in caplog.text


def test_two_sources_with_one_id_are_refused_at_the_start(line: Line) -> None:
    line.sender()
    line.sender()
    with pytest.raises(DuplicateStream, match=line.source_id):
        line.listen()


def test_a_source_that_comes_back_twice_is_refused(line: Line) -> None:
    sender = line.sender()
    line.listen()
    sender.push(0, 10)
    line.receive(10)
    sender.kill()
    line.pull_until(line.marked(MarkKind.LOST))
    line.sender()
    line.sender()
    with pytest.raises(DuplicateStream, match="2 streams have the source id"):
        line.pull_until(lambda: False)


def test_a_double_that_is_left_alone_is_taken_up(line: Line) -> None:
    first = line.sender()
    line.listen()
    first.push(0, 10)
    line.receive(10)
    second = line.sender()
    line.pull_until(line.marked(MarkKind.DOUBLE))
    first.kill()
    line.pull_until(line.marked(MarkKind.LOST))
    line.pull_until(lambda: line.source._inlet is not None)
    second.push(30, 40)
    assert line.receive(20) == [*range(10), *range(30, 40)]
    silences = (MarkKind.STALLED, MarkKind.RESUMED)  # as long as finding it takes
    kinds = [kind for kind, *_ in line.marks() if kind not in silences]
    assert kinds == [MarkKind.DOUBLE, MarkKind.LOST, MarkKind.RECONNECT]


class Acquire:
    """The acquire program in its own process, as the supervisor starts it."""

    def __init__(self, line: Line, name: str, folder: Path) -> None:
        self.board = line.opened.enter_context(Board.create(name + "b", {"acquire": COUNTERS["acquire"]}))
        self.child = Child(
            Launch(
                "acquire",
                "bci.live.acquire",
                {"source_id": line.source_id, "timeout": 30.0, "data_age_limit": 0.3},
                str(folder),
                name + "b",
                streams={"stream": line.stream.handle},
            )
        )
        line.opened.callback(self.child.kill)
        self.until(lambda: self.row["state"] == State.RUNNING)

    @property
    def row(self) -> object:
        return self.board.row("acquire")

    def until(self, condition: Callable[[], bool]) -> None:
        until(condition, lambda: (self.child.listen(), time.sleep(0.005)))


def test_the_program_outlives_its_source_and_continues_with_the_next(
    line: Line, segment_name: str, tmp_path: Path
) -> None:
    sender = line.sender()
    acquire = Acquire(line, segment_name, tmp_path)
    sender.push(0, 100)
    acquire.until(lambda: acquire.row["samples"] == 100)
    sender.kill()
    acquire.until(lambda: (MarkKind.LOST, 100, 0) in marks(line.stream))
    for _ in range(3):  # no source, and the heart beats on
        beat = float(acquire.row["beat"])
        acquire.until(lambda beat=beat: float(acquire.row["beat"]) > beat)
    new = line.sender()
    acquire.until(lambda: (tmp_path / "log.txt").read_text().count("connected again") == 1)
    new.push(110, 200)
    acquire.until(lambda: acquire.row["samples"] == 190)
    acquire.child.ask_to_stop()
    assert acquire.child.join(30)
    assert acquire.child.failure == ""
    assert (acquire.child.facts["samples"], acquire.child.facts["lost"]) == (190, 10)
    assert (acquire.child.facts["gaps"], acquire.child.facts["reconnects"]) == (0, 1)
    assert line.stream.samples.finished
    log = (tmp_path / "log.txt").read_text()
    assert "the source is gone" in log
    assert "10 samples missing" in log


def test_the_program_ends_with_a_clear_word_when_its_source_comes_back_rerated(
    line: Line, segment_name: str, tmp_path: Path
) -> None:
    sender = line.sender()
    acquire = Acquire(line, segment_name, tmp_path)
    sender.push(0, 10)
    acquire.until(lambda: acquire.row["samples"] == 10)
    sender.kill()
    line.sender(rate=250.0)
    acquire.until(lambda: not acquire.child.alive)
    acquire.child.listen()
    assert acquire.child.process.exitcode == 2
    assert acquire.child.expected
    assert acquire.child.failure.startswith("StreamMismatch")
    assert "1000 Hz were expected, 250 Hz came" in acquire.child.failure
    assert marks(line.stream)[-1] == (MarkKind.REFUSED, 10, 0)
    assert acquire.child.facts["samples"] == 10
    assert "the source that came back is refused" in (tmp_path / "log.txt").read_text()
