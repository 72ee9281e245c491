"""DrawnTraces hold the range of every column, however the samples come, and show where time was interrupted."""

import numpy as np
import pytest

from bci.control.page.traces import DrawnTraces, TracePicture, unusable
from bci.signal.types import Signal

RATE = 1000.0
SIGNAL = Signal("eeg", RATE, (3,), ("a", "b", "c"), "uV")
ALL = slice(0, 3)


def feed(traces: DrawnTraces, samples: np.ndarray, times: np.ndarray, first: int, sizes: list[int]) -> None:
    at = 0
    while at < len(samples):
        n = sizes[at % len(sizes)]
        traces.add(first + at, samples[at : at + n], times[at : at + n])
        at += n


@pytest.mark.parametrize("sizes", [[1], [7], [10], [333], [5000], [1, 64, 3]])
@pytest.mark.parametrize("first", [0, 12345])
def test_columns_do_not_depend_on_chunking(sizes: list[int], first: int) -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(5000, 3)).astype(np.float32)
    samples[4321, 1] = 99.0
    times = 50.0 + np.arange(5000) / RATE
    traces = DrawnTraces(SIGNAL, 2.0, 100)
    feed(traces, samples, times, first, sizes)
    picture = traces.picture(ALL, times[-1])
    edges = np.searchsorted(times, picture.times - 1e-9)
    for place, (start, stop) in enumerate(zip(edges, [*edges[1:], 5000], strict=True)):
        assert np.array_equal(picture.low[place], samples[start:stop].min(axis=0))
        assert np.array_equal(picture.high[place], samples[start:stop].max(axis=0))
    assert picture.high[:, 1].max() == 99.0, "no spike is lost"
    assert 98 <= len(picture.times) <= 102
    assert not picture.after_gap[1:].any()


def test_a_stream_that_is_played_faster_fills_the_width_too() -> None:
    times = 50.0 + np.arange(8000) / (4 * RATE)
    traces = DrawnTraces(SIGNAL, 1.5, 100, speed=4.0)
    traces.add(0, np.ones((8000, 3), np.float32), times)
    picture = traces.picture(ALL, times[-1])
    assert times[-1] - picture.times[0] == pytest.approx(1.5, abs=0.05)
    assert 98 <= len(picture.times) <= 103


def test_a_gap_interrupts_the_line_and_so_does_a_stretch_that_was_not_looked_at() -> None:
    traces = DrawnTraces(SIGNAL, 4.0, 200)
    samples = np.ones((1000, 3), np.float32)
    traces.add(0, samples, np.arange(1000) / RATE)
    traces.add(1000, samples, 1.5 + np.arange(1000) / RATE)
    traces.add(3000, samples, 2.6 + np.arange(1000) / RATE)
    picture = traces.picture(ALL, 3.6)
    starts = picture.times[picture.after_gap]
    assert starts == pytest.approx([0.0, 1.5, 2.6])
    times, values = picture.zigzag(0)
    assert np.isnan(times).sum() == np.isnan(values).sum() == 2


def test_what_is_no_number_is_left_out_and_what_shows_nothing_is_told() -> None:
    samples = np.random.default_rng(1).normal(size=(1000, 3)).astype(np.float32)
    samples[:, 1] = 7.0
    samples[300:400, 2] = np.nan
    traces = DrawnTraces(SIGNAL, 1.0, 100)
    traces.add(0, samples, np.arange(1000) / RATE)
    picture = traces.picture(ALL, 1.0)
    assert unusable(picture).tolist() == [False, True, True]
    assert np.isnan(picture.low[:, 2]).sum() == 10
    assert np.isfinite(picture.low[:, :2]).all()


def test_old_columns_leave_as_time_goes_on_though_no_sample_comes() -> None:
    traces = DrawnTraces(SIGNAL, 1.0, 100)
    traces.add(0, np.ones((1000, 3), np.float32), np.arange(1000) / RATE)
    assert len(traces.picture(ALL, 1.0).times) == 100
    assert 49 <= len(traces.picture(ALL, 1.5).times) <= 52
    assert len(traces.picture(ALL, 9.0).times) == 0


def test_volumes_and_slow_streams_are_shown_for_long_enough_to_see_something() -> None:
    bold = Signal("bold", 0.5, (2, 2, 2))
    traces = DrawnTraces(bold, 10.0, 500)
    assert traces.seconds == 120.0
    traces.add(0, np.arange(80, dtype=np.float32).reshape(10, 2, 2, 2), np.arange(10) * 2.0)
    picture = traces.picture(slice(0, 8), 20.0)
    assert np.array_equal(picture.low, np.arange(80).reshape(10, 8))


def test_a_line_goes_through_both_ends_of_every_column() -> None:
    low, high = np.array([[0.0], [1], [2]], np.float32), np.array([[5.0], [6], [7]], np.float32)
    picture = TracePicture(np.array([0.0, 1, 2]), low, high, np.zeros(3, bool))
    times, values = picture.zigzag(0)
    assert times.tolist() == [0, 0, 1, 1, 2, 2]
    assert values.tolist() == [0, 5, 6, 1, 2, 7]
