import numpy as np
import pytest

from stimuli.display.flip_times import FlipTimes
from stimuli.display.pacer import Pacer


def counted(intervals, refresh_hz=50.0):
    times = FlipTimes(refresh_hz)
    for stamp in np.concatenate([[3.0], 3.0 + np.cumsum(intervals)]):
        times.add(float(stamp))
    return times


def test_regular_flips_drop_nothing():
    times = counted([0.02] * 100)
    assert (times.flips, times.dropped, times.late) == (101, 0, 0)
    assert times.refresh_hz == pytest.approx(50.0)


@pytest.mark.parametrize(("frames", "dropped"), [(1.4, 0), (1.6, 1), (2.0, 1), (3.0, 2), (11.0, 10)])
def test_an_interval_longer_than_one_and_a_half_frames_counts_the_refreshes_that_passed(frames, dropped):
    times = counted([0.02] * 5 + [0.02 * frames] + [0.02] * 5)
    assert (times.flips, times.dropped, times.late) == (12, dropped, int(dropped > 0))


def test_the_refresh_rate_is_measured_between_drops():
    assert counted([0.02, 0.1, 0.02, 0.5, 0.02]).refresh_hz == pytest.approx(50.0)


def test_percentiles_are_those_of_the_intervals():
    intervals = np.random.default_rng(0).uniform(0.005, 0.025, 5000)
    times = counted(intervals)
    for percent in (50, 95, 99):
        assert times.percentile_ms(percent) == pytest.approx(np.percentile(intervals, percent) * 1e3, abs=0.1)
    report = times.summary()["flip_interval_ms"]
    assert report["n"] == 5000
    assert report["max"] == pytest.approx(intervals.max() * 1e3)


def test_intervals_beyond_the_scale_are_counted_too():
    times = counted([0.02] * 9 + [4.0])
    assert times.percentile_ms(99) >= 1000.0
    assert times.summary()["flip_interval_ms"]["max"] == pytest.approx(4000.0)


def test_a_display_that_never_flipped_reports_no_numbers():
    report = FlipTimes(60.0).summary()
    assert (report["flips"], report["dropped_flips"], report["refresh_hz"]) == (0, 0, None)
    assert report["flip_interval_ms"] == {"p50": None, "p95": None, "p99": None, "max": 0.0, "n": 0}


def test_a_paced_display_flips_on_a_grid_that_does_not_drift(stage):
    clock, stamps = stage.clock, []
    clock.at(1e9, lambda: None)
    pacer = Pacer(clock, 60.0)
    for _ in range(100_000):
        pacer.wait()
        stamps.append(clock.now())
    np.testing.assert_allclose(stamps, np.arange(1, 100_001) / 60.0, atol=1e-9)


def test_a_paced_display_that_is_late_takes_the_next_refresh(stage):
    clock = stage.clock
    clock.at(1e9, lambda: None)
    pacer = Pacer(clock, 50.0)
    pacer.wait()
    clock.advance(0.051)
    pacer.wait()
    assert clock.now() == pytest.approx(0.08)
    pacer.wait()
    assert clock.now() == pytest.approx(0.10)


def test_a_paced_display_that_is_woken_late_waits_for_the_next_refresh_too(stage):
    clock = stage.clock
    clock.at(1e9, lambda: None)
    pacer = Pacer(clock, 50.0)
    clock.at(0.01, lambda: clock.advance(0.043))
    pacer.wait()
    assert clock.now() == pytest.approx(0.06)
    pacer.wait()
    assert clock.now() == pytest.approx(0.08)
