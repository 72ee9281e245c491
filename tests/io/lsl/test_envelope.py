"""Short losses out of chunks that each have a delay of their own are found by the earliest chunks, and nothing else."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import bci.io.lsl.envelope
from bci.io.lsl.irregularity import Irregularity
from bci.io.lsl.stamps import Stamps
from bci.signal.types import MarkKind

Times = NDArray[np.float64]


def chunks(
    rate: int, chunk: int, style: str, scatter: float, seed: int, seconds: int, lost: int = 0, at: int = 0
) -> tuple[Times, Times]:
    """Return when samples were taken and their stamps; `lost` of them, from number `at` on, never came.

    Chunks are late by up to `scatter` seconds. "nominal" stamps the last sample of one when it is sent and those before
    it a period apart, as liblsl does, "spread" all evenly since the last chunk.
    """
    n = seconds * rate // chunk
    late = np.random.default_rng(seed).uniform(0, scatter, n)
    push = np.maximum.accumulate(100 + np.arange(1, n + 1) * chunk / rate + late)
    place = np.arange(1, chunk + 1)
    before = np.r_[100.0, push[:-1]]
    if style == "nominal":
        stamps = (push[:, None] - (chunk - place) / rate).ravel()
    else:
        stamps = (before[:, None] + (push - before)[:, None] * place / chunk).ravel()
    kept = np.r_[0:at, at + lost : n * chunk]
    return (100 + np.arange(1, n * chunk + 1) / rate)[kept], stamps[kept]


def judged(stamps: Times, rate: int, size: int) -> tuple[Times, list[Irregularity], Stamps]:
    """Feed stamps in chunks; return times and what was said, each with its place among all."""
    judge, times, said = Stamps(rate), np.empty(len(stamps)), []
    judge.shift(0.0)
    done = end = 0
    while end < len(stamps):
        end = min(len(stamps), end + size)
        if judge.expect(times[done:end]) and judge.regular(stamps[done:end]):
            judge.take(stamps[done:end])
            done = end
            continue
        events, decided = judge(stamps[done:end], times[done:end], last=end == len(stamps))
        said += [
            Irregularity(event.kind, done + event.index, event.count, event.value, event.since)
            for event in events
        ]
        done += decided
    return times, said, judge


def test_the_example_in_the_documentation_holds() -> None:
    assert doctest.testmod(bci.io.lsl.envelope).attempted > 0
    assert doctest.testmod(bci.io.lsl.envelope).failed == 0


@pytest.mark.parametrize("style", ["nominal", "spread"])
@pytest.mark.parametrize(("rate", "chunk", "scatter"), [(1000, 10, 0.004), (250, 5, 0.008), (500, 10, 0.01)])
def test_a_short_loss_is_counted_and_times_are_right_from_then_on(
    style: str, rate: int, chunk: int, scatter: float
) -> None:
    at, lost = 15 * rate, 2 * chunk
    true, stamps = chunks(rate, chunk, style, scatter, seed=2, seconds=25, lost=lost, at=at)
    times, said, judge = judged(stamps, rate, chunk)
    assert judge.delays is not None
    assert judge.delays.chunked
    assert lost >= judge.delays.smallest
    (gap,) = said
    assert (gap.kind, gap.count) == (MarkKind.GAP, lost)
    assert 0.9 <= (gap.index - at) / rate <= 4
    assert gap.since == pytest.approx((gap.index - at) / rate, abs=0.5)  # it says where it was
    usual = float(np.median((times - true)[10 * rate : at]))
    behind = (times - true)[gap.index + rate :] - usual
    assert np.abs(behind).max() < 0.5 * scatter  # uncorrected it would be as long as what was lost
    assert np.diff(times).min() >= 0


@settings(deadline=None, max_examples=20)
@given(
    style=st.sampled_from(["nominal", "spread"]),
    device=st.sampled_from([(500, 10), (250, 5), (256, 32), (1000, 25)]),
    scatter=st.floats(0.0, 0.02),
    seed=st.integers(0, 10_000),
)
def test_chunks_of_which_none_was_lost_show_no_loss_however_late_they_are(
    style: str, device: tuple[int, int], scatter: float, seed: int
) -> None:
    rate, chunk = device
    _, stamps = chunks(rate, chunk, style, scatter, seed, seconds=25)
    _, said, _ = judged(stamps[4 * rate :], rate, chunk)
    assert [event for event in said if event.index > 5 * rate] == []


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 10_000),
    scatter=st.floats(0.002, 0.012),
    place=st.integers(0, 249),
    more=st.integers(0, 8),
)
def test_every_loss_as_long_as_is_said_is_found_within_seconds(
    seed: int, scatter: float, place: int, more: int
) -> None:
    rate, chunk = 250, 5
    _, learnt, judge = judged(chunks(rate, chunk, "nominal", scatter, seed, seconds=15)[1], rate, chunk)
    assert judge.delays is not None
    lost, at = judge.delays.smallest + more, 15 * rate + place
    _, stamps = chunks(rate, chunk, "nominal", scatter, seed, seconds=25, lost=lost, at=at)
    _, said, _ = judged(stamps, rate, chunk)
    gaps = [event for event in said if event.index >= at]
    assert learnt == []
    assert len(gaps) >= 1
    assert (gaps[0].index - at) / rate <= 4
    assert sum(gap.count for gap in gaps) == pytest.approx(lost, abs=1)


def test_a_delay_that_grows_for_a_while_is_no_loss() -> None:
    """What comes down again was late: for half a second all chunks are 20 ms later."""
    rate, chunk = 500, 10
    _, stamps = chunks(rate, chunk, "nominal", 0.006, seed=3, seconds=25)
    stamps[7500:7750] += 0.02
    _, said, _ = judged(np.maximum.accumulate(stamps), rate, chunk)
    assert [event for event in said if event.kind is MarkKind.GAP] == []


def test_neither_times_nor_marks_depend_on_chunking() -> None:
    _, stamps = chunks(500, 10, "nominal", 0.006, seed=5, seconds=20, lost=20, at=6000)
    times, said, _ = judged(stamps, 500, len(stamps))
    for size in (3, 10, 177):
        others, same, _ = judged(stamps, 500, size)
        assert np.array_equal(others, times)
        assert same == said
    assert [event.count for event in said] == [20]
