"""A timetable gives every sample and marker once, in order, at the time that the recording's own stamps say."""

import itertools
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.errors import ConfigError
from bci.io.files.formats.file import FileRecording
from bci.io.files.recording import Recording
from bci.live.timetable import MARGIN, SEAM, Block, Due, Timetable
from bci.signal.types import Event, Signal
from bci.sim.eeg import AlphaSimulator

GAP = 7.5
BORDER = 120


def counters(markers: tuple[Event, ...] = (), rate: float = 100.0, stretch: float = 1.0) -> Recording:
    """Give 300 samples that are their own numbers, with a gap of `GAP` seconds before sample `BORDER`."""
    values = np.arange(300, dtype=np.float32)[:, np.newaxis]
    times = np.arange(300) / rate * stretch
    times[BORDER:] += GAP - 1 / rate * stretch
    return FileRecording(
        "counters.xdf",
        Signal("counters", rate, (1,)),
        300,
        lambda first, end: values[first:end],
        markers,
        segments=((0, BORDER), (BORDER, 300)),
        stamps=times,
    )


def even(n: int = 500, rate: float = 100.0, markers: tuple[Event, ...] = ()) -> Recording:
    """Give `n` evenly spaced samples that are their own numbers."""
    values = np.arange(n, dtype=np.float32)[:, np.newaxis]
    return FileRecording(
        "even.npy", Signal("even", rate, (1,)), n, lambda first, end: values[first:end], markers
    )


def played(timetable: Timetable, passes: int = 1) -> tuple[np.ndarray, np.ndarray, list[Due]]:
    """Return (samples, due times, markers) of as many passes."""
    blocks: list[Block] = []
    events: list[Due] = []
    per_pass = timetable.end - timetable.first
    for item in timetable.events():
        if isinstance(item, Due):
            events.append(item)
        else:
            blocks.append(item)
        if sum(len(b.samples) for b in blocks) >= passes * per_pass and timetable.loop:
            break
    return (
        np.concatenate([b.samples for b in blocks])[:, 0],
        np.concatenate([b.due for b in blocks]),
        events,
    )


@settings(deadline=None)
@given(
    speed=st.floats(0.25, 200),
    rate=st.sampled_from([92.9, 100.0, 160.0, 1250.0]),
    start=st.integers(0, 300),
    length=st.integers(1, 500),
)
def test_sample_i_is_due_at_i_over_rate_and_speed(speed: float, rate: float, start: int, length: int) -> None:
    stop = min(500, start + length)
    timetable = Timetable(even(rate=rate), speed, start=start / rate, stop=stop / rate)
    samples, due, _ = played(timetable)
    assert samples.tolist() == list(range(start, stop))
    assert np.allclose(due, np.arange(stop - start) / (rate * speed), rtol=0, atol=1e-9)
    assert timetable.samples == stop - start


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
def test_blocks_are_about_ten_milliseconds_of_real_time(speed: float) -> None:
    sizes = {len(b.samples) for b in Timetable(even(5000, 1000.0), speed).events() if isinstance(b, Block)}
    assert sizes == {int(10 * speed)}


def test_a_slow_signal_goes_sample_by_sample() -> None:
    assert {len(b.samples) for b in Timetable(even(), 1.0).events() if isinstance(b, Block)} == {1}


def test_stamps_that_are_not_the_nominal_rates_are_followed() -> None:
    _, due, _ = played(Timetable(counters(stretch=1.07), 2.0, stop=1.2))
    assert np.allclose(np.diff(due), 0.01 * 1.07 / 2)


@pytest.mark.parametrize(("longest", "gap"), [(None, GAP), (2.0, 2.0), (100.0, GAP)])
@pytest.mark.parametrize("speed", [1.0, 5.0])
def test_a_gap_is_replayed_as_long_as_it_was_unless_told_to_shorten_it(
    longest: float | None, gap: float, speed: float
) -> None:
    timetable = Timetable(counters(), speed, longest_gap=longest)
    samples, due, _ = played(timetable)
    assert samples.tolist() == list(range(300))
    assert due[BORDER] - due[BORDER - 1] == pytest.approx(gap / speed)
    steps = np.delete(np.diff(due), BORDER - 1)
    assert np.allclose(steps, 0.01 / speed)
    ((sample, seconds),) = timetable.gaps()
    assert (sample, seconds) == (BORDER, pytest.approx(gap / speed))


def test_no_block_spans_a_gap() -> None:
    blocks = [b for b in Timetable(counters(), 7.0).events() if isinstance(b, Block)]
    assert any(b.first == BORDER for b in blocks)
    assert max(np.ptp(b.due) for b in blocks) < 0.01


def test_a_gap_too_short_to_be_seen_is_made_a_second_long() -> None:
    values = np.zeros((300, 1), np.float32)
    recording = FileRecording(
        "reset.xdf", Signal("r", 100.0, (1,)), 300, lambda a, b: values[a:b], segments=((0, 120), (120, 300))
    )
    _, due, _ = played(Timetable(recording, 2.0))
    assert due[BORDER] - due[BORDER - 1] == pytest.approx(SEAM / 2)


def test_the_seam_of_a_loop_is_a_gap_of_one_second_and_the_rest_repeats() -> None:
    timetable = Timetable(counters((Event(0.5, "a"), Event(9.0, "b"))), 4.0, loop=True)
    samples, due, events = played(timetable, passes=3)
    assert samples.tolist() == list(range(300)) * 3
    assert np.allclose(due[300:600] - due[:300], due[300])
    assert due[300] - due[299] == pytest.approx((SEAM + 0.01) / 4)
    assert [e.event.text for e in events] == ["a", "b"] * 3
    assert timetable.samples is None


def test_markers_come_at_their_times_scaled_and_before_the_samples_they_precede() -> None:
    markers = (Event(1.0, "one"), Event(1.0, "one more"), Event(2.345, "two"))
    items = list(Timetable(even(markers=markers), 3.0).events())
    events = [i for i in items if isinstance(i, Due)]
    assert [(e.event.text, e.when) for e in events] == [
        ("one", pytest.approx(1 / 3)),
        ("one more", pytest.approx(1 / 3)),
        ("two", pytest.approx(2.345 / 3)),
    ]
    whens = [i.when for i in items]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(whens))
    behind = items[items.index(events[0]) + 2]
    assert isinstance(behind, Block)
    assert 1.0 in (behind.due * 3).round(9)


def test_markers_outside_the_samples_are_played_when_near_and_counted_when_far() -> None:
    markers = tuple(Event(t, str(t)) for t in (-60.0, -2.0, 1.0, 4.999, 6.0, 5.0 + 2 * MARGIN))
    timetable = Timetable(even(markers=markers), 2.0)
    _, due, events = played(timetable)
    assert [e.event.text for e in events] == ["-2.0", "1.0", "4.999", "6.0"]
    assert [e.when for e in events] == pytest.approx([0.0, 1.5, 3.4995, 4.0])
    assert due[0] == pytest.approx(1.0)
    assert timetable.left_out == 2


def test_a_marker_within_a_shortened_gap_comes_before_the_gap_ends() -> None:
    timetable = Timetable(counters((Event(1.2 + 5.0, "in the gap"),)), 1.0, longest_gap=2.0)
    _, due, (event,) = played(timetable)
    assert due[BORDER - 1] < event.when <= due[BORDER]


def test_start_and_stop_take_the_markers_between_them() -> None:
    markers = tuple(Event(t, str(t)) for t in (0.5, 1.0, 1.5, 2.0))
    samples, _, events = played(Timetable(even(markers=markers), 1.0, start=1.0, stop=2.0))
    assert (samples[0], samples[-1]) == (100, 199)
    assert [(e.event.text, e.when) for e in events] == [
        ("1.0", pytest.approx(0)),
        ("1.5", pytest.approx(0.5)),
    ]


def test_an_endless_recording_goes_on_with_its_markers() -> None:
    simulator = AlphaSimulator(seed=1)
    timetable = Timetable(simulator, 50.0, start=4.0)
    assert timetable.samples is None
    assert timetable.end == sys.maxsize
    taken = list(itertools.islice(timetable.events(), 500))
    events = [e.event for e in taken if isinstance(e, Due)]
    upto = 4.0 + 50.0 * taken[-1].when
    assert upto > 100
    expected = simulator.markers_between(4.0, math.nextafter(upto, math.inf))
    assert tuple(events) == expected
    assert len(events) > 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": 5.0}, r"nothing of even\.npy lies between 5 s and its end; it is 5 s long"),
        ({"start": 2.0, "stop": 1.0}, "between 2 s and 1 s"),
    ],
)
def test_a_stretch_that_is_not_there_is_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Timetable(even(), **options)


def test_what_never_ends_cannot_loop() -> None:
    with pytest.raises(ConfigError, match="leave out the loop"):
        Timetable(AlphaSimulator(), loop=True)
