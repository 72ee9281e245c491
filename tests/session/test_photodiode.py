"""True onset is found as planted: from flip to light, whatever the room, the screen and the electronics do."""

import numpy as np
import pytest
from numpy.typing import NDArray

from bci.session.photodiode import Onset, find_edges, match, onset

RATE = 2000.0
Floats = NDArray[np.float64]


def dice() -> np.random.Generator:
    """The same numbers for every test, in whatever order they run."""
    return np.random.default_rng(11)


def flips_at(n: int = 200, refresh_hz: float = 60.0, start: float = 5.0) -> Floats:
    """Flips as a decoder makes them: every fifth to eighth refresh."""
    return start + np.cumsum(dice().integers(5, 9, n)) / refresh_hz


def light_of(changes: Floats, end: float, *, rise: float = 0.0, start: float = 0.0) -> tuple[Floats, Floats]:
    """Return light that turns at each of `changes`, from dark on, with an exponential rise; and its times."""
    times = start + np.arange(int((end - start) * RATE)) / RATE
    level = (np.searchsorted(changes, times, side="right") % 2).astype(float)
    if rise:
        keep = np.exp(-1 / (RATE * rise))
        for i in range(1, len(level)):
            level[i] = keep * level[i - 1] + (1 - keep) * level[i]
    return level, times


@pytest.mark.parametrize("delay", [-0.002, 0.0, 0.0083, 0.0251, 0.110])
def test_a_known_delay_is_found_to_a_sample(delay: float) -> None:
    flips = flips_at()
    light, times = light_of(flips + delay, flips[-1] + 1)
    found = onset(light, times, flips)
    assert (len(found.offsets), found.unmatched, found.outside, found.stray) == (200, 0, 0, 0)
    assert not found.ambiguous
    assert np.all(np.abs(found.offsets - delay) <= 1 / RATE)
    assert np.median(found.offsets) == pytest.approx(delay, abs=0.6 / RATE)


def test_jitter_is_found_flip_by_flip() -> None:
    flips = flips_at()
    delays = 0.012 + dice().uniform(-0.004, 0.004, 200) + np.where(np.arange(200) % 50 == 7, 1 / 60, 0)
    light, times = light_of(flips + delays, flips[-1] + 1)
    found = onset(light, times, flips)
    assert found.unmatched == 0
    assert np.all(np.abs(found.offsets - delays) <= 1 / RATE)
    told = found.result()
    assert told["median"] == pytest.approx(1e3 * np.median(delays), abs=1)
    assert told["p99"] == pytest.approx(1e3 * np.percentile(delays, 99), abs=1)


def test_drifting_room_light_noise_slow_pixels_and_turned_polarity_do_not_matter() -> None:
    flips = flips_at()
    rise = 0.004
    light, times = light_of(flips + 0.02, flips[-1] + 1, rise=rise)
    room = 4 * np.sin(2 * np.pi * times / 20) + 0.3 * times
    noisy = -7.0 * (light + room + 0.02 * dice().standard_normal(len(times))) + 1200
    found = onset(noisy, times, flips)
    assert (len(found.offsets), found.unmatched, found.stray) == (200, 0, 0)
    # An exponential is halfway after rise · ln 2.
    assert np.median(found.offsets) == pytest.approx(0.02 + rise * np.log(2), abs=0.001)
    assert np.abs(found.offsets - np.median(found.offsets)).max() < 0.002
    assert found.rising.tolist() == [False, True] * 100


def test_a_missed_flash_costs_its_two_flips_and_no_others() -> None:
    flips = flips_at()
    seen = np.delete(flips, [60, 61, 130, 131])
    light, times = light_of(seen + 0.015, flips[-1] + 1)
    found = onset(light, times, flips)
    assert (len(found.offsets), found.unmatched, found.stray) == (196, 4, 0)
    assert np.all(np.abs(found.offsets - 0.015) <= 1 / RATE)


def test_light_of_no_flip_is_counted_and_matched_with_none() -> None:
    flips = flips_at(100)
    lamp = [flips[40] + 0.05, flips[40] + 0.06]
    light, times = light_of(np.sort([*(flips + 0.015), *lamp]), flips[-1] + 1)
    found = onset(light, times, flips)
    assert (len(found.offsets), found.unmatched, found.stray) == (100, 0, 2)


def test_flips_outside_the_recording_or_in_its_gaps_are_not_called_unmatched() -> None:
    flips = flips_at(100)
    light, times = light_of(flips + 0.015, flips[-1] + 1)
    kept = (times > flips[10] + 0.05) & ~((times > flips[50]) & (times < flips[60] + 0.05))
    found = onset(light[kept], times[kept], flips)
    assert found.unmatched == found.stray == 0
    assert 20 <= found.outside <= 32
    assert len(found.offsets) + found.outside == 100
    assert np.all(np.abs(found.offsets - 0.015) <= 1 / RATE)


def test_a_patch_that_rests_for_long_gives_no_edges_of_noise() -> None:
    flips = np.array([10.0, 11.0, 60.0, 61.5])
    light, times = light_of(flips + 0.01, 100.0)
    found = onset(light + 0.05 * dice().standard_normal(len(light)), times, flips)
    assert (len(found.offsets), found.unmatched, found.stray) == (4, 0, 0)


def test_a_flicker_within_the_hysteresis_is_no_edge() -> None:
    flips = np.array([1.0, 2.0])
    light, times = light_of(flips, 3.0)
    dither = np.where((times > 0.95) & (times < 1.0), 0.5 + 0.1 * np.sin(2 * np.pi * 200 * times), light)
    edges = find_edges(dither, times, 1.0)
    assert edges.rising.tolist() == [True, False]


def test_flips_as_regular_as_a_clock_are_said_to_be_ambiguous() -> None:
    flips = 1.0 + 0.1 * np.arange(100)
    light, times = light_of(flips + 0.03, 12.0)
    found = onset(light, times, flips)
    assert found.ambiguous
    assert np.median(found.offsets) == pytest.approx(0.03, abs=1 / RATE)
    assert "as well" in " ".join(found.sentences())


@pytest.mark.parametrize("light", [np.zeros(4000), np.full(4000, np.nan), dice().standard_normal(4000)])
def test_a_photodiode_that_sees_nothing_matches_hardly_anything(light: Floats) -> None:
    flips = np.array([0.5, 1.0, 1.5])
    found = onset(light, np.arange(4000) / RATE, flips)
    assert found.unmatched + found.outside + len(found.offsets) == 3
    if not np.ptp(light) > 0:
        assert len(found.offsets) == 0
        assert found.result()["median"] is None


def test_what_nobody_measured_is_said_to_be_unknown() -> None:
    told = Onset.unknown("no photodiode")
    assert told.result()["known"] is False
    assert told.sentences() == ("true onset unknown: no photodiode",)


def test_nothing_pairs_with_nothing() -> None:
    none = np.empty(0)
    assert match(none, none).shape == match(np.ones(1), none).shape == (0, 2)
    assert match(np.array([1.0]), np.array([1.05])).tolist() == [[0, 0]]
