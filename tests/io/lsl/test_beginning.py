"""The first packets of a stream stamped on arrival are held until it is known when they were taken, and no others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.io.lsl.stamps import Stamps
from bci.signal.types import MarkKind

Times = NDArray[np.float64]


def arrived(rate: float, size: int, n: int, latest: float, seed: int = 0) -> tuple[Times, Times]:
    """Return when n samples were taken, and the arrival of their packets, up to `latest` s after the last one."""
    number = np.arange(n // size * size)
    true = 100 + number / rate
    late = np.random.default_rng(seed).uniform(0, latest, n // size)
    last = np.maximum.accumulate(true[size - 1 :: size] + late)
    return true, np.repeat(last, size) + number % size * 2e-5


def handed_on(stamps: Times, rate: float, sizes: list[int]) -> tuple[Times, list[int], list[tuple]]:
    """Feed stamps in chunks; return times, how many had come when each sample was handed on, and what was said."""
    judge, times, when, said = Stamps(rate), np.empty(len(stamps)), [], []
    judge.shift(0.0)
    done = end = turn = 0
    while end < len(stamps):
        end = min(len(stamps), end + sizes[turn % len(sizes)])
        turn += 1
        events, decided = judge(stamps[done:end], times[done:end], last=end == len(stamps))
        said += [(event.kind, done + event.index, event.count) for event in events]
        when += [end] * decided
        done += decided
    return times, when, said


@pytest.mark.parametrize("size", [4, 8, 16, 32, 64])
@pytest.mark.parametrize("begin", [0, 1, -1])
def test_the_first_packets_have_the_times_at_which_they_were_taken(size: int, begin: int) -> None:
    true, stamps = arrived(250, size, 2500, 0.01)
    first = begin % size  # also where the first packet is not whole
    times, when, said = handed_on(stamps[first:], 250, [5])
    assert said == []
    error = times - true[first:]
    assert -0.003 < error.min() < error.max() < 0.011  # a packet of 64 is stamped up to 252 ms late
    assert np.diff(times).min() > 0
    assert when[0] <= 0.8 * 250 + 5  # held for half a second, of large packets until three have ended
    assert when[0] >= 0.5 * 250


@pytest.mark.parametrize("jitter", [0.0, 1e-4, 5e-4])
def test_a_stream_that_is_sent_sample_by_sample_waits_for_its_second_sample_alone(jitter: float) -> None:
    stamps = 100 + np.arange(500) / 250 + np.random.default_rng(1).uniform(-jitter, jitter, 500)
    _, when, _ = handed_on(stamps, 250, [1])
    assert when == [2, 2, *range(3, 501)]


@pytest.mark.parametrize("seed", range(5))
def test_jittered_stamps_are_handed_on_at_once(seed: int) -> None:
    stamps = 100 + np.arange(500) / 250 + np.random.default_rng(seed).uniform(-0.02, 0.02, 500)
    _, when, _ = handed_on(stamps, 250, [1])
    assert when[0] <= 8  # until chance has not put as many together as packets do
    assert when[20:120] == list(range(21, 121))


def test_chunks_that_the_sender_spaces_evenly_are_handed_on_at_once() -> None:
    pushed = 100 + np.repeat(np.arange(1, 51) * 10 / 250, 10)
    _, when, _ = handed_on(pushed - (9 - np.arange(500) % 10) / 250, 250, [10])
    assert when[0] == 10


def test_one_packet_that_is_longer_than_all_that_is_held_passes_as_it_came() -> None:
    """At 16 Hz a packet of 64 is one every 4 s: its end cannot be waited for."""
    _, stamps = arrived(16, 64, 256, 0.01)
    times, when, _ = handed_on(stamps, 16, [8])
    assert when[0] == 16
    assert np.array_equal(times[:8], stamps[:8])


def test_behind_a_clock_that_was_set_the_first_packets_are_held_again() -> None:
    true, stamps = arrived(160, 32, 3200, 0.005)
    true[1600:] -= 40
    stamps[1600:] -= 40
    times, when, said = handed_on(stamps, 160, [8])
    assert said == [(MarkKind.CLOCK_RESET, 1600, 0)]
    assert when[1600] >= 1600 + 80
    assert np.abs(times - true).max() < 0.006


def test_the_end_of_a_stream_hands_on_what_is_held() -> None:
    true, stamps = arrived(250, 8, 64, 0.01)
    times, when, _ = handed_on(stamps, 250, [8])
    assert when == [64] * 64
    assert np.abs(times - true).max() < 0.011


@pytest.mark.parametrize("size", [2, 3, 16])
@settings(deadline=None, max_examples=25)
@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=6), begin=st.integers(0, 15))
def test_the_first_times_do_not_depend_on_chunking(size: int, sizes: list[int], begin: int) -> None:
    _, stamps = arrived(250, size, 800, 0.01)
    stamps = stamps[begin:]
    whole, _, _ = handed_on(stamps, 250, [len(stamps)])
    times, _, _ = handed_on(stamps, 250, sizes)
    assert np.array_equal(times, whole)


@pytest.mark.parametrize(
    ("size", "hole"), [(8, (40, 8)), (8, (64, 24)), (32, (64, 32)), (64, (64, 64)), (64, (128, 128))]
)
def test_packets_lost_among_the_first_are_counted_where_they_were(size: int, hole: tuple[int, int]) -> None:
    true, stamps = arrived(250, size, 2500, 0.01)
    kept = np.r_[0 : hole[0], hole[0] + hole[1] : len(true)]
    times, _, said = handed_on(stamps[kept], 250, [8])
    assert said == [(MarkKind.GAP, *hole)]
    assert np.abs(times - true[kept]).max() < 0.011


@pytest.mark.parametrize("late", [0.03, 0.06, 0.1, 0.2])
def test_a_late_packet_among_the_first_is_not_taken_for_a_lost_one(late: float) -> None:
    true, stamps = arrived(250, 8, 2500, 0.002)
    for first in (16, 64, 88, 112, 120):
        held_up = stamps.copy()
        held_up[first:] = np.maximum(
            held_up[first:], stamps[first] + late + np.arange(len(true) - first) * 1e-6
        )
        times, _, said = handed_on(held_up, 250, [8])
        assert said == []
        assert np.abs(times - true).max() < 0.02


@pytest.mark.parametrize("off", [-0.04, -1e-4, 1e-4, 0.01])
def test_a_rate_off_the_stated_one_is_found_all_the_same(off: float) -> None:
    """The stated rate is believed only as long as the stamps do not speak against it."""
    number = np.arange(250 * 40)
    true = 100 + number / 250 * (1 + off)
    stamps = true + np.random.default_rng(0).uniform(-0.005, 0.005, len(true))
    times, _, said = handed_on(stamps, 250, [25])
    assert said == []
    assert np.abs(times - true)[2500:].max() < 0.0025


@pytest.mark.parametrize("lost_at", [136, 184, 240, 256])
def test_a_packet_lost_before_it_is_known_how_late_they_are_is_counted_within_a_block(lost_at: int) -> None:
    true, stamps = arrived(250, 8, 5000, 0.01)
    kept = np.r_[0:lost_at, lost_at + 16 : len(true)]
    times, _, said = handed_on(stamps[kept], 250, [8])
    ((kind, place, count),) = said
    assert (kind, count) == (MarkKind.GAP, 16)
    assert lost_at <= place <= lost_at + 250
    assert np.abs(times - true[kept])[place:].max() < 0.01
