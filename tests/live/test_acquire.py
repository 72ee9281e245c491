"""The acquire program writes all that comes, beats its heart, and says at the end what it did."""

import gc
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.control.posts import COUNTERS
from bci.errors import StreamMismatch, StreamNotFound, StreamTimeError
from bci.io.lsl.clock_offset import ClockOffset
from bci.io.lsl.markers import MarkerOutlet
from bci.io.lsl.source import LslOutlet
from bci.live import acquire
from bci.memory.board import Board, State
from bci.memory.events import create_events
from bci.memory.lsl_clock import LslClock
from bci.memory.marks import create_marks, read_marks
from bci.memory.orders import STOP, Order
from bci.memory.program import Launch, Program
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.signal.types import Event, MarkKind, Signal, event_of

pytestmark = pytest.mark.system

SIGNAL = Signal("planted", 1000.0, (2,), ("a", "b"), "uV")
START = 5000.0


class Bench:
    """One acquire program in this process, seen from the supervisor's side.

    `script` runs in a thread beside it; when it ends, the program is told to stop.
    """

    def __init__(self, folder: Path, name: str, opened: ExitStack, **spec: Any) -> None:
        self.stream = opened.enter_context(Stream.create(name, SIGNAL, seconds=4.0))
        self.markers: Ring = opened.enter_context(create_events(name + "k", readers=1))
        self.board = opened.enter_context(Board.private({"acquire": COUNTERS["acquire"]}))
        self.pipe, self.far_end = Pipe()
        self.told: dict[str, dict[str, Any]] = {}
        self.source_id = f"source-{uuid.uuid4().hex[:8]}"
        self.spec = {"source_id": self.source_id, "timeout": 30.0, "data_age_limit": 0.5} | spec
        launch = Launch(
            "acquire",
            "bci.live.acquire",
            self.spec,
            str(folder),
            "",
            streams={"stream": self.stream.handle},
            rings={"markers": self.markers.handle},
        )
        self.program = Program(launch, self.far_end, self.board, LslClock())
        opened.callback(self.program.close)

    @property
    def row(self) -> Any:
        return self.board.row("acquire")

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; a minute is more than any of them needs."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.002)

    def until_ready(self) -> None:
        self.until(lambda: self.row["state"] == State.RUNNING)

    def run(self, script: Callable[[], None]) -> None:
        """Run the program beside the script, then take in what it told."""
        failures: list[BaseException] = []

        def beside() -> None:
            try:
                script()
            except BaseException as error:
                failures.append(error)
            finally:
                self.pipe.send(Order(STOP))

        thread = threading.Thread(target=beside)
        thread.start()
        try:
            acquire.main(self.program)
        finally:
            thread.join()
            gc.unfreeze()
            while self.pipe.poll():
                kind, facts = self.pipe.recv()
                self.told[kind] = self.told.get(kind, {}) | facts
        assert not failures, failures

    def push(self, outlet: LslOutlet, counts: Any) -> None:
        counts = np.asarray(counts)
        outlet.push(np.stack([counts, -counts], axis=1).astype("f4"), START + counts / SIGNAL.rate)


@pytest.fixture
def make(tmp_path: Path, segment_name: str) -> Iterator[Callable[..., Bench]]:
    with ExitStack() as opened:
        yield lambda **spec: Bench(tmp_path, segment_name, opened, **spec)


def test_every_sample_is_written_counted_and_reported(make: Callable[..., Bench]) -> None:
    bench = make()

    def script() -> None:
        bench.until_ready()
        bench.push(outlet, [*range(50), *range(53, 80)])
        bench.until(lambda: bench.row["samples"] == 77)
        assert bench.row["lost"] == 3
        assert not math.isnan(bench.row["data"])

    with LslOutlet(SIGNAL, bench.source_id, exact_stamps=True) as outlet:
        bench.run(script)
    assert bench.stream.samples.read(0, 77)["samples"][:, 0].tolist() == [*range(50), *range(53, 80)]
    assert bench.stream.samples.finished
    assert bench.told["ready"]["speed"] == 1.0
    report = bench.told["report"]
    assert (report["samples"], report["lost"], report["gaps"], report["reconnects"]) == (77, 3, 1, 0)


@pytest.mark.parametrize(
    ("rate", "scale", "since", "words"),
    [
        (80.0, 1.0, 0.0, "1000 samples a second were expected, 80"),
        (1000.0, 1.0, 1.7e9, "another clock"),
        (1000.0, 1e9, 0.0, "nanoseconds"),
        (1000.0, math.nan, 0.0, "no finite number"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_a_stream_of_another_clock_unit_or_rate_is_refused_or_said(
    make: Callable[..., Bench],
    strict: bool,
    rate: float,
    scale: float,
    since: float,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = make(strict=strict)

    def kinds() -> list[MarkKind]:
        return [MarkKind(int(mark["kind"])) for mark in read_marks(bench.stream.marks, 0)[0]]

    def script() -> None:
        bench.until_ready()
        clock, began, sent = LslClock(), LslClock().now(), 0
        while not bench.row["mistimed"] and MarkKind.REFUSED not in kinds() and clock.now() < began + 20:
            due = int((clock.now() - began) * rate)
            counts = np.arange(sent, due)
            if len(counts):
                stamps = (began + counts / rate + since) * scale
                # Not by a push of ours, which refuses a stamp that is no number.
                outlet._outlet.push_chunk(np.stack([counts, -counts], axis=1).astype("f4"), stamps.tolist())
                sent = due
            time.sleep(0.01)

    with LslOutlet(SIGNAL, bench.source_id) as outlet:
        if strict:
            with pytest.raises(StreamTimeError, match=words):
                bench.run(script)
        else:
            bench.run(script)
    assert words in bench.told["report"]["time_fault"]
    found = kinds()
    assert (MarkKind.REFUSED in found) == strict
    if not strict:
        assert bench.row["mistimed"] == 1
        assert bench.stream.samples.count > 0
        # What has no stamp is stamped on arrival: a file holds numbers alone.
        assert np.isfinite(bench.stream.samples.read(0, 10)["raw"]).all()
        assert (MarkKind.UNSTAMPED in found) == math.isnan(scale)
        assert ("samples whose stamp is no number: stamped on arrival" in caplog.text) == math.isnan(scale)


def test_what_has_arrived_when_the_order_to_stop_comes_is_still_written(make: Callable[..., Bench]) -> None:
    bench = make()

    def script() -> None:
        bench.until_ready()
        bench.push(outlet, range(1234))
        bench.until(lambda: bench.row["samples"] > 0)

    with LslOutlet(SIGNAL, bench.source_id, exact_stamps=True) as outlet:
        bench.run(script)
    assert bench.told["report"]["samples"] == bench.stream.samples.count
    assert bench.told["report"]["samples"] == bench.row["samples"]


def test_the_heart_beats_while_the_source_is_silent(make: Callable[..., Bench]) -> None:
    bench = make()

    def script() -> None:
        bench.until_ready()
        for _ in range(3):
            beat = float(bench.row["beat"])
            bench.until(lambda beat=beat: float(bench.row["beat"]) > beat)

    with LslOutlet(SIGNAL, bench.source_id, exact_stamps=True):
        bench.run(script)
    assert bench.row["samples"] == 0


def test_a_stop_while_the_source_is_still_looked_for_is_obeyed(make: Callable[..., Bench]) -> None:
    bench = make(timeout=600.0)

    def script() -> None:
        bench.until(lambda: not math.isnan(bench.row["beat"]))

    bench.run(script)
    assert not bench.told.keys() & {"ready", "report"}
    assert bench.stream.samples.finished


def test_markers_are_taken_along(make: Callable[..., Bench]) -> None:
    marker_id = f"markers-{uuid.uuid4().hex[:8]}"
    bench = make(markers=[marker_id])

    def script() -> None:
        bench.until_ready()
        for i in range(3):
            markers.push(Event(START + i, f"T{i}"))
        bench.until(lambda: bench.markers.count == 3)

    with (
        LslOutlet(SIGNAL, bench.source_id, exact_stamps=True),
        MarkerOutlet("events", marker_id) as markers,
    ):
        bench.run(script)
    assert bench.markers.read(0, 3)["event"]["text"].tolist() == [b"T0", b"T1", b"T2"]
    assert (bench.told["report"]["markers"], bench.told["report"]["markers_cut"]) == (3, 0)


def test_markers_whose_time_is_not_known_well_enough_are_marked_and_counted(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bci.io.lsl.markers.measured_offset", lambda inlet: ClockOffset(-2.0, 0.02))
    marker_id = f"markers-{uuid.uuid4().hex[:8]}"
    bench = make(markers=[marker_id], marker_uncertainty_limit=0.005)

    def script() -> None:
        bench.until_ready()
        markers.push(Event(START, "far away"))
        bench.until(lambda: bench.row["uncertain"] == 1)

    with (
        LslOutlet(SIGNAL, bench.source_id, exact_stamps=True),
        MarkerOutlet("events", marker_id) as markers,
    ):
        bench.run(script)
    event = event_of(bench.markers.read(0, 1)["event"][0])
    assert event is not None
    assert (event.time, event.uncertainty) == (START - 2.0, 0.02)
    marks, _ = read_marks(bench.stream.marks, 0)
    kinds = (MarkKind.MARKER_OFFSET, MarkKind.UNCERTAIN)
    assert [(m["kind"], m["value"], m["detail"].decode()) for m in marks if m["kind"] in kinds] == [
        (MarkKind.MARKER_OFFSET, -2.0, f"±20.00 ms: {marker_id}"),
        (MarkKind.UNCERTAIN, 0.02, "±20.00 ms: far away"),
    ]
    assert bench.told["report"]["markers_uncertain"] == 1
    assert "the time of a marker is not known well enough: ±20.00 ms: far away" in caplog.text


def test_of_markers_alone_the_marks_go_into_a_ring_of_their_own(
    tmp_path: Path, segment_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bci.io.lsl.markers.measured_offset", lambda inlet: ClockOffset(-2.0, 0.02))
    marker_id = f"markers-{uuid.uuid4().hex[:8]}"
    with ExitStack() as opened:
        marks = opened.enter_context(create_marks(segment_name + "u", readers=1))
        bench = Bench(tmp_path, segment_name, opened, markers=[marker_id], marker_uncertainty_limit=0.005)
        rings = {"markers": bench.markers.handle, "marks": marks.handle}
        launch = Launch("acquire", "bci.live.acquire", bench.spec, str(tmp_path), "", rings=rings)
        bench.program = Program(launch, bench.far_end, bench.board, LslClock())
        opened.callback(bench.program.close)

        def script() -> None:
            bench.until_ready()
            markers.push(Event(START, "far away"))
            bench.until(lambda: bench.row["uncertain"] == 1)

        with MarkerOutlet("events", marker_id) as markers:
            bench.run(script)
        written, _ = read_marks(marks, 0)
        found = [(m["kind"], m["time"], m["value"]) for m in written]
    assert (MarkKind.UNCERTAIN, START - 2.0, 0.02) in found


def test_a_source_that_is_not_there_is_an_error(make: Callable[..., Bench]) -> None:
    bench = make(timeout=0.2)
    with pytest.raises(StreamNotFound, match=bench.source_id):
        acquire.main(bench.program)
    assert not bench.stream.samples.finished


def test_a_source_that_comes_back_reshaped_ends_the_program_and_the_ring_stays_open(
    make: Callable[..., Bench],
) -> None:
    bench = make()
    outlet = LslOutlet(SIGNAL, bench.source_id, exact_stamps=True)
    other = Signal("planted", 1000.0, (3,), ("a", "b", "c"), "uV")
    opened = ExitStack()

    def script() -> None:
        bench.until_ready()
        bench.push(outlet, range(10))
        bench.until(lambda: bench.row["samples"] == 10)
        outlet.close()
        opened.enter_context(LslOutlet(other, bench.source_id, exact_stamps=True))
        bench.until(lambda: bool(bench.pipe.poll()) and bench.stream.marks.count >= 3)

    with opened, pytest.raises(StreamMismatch, match=r"shape \(2,\) were expected, \(3,\) came"):
        bench.run(script)
    records, _ = read_marks(bench.stream.marks, 0)
    assert [MarkKind(int(k)) for k in records["kind"]] == [
        MarkKind.CLOCK_OFFSET,
        MarkKind.LOST,
        MarkKind.REFUSED,
    ]
    assert bench.told["report"]["samples"] == 10
    assert not bench.stream.samples.finished
