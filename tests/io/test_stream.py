"""A stream hands on every sample once, in order, and never across a mark that starts a segment."""

from collections.abc import Iterator

import numpy as np
import pytest

from bci.io.stream import ARRIVED, CORRECTED, RAW, Grid, Stream, follow
from bci.signal.pipeline import Pipeline
from bci.signal.types import MarkKind, Signal, Window
from bci.signal.windows import Windows

SIGNAL = Signal("planted", 100.0, (3,), ("a", "b", "c"), "uV")


@pytest.fixture
def stream(segment_name: str) -> Iterator[Stream]:
    with Stream.create(segment_name, SIGNAL, seconds=2.0) as stream:
        yield stream


def push(stream: Stream, first: int, n: int) -> None:
    """Write samples whose first channel is their own count, stamped by it."""
    count = np.arange(first, first + n)
    stamps = np.empty((n, 3))
    stamps[:, CORRECTED], stamps[:, RAW], stamps[:, ARRIVED] = count / 100, count / 100 + 5, count / 100 + 1
    stream.samples.write(samples=np.stack([count, -count, count * 2], 1).astype("f4"), stamps=stamps)


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
    assert chunk.intact is not None
    assert chunk.intact()
    push(stream, 60, stream.samples.capacity)  # the writer laps the reader while it works
    assert not chunk.intact()
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
