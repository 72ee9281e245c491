"""Spectrum, evoked responses and stage times find what was planted, and leave out what is not whole."""

import math

import numpy as np
import pytest

from bci.control.page.evoked import AFTER_S, BEFORE_S, MOST_CLASSES, NOT_WHOLE, OTHERS, Evoked
from bci.control.page.spectrum import spectrum
from bci.control.page.stages import AT_DISPLAY, BEFORE_DISPLAY, EDGES_MS, StageTimes
from bci.signal.types import STAGES, Event, Signal

RATE = 250.0
SIGNAL = Signal("eeg", RATE, (2,), ("a", "b"), "uV")


def test_a_planted_rhythm_stands_out_and_a_broken_channel_does_not_count() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(1000, 4))
    samples[:, :3] += 5 * np.sin(2 * np.pi * 12 * np.arange(1000) / RATE)[:, np.newaxis]
    samples[10, 3] = np.nan
    found = spectrum(samples, RATE)
    assert found is not None
    assert found.hz[np.argmax(found.median)] == 12.0
    assert found.hz.max() <= 120
    assert (found.low <= found.median).all()
    assert (found.median <= found.high).all()
    assert spectrum(np.zeros((1000, 2)), RATE) is None, "a flat channel has no spectrum"
    assert spectrum(samples[:8], RATE) is None


def trial(evoked: Evoked, event: Event, samples: np.ndarray, times: np.ndarray) -> None:
    needed = evoked.needed(event, times, 0)
    assert needed is not None
    evoked.add(event, samples[needed[0] : needed[1]], times[needed[0] : needed[1]])


def test_the_average_of_each_kind_of_event_is_the_planted_one() -> None:
    rng = np.random.default_rng(0)
    times = 100 + np.arange(40_000) / RATE
    samples = rng.normal(size=(40_000, 2))
    evoked = Evoked(SIGNAL)
    events = [Event(102.0 + 1.5 * i, str(1 + i % 2), 1 + i % 2) for i in range(100)]
    bump = np.exp(-0.5 * ((np.arange(200) / RATE - 0.3) / 0.05) ** 2)
    for event in events:
        at = int(np.searchsorted(times, event.time))
        samples[at : at + 200, 0] += 3.0 * event.code * bump
    for event in events:
        trial(evoked, event, samples, times)
    one, two = evoked.responses()
    assert (one.name, two.name, one.count, two.count) == ("1", "2", 50, 50)
    assert one.seconds[0] == pytest.approx(-BEFORE_S, abs=0.004)
    assert one.seconds[-1] == pytest.approx(AFTER_S, abs=0.005)
    peak = np.argmax(two.mean[:, 0])
    assert two.seconds[peak] == pytest.approx(0.3, abs=0.02)
    assert two.mean[peak, 0] == pytest.approx(6.0, abs=0.7)
    assert one.mean[peak, 0] == pytest.approx(3.0, abs=0.7)
    assert np.abs(one.mean[:, 1]).max() < 1
    assert one.mean[one.seconds < 0].mean() == pytest.approx(0.0, abs=1e-6)


def test_an_event_at_a_gap_or_at_a_nan_is_counted_and_left_out() -> None:
    evoked = Evoked(SIGNAL)
    times = np.arange(500) / RATE
    samples = np.ones((500, 2))
    late = np.where(np.arange(500) >= 250, times + 0.5, times)
    trial(evoked, Event(0.9, "1", 1), samples, late)
    samples[240] = np.nan
    trial(evoked, Event(0.9, "1", 1), samples, times)
    assert (evoked.left_out, evoked.responses()) == ({NOT_WHOLE: 2}, [])
    assert evoked.needed(Event(5.0, "x"), times, 0) is None
    assert evoked.needed(Event(-1.0, "x"), times, 0) is None


def test_a_stream_that_is_played_faster_is_averaged_in_its_own_seconds() -> None:
    times, samples = np.arange(500) / (4 * RATE), np.random.default_rng(0).normal(size=(500, 2))
    events = [Event(0.25 + 0.01 * k, "1", 1) for k in range(3)]
    for speed, count in ((4.0, 3), (1.0, 0)):
        evoked = Evoked(SIGNAL, speed)
        for event in events:
            trial(evoked, event, samples, times)
        assert sum(response.count for response in evoked.responses()) == count


def test_there_are_so_many_kinds_and_the_rest_are_others() -> None:
    evoked = Evoked(SIGNAL)
    times, samples = np.arange(500) / RATE, np.random.default_rng(0).normal(size=(500, 2))
    for code in range(1, 12):
        trial(evoked, Event(1.0, str(code), code), samples, times)
    counts = {response.name: response.count for response in evoked.responses()}
    assert len(counts) == MOST_CLASSES + 1
    assert counts[OTHERS] == 11 - MOST_CLASSES


def test_a_fast_stream_is_averaged_in_bins_that_a_browser_can_draw() -> None:
    evoked = Evoked(Signal("fast", 30_000.0, (1,)))
    times = np.arange(60_000) / 30_000
    trial(evoked, Event(1.0, "go"), np.ones((60_000, 1)), times)
    (response,) = evoked.responses()
    assert len(response.seconds) <= 260
    assert not Evoked(Signal("bold", 0.5, (4,))).usable


def test_stage_times_are_counted_in_their_bins_with_percentiles_and_budgets() -> None:
    stages = StageTimes({"decode": 0.01})
    stamps = dict.fromkeys(STAGES, math.nan) | {
        "data": 1.0, "arrived": 1.001, "cut": 1.002, "decoded": 1.007, "published": 1.008,
    }  # fmt: skip
    for _ in range(100):
        stages.add([stamps[name] for name in STAGES], BEFORE_DISPLAY)
    stages.add([stamps[name] for name in STAGES], AT_DISPLAY)  # it was never shown
    found = {stage.name: stage for stage in stages.histograms()}
    decode = found["decode"]
    assert decode.p50 == pytest.approx(5.0)
    assert decode.budget_ms == pytest.approx(10.0)
    (place,) = np.flatnonzero(decode.counts)
    assert EDGES_MS[place] <= 5.0 <= EDGES_MS[place + 1]
    assert decode.counts[place] == 100
    assert found["total"].counts.sum() == 0
    assert math.isnan(found["total"].p50)
    assert set(BEFORE_DISPLAY) | set(AT_DISPLAY) == set(found)
