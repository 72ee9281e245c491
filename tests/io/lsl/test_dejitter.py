"""The dejitter finds the true rate, keeps times in order, and does not care how the stamps were cut."""

import doctest
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import bci.io.lsl.dejitter
import bci.io.lsl.packets
from bci.io.lsl.dejitter import Dejitter

RATE = 100.0


def dejittered(stamps: NDArray[np.float64], sizes: list[int], rate: float = RATE) -> NDArray[np.float64]:
    """Dejitter in chunks of these sizes, over and over."""
    dejitter, out, at, turn = Dejitter(rate), np.empty(len(stamps)), 0, 0
    while at < len(stamps):
        end = min(len(stamps), at + sizes[turn % len(sizes)])
        dejitter(stamps[at:end], out[at:end])
        at, turn = end, turn + 1
    return out


def jittered(n: int, rate: float, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return when samples were taken, and when a sender stamped them: up to some 10 ms later."""
    true = 5000.0 + np.arange(n) / rate
    return true, true + np.random.default_rng(seed).exponential(2e-3, n)


@pytest.mark.parametrize("module", [bci.io.lsl.dejitter, bci.io.lsl.packets])
def test_the_example_in_the_documentation_holds(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=8), seed=st.integers(0, 99))
def test_times_do_not_depend_on_chunking(sizes: list[int], seed: int) -> None:
    _, stamps = jittered(700, 92.9, seed)
    assert np.array_equal(dejittered(stamps, sizes), dejittered(stamps, [700]))


def test_the_true_rate_is_found_where_the_stream_states_another() -> None:
    _, stamps = jittered(6000, 92.9)
    dejitter = Dejitter(RATE)
    dejitter(stamps, np.empty(6000))
    assert 1 / dejitter.period == pytest.approx(92.9, rel=1e-4)


def test_jitter_is_removed_and_only_its_mean_remains() -> None:
    true, stamps = jittered(6000, 92.9)
    error = dejittered(stamps, [32]) - true
    assert (stamps - true)[1000:].std() > 1.8e-3
    assert error[1000:].std() < 2e-4
    assert error[1000:].mean() == pytest.approx(2e-3, abs=2e-4)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda s: s + np.random.default_rng(1).exponential(0.03, len(s)), id="jitter of 30 ms"),
        pytest.param(lambda s: np.repeat(s[31::32], 32), id="32 samples share a stamp"),
        pytest.param(lambda s: np.full(len(s), s[0]), id="all stamps equal"),
    ],
)
def test_times_never_run_backwards(spoil: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> None:
    stamps = spoil(np.arange(3200) / RATE)
    times = dejittered(stamps, [7])
    assert np.diff(times).min() >= 0


def test_a_restart_forgets_the_old_rate() -> None:
    dejitter = Dejitter(RATE)
    dejitter(np.arange(500) / 90.0, np.empty(500))
    assert 1 / dejitter.period == pytest.approx(90.0)
    dejitter.restart()
    assert dejitter.period == 1 / RATE
    fresh, again = np.empty(300), np.empty(300)
    dejitter(77.0 + np.arange(300) / 95.0, again)
    Dejitter(RATE)(77.0 + np.arange(300) / 95.0, fresh)
    assert np.array_equal(fresh, again)


def test_stamps_far_from_zero_lose_no_precision() -> None:
    stamps = 1.7e9 + np.arange(20_000) / 1000.0
    assert np.abs(dejittered(stamps, [10], 1000.0) - stamps).max() < 1e-6


@pytest.mark.parametrize("size", [1, 7, 50, 200])
def test_times_written_before_the_stamps_have_come_are_those_written_after(size: int) -> None:
    stamps = np.arange(4000) / 1000 + np.random.default_rng(size).exponential(2e-3, 4000)
    plain, foretold = Dejitter(1000.0), Dejitter(1000.0)
    told = 0
    for first in range(0, len(stamps), size):
        chunk = stamps[first : first + size]
        wanted, got = np.empty(len(chunk)), np.full(len(chunk), np.nan)
        plain(chunk, wanted)
        if foretold.expect(got):
            foretold.take(chunk)
            told += 1
        else:
            foretold(chunk, got)
        assert got.tolist() == wanted.tolist()
    assert told > 0.6 * len(stamps) / size
