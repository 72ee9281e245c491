"""A stream hands on every sample once, in order, and never across a mark that starts a segment."""

import math
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.memory.stream import Grid, Stream, follow, plan_capacity
from bci.signal.pipeline import Pipeline
from bci.signal.types import MarkKind, Signal, Window
from bci.signal.windows import Windows, windows

SIGNAL = Signal("planted", 100.0, (3,), ("a", "b", "c"), "uV")


@pytest.fixture
def stream(segment_name: str) -> Iterator[Stream]:
    with Stream.create(segment_name, SIGNAL, seconds=2.0) as stream:
        yield stream


def push(stream: Stream, first: int, n: int, nan_at: Iterable[int] = ()) -> None:
    """Write samples whose first channel is their own count, stamped by it."""
    count = np.arange(first, first + n)
    samples = np.stack([count, -count, count * 2], 1).astype("f4")
    samples[np.isin(count, list(nan_at)), 1] = np.nan
    stream.samples.write(samples=samples, times=count / 100, raw=count / 100 + 5, arrived=count / 100 + 1)


def collect(
    stream: Stream, grid: Grid, lost: list[tuple[int, int]] | None = None, first: int = 0
) -> list[Window]:
    """Follow a finished stream to its end, keeping copies."""
    told = lost if lost is not None else []
    return [
        Window(
            c.signal, c.first, c.samples.copy(), c.times.copy(), c.bad.copy(), c.last_sample, reset=c.reset
        )
        for c in follow(stream, grid, lambda: True, lambda *o: told.append(o), first=first)
    ]


def test_every_sample_comes_once_and_in_order(stream: Stream) -> None:
    push(stream, 0, 30)
    push(stream, 30, 45)
    stream.samples.finish()
    chunks = collect(stream, Grid(10, 10))
    counts = np.concatenate([c.samples[:, 0] for c in chunks])
    assert counts.tolist() == list(range(75))
    assert np.allclose(np.concatenate([c.times for c in chunks]), np.arange(75) / 100)
    assert chunks[0].reset == "start"


def test_no_chunk_spans_a_gap_and_the_next_one_names_it(stream: Stream) -> None:
    push(stream, 0, 20)
    stream.mark(MarkKind.GAP, 20, count=7, value=0.07)
    push(stream, 20, 20)
    stream.mark(MarkKind.STALLED, 40)  # says something, starts no segment
    push(stream, 40, 5)
    stream.mark(MarkKind.CLOCK_RESET, 45, value=-3.0)
    push(stream, 45, 5)
    stream.samples.finish()
    chunks = collect(stream, Grid(10, 10))
    assert [(c.first, c.end, c.reset) for c in chunks] == [
        (0, 20, "start"),
        (20, 45, "gap"),
        (45, 50, "clock_reset"),
    ]


def test_a_reader_that_was_overtaken_is_told_exactly_what_it_lost(stream: Stream) -> None:
    capacity = stream.samples.capacity
    for first in range(0, capacity + 70, 10):
        push(stream, first, 10)
    stream.samples.finish()
    lost: list[tuple[int, int]] = []
    chunks = collect(stream, Grid(10, 10), lost)
    assert len(lost) == 1
    first, n = lost[0]
    assert first == 0
    assert n >= 70
    assert chunks[0].first == n
    assert chunks[0].reset == "overrun"
    counts = np.concatenate([c.samples[:, 0] for c in chunks])
    assert counts.tolist() == list(range(n, capacity + 70))


def test_following_can_start_anywhere(stream: Stream) -> None:
    push(stream, 0, 40)
    stream.samples.finish()
    chunks = collect(stream, Grid(10, 10), first=13)
    assert chunks[0].first == 13
    assert np.concatenate([c.samples[:, 0] for c in chunks]).tolist() == list(range(13, 40))


def test_an_order_to_stop_ends_following(stream: Stream) -> None:
    push(stream, 0, 40)
    assert list(follow(stream, Grid(10, 10), lambda: False, lambda *o: None)) == []


def test_arrival_is_known_while_the_sample_is_in_the_ring_and_nan_after(stream: Stream) -> None:
    push(stream, 0, 20)
    assert stream.arrived(7) == pytest.approx(1.07)
    assert np.isnan(stream.arrived(20))
    for first in range(20, 20 + stream.samples.capacity, 10):
        push(stream, first, 10)
    assert np.isnan(stream.arrived(7))


@pytest.mark.parametrize(("count", "point"), [(0, 100), (99, 100), (100, 110), (101, 110), (110, 120)])
def test_grid_points_lie_at_start_plus_whole_steps(count: int, point: int) -> None:
    assert Grid(100, 10).after(count) == point


def test_a_chunk_overwritten_while_it_was_lent_is_spoilt_and_gives_no_window(stream: Stream) -> None:
    lost: list[tuple[int, int]] = []
    cutter = Windows(SIGNAL, Pipeline(), length=10, hop=10, newest=True, copy=False)
    chunks = follow(stream, Grid(10, 10), lambda: True, lambda *o: lost.append(o))
    push(stream, 0, 30)
    assert len(list(cutter.push(next(chunks)))) == 1
    push(stream, 30, 30)
    chunk = next(chunks)
    assert chunk.intact
    push(stream, 60, stream.samples.capacity)  # the writer laps the reader while it works
    assert not chunk.intact
    assert list(cutter.push(chunk)) == []
    after = next(chunks)
    assert after.reset == "overrun"
    assert lost == [(30, after.first - 30)]
    (window,) = cutter.push(after)
    assert window.samples[:, 0].tolist() == list(range(window.first, window.first + 10))
    assert cutter.windows == cutter.yielded + cutter.skipped


def test_after_an_order_to_stop_what_a_finished_writer_left_still_comes(stream: Stream) -> None:
    push(stream, 0, 40)
    stream.samples.finish()
    chunks = list(follow(stream, Grid(10, 10), lambda: False, lambda *o: None))
    assert [(c.first, c.end) for c in chunks] == [(0, 40)]


def newest_windows(stream: Stream, sizes: list[int], spoil: set[int], vouch: bool) -> list[Window]:
    """Push pieces with NaN at some counts, and cut each as the decoder does, keeping copies."""
    cutter = Windows(SIGNAL, Pipeline(), length=12, hop=4, newest=True, copy=False)
    chunks = follow(stream, Grid(12, 4), lambda: True, lambda *o: pytest.fail("overrun"))
    found: list[Window] = []
    for size in sizes:
        first = stream.samples.count
        push(stream, first, size, nan_at=spoil)
        if vouch:
            stream.samples.vouch(first + size, good=not spoil & set(range(first, first + size)))
        while (stream.samples.count - 12) // 4 >= 0 and cutter.windows < (stream.samples.count - 12) // 4 + 1:
            found += [
                replace(w, samples=w.samples.copy(), times=w.times.copy(), bad=w.bad.copy())
                for w in cutter.push(next(chunks))
            ]
    return found


@pytest.mark.parametrize("spoil", [set(), {30}, {3, 41, 42}])
@pytest.mark.parametrize("vouch", [False, True])
def test_windows_lent_by_the_ring_equal_those_that_are_kept(
    stream: Stream, spoil: set[int], vouch: bool
) -> None:
    sizes = [12, 4, 4, 8, 4, 12, 4, 4, 4, 20, 4]
    lent = newest_windows(stream, sizes, spoil, vouch)
    n = sum(sizes)
    samples, times = (stream.samples.array(name)[:n] for name in ("samples", "times"))
    whole = Window(SIGNAL, 0, samples, times, np.zeros((n, 3), bool), n - 1, reset="start")
    kept = {w.first: w for w in windows([whole], Pipeline(), length=12, hop=4)}
    assert len(lent) == len(sizes)
    for window in lent:
        twin = kept[window.first]
        assert np.array_equal(window.samples, twin.samples)
        assert np.array_equal(window.times, twin.times)
        assert np.array_equal(window.bad, twin.bad)
        assert window.last_sample == twin.last_sample
    # Once a value has been replaced the ring's memory is no longer what a window holds.
    first_odd = min(spoil, default=10**6)
    assert all((window.lender is None) == (window.last_sample >= first_odd) for window in lent)


def test_a_lent_window_that_is_overwritten_knows_it(stream: Stream) -> None:
    cutter = Windows(SIGNAL, Pipeline(), length=10, hop=10, newest=True, copy=False)
    chunks = follow(stream, Grid(10, 10), lambda: True, lambda *o: None)
    push(stream, 0, 10)
    (window,) = cutter.push(next(chunks))
    assert np.shares_memory(window.samples, stream.samples.array("samples"))
    assert window.intact
    push(stream, 10, stream.samples.capacity)
    assert not window.intact


def test_a_new_writer_vouches_for_nothing_that_its_predecessor_wrote(stream: Stream) -> None:
    ring = stream.samples
    push(stream, 0, 10)
    ring.vouch(10, good=True)
    push(stream, 10, 10)  # its writer dies before it has looked at these
    ring.vouch(20, good=False)
    push(stream, 20, 10)
    assert not ring.vouched(20, 30)  # nobody has looked yet
    ring.vouch(30, good=True)
    assert [ring.vouched(*span) for span in ((0, 10), (10, 20), (15, 30), (20, 30))] == [False] * 3 + [True]


# -- how much is held ----------------------------------------------------------------------------------------

FAST = Signal("256 channels", 30_000.0, (256,))
BRAIN = Signal("whole brain", 0.5, (256, 256, 160))


def test_an_ordinary_stream_is_held_for_as_long_as_was_asked() -> None:
    eeg = plan_capacity(Signal("eeg", 500.0, (64,)), 12.0)
    assert (eeg.samples, eeg.longest, eeg.seconds, eeg.shortened) == (6000, 1500, 12.0, False)
    fast = plan_capacity(FAST, 12.0)
    assert (fast.samples, fast.shortened) == (360_000, False)
    assert fast.nbytes == 450_000 * (256 * 4 + 3 * 8)
    assert plan_capacity(Signal("events", 0.0, (1,)), 12.0).samples == 4096
    assert plan_capacity(Signal("slow", 0.5, (8,)), 12.0).samples == 64


def test_a_stream_that_would_take_more_memory_is_held_for_fewer_seconds() -> None:
    held = plan_capacity(FAST, 12.0, megabytes=256.0)
    assert held.shortened
    assert 6.0 < held.seconds < 7.0
    assert 255e6 < held.nbytes <= 256e6
    assert f"{held.samples} samples, 6.51 s, in 256 MB; the 360000 wanted would take more" in str(held)
    assert held.facts() == {
        "samples": held.samples,
        "seconds": held.seconds,
        "megabytes": held.nbytes / 1e6,
        "shortened": True,
    }


@pytest.mark.parametrize(
    ("signal", "needed", "samples"),
    [(FAST, 0, 60_000), (FAST, 90_000, 90_000), (FAST, 10**9, 360_000), (BRAIN, 0, 8), (BRAIN, 11, 11)],
)
def test_what_a_reader_needs_is_held_whatever_it_takes(signal: Signal, needed: int, samples: int) -> None:
    held = plan_capacity(signal, 12.0, megabytes=1.0, needed=needed)
    assert (held.samples, held.longest) == (samples, samples // 4)
    assert held.shortened == (samples < 360_000)


def test_volumes_are_held_by_the_dozen_in_the_memory_allowed() -> None:
    small = plan_capacity(Signal("bold", 0.5, (64, 64, 36)), 12.0)
    assert (small.samples, small.shortened) == (64, False)
    large = plan_capacity(BRAIN, 12.0, megabytes=1024.0)
    assert large.shortened
    assert 8 < large.samples < 64
    assert large.nbytes <= 1024e6


@settings(max_examples=30, deadline=None)
@given(
    rate=st.sampled_from([0.5, 100.0, 30_000.0]),
    size=st.integers(1, 5000),
    seconds=st.floats(2, 100),
    megabytes=st.floats(0.01, 50),
)
def test_memory_is_kept_to_wherever_more_than_the_least_is_held(
    rate: float, size: int, seconds: float, megabytes: float
) -> None:
    signal = Signal("any", rate, (size,))
    held = plan_capacity(signal, seconds, megabytes)
    least = max(8, math.ceil(2 * rate))
    assert held.nbytes <= megabytes * 1e6 or held.samples <= least
    assert held.samples >= min(least, held.wanted)
    assert 1 <= held.longest <= held.samples


def test_a_stream_of_a_planned_capacity_hands_on_every_sample(segment_name: str) -> None:
    signal = replace(SIGNAL, rate=0.5)
    held = plan_capacity(signal, 12.0, megabytes=0.0001)
    assert held.samples == 8
    with Stream.create(segment_name, signal, capacity=held) as stream:
        assert (stream.samples.capacity, stream.samples.max_window) == (8, 2)
        seen: list[float] = []
        following = follow(stream, Grid(4, 1), lambda: True, lambda first, lost: None)
        for first in range(0, 60, 2):
            push(stream, first, 2)
            seen += next(following).samples[:, 0].tolist()
    assert seen == list(range(60))


class NoBell:
    """A wake-up that never comes: what is waited for is there, or not yet."""

    name, handle = "", 0

    def wait(self, timeout: float) -> bool:
        return False

    def release(self) -> None:
        pass


def cut_live(seed: int, *, foresee: bool, odd_share: float = 0.05) -> tuple[list[Any], int]:
    """Follow a stream with some of what may be odd; return windows, counts, and how many were foreseen."""
    rng = np.random.default_rng(seed)
    cutter = Windows(SIGNAL, Pipeline(), length=30, hop=10, newest=True, copy=False)
    cut, ahead = [], []

    with Stream.create(f"t{uuid.uuid4().hex[:12]}", SIGNAL, seconds=2.0, readers=1) as stream:
        ring = stream.samples
        ring._wakeups, ring._compiled_wait = (NoBell(),), None

        def write() -> bool:
            if ring.count > 600:
                ring.finish()
                return True
            if rng.random() < odd_share:
                stream.mark(MarkKind.GAP, ring.count, count=3)
            n = int(rng.choice([3, 7, 25, 260])) if rng.random() < 3 * odd_share else 10
            odd = [ring.count + 1] if rng.random() < odd_share else []
            push(stream, ring.count, min(n, ring.max_window), nan_at=odd)
            if rng.random() >= 2 * odd_share:
                ring.vouch(ring.count, good=not odd)
            return True

        def look_ahead(chunk: Window) -> None:
            if foresee:
                cutter.foresee(chunk)
                ahead.append(None if cutter._foreseen is None else cutter._foreseen[1])

        for chunk in follow(stream, Grid(30, 10), write, lambda first, lost: None, foresee=look_ahead):
            cut += [
                (w.first, w.samples.tobytes(), w.times.tobytes(), w.bad.tobytes(), w.skipped, w.last_sample, w.settled,
                 bool(ahead) and w is ahead[-1])
                for w in cutter.push(chunk)
            ]  # fmt: skip
        # What the next chunk would be mended with; the ring's own memory, so it is read before that is let go.
        end = (cutter.windows, cutter.yielded, cutter.skipped, cutter.pipeline._held.tobytes())
    return [*(w[:-1] for w in cut), end], sum(w[-1] for w in cut)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**31))
def test_windows_made_before_their_samples_are_those_made_behind_them(seed: int) -> None:
    (late, _), (early, _) = (cut_live(seed, foresee=foresee) for foresee in (False, True))
    assert early == late


def test_nearly_all_windows_of_a_calm_stream_are_made_before_their_samples() -> None:
    cut, foreseen = cut_live(3, foresee=True, odd_share=0.0)
    assert foreseen > 0.9 * len(cut)
