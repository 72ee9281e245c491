"""Numbers at no fixed rate are received as they come: each with its own stamp, and again when their sender is back."""

import time
import uuid
from collections.abc import Callable

import numpy as np
import pylsl
import pytest

from bci.errors import StreamMismatch
from bci.io.lsl.irregular import IrregularSource
from bci.io.lsl.markers import MarkerOutlet
from bci.io.lsl.source import LslOutlet
from bci.memory.marks import read_marks
from bci.memory.stream import Stream
from bci.signal.clock import ManualClock
from bci.signal.types import MarkKind, Signal

pytestmark = pytest.mark.system

GAZE = Signal("gaze", 0.0, (2,), ("x", "y"), "px")


@pytest.fixture
def source_id() -> str:
    return f"gaze-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(100.0)


def until(condition: Callable[[], bool], source: IrregularSource, stream: Stream) -> None:
    """Pull until a condition holds; a minute is more than enough."""
    deadline = time.monotonic() + 60
    while not condition():
        source.pull_into(stream, 0.05)
        assert time.monotonic() < deadline, "waited in vain"


def kinds(stream: Stream) -> list[MarkKind]:
    records, _ = read_marks(stream.marks, 0)
    return [MarkKind(int(kind)) for kind in records["kind"]]


def test_each_sample_keeps_its_own_stamp(source_id: str, clock: ManualClock) -> None:
    # Unordered, twice the same, far apart: nothing says how it should be.
    stamps = np.array([1000.0, 1000.0, 1003.5, 1003.25, 2000.0])
    values = np.arange(10, dtype="f4").reshape(5, 2)
    stream = Stream.private(GAZE, 1.0)
    with LslOutlet(GAZE, source_id) as outlet, IrregularSource(source_id, clock=clock) as source:
        for value, stamp in zip(values, stamps, strict=True):
            outlet.push(value[None], [stamp])
        until(lambda: source.received == 5, source, stream)
    places = stream.samples.read(0, 5)
    assert np.array_equal(places["samples"], values)
    assert np.array_equal(places["raw"], stamps)
    assert np.array_equal(places["times"], stamps)
    assert (source.lost, source.duplicates, kinds(stream)) == (0, 0, [MarkKind.CLOCK_OFFSET])


def test_a_burst_longer_than_a_second_of_amplifier_is_not_lost(source_id: str, clock: ManualClock) -> None:
    stream = Stream.private(GAZE, 1.0)
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("gaze", "Gaze", 2, 0.0, "float32", source_id))
    with IrregularSource(source_id, clock=clock) as source:
        until(lambda: bool(outlet.have_consumers()), source, stream)
        outlet.push_chunk(np.ones((3000, 2), "f4"), (1000.0 + np.arange(3000) / 1000).tolist())
        until(lambda: source.received == 3000, source, stream)
    assert stream.samples.count == 3000


def test_a_sender_that_comes_back_goes_on_and_is_marked(source_id: str, clock: ManualClock) -> None:
    stream = Stream.private(GAZE, 1.0)
    outlet = LslOutlet(GAZE, source_id)
    with IrregularSource(source_id, clock=clock) as source:
        outlet.push(np.ones((1, 2), "f4"), [1000.0])
        until(lambda: source.received == 1, source, stream)
        outlet.close()
        until(lambda: source.gone, source, stream)
        with LslOutlet(GAZE, source_id) as outlet:
            until(lambda: not source.gone, source, stream)
            outlet.push(np.zeros((1, 2), "f4"), [1010.0])
            until(lambda: source.received == 2, source, stream)
    assert kinds(stream) == [
        MarkKind.CLOCK_OFFSET, MarkKind.LOST, MarkKind.RECONNECT, MarkKind.CLOCK_OFFSET,
    ]  # fmt: skip


def test_what_is_no_number_or_has_a_rate_is_refused(source_id: str, clock: ManualClock) -> None:
    with (
        MarkerOutlet("keys", source_id),
        pytest.raises(StreamMismatch, match="carries text; numbers at no fixed rate"),
    ):
        IrregularSource(source_id, clock=clock)
    regular = Signal("eeg", 100.0, (2,))
    with (
        LslOutlet(regular, source_id),
        pytest.raises(StreamMismatch, match="float32 values at 100 Hz; numbers at no fixed rate"),
    ):
        IrregularSource(source_id, clock=clock)
