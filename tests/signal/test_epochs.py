"""Every marker ends as an epoch of the right samples or as a loss with its reason, whatever the chunks."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.signal.epochs import Epoch, Epochs, epochs
from bci.signal.pipeline import Pipeline
from bci.signal.steps.filters import BandPass, Decimate
from bci.signal.types import Event, Signal, Window

RATE, N = 100.0, 1000
SIGNAL = Signal("planted", RATE, (1,), ("count",))


def chunk(first: int, end: int, reset: str = "") -> Window:
    """Samples that are their own count."""
    samples = np.arange(first, end, dtype="f4")[:, None]
    bad = np.zeros((end - first, 1), bool)
    return Window(SIGNAL, first, samples, np.arange(first, end) / RATE, bad, end - 1, reset=reset)


def markers(*times: float) -> list[Event]:
    return [Event(time, f"at {time}") for time in times]


def run(
    cutter: Epochs, sizes: Sequence[int], events: Sequence[Event], lag: float = 0.0, gap: int = -1
) -> list[Epoch]:
    """Feed everything in chunks; a marker comes `lag` seconds of data after it happened."""
    out: list[Epoch] = []
    left = sorted(events, key=lambda m: m.time)
    at, turn = 0, 0
    while at < N:
        end = min(N, at + sizes[turn % len(sizes)])
        if at < gap < end:
            end = gap
        turn += 1
        due = [m for m in left if m.time + lag < end / RATE]
        left = [m for m in left if m not in due]
        out += cutter.push(chunk(at, end, "start" if at == 0 else "gap" if at == gap else ""), due)
        at = end
    assert cutter.yielded == len(out)
    return out


def test_an_epoch_holds_the_samples_around_its_marker() -> None:
    (epoch,) = epochs([chunk(0, N, "start")], markers(5.0), Pipeline(), start=-0.2, stop=0.5)
    assert epoch.index == 500
    assert epoch.window.first == 480
    assert epoch.window.samples[:, 0].tolist() == list(range(480, 550))
    assert epoch.window.last_sample == 549


@pytest.mark.parametrize(("time", "index"), [(5.004, 500), (5.006, 501), (5.005, 500), (0.0, 0), (-0.004, 0)])
def test_a_marker_is_put_on_the_nearest_sample_the_earlier_of_two(time: float, index: int) -> None:
    (epoch,) = epochs([chunk(0, N, "start")], markers(time), Pipeline(), start=0.0, stop=0.1)
    assert epoch.index == index


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    times=st.lists(st.floats(0.5, 9.0), min_size=1, max_size=8, unique=True),
    lag=st.floats(0, 2),
    filtered=st.booleans(),
)
def test_epochs_do_not_depend_on_chunking_or_on_when_the_marker_comes(
    sizes: list[int], times: list[float], lag: float, filtered: bool
) -> None:
    pipeline = Pipeline([BandPass(5, 20), Decimate(2)]) if filtered else Pipeline()
    events = markers(*times)
    whole = run(Epochs(SIGNAL, pipeline, start=-0.2, stop=0.3), [N], events)
    parts = run(Epochs(SIGNAL, pipeline, start=-0.2, stop=0.3), sizes, events, lag=min(lag, 0.9))
    late = {m.text for m in events} - {e.event.text for e in parts}
    kept = {e.event.text: e for e in whole}
    assert all(m.time + min(lag, 0.9) >= N / RATE for m in events if m.text in late)
    for epoch in parts:
        same = kept[epoch.event.text]
        assert epoch.index == same.index
        assert epoch.window.samples.tobytes() == same.window.samples.tobytes()
        assert epoch.window.times.tobytes() == same.window.times.tobytes()


def test_recorded_indices_are_used_again() -> None:
    (epoch,) = epochs([chunk(0, N, "start")], markers(5.0), Pipeline(), start=0.0, stop=0.1, indices=[503])
    assert epoch.index == 503
    assert epoch.window.samples[0, 0] == 503


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    times=st.lists(st.floats(-0.5, 10.5), min_size=1, max_size=12),
    gap=st.integers(1, N - 1),
    start=st.floats(-0.5, 0.5),
)
def test_losses_do_not_depend_on_chunking_and_recorded_indices_give_the_same_epochs(
    sizes: list[int], times: list[float], gap: int, start: float
) -> None:
    events = markers(*times)

    def outcome(
        sizes: Sequence[int], indices: dict[Event, int] | None = None
    ) -> tuple[list[Epoch], list[str]]:
        cutter = Epochs(SIGNAL, Pipeline(), start=start, stop=start + 0.3)
        known = [None if indices is None else indices.get(m) for m in events]
        at, got = 0, list[Epoch]()
        while at < N:
            end = min(N, at + sizes[at % len(sizes)])
            end = gap if at < gap < end else end
            part = chunk(at, end, "start" if at == 0 else "gap" if at == gap else "")
            got += cutter.push(part, events, known) if at == 0 else cutter.push(part)
            at = end
        cutter.finish()
        assert len(events) == cutter.yielded + len(cutter.lost)
        assert cutter.waiting == 0
        return got, sorted(f"{lost.event} {lost.reason}" for lost in cutter.lost)

    whole, lost = outcome([N])
    parts, lost_in_parts = outcome(sizes)
    again, _ = outcome(sizes, {e.event: e.index for e in whole})
    assert lost == lost_in_parts
    for other in (parts, again):
        assert [(e.index, e.event) for e in other] == [(e.index, e.event) for e in whole]
        assert all(
            a.window.samples.tobytes() == b.window.samples.tobytes()
            for a, b in zip(whole, other, strict=True)
        )
    for epoch in whole:
        assert abs(epoch.index / RATE - epoch.event.time) <= 0.5 / RATE + 1e-9
        counts = epoch.window.samples[:, 0]
        assert not counts[0] < gap <= counts[-1]


def test_recorded_indices_behind_a_gap_wait_for_their_samples() -> None:
    cutter = Epochs(SIGNAL, Pipeline(), start=0.0, stop=0.1)
    got = list(cutter.push(chunk(0, 500, "start"), markers(1.0, 4.99, 8.0), [100, 499, 800]))
    got += cutter.push(chunk(500, N, "gap"))
    assert [e.index for e in got] == [100, 800]
    assert [(lost.event.time, lost.reason) for lost in cutter.lost] == [(4.99, "gap")]


def test_an_epoch_owns_what_it_holds() -> None:
    cutter = Epochs(SIGNAL, Pipeline(), start=0.0, stop=0.1)
    part = chunk(0, 505, "start")
    part.bad[500:] = True
    assert list(cutter.push(part, markers(5.0))) == []
    part.samples[:], part.times[:], part.bad[:] = -1, -1, False
    (epoch,) = cutter.push(chunk(505, 510))
    assert epoch.window.samples[:, 0].tolist() == list(range(500, 510))
    assert epoch.window.bad[:, 0].tolist() == [True] * 5 + [False] * 5


def test_every_marker_is_an_epoch_or_a_loss_with_its_reason() -> None:
    cutter = Epochs(SIGNAL, Pipeline(), start=-0.2, stop=0.3)
    events = markers(0.1, 3.0, 4.9, 5.1, 7.0, 9.9)
    got = run(cutter, [50], events, gap=500)
    assert [e.event.time for e in got] == [3.0, 7.0]
    cutter.finish()
    assert sorted((lost.event.time, lost.reason) for lost in cutter.lost) == [
        (0.1, "gap"),
        (4.9, "gap"),
        (5.1, "gap"),
        (9.9, "gap"),
    ]
    assert cutter.waiting == 0


def test_a_marker_that_comes_when_its_samples_are_gone_is_late() -> None:
    cutter = Epochs(SIGNAL, Pipeline(), start=0.0, stop=0.1, keep=1.0)
    assert run(cutter, [50], markers(2.0), lag=5.0) == []
    assert [(lost.event.time, lost.reason) for lost in cutter.lost] == [(2.0, "late")]


def test_no_epoch_is_given_before_its_last_sample_is_there() -> None:
    cutter = Epochs(SIGNAL, Pipeline(), start=0.0, stop=0.5)
    assert list(cutter.push(chunk(0, 549, "start"), markers(5.0))) == []
    assert cutter.waiting == 1
    assert len(list(cutter.push(chunk(549, 550)))) == 1


def test_an_irregular_signal_has_no_epochs() -> None:
    with pytest.raises(ValueError, match="regular rate"):
        Epochs(Signal("events", 0.0, (1,)), Pipeline(), start=0, stop=1)
