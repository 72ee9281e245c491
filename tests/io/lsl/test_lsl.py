"""An LslSource writes every sample once and marks what is not right, over a real network on this machine."""

import doctest
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import bci.io.lsl.inlet
from bci.errors import DuplicateStream, StreamMismatch, StreamNotFound, StreamTimeError
from bci.io.lsl.markers import MarkerOutlet
from bci.io.lsl.source import LslOutlet, LslSource, describe, visible
from bci.memory.marks import read_marks
from bci.memory.stream import Grid, Stream
from bci.signal.clock import ManualClock
from bci.signal.types import MarkKind, Signal, Window

pytestmark = pytest.mark.system

SIGNAL = Signal("planted", 1000.0, (3,), ("a", "b", "c"), "uV")
START = 5000.0


@pytest.fixture
def source_id() -> str:
    return f"source-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def outlet(source_id: str) -> Iterator[LslOutlet]:
    with LslOutlet(SIGNAL, source_id, exact_stamps=True) as outlet:
        yield outlet


@pytest.fixture
def stream(segment_name: str) -> Iterator[Stream]:
    with Stream.create(segment_name, SIGNAL, seconds=4.0) as stream:
        yield stream


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


def planted(counts: NDArray[np.int64], dtype: str = "float32") -> NDArray[np.generic]:
    """Return samples that carry their own count in the first channel."""
    return np.stack([counts, -counts, counts % 7], axis=1).astype(dtype)


def push(outlet: LslOutlet, counts: NDArray[np.int64], times: NDArray[np.float64] | None = None) -> None:
    outlet.push(planted(counts), START + counts / SIGNAL.rate if times is None else times)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition in another thread's hands; a minute is more than any of them needs."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.001)


def pull_until(source: LslSource, stream: Stream, enough: Callable[[], bool]) -> None:
    """Pull until a condition holds, for at most a minute."""
    deadline = time.monotonic() + 60
    while not enough():
        source.pull_into(stream)
        assert time.monotonic() < deadline, "waited in vain"


def receive(source: LslSource, stream: Stream, count: int) -> dict[str, NDArray[np.generic]]:
    """Pull until the ring holds `count` samples; return them all."""
    pull_until(source, stream, lambda: stream.samples.count >= count)
    assert stream.samples.count == count
    return stream.samples.read(0, count)


def marks(stream: Stream, *leave_out: MarkKind) -> list[tuple[MarkKind, int, int]]:
    records, _ = read_marks(stream.marks, 0)
    found = [(MarkKind(int(m["kind"])), int(m["first"]), int(m["count"])) for m in records]
    return [mark for mark in found if mark[0] not in (MarkKind.CLOCK_OFFSET, *leave_out)]


def test_the_examples_in_the_documentation_hold() -> None:
    result = doctest.testmod(bci.io.lsl.inlet)
    assert result.attempted > 0
    assert result.failed == 0


# -- finding -------------------------------------------------------------------------------------------------


def test_a_stream_is_described_as_its_outlet_described_it(outlet: LslOutlet, source_id: str) -> None:
    info = describe(source_id)
    assert info.signal == SIGNAL
    assert (info.source_id, info.kind, info.exact_stamps) == (source_id, "EEG", True)
    assert info.uid
    assert info.host


def test_all_streams_are_visible_with_their_description(outlet: LslOutlet, source_id: str) -> None:
    found = {info.source_id: info for info in visible(0.5)}
    assert found[source_id].signal == SIGNAL


def test_a_stream_that_is_not_there_is_an_error_that_lists_what_is(
    outlet: LslOutlet, source_id: str, clock: ManualClock
) -> None:
    def turn() -> None:
        clock.advance(0.1)

    for look in (
        lambda: describe("nowhere", 0.2),
        lambda: LslSource("nowhere", clock=clock, timeout=0.2, between=turn),
    ):
        with pytest.raises(StreamNotFound, match=rf"'nowhere' within 0.2 s; visible: .*'{source_id}'"):
            look()


def test_an_hour_of_looking_is_over_when_the_clock_says_so(clock: ManualClock) -> None:
    """No test has to wait for a limit: what is between the looks turns the clock."""

    class Hurried(ManualClock):
        def now(self) -> float:
            self.advance(1000.0)  # at the next look a quarter of an hour has passed
            return super().now()

    def turn() -> None:
        clock.advance(1800.0)

    for look in (
        lambda: describe("nowhere", 3600.0, Hurried(100.0)),
        lambda: LslSource("nowhere", clock=clock, timeout=3600.0, between=turn),
    ):
        with pytest.raises(StreamNotFound, match="'nowhere' within 3600 s"):
            look()
    assert clock.now() == 100.0 + 3600.0


def test_waiting_for_samples_ends_when_the_clock_says_so(outlet: LslOutlet, source_id: str) -> None:
    class Hurried(ManualClock):
        def now(self) -> float:
            self.advance(0.01)
            return super().now()

    with LslSource(source_id, clock=Hurried(100.0), timeout=3600.0) as source:
        before = source._clock.now()
        assert source.pull(5.0) is None
        assert 5.0 < source._clock.now() - before < 5.2


def test_two_streams_with_one_source_id_are_refused_and_both_named(
    outlet: LslOutlet, source_id: str, clock: ManualClock
) -> None:
    uid = describe(source_id).uid
    with LslOutlet(SIGNAL, source_id):
        for look in (lambda: describe(source_id), lambda: LslSource(source_id, clock=clock)):
            with pytest.raises(DuplicateStream, match="2 streams have the source id") as error:
                look()
            assert uid in str(error.value)
            assert str(error.value).count("host") == 2


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        (Signal("events", 0.0, (1,), (), "", "float32"), "no fixed rate"),
        (Signal("texts", 0.0, (1,), (), "", "str"), "carries text"),
    ],
)
def test_a_stream_of_events_is_refused_as_a_source_of_samples(
    signal: Signal, says: str, source_id: str, clock: ManualClock
) -> None:
    make = MarkerOutlet if signal.dtype == "str" else lambda name, sid: LslOutlet(signal, sid)
    with make(signal.name, source_id), pytest.raises(StreamMismatch, match=says):
        LslSource(source_id, clock=clock)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rate": 500.0}, "500 Hz were expected, 1000 Hz came"),
        ({"shape": (2,), "channels": ("a", "b")}, r"shape \(2,\) were expected, \(3,\) came"),
        ({"channels": ("a", "c", "b")}, "channel 1 was expected to be 'c', 'b' came"),
        ({"unit": "mV"}, "unit 'mV' was expected, 'uV' came"),
        ({"dtype": "int16"}, "int16 values were expected, float32 came"),
    ],
)
def test_a_stream_that_is_not_what_was_expected_is_refused(
    change: dict[str, object], says: str, outlet: LslOutlet, source_id: str, clock: ManualClock
) -> None:
    with pytest.raises(StreamMismatch, match=says):
        LslSource(source_id, clock=clock, expect=replace(SIGNAL, **change))


def test_whoever_waits_for_a_source_may_give_up(clock: ManualClock) -> None:
    class GaveUp(Exception):
        pass

    calls = []

    def between() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise GaveUp

    with pytest.raises(GaveUp):
        LslSource("nowhere", clock=clock, timeout=60, between=between)


# -- receiving -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int16", "int32"])
def test_every_sample_arrives_once_in_its_own_type(
    dtype: str, source_id: str, segment_name: str, clock: ManualClock
) -> None:
    signal = Signal("planted", 1000.0, (3,), ("a", "b", "c"), "uV", dtype)
    counts = np.arange(100)
    with (
        LslOutlet(signal, source_id, exact_stamps=True) as outlet,
        LslSource(source_id, clock=clock) as source,
        Stream.create(segment_name, signal, seconds=2.0) as stream,
    ):
        outlet.push(planted(counts[:1], dtype), START + counts[:1] / 1000)
        outlet.push(planted(counts[1:], dtype), START + counts[1:] / 1000)
        got = receive(source, stream, 100)
        assert got["samples"].dtype == dtype
        assert np.array_equal(got["samples"], planted(counts, dtype))
        assert np.array_equal(got["raw"], START + counts / 1000)
        assert np.array_equal(got["times"], got["raw"])
        # Where samples come one by one, the source sleeps until more are due, and so turns the clock.
        assert got["arrived"][0] == 100.0
        assert (np.diff(got["arrived"]) >= 0).all()
        assert (source.received, source.lost, source.newest) == (100, 0, got["arrived"][-1])
        assert source.newest <= clock.now()
        assert marks(stream) == []


def test_volumes_keep_their_shape(source_id: str, segment_name: str, clock: ManualClock) -> None:
    signal = Signal("bold", 50.0, (4, 3, 2), (), "", "int16")
    volumes = np.arange(5 * 24, dtype="i2").reshape(5, 4, 3, 2)
    with (
        LslOutlet(signal, source_id, exact_stamps=True) as outlet,
        LslSource(source_id, clock=clock) as source,
        Stream.create(segment_name, signal) as stream,
    ):
        outlet.push(volumes, START + np.arange(5) / 50)
        assert np.array_equal(receive(source, stream, 5)["samples"], volumes)


def test_more_than_the_ring_takes_at_once_arrives_in_pieces(
    outlet: LslOutlet, source_id: str, stream: Stream, clock: ManualClock
) -> None:
    with LslSource(source_id, clock=clock) as source:
        push(outlet, np.arange(3000))
        pull_until(source, stream, lambda: stream.samples.count >= 3000)
    assert stream.samples.max_window == 1000
    got = np.concatenate([stream.samples.read(at, at + 1000)["samples"][:, 0] for at in (0, 1000, 2000)])
    assert got.tolist() == list(range(3000))


def test_a_gap_inside_a_chunk_is_marked_at_its_sample_before_the_samples_are_there(
    outlet: LslOutlet, source_id: str, stream: Stream, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    counts = np.concatenate([np.arange(37), np.arange(42, 80)])
    ring, known = stream.samples, []
    commit = ring.commit

    def watched_commit(n: int) -> int:
        if ring.count <= 37 < ring.count + n:
            known.extend(marks(stream))
        return commit(n)

    ring.commit = watched_commit
    with LslSource(source_id, clock=clock) as source:
        push(outlet, counts)
        receive(source, stream, len(counts))
        assert known == marks(stream) == [(MarkKind.GAP, 37, 5)]
        assert (source.received, source.lost, source.marked[MarkKind.GAP]) == (75, 5, 1)
        records, _ = read_marks(stream.marks, 0)
        (gap,) = records[records["kind"] == MarkKind.GAP]
        assert gap["value"] == pytest.approx(5e-3)
        assert gap["time"] == START + 42 / 1000
        assert f"stream {source_id}, before sample 37: 5 samples missing (0.005 s)" in caplog.text


def stamped_by(
    source: LslSource,
    outlet: LslOutlet,
    stream: Stream,
    clock: ManualClock,
    lost: slice,
    unit: float,
    pace: float,
) -> float:
    """Send 4 s in chunks of 50 while the clock is turned as time passes; return when the last one was received."""
    began = clock.now()
    numbers = np.delete(np.arange(4000), lost)
    for at in range(0, len(numbers), 50):
        chunk = numbers[at : at + 50]
        clock.advance(began + chunk[-1] / SIGNAL.rate / pace - clock.now())
        push(outlet, chunk, (began + chunk / SIGNAL.rate / pace) * unit)
        got = 0  # what has come is written, or held
        while got < len(chunk):
            before = stream.samples.count + source._held.n
            source.pull_into(stream, 0.05)
            got += stream.samples.count + source._held.n - before
    return clock.now() - began


def test_of_a_stream_in_milliseconds_what_was_lost_is_counted_and_nothing_else(
    source_id: str, stream: Stream, clock: ManualClock
) -> None:
    with LslOutlet(SIGNAL, source_id) as outlet, LslSource(source_id, clock=clock) as source:
        stamped_by(source, outlet, stream, clock, slice(2500, 2512), 1e3, 1.0)
        assert source.mistimed
        assert "milliseconds" in source.stamping.fault
        assert (source.lost, marks(stream)) == (12, [(MarkKind.GAP, 2500, 12)])
        # A file holds the stamps as they were sent.
        assert stream.samples.view(3000, 3001)["raw"][0] == pytest.approx((100.0 + 3.012) * 1e3)


def test_a_stream_of_another_rate_is_refused_within_three_seconds_of_its_first_sample(
    source_id: str, stream: Stream, clock: ManualClock
) -> None:
    with (
        LslOutlet(SIGNAL, source_id) as outlet,
        LslSource(source_id, clock=clock, strict=True) as source,
        pytest.raises(StreamTimeError, match=r"1000 samples a second were expected, 800"),
    ):
        stamped_by(source, outlet, stream, clock, slice(0), 1.0, 0.8)
    assert clock.now() - 100.0 <= 3.0
    assert marks(stream)[-1][0] is MarkKind.REFUSED


def test_the_time_of_day_may_be_set_back_while_a_stream_is_received(
    source_id: str, stream: Stream, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()
    now = time.time
    # By an hour between any two looks at it.
    monkeypatch.setattr(time, "time", lambda: now() - 3600 * next(looks))
    with LslOutlet(SIGNAL, source_id) as outlet, LslSource(source_id, clock=clock, strict=True) as source:
        began = clock.now()
        stamped_by(source, outlet, stream, clock, slice(2500, 2512), 1.0, 1.0)
        assert next(looks) > 1
        assert (source.lost, marks(stream)) == (12, [(MarkKind.GAP, 2500, 12)])
        assert stream.samples.view(3000, 3001)["times"][0] == pytest.approx(began + 3.012, abs=2e-3)


def test_a_stamp_that_is_no_number_behind_the_first_seconds_is_given_on_arrival(
    source_id: str, stream: Stream, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        LslOutlet(SIGNAL, source_id) as outlet,
        LslSource(source_id, clock=clock, strict=True) as source,
    ):
        stamped_by(source, outlet, stream, clock, slice(0), 1.0, 1.0)
        # Not by a push of ours, which refuses a stamp that is no number.
        outlet._outlet.push_chunk(planted(np.arange(4000, 4002)), [clock.now(), np.nan])
        pull_until(source, stream, lambda: source.marked[MarkKind.UNSTAMPED] > 0)
        assert (MarkKind.UNSTAMPED, 4001, 1) in marks(stream)
        assert not source.mistimed
    assert "1 samples whose stamp is no number: stamped on arrival" in caplog.text


def test_duplicates_and_clock_resets_are_marked_and_every_sample_is_kept(
    outlet: LslOutlet, source_id: str, stream: Stream, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    times = START + np.arange(40) / 1000
    times[11:13] = times[10]
    times[25:] -= 1000.0
    with LslSource(source_id, clock=clock) as source:
        push(outlet, np.arange(40), times)
        got = receive(source, stream, 40)
        assert got["samples"][:, 0].tolist() == list(range(40))
        found = marks(stream)
        assert (MarkKind.CLOCK_RESET, 25, 0) in found
        assert sum(count for kind, _, count in found if kind is MarkKind.DUPLICATE) == 2
        assert source.duplicates == 2
    assert "2 samples with the stamp of the one before" in caplog.text
    assert "the sender's clock was set by -999.999 s" in caplog.text


def test_a_lost_packet_out_of_plain_stamps_is_marked_at_its_sample_before_the_samples_are_there(
    source_id: str, stream: Stream, clock: ManualClock
) -> None:
    """The samples behind it are held until it is sure that they are not only late; they lose nothing by that."""
    counts = np.delete(np.arange(2000), slice(1500, 1512))
    known: list[tuple[MarkKind, int, int]] = []
    ring, commit = stream.samples, stream.samples.commit

    def watched_commit(n: int) -> int:
        if ring.count <= 1500 < ring.count + n:
            known.extend(marks(stream))
        return commit(n)

    ring.commit = watched_commit
    with LslOutlet(SIGNAL, source_id) as outlet, LslSource(source_id, clock=clock) as source:
        push(outlet, counts[:1501])
        pull_until(source, stream, lambda: source.newest > 0 and stream.samples.count == 1500)
        assert marks(stream) == []
        push(outlet, counts[1501:])
        pull_until(source, stream, lambda: stream.samples.count == len(counts))
        assert known == marks(stream) == [(MarkKind.GAP, 1500, 12)]
        assert (source.received, source.lost) == (len(counts), 12)
    got = [ring.view(at, at + 200) for at in (1200, 1388)]
    for first, part in zip((1200, 1388), got, strict=True):
        assert part["samples"][:, 0].tolist() == counts[first : first + 200].tolist()
        assert part["times"] == pytest.approx(START + counts[first : first + 200] / 1000, abs=1e-6)


def test_what_is_held_when_nothing_more_comes_is_written(
    source_id: str, stream: Stream, clock: ManualClock
) -> None:
    with LslOutlet(SIGNAL, source_id) as outlet, LslSource(source_id, clock=clock) as source:
        push(outlet, np.arange(1500))
        pull_until(source, stream, lambda: stream.samples.count == 1500)
        push(outlet, np.array([1520]))
        pull_until(source, stream, lambda: bool(source._held.n))
        assert stream.samples.count == 1500
        assert source.pull_into(stream, 0.0) == 0
        clock.advance(0.3)
        assert source.pull_into(stream, 0.0) == 1
        assert marks(stream) == [(MarkKind.GAP, 1500, 20)]
        push(outlet, np.array([1530]))
        pull_until(source, stream, lambda: bool(source._held.n))
        assert source.pull_into(stream, 0.0, last=True) == 1
        assert source.lost == 29


def test_a_clock_set_forward_by_an_hour_is_no_loss_of_an_hour(
    source_id: str, stream: Stream, clock: ManualClock
) -> None:
    for exact in (True, False):
        with LslOutlet(SIGNAL, source_id, exact_stamps=exact) as outlet:
            source = LslSource(source_id, clock=clock)
            before = stream.samples.count
            push(outlet, np.arange(1500))
            pull_until(source, stream, lambda before=before: stream.samples.count == before + 1500)
            push(outlet, np.arange(1500, 1600), START + 3600 + np.arange(1500, 1600) / 1000)
            pull_until(source, stream, lambda before=before: stream.samples.count == before + 1600)
            found = [mark for mark in marks(stream) if mark[1] > before]
            assert found == [(MarkKind.CLOCK_RESET, before + 1500, 0)]
            assert source.marked[MarkKind.GAP] == 0
            source.close()


def test_the_first_mark_is_the_clock_offset_in_force(
    outlet: LslOutlet, source_id: str, stream: Stream, clock: ManualClock
) -> None:
    with LslSource(source_id, clock=clock) as source:
        push(outlet, np.arange(5))
        receive(source, stream, 5)
    records, _ = read_marks(stream.marks, 0)
    assert (records[0]["kind"], records[0]["first"], records[0]["value"]) == (MarkKind.CLOCK_OFFSET, 0, 0.0)


def test_silence_is_marked_and_its_end_too(
    outlet: LslOutlet, source_id: str, stream: Stream, clock: ManualClock
) -> None:
    with LslSource(source_id, clock=clock, data_age_limit=0.5) as source:
        push(outlet, np.arange(10))
        receive(source, stream, 10)
        clock.advance(0.4)
        assert source.pull_into(stream, 0.0) == 0
        assert marks(stream) == []
        clock.advance(0.3)
        for _ in range(3):
            assert source.pull_into(stream, 0.0) == 0
        assert marks(stream) == [(MarkKind.STALLED, 10, 0)]
        push(outlet, np.arange(10, 20))
        receive(source, stream, 20)
        assert marks(stream) == [(MarkKind.STALLED, 10, 0), (MarkKind.RESUMED, 10, 0)]
        assert source.lost == 0


def test_samples_are_handed_over_at_the_count_a_reader_waits_for(
    outlet: LslOutlet, source_id: str, stream: Stream, clock: ManualClock
) -> None:
    """Seven samples come, the quantum is ten: without the reader's word the pull would block for three more."""
    woken: list[bool] = []
    reader = threading.Thread(target=lambda: woken.append(stream.samples.wait(7, timeout=20)))
    with LslSource(source_id, clock=clock) as source:
        reader.start()
        until(lambda: stream.samples.next_target() == 7)
        push(outlet, np.arange(7))
        assert source.pull_into(stream, timeout=40) == 7
        reader.join()
    assert woken == [True]


def test_samples_are_handed_over_at_the_grid_of_a_reader_that_is_still_busy(
    outlet: LslOutlet, source_id: str, stream: Stream, clock: ManualClock
) -> None:
    """Without the grid the pull would block until ten samples are there, and return them all."""

    def send_the_rest() -> None:
        deadline = time.monotonic() + 20
        while stream.samples.count < 4 and time.monotonic() < deadline:
            time.sleep(0.001)
        push(outlet, np.arange(4, 10))

    rest = threading.Thread(target=send_the_rest)
    with LslSource(source_id, clock=clock, grid=Grid(4, 3)) as source:
        push(outlet, np.arange(4))
        rest.start()
        assert source.pull_into(stream, timeout=40) == 4
        rest.join()


def test_what_arrived_before_the_source_died_is_kept(
    source_id: str, stream: Stream, clock: ManualClock
) -> None:
    outlet = LslOutlet(SIGNAL, source_id, exact_stamps=True)
    with LslSource(source_id, clock=clock) as source:

        def die() -> None:
            push(outlet, np.arange(7))
            # The pull under way has taken all seven from liblsl, waits for three more, and has returned none.
            until(lambda: not np.isnan(stream.samples.array("raw")[6]))
            outlet.close()

        stream.samples.array("raw")[:] = np.nan
        death = threading.Thread(target=die)
        death.start()
        n = source.pull_into(stream, timeout=40)
        death.join()
        assert n == 7
        assert stream.samples.read(0, 7)["samples"][:, 0].tolist() == list(range(7))
        assert marks(stream) == [(MarkKind.LOST, 7, 0)]


def test_a_source_that_comes_back_continues_behind_a_mark(
    source_id: str, stream: Stream, clock: ManualClock
) -> None:
    with LslOutlet(SIGNAL, source_id, exact_stamps=True) as outlet:
        source = LslSource(source_id, clock=clock)
        push(outlet, np.arange(20))
        receive(source, stream, 20)
    with source:
        pull_until(source, stream, lambda: bool(source.marked[MarkKind.LOST]))
        with LslOutlet(SIGNAL, source_id, exact_stamps=True) as outlet:
            pull_until(source, stream, lambda: outlet.has_consumers)
            push(outlet, np.arange(50, 60))
            got = receive(source, stream, 30)
    assert got["samples"][:, 0].tolist() == [*range(20), *range(50, 60)]
    assert marks(stream) == [(MarkKind.LOST, 20, 0), (MarkKind.RECONNECT, 20, 30)]
    assert source.lost == 30


def test_a_ring_that_holds_samples_already_is_continued_behind_a_mark(
    outlet: LslOutlet, source_id: str, stream: Stream, clock: ManualClock
) -> None:
    """As after a restart of the acquire program."""
    with LslSource(source_id, clock=clock) as source:
        push(outlet, np.arange(20))
        receive(source, stream, 20)
    with LslSource(source_id, clock=clock) as source:
        push(outlet, np.arange(25, 30))
        receive(source, stream, 25)
    assert marks(stream) == [(MarkKind.RECONNECT, 20, 5)]


def test_a_ring_made_for_another_signal_is_refused(
    outlet: LslOutlet, source_id: str, segment_name: str, clock: ManualClock
) -> None:
    other = Signal("other", 1000.0, (4,), (), "uV")
    with LslSource(source_id, clock=clock) as source, Stream.create(segment_name, other) as stream:
        with pytest.raises(StreamMismatch, match="made for another signal"):
            source.pull_into(stream)


def test_pulled_windows_follow_each_other_and_none_spans_a_gap(
    outlet: LslOutlet, source_id: str, clock: ManualClock
) -> None:
    counts = np.concatenate([np.arange(33), np.arange(40, 90)])
    windows: list[Window] = []
    with LslSource(source_id, clock=clock) as source:
        assert source.pull(0.0) is None
        push(outlet, counts)
        while sum(len(w.samples) for w in windows) < len(counts):
            window = source.pull(30.0)
            assert window is not None
            windows.append(window)
    assert np.concatenate([w.samples[:, 0] for w in windows]).tolist() == counts.tolist()
    assert np.array_equal(np.concatenate([w.times for w in windows]), START + counts / 1000)
    assert [w.first for w in windows] == np.cumsum([0, *(len(w.samples) for w in windows[:-1])]).tolist()
    assert {w.first: w.reset for w in windows if w.reset} == {0: "start", 33: "gap"}


# -- sending -------------------------------------------------------------------------------------------------


def test_an_outlet_refuses_what_lsl_would_misread(outlet: LslOutlet) -> None:
    with pytest.raises(ValueError, match="above 0"):
        outlet.push(planted(np.arange(2)), [1.0, 0.0])
    with pytest.raises(ValueError, match="above 0"):
        outlet.push(planted(np.arange(1)), [np.nan])
    with pytest.raises(ValueError, match="go with samples of shape"):
        outlet.push(planted(np.arange(2)), [1.0])


def test_an_outlet_knows_whether_anybody_listens(
    outlet: LslOutlet, source_id: str, clock: ManualClock
) -> None:
    assert not outlet.has_consumers
    assert not outlet.wait_for_consumers(0.0)
    with LslSource(source_id, clock=clock):
        assert outlet.wait_for_consumers(30.0)
        assert outlet.has_consumers


@pytest.mark.parametrize(
    ("signal", "speed", "buffered"),
    [
        (SIGNAL, 1.0, 30_000),
        (SIGNAL, 10.0, 300_000),
        (Signal("fast", 30000.0, (256,)), 1.0, 480_000),  # half a gigabyte at most
        (Signal("slow", 0.5, (64, 64, 36), (), "", "int16"), 1.0, 15),
        (Signal("irregular", 0.0, (5,)), 1.0, 100),
    ],
)
def test_an_outlet_keeps_half_a_minute_within_bounds(
    signal: Signal, speed: float, buffered: int, source_id: str
) -> None:
    with LslOutlet(signal, source_id, speed=speed) as outlet:
        assert outlet.buffered == buffered
