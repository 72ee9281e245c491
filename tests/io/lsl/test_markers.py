"""Markers arrive in order, at their time, and none is lost or cut without a count."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pylsl
import pytest

from bci.errors import DuplicateStream, StreamMismatch, StreamNotFound
from bci.io.files.xdf.wire import stream_header
from bci.io.lsl.address import Address
from bci.io.lsl.clock_offset import ClockOffset, measured_offset
from bci.io.lsl.discovery import describe
from bci.io.lsl.markers import MarkerOutlet, MarkerSource
from bci.io.lsl.metadata import parse_info
from bci.io.lsl.source import LslOutlet, LslSource
from bci.io.lsl.stated import Stated
from bci.memory.events import LONGEST_TEXT, create_events
from bci.memory.ring import Ring
from bci.signal.clock import ManualClock
from bci.signal.types import Event, MarkKind, Signal

pytestmark = pytest.mark.system


@pytest.fixture
def source_id() -> str:
    return f"markers-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


@pytest.fixture
def ring(segment_name: str) -> Iterator[Ring]:
    with create_events(segment_name, readers=1) as ring:
        yield ring


def sent(*texts: str) -> list[Event]:
    """Return markers at 1001, 1002 … seconds."""
    return [
        Event(1001.0 + i, text, int(text) if text.lstrip("-").isdecimal() else 0, 1001.0 + i)
        for i, text in enumerate(texts)
    ]


def receive(source: MarkerSource, n: int) -> list[Event]:
    """Pull until `n` markers are there; a minute is more than enough."""
    deadline, got = time.monotonic() + 60, []
    while len(got) < n:
        got += source.pull(0.05)
        assert time.monotonic() < deadline, "waited in vain"
    return got


@pytest.mark.parametrize(
    ("kind", "texts"), [("string", ["T1", "déjà vu", "", "42"]), ("int32", ["7", "-3", "2147483647"])]
)
def test_markers_arrive_as_they_were_sent(
    kind: str, texts: list[str], source_id: str, clock: ManualClock
) -> None:
    with MarkerOutlet("events", source_id, kind) as outlet, MarkerSource(source_id, clock) as source:
        for marker in sent(*texts):
            outlet.push(marker)
        assert receive(source, len(texts)) == sent(*texts)
        assert source.received == len(texts)


def test_markers_are_written_into_the_ring(source_id: str, clock: ManualClock, ring: Ring) -> None:
    with MarkerOutlet("events", source_id) as outlet, MarkerSource(source_id, clock) as source:
        for marker in sent("T1", "12"):
            outlet.push(marker)
        deadline = time.monotonic() + 60
        while ring.count < 2:
            source.pull_into(ring)
            assert time.monotonic() < deadline, "waited in vain"
        records = ring.read(0, 2)["event"]
    assert records["text"].tolist() == [b"T1", b"12"]
    assert records["code"].tolist() == [0, 12]
    assert records["length"].tolist() == [2, 2]
    assert records["time"].tolist() == records["raw"].tolist() == [1001.0, 1002.0]
    assert source.cut == 0


def test_a_text_longer_than_its_record_is_cut_between_characters_and_counted(
    source_id: str, clock: ManualClock, ring: Ring, caplog: pytest.LogCaptureFixture
) -> None:
    text = "µ" * LONGEST_TEXT
    with MarkerOutlet("events", source_id) as outlet, MarkerSource(source_id, clock) as source:
        outlet.push(sent(text)[0])
        deadline = time.monotonic() + 60
        while not source.pull_into(ring):
            assert time.monotonic() < deadline, "waited in vain"
        (record,) = ring.read(0, 1)["event"]
    assert record["text"].decode() == "µ" * (LONGEST_TEXT // 2)
    assert record["length"] == 2 * LONGEST_TEXT
    assert source.cut == 1
    assert (
        f"marker stream {source_id}: a text of {2 * LONGEST_TEXT} bytes is cut to {LONGEST_TEXT}: µµ"
        in caplog.text
    )


def test_what_a_sender_pushed_just_before_it_went_away_is_not_lost(
    source_id: str, clock: ManualClock
) -> None:
    outlet = MarkerOutlet("events", source_id)
    with MarkerSource(source_id, clock) as source:
        for marker in sent(*map(str, range(50))):
            outlet.push(marker)
        deadline = time.monotonic() + 60
        while source._inlet.samples_available() < 50:  # arrived, not yet pulled
            assert time.monotonic() < deadline, "waited in vain"
        outlet.close()
        assert [marker.code for marker in receive(source, 50)] == list(range(50))


def test_bytes_that_are_no_text_are_kept_readable(source_id: str, clock: ManualClock) -> None:
    foreign = pylsl.StreamOutlet(pylsl.StreamInfo("events", "Markers", 2, 0.0, "string", source_id))
    with MarkerSource(source_id, clock) as source:
        foreign.push_sample([b"caf\xe9", b"a\0b"], 5.0)
        (marker,) = receive(source, 1)
    assert marker.text == "caf\\xe9\ta\0b"


def test_a_sender_that_comes_back_is_heard_again(source_id: str, clock: ManualClock) -> None:
    outlet = MarkerOutlet("events", source_id)
    with MarkerSource(source_id, clock) as source:
        outlet.push(sent("before")[0])
        assert [m.text for m in receive(source, 1)] == ["before"]
        outlet.close()
        with MarkerOutlet("events", source_id) as outlet:
            assert outlet.wait_for_consumers(30.0)
            outlet.push(sent("after")[0])
            assert [m.text for m in receive(source, 1)] == ["after"]


def test_a_sender_that_comes_back_with_another_format_is_refused(source_id: str, clock: ManualClock) -> None:
    def pull_for_a_minute(source: MarkerSource) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            source.pull(0.02)
            clock.advance(0.1)

    outlet = MarkerOutlet("events", source_id)
    with MarkerSource(source_id, clock) as source:
        outlet.close()
        with MarkerOutlet("events", source_id, "int32"):
            with pytest.raises(StreamMismatch, match="str values were expected, int32 came"):
                pull_for_a_minute(source)


def test_a_signal_is_refused_as_a_source_of_markers(source_id: str, clock: ManualClock) -> None:
    from bci.io.lsl.source import LslOutlet

    for signal in (Signal("eeg", 100.0, (2,), dtype="int16"), Signal("eeg", 250.0, (2,))):
        with (
            LslOutlet(signal, source_id),
            pytest.raises(StreamMismatch, match="markers are text, or numbers without a fixed rate"),
        ):
            MarkerSource(source_id, clock)


def test_markers_that_are_not_there_or_there_twice_are_refused(source_id: str, clock: ManualClock) -> None:
    with pytest.raises(StreamNotFound, match=source_id):
        MarkerSource(source_id, clock, timeout=3600.0, between=lambda: clock.advance(1800.0))
    with MarkerOutlet("a", source_id), MarkerOutlet("b", source_id), pytest.raises(DuplicateStream):
        MarkerSource(source_id, clock)


def test_a_marker_without_a_time_is_not_sent(source_id: str) -> None:
    with MarkerOutlet("events", source_id) as outlet:
        for wrong in (0.0, float("nan"), -1.0):
            with pytest.raises(ValueError, match="above 0"):
                outlet.push(Event(wrong, "T1"))


@pytest.mark.parametrize(
    ("dtype", "values", "texts"),
    [
        (
            "double64",
            [1000001.0, 1000002.0, 170000.5, 1e300],
            ["1000001", "1000002", "170000.5", "1e+300"],
        ),
        ("float32", [7.0, 0.1, 1234567.0], ["7", "0.1", "1234567"]),
        ("int64", [2**53 + 1, -4], [str(2**53 + 1), "-4"]),
    ],
)
def test_markers_that_are_numbers_keep_all_their_digits(
    dtype: str, values: list[float], texts: list[str], source_id: str, clock: ManualClock
) -> None:
    foreign = pylsl.StreamOutlet(pylsl.StreamInfo("events", "Markers", 1, 0.0, dtype, source_id))
    with MarkerSource(source_id, clock) as source:
        for i, value in enumerate(values):
            foreign.push_sample([value], 5.0 + i)
        markers = receive(source, len(values))
    assert [marker.text for marker in markers] == texts
    assert [marker.code for marker in markers] == [int(t) if t.lstrip("-").isdecimal() else 0 for t in texts]


def test_text_at_a_stated_rate_is_markers_all_the_same(source_id: str, clock: ManualClock) -> None:
    foreign = pylsl.StreamOutlet(pylsl.StreamInfo("events", "Markers", 1, 10_000.0, "string", source_id))
    with MarkerSource(source_id, clock) as source:
        foreign.push_sample(["T1"], 5.0)
        assert [(marker.text, marker.time) for marker in receive(source, 1)] == [("T1", 5.0)]


def test_one_source_id_of_two_streams_is_told_by_name_type_or_host(
    source_id: str, clock: ManualClock
) -> None:
    from bci.io.lsl.source import LslOutlet

    eeg = Signal("Crown", 100.0, (2,), ("a", "b"), "uV")
    with LslOutlet(eeg, source_id) as outlet, MarkerOutlet("Crown Markers", source_id) as marks:
        with pytest.raises(DuplicateStream, match="Say which by its name or type too"):
            MarkerSource(source_id, clock)
        with (
            LslSource(Address(source_id, kind="EEG"), clock=clock) as source,
            MarkerSource(Address(name="Crown Markers", kind="Markers"), clock) as markers,
        ):
            outlet.push(np.ones((3, 2), "f4"), [1000.0, 1000.01, 1000.02])
            marks.push(Event(1000.0, "T1"))
            assert [m.text for m in receive(markers, 1)] == ["T1"]
            window = source.pull(60.0)
            assert window is not None
            assert source.info.signal.name == "Crown"


def test_what_is_stated_takes_the_place_of_what_a_stream_leaves_out(
    source_id: str, clock: ManualClock
) -> None:
    bare = pylsl.StreamInfo("Amp", "EEG", 3, 100.0, "float32", source_id)
    bare.desc().append_child_value("cap", "medium")
    stated = Stated(channels=("O1", "A1", "O2"), unit="µV", rename={"A1": "Oz"})
    with outlet_of(bare) as _:
        said = describe(source_id, 60.0, stated=stated)
        with LslSource(source_id, clock=clock, stated=stated) as source:
            assert source.info == said
        with pytest.raises(StreamMismatch, match=r"has 3 channels, and \[stream\] channels states 2 labels"):
            describe(source_id, 60.0, stated=Stated(channels=("O1", "O2")))
    assert (said.signal.channels, said.signal.unit) == (("O1", "Oz", "O2"), "uV")
    # A recording's header carries both, so that the recording is decoded as the stream was.
    kept = parse_info(stream_header(said))
    assert (kept.signal.channels, kept.signal.unit) == (("O1", "Oz", "O2"), "uV")
    assert kept.extra == {"cap": "medium"}


def test_a_latency_that_is_stated_is_taken_off_every_stamp_and_kept_with_the_stream(
    source_id: str, clock: ManualClock
) -> None:
    signal = Signal("amp", 100.0, (1,), ("Oz",), "uV")
    with (
        LslOutlet(signal, source_id, exact_stamps=True) as outlet,
        LslSource(source_id, clock=clock, stated=Stated(latency_s=0.25), timeout=60.0) as source,
    ):
        outlet.push(np.zeros((3, 1), "f4"), 100.0 + np.arange(3) / 100)
        window = source.pull(60.0)
        assert source.info.extra["latency_s"] == "0.25"
    assert window is not None
    assert window.times == pytest.approx(99.75 + np.arange(len(window.times)) / 100)
    assert parse_info(stream_header(source.info)).extra["latency_s"] == "0.25"


def test_a_channel_without_a_label_is_one_label_less(source_id: str) -> None:
    info = pylsl.StreamInfo("Amp", "EEG", 3, 100.0, "float32", source_id)
    channels = info.desc().append_child("channels")
    for label in ("O1", "", "O2"):
        channel = channels.append_child("channel")
        if label:
            channel.append_child_value("label", label)
    with outlet_of(info):
        assert describe(source_id, 60.0).signal.channels == ("O1", "", "O2")
        named = describe(source_id, 60.0, stated=Stated(rename={"#2": "Oz", "O1": "P1"}))
        assert named.signal.channels == ("P1", "Oz", "O2")
        for wrong in ({"#4": "Oz"}, {"O3": "Oz"}):
            with pytest.raises(StreamMismatch, match="rename"):
                describe(source_id, 60.0, stated=Stated(rename=wrong))


@contextmanager
def outlet_of(info: pylsl.StreamInfo) -> Iterator[pylsl.StreamOutlet]:
    """Give an outlet that describes itself as it is told to."""
    outlet = pylsl.StreamOutlet(info)
    yield outlet
    del outlet


def test_a_sender_without_a_source_id_that_comes_back_is_heard_again(
    source_id: str, clock: ManualClock
) -> None:
    """liblsl itself finds no stream again that has no source id."""
    name = f"Keys {source_id}"
    outlet = MarkerOutlet(name, "")
    with MarkerSource(Address(name=name), clock) as source:
        outlet.push(sent("before")[0])
        assert [m.text for m in receive(source, 1)] == ["before"]
        outlet.close()
        with MarkerOutlet(name, "") as outlet:
            deadline, markers = time.monotonic() + 60, []
            while not markers:
                outlet.push(sent("after")[0])
                markers = source.pull(0.05)
                clock.advance(0.05)
                assert time.monotonic() < deadline, "waited in vain"
            assert {m.text for m in markers} == {"after"}


def test_the_clock_of_another_computer_and_how_well_it_is_known_stand_in_event_and_marks(
    source_id: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = [ClockOffset(2.0, 0.0004)]
    monkeypatch.setattr("bci.io.lsl.markers.measured_offset", lambda inlet: planted[-1])
    with (
        MarkerOutlet("events", source_id) as outlet,
        MarkerSource(source_id, clock, uncertainty_limit=0.005) as source,
    ):
        outlet.push(Event(10.0, "by cable"))
        (near,) = receive(source, 1)
        # The link becomes bad, and is compared again; the offset drifts by less than is worth a mark.
        planted.append(ClockOffset(2.00001, 0.02))
        outlet.push(Event(11.0, "by radio"))
        (far,) = receive(source, 1)
        planted.append(ClockOffset(2.003, 0.019))
        source.pull()
        notes = source.take_notes()
    assert (near.time, near.raw, near.uncertainty) == (12.0, 10.0, 0.0004)
    assert (far.time, far.uncertainty) == (13.00001, 0.02)
    assert [(note.kind, note.value) for note in notes] == [
        (MarkKind.MARKER_OFFSET, 2.0),
        (MarkKind.MARKER_OFFSET, 2.00001),
        (MarkKind.UNCERTAIN, 0.02),
        (MarkKind.MARKER_OFFSET, 2.003),
    ]
    assert notes[2].detail == "±20.00 ms: by radio"
    assert (source.uncertain, source.take_notes()) == (1, [])


def test_a_sender_on_this_computer_is_certain_and_liblsl_says_how_well_it_compared(
    source_id: str, clock: ManualClock
) -> None:
    with MarkerOutlet("events", source_id) as outlet, MarkerSource(source_id, clock) as source:
        measured = measured_offset(source._inlet, 5.0)
        outlet.push(Event(10.0, "here"))
        (marker,) = receive(source, 1)
    assert abs(measured.seconds) < 1e-3
    assert 0 < measured.uncertainty < 0.05
    assert marker.uncertainty == 0.0
