"""A stream that imitates ours is announced or refused, and one that claims the impossible costs nothing."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import psutil
import pylsl
import pytest

from bci.errors import StreamMismatch, StreamNotFound
from bci.io.files.xdf.wire import stream_header
from bci.io.lsl import discovery
from bci.io.lsl.metadata import read_info
from bci.io.lsl.source import LslOutlet, LslSource, describe, visible
from bci.memory.marks import read_marks
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.types import MarkKind, Signal

pytestmark = pytest.mark.system

SIGNAL = Signal("amp", 500.0, (2,), ("a", "b"), "uV")


@pytest.fixture
def source_id() -> str:
    return f"source-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def stream(segment_name: str) -> Iterator[Stream]:
    with Stream.create(segment_name, SIGNAL, seconds=4.0) as stream:
        yield stream


def pull_until(source: LslSource, stream: Stream, kind: MarkKind, outlet: LslOutlet | None = None) -> str:
    """Pull, while `outlet` sends, until a mark of this kind stands; return what it says."""
    deadline, sent = time.monotonic() + 60, 0
    while not source.marked[kind]:
        assert time.monotonic() < deadline, "waited in vain"
        if outlet is not None and outlet.has_consumers:
            sent += 1
            outlet.push(np.zeros((1, 2), np.float32), [5001.0 + sent / 500])
        source.pull_into(stream)
    (mark,) = [m for m in read_marks(stream.marks, 0)[0] if m["kind"] == kind]
    return bytes(mark["detail"]).rstrip(b"\0").decode()


@pytest.fixture
def bereft(source_id: str, stream: Stream) -> Iterator[LslSource]:
    """Give a source whose outlet was there and is gone."""
    with LslOutlet(SIGNAL, source_id, exact_stamps=True) as outlet:
        source = LslSource(source_id, clock=ManualClock(100.0))
        outlet.push(np.zeros((1, 2), np.float32), [5000.0])
        while not stream.samples.count:
            source.pull_into(stream)
    with source:
        pull_until(source, stream, MarkKind.LOST)
        yield source


def test_a_restarted_source_is_announced_by_its_new_uid(
    bereft: LslSource, stream: Stream, source_id: str
) -> None:
    with LslOutlet(SIGNAL, source_id, exact_stamps=True) as outlet:
        said = pull_until(bereft, stream, MarkKind.RECONNECT, outlet)
    assert said == f"uid {bereft.info.uid}"


def test_one_from_another_host_with_another_description_is_announced_as_that(
    bereft: LslSource, stream: Stream, source_id: str
) -> None:
    here = bereft.info.host
    bereft.info = replace(bereft.info, host="lab-1")
    with LslOutlet(SIGNAL, source_id, exact_stamps=True, extra={"cap": "large"}) as outlet:
        said = pull_until(bereft, stream, MarkKind.RECONNECT, outlet)
    assert said.startswith(f"host {here!r} instead of 'lab-1'; another description; uid "[:90])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(SIGNAL, shape=(3,), channels=("a", "b", "c")), "shape"),
        (replace(SIGNAL, rate=250.0), "500 Hz were expected, 250 Hz came"),
        (replace(SIGNAL, dtype="float64"), "float32 values were expected, float64 came"),
        (replace(SIGNAL, channels=("b", "a")), "channel 0 was expected to be 'a', 'b' came"),
        (replace(SIGNAL, unit="mV"), "unit 'uV' was expected, 'mV' came"),
    ],
)
def test_one_that_is_not_as_it_was_is_refused(
    bereft: LslSource, stream: Stream, source_id: str, other: Signal, words: str
) -> None:
    with LslOutlet(other, source_id, exact_stamps=True), pytest.raises(StreamMismatch, match=words):
        pull_until(bereft, stream, MarkKind.RECONNECT)
    assert bereft.marked[MarkKind.REFUSED] == 1


def claim(source_id: str, channels: int, rate: float) -> pylsl.StreamOutlet:
    return pylsl.StreamOutlet(
        pylsl.StreamInfo("claim", "EEG", channels, rate, "int8", source_id), max_buffered=1
    )


@pytest.mark.parametrize(("channels", "rate"), [(10**9, 100.0), (1 << 23, 1.0), (1 << 20, 300.0)])
def test_impossible_sizes_are_refused_before_anything_is_allocated(
    source_id: str, channels: int, rate: float
) -> None:
    outlet = claim(source_id, channels, rate)
    before = psutil.Process().memory_info().rss
    for connect in (lambda: describe(source_id), lambda: LslSource(source_id, clock=ManualClock())):
        with pytest.raises(StreamMismatch, match=f"'claim' on host .* claims {channels} channels"):
            connect()
    assert source_id not in {info.source_id for info in visible(0.5)}
    with pytest.raises(StreamNotFound):  # and it is not in the way of an error about another
        describe("nobody", 0.2)
    assert psutil.Process().memory_info().rss - before < 100 << 20
    del outlet


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    class Claim:
        name = hostname = lambda self: "claim"
        channel_count = lambda self: 2  # noqa: E731
        nominal_srate = lambda self: rate  # noqa: E731

    with pytest.raises(StreamMismatch, match="claims 2 channels at"):
        read_info(Claim())


def described(source_id: str, **facts: str) -> pylsl.StreamOutlet:
    info = pylsl.StreamInfo("amp", "EEG", 1, 100.0, "float32", source_id)
    node = info.desc().append_child("acquisition")
    for name, value in facts.items():
        node.append_child_value(name, value)
    return pylsl.StreamOutlet(info)


def test_a_description_of_megabytes_is_refused(source_id: str) -> None:
    outlet = described(source_id, novel="a" * (5 << 20))
    for connect in (
        lambda: describe(source_id, 30),
        lambda: LslSource(source_id, clock=ManualClock(), timeout=30),
    ):
        with pytest.raises(StreamMismatch, match="describes itself in more than 4 MiB"):
            connect()
    (listed,) = [info for info in visible(1.0) if info.source_id == source_id]
    assert listed.desc == ""
    del outlet


def test_a_description_is_given_up_when_too_much_has_come(
    source_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while an endless one comes, which never is whole."""
    outlet = described(source_id)
    (found,) = pylsl.resolve_byprop("source_id", source_id, 1, 30.0)
    held = bytearray()

    def slow(inlet: pylsl.StreamInlet, timeout: float) -> None:
        held.extend(b"x" * (100 << 20))
        raise pylsl.util.TimeoutError

    monkeypatch.setattr(pylsl.StreamInlet, "info", slow)
    with pytest.raises(StreamMismatch, match="describes itself in more than"):
        list(discovery.asking(found))
    del outlet


def test_entities_in_a_description_stay_the_letters_they_are(source_id: str) -> None:
    outlet = described(source_id, note="&lol; <!ENTITY lol 'ha'> ]]>", manufacturer="A & B")
    info = describe(source_id, 30)
    header = stream_header(info)
    assert b"<manufacturer>A &amp; B</manufacturer>" in header
    assert b"<!ENTITY" not in header
    assert b"&amp;lol;" in header
    del outlet


def test_what_a_stream_says_of_itself_is_recorded_nested(source_id: str) -> None:
    info = pylsl.StreamInfo("amp", "EEG", 1, 100.0, "float32", source_id)
    channel = info.desc().append_child("channels").append_child("channel")
    channel.append_child_value("label", "Cz")
    channel.append_child("location").append_child_value("X", "0.5")
    outlet = pylsl.StreamOutlet(info)
    assert b"<location><X>0.5</X></location>" in stream_header(describe(source_id, 30)).replace(
        b"\n", b""
    ).replace(b"\t", b"")
    del outlet
