"""Stamps find gaps, clock resets and duplicates at the exact sample, and correct the sender's clock."""

import doctest
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import bci.io.lsl.irregularity
from bci.errors import StreamError
from bci.io.lsl.irregularity import Irregularity
from bci.io.lsl.stamps import Stamps
from bci.signal.types import MarkKind

Found = list[tuple[MarkKind, int, int]]


def feed(
    stamps: Stamps, raw: NDArray[np.float64], sizes: list[int], offsets: dict[int, float] | None = None
) -> tuple[NDArray[np.float64], Found]:
    """Feed in chunks of these sizes, cut also where the clock offset changes; give events absolute indices."""
    out, found, at, turn, done = np.empty(len(raw)), [], 0, 0, 0
    changes = dict(offsets or {})
    while at < len(raw):
        for event in stamps.shift(changes.pop(at)) if at in changes else []:
            found.append((event.kind, at, event.count))
        end = min([len(raw), at + sizes[turn % len(sizes)], *changes])
        at, turn = end, turn + 1
        # As acquisition does: times written before the samples have come stand if the stamps turn out to be regular.
        if stamps.expect(out[done:end]) and stamps.regular(raw[done:end]):
            stamps.take(raw[done:end])
            done = end
            continue
        events, decided = stamps(raw[done:end], out[done:end], last=end == len(raw))
        found += [(event.kind, done + event.index, event.count) for event in events]
        done += decided
    assert done == len(raw)
    return out, merged(found)


def merged(found: Found) -> Found:
    """Join runs of duplicates that a chunk's end has cut."""
    joined: Found = []
    for kind, index, count in found:
        last = joined[-1] if joined else None
        if last and kind is last[0] is MarkKind.DUPLICATE and last[1] + last[2] == index:
            joined[-1] = (kind, last[1], last[2] + count)
        else:
            joined.append((kind, index, count))
    return joined


def planted() -> tuple[NDArray[np.float64], Found]:
    """Return jittered stamps at 100 Hz with one of everything, and what must be found."""
    raw = 50.0 + np.arange(900) / 100.0 + np.random.default_rng(3).uniform(0, 4e-3, 900)
    raw[300:] += 0.25
    raw[500:] -= 40.0
    raw[600:603] = raw[599]
    raw[700:] += 2.0
    return raw, [
        (MarkKind.GAP, 300, 25),
        (MarkKind.CLOCK_RESET, 500, 0),
        (MarkKind.DUPLICATE, 600, 3),
        (MarkKind.GAP, 700, 200),
    ]


def test_the_example_in_the_documentation_holds() -> None:
    result = doctest.testmod(bci.io.lsl.irregularity)
    assert result.attempted > 0
    assert result.failed == 0


def test_what_was_planted_is_found_at_the_exact_sample() -> None:
    raw, expected = planted()
    times, found = feed(Stamps(100.0), raw, [len(raw)])
    # Samples with the stamp of the one before have times of their own, worked out from the others.
    assert np.diff(times[590:620]) == pytest.approx(0.01, abs=1e-3)
    assert [(kind, index) for kind, index, _ in found] == [(kind, index) for kind, index, _ in expected]
    # How many are missing is judged from jittered stamps: one sample either way.
    assert [count for *_, count in found] == pytest.approx([count for *_, count in expected], abs=1)


@given(sizes=st.lists(st.integers(1, 300), min_size=1, max_size=8))
def test_times_and_events_do_not_depend_on_chunking(sizes: list[int]) -> None:
    raw, _ = planted()
    offsets = {0: 7.0, 250: 7.02, 640: 7.01}
    whole, events = feed(Stamps(100.0), raw, [len(raw)], offsets)  # too long a chunk to be foretold
    times, found = feed(Stamps(100.0), raw, sizes, offsets)
    assert np.array_equal(times, whole)
    assert found == events


def test_exact_stamps_pass_untouched() -> None:
    raw = 1000.0 + np.arange(5000) / 333.3
    times, found = feed(Stamps(333.3, exact=True), raw, [17], {0: 0.0})
    assert np.array_equal(times, raw)
    assert found == [(MarkKind.CLOCK_OFFSET, 0, 0)]


def test_exact_stamps_show_a_single_missing_sample() -> None:
    index = np.delete(np.arange(1000), 421)
    _, found = feed(Stamps(1000.0, exact=True), 5.0 + index / 1000, [64])
    assert found == [(MarkKind.GAP, 421, 1)]


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0])
def test_the_tolerance_scales_with_the_playing_speed(speed: float) -> None:
    for step, gaps in ((0.105, 0), (0.115, 1)):  # 10 ms period and 100 ms tolerance at speed 1
        raw = 9.0 + np.arange(50) / (100 * speed)
        raw[20:] += (step - 0.01) / speed
        _, found = feed(Stamps(100.0, speed, tolerance=0.1), raw, [50])
        assert len(found) == gaps


def test_a_tolerance_of_ones_own_is_kept() -> None:
    raw = 9.0 + np.arange(50) / 100
    raw[20:] += 0.05
    assert feed(Stamps(100.0, tolerance=0.02), raw, [50])[1] == [(MarkKind.GAP, 20, 5)]
    assert feed(Stamps(100.0, tolerance=0.2), raw, [50])[1] == []


def test_missing_samples_are_counted_at_the_true_rate() -> None:
    index = np.concatenate([np.arange(2000), np.arange(3000, 3100)])
    _, found = feed(Stamps(100.0), 5.0 + index / 92.9, [10])
    assert found == [(MarkKind.GAP, 2000, 1000)]


def test_a_change_of_clock_offset_comes_gradually_and_in_order() -> None:
    raw = 100.0 + np.arange(4000) / 1000
    times, found = feed(Stamps(1000.0, exact=True, tolerance=0.1), raw, [10], {0: 3.0, 1000: 3.004})
    assert found == [(MarkKind.CLOCK_OFFSET, 0, 0), (MarkKind.CLOCK_OFFSET, 1000, 0)]
    assert np.allclose(times[:1000], raw[:1000] + 3.0, rtol=0, atol=1e-9)
    assert np.allclose(times[2000:], raw[2000:] + 3.004, rtol=0, atol=1e-9)
    assert times[1499] - raw[1499] == pytest.approx(3.002)
    steps = np.diff(times)
    assert steps.min() > 0.999e-3
    assert steps.max() < 1.01e-3


def test_an_offset_as_good_as_the_one_in_use_is_not_taken() -> None:
    stamps = Stamps(100.0)
    assert [event.kind for event in stamps.shift(3.0)] == [MarkKind.CLOCK_OFFSET]
    assert stamps.shift(3.00001) == []


def test_an_offset_that_jumps_is_a_clock_reset() -> None:
    stamps = Stamps(100.0)
    stamps.shift(3.0)
    stamps(np.arange(1.0, 2.0, 0.01), np.empty(100))
    assert stamps.shift(-600.0) == [
        Irregularity(MarkKind.CLOCK_RESET, 0, 0, -603.0),
        Irregularity(MarkKind.CLOCK_OFFSET, 0, 0, -600.0),
    ]
    times = np.empty(2)
    assert stamps(np.array([2.0, 2.01]), times) == ([], 2)
    assert times.tolist() == [2.0 - 600.0, 2.01 - 600.0]


def test_after_a_restart_no_step_is_a_gap() -> None:
    stamps = Stamps(100.0)
    stamps(np.array([5.0]), np.empty(1))
    stamps.restart()
    assert stamps(np.array([1.0, 1.01]), np.empty(2)) == ([], 2)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_stamp_that_is_no_number_is_refused(wrong: float) -> None:
    with pytest.raises(StreamError, match="no finite number"):
        Stamps(100.0)(np.array([1.0, wrong, 1.02]), np.empty(3))


def test_a_recorded_clock_reset_is_found_and_nothing_else(data: Path) -> None:
    streams, _ = pyxdf.load_xdf(
        data / "xdf_examples" / "clock_resets.xdf", synchronize_clocks=False, dejitter_timestamps=False
    )
    (raw,) = (s["time_stamps"] for s in streams if s["info"]["name"] == ["BioSemi"])
    stamps = Stamps(100.0)
    times, found = feed(stamps, raw, [37])
    assert found == [(MarkKind.CLOCK_RESET, 12876, 0)]
    for segment in (slice(0, 12876), slice(12876, None)):
        rate = (len(raw[segment]) - 1) / np.ptp(times[segment])
        assert rate == pytest.approx((len(raw[segment]) - 1) / np.ptp(raw[segment]), rel=1e-3)
        assert rate == pytest.approx(92.9, abs=0.5)
        # The sender's loop drifts about; the times follow it and even out the single steps.
        assert np.abs(times - raw)[segment].max() < 0.15
        assert np.diff(times[segment])[100:].std() < np.diff(raw[segment]).std() / 5
