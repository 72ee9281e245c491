"""Whatever the chunks, the layout of their memory, or where the stream begins: the same windows, bit for bit."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.signal.pipeline import STEPS, Pipeline
from bci.signal.step import Step
from bci.signal.steps.features import BandCovariance, BandPower, Covariance
from bci.signal.steps.filters import BandPass, Decimate, HighPass, LowPass, Notch
from bci.signal.steps.masking import Artefact, Flat, Saturation
from bci.signal.steps.montage import Bipolar, CommonAverage, Pick, Relabel, Scale
from bci.signal.types import Signal, Window
from bci.signal.volumes.dvars import Dvars
from bci.signal.volumes.mask import MaskVolume
from bci.signal.volumes.motion import MotionCorrection
from bci.signal.volumes.nuisance import MarkSpikes, RemoveNuisance
from bci.signal.volumes.physiological_noise import PhysiologicalNoise
from bci.signal.volumes.regions import RegionMeans
from bci.signal.volumes.running import RunningZScore, TemporalSnr
from bci.signal.volumes.slice_timing import SliceTiming
from bci.signal.volumes.smoothing import SmoothVoxels
from bci.signal.volumes.trial_betas import SingleTrialBetas
from bci.signal.windows import Windows, windows

RATE, N = 200.0, 700
LABELS = ("Fz", "Cz", "Oz")
SIGNAL = Signal("planted", RATE, (3,), LABELS, "uV")
BOXES: list[Step] = [
    BandPass(8, 13),
    HighPass(1),
    LowPass(40),
    Notch(50),
    Decimate(4),
    CommonAverage(),
    Bipolar((("Fz", "Oz"), ("Cz", "Oz"))),
    Pick(("oz", "FZ.")),
    Scale((1.0, 2.0, 3.0), (2.0, 3.0, 4.0)),
    Saturation(90.0),
    Flat(0.05),
    Artefact(80.0, 0.03),
    BandPower(((4, 8), (8, 13)), 10),
    BandPower(((8, 13),), 7, log=True),
    BandCovariance(((4, 8), (8, 13)), 10),
    Covariance(12),
    Relabel((("Fz", "A1"),)),
    Dvars(),
    TemporalSnr(),
]
PIPELINES = [Pipeline([box]) for box in BOXES] + [
    Pipeline(),
    Pipeline(
        [Saturation(90.0), CommonAverage(), BandPass(1, 40), Notch(50), Decimate(2), BandPower(((8, 13),), 5)]
    ),
    Pipeline([HighPass(1), Artefact(60.0), Pick(("Oz", "Cz")), Decimate(5), Scale((0.0, 1.0), (1.0, 2.0))]),
]


def planted(seed: int) -> NDArray[np.float32]:
    """Noise with a burst of NaN, an infinity, a flat stretch and a saturated one."""
    generator = np.random.default_rng(seed)
    samples = generator.normal(0, 40, (N, 3)).astype("f4")
    a, b, c = generator.integers(0, N - 60, 3)
    samples[a : a + 7, 1] = np.nan
    samples[b, 0] = np.inf
    samples[c : c + 40, 2] = 95.0
    return samples


def cut(
    samples: NDArray[np.float32],
    pipeline: Pipeline,
    sizes: Sequence[int],
    *,
    first: int = 0,
    resets: Sequence[int] = (),
    order: str = "C",
    length: int = 6,
    hop: int = 3,
) -> list[Window]:
    """Cut what lies from `first` on, in chunks of these sizes in turn, with a gap mark before each of `resets`."""
    out: list[Window] = []
    cutter = Windows(SIGNAL, pipeline, length=length, hop=hop)
    at, turn = first, 0
    while at < len(samples):
        end = min(at + sizes[turn % len(sizes)], len(samples), *[r for r in resets if r > at])
        turn += 1
        chunk = (
            np.repeat(samples[at:end], 2, axis=0)[::2] if order == "strided" else samples[at:end].copy(order)
        )
        reset = "start" if at == first else "gap" if at in resets else ""
        bad = np.zeros(chunk.shape, bool)
        out += cutter.push(Window(SIGNAL, at, chunk, np.arange(at, end) / RATE, bad, end - 1, reset=reset))
        at = end
    assert cutter.windows == cutter.yielded == len(out)
    return out


def assert_same(one: list[Window], other: list[Window]) -> None:
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.first, a.last_sample, a.settled, a.skipped) == (
            b.first,
            b.last_sample,
            b.settled,
            b.skipped,
        )
        assert a.samples.dtype == b.samples.dtype
        assert a.samples.tobytes() == b.samples.tobytes()
        assert a.times.tobytes() == b.times.tobytes()
        assert a.bad.tobytes() == b.bad.tobytes()


def test_every_kind_of_step_is_under_test() -> None:
    # What takes volumes, or learns a run, is tried in tests/signal/test_run.py and tests/signal/volumes.
    elsewhere = {
        MaskVolume,
        MotionCorrection,
        SingleTrialBetas,
        RegionMeans,
        MarkSpikes,
        RunningZScore,
        RemoveNuisance,
        PhysiologicalNoise,
        SliceTiming,
        SmoothVoxels,
    }
    assert {type(box) for box in BOXES} == set(STEPS) - elsewhere


@pytest.mark.parametrize("pipeline", PIPELINES, ids=repr)
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 999),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=5),
    first=st.integers(0, 60),
    resets=st.lists(st.integers(61, N - 1), max_size=2),
    order=st.sampled_from(["C", "F", "strided"]),
)
def test_windows_do_not_depend_on_chunking(
    pipeline: Pipeline, seed: int, sizes: list[int], first: int, resets: list[int], order: str
) -> None:
    samples = planted(seed)
    whole = cut(samples, pipeline, [N], first=first, resets=resets)
    assert whole or pipeline.ratio(SIGNAL) > 5
    assert_same(whole, cut(samples, pipeline, sizes, first=first, resets=resets, order=order))


@pytest.mark.parametrize("pipeline", PIPELINES, ids=repr)
def test_one_sample_at_a_time_is_the_same(pipeline: Pipeline) -> None:
    samples = planted(3)
    assert_same(cut(samples, pipeline, [N]), cut(samples, pipeline, [1]))


@pytest.mark.parametrize("pipeline", PIPELINES, ids=repr)
def test_a_start_at_any_sample_keeps_the_grid_and_the_settled_values(pipeline: Pipeline) -> None:
    generator = np.random.default_rng(8)
    samples = generator.normal(0, 20, (4000, 3)).astype("f4")
    whole = {w.first: w for w in cut(samples, pipeline, [500])}
    late = cut(samples, pipeline, [500], first=137)
    assert {w.first for w in late} <= set(whole)
    settled = [w for w in late if w.settled]
    assert settled
    for window in settled:
        assert np.array_equal(window.times, whole[window.first].times)
        scale = np.abs(whole[window.first].samples).max()
        assert np.allclose(window.samples, whole[window.first].samples, rtol=0, atol=5e-3 * scale)


def exclusive(pipeline: Pipeline) -> bool:
    """Whether a bad channel reaches other channels only through values, not by changing who is averaged."""
    return not any(isinstance(step, CommonAverage) for step in pipeline.steps)


@pytest.mark.parametrize("pipeline", [p for p in PIPELINES if exclusive(p)], ids=repr)
def test_what_is_not_marked_was_not_touched_by_what_was_bad(pipeline: Pipeline) -> None:
    generator = np.random.default_rng(4)
    clean = generator.normal(0, 20, (3000, 3)).astype("f4")
    spoilt = clean.copy()
    spoilt[700:705, 1] = np.nan
    spoilt[1900, 2] = -np.inf
    good, marked = cut(clean, pipeline, [3000], length=1, hop=1), cut(spoilt, pipeline, [50], length=1, hop=1)
    scale = np.abs(np.concatenate([w.samples for w in good])).max()
    flags = np.concatenate([w.bad for w in marked])
    assert flags.any()
    assert not flags.all()
    for a, b in zip(good, marked, strict=True):
        assert np.isfinite(b.samples).all()
        trusted = ~b.bad[0] & ~a.bad[0]
        assert np.allclose(a.samples[0][trusted], b.samples[0][trusted], rtol=0, atol=5e-3 * scale)


def test_the_common_average_leaves_out_what_is_bad_at_that_sample() -> None:
    samples = np.array([[1, 2, 6], [1, np.nan, 7], [np.nan, np.nan, np.nan]], "f4")
    got = cut(samples, Pipeline([CommonAverage()]), [3], length=1, hop=1)
    assert np.allclose(got[0].samples, [[-2, -1, 3]])
    assert np.allclose(got[1].samples[0][[0, 2]], [-3, 3])
    assert [w.bad[0].tolist() for w in got] == [[False] * 3, [False, True, False], [True] * 3]
    assert all(np.isfinite(w.samples).all() for w in got)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=6),
    length=st.integers(1, 30),
    hop=st.integers(1, 40),
    ratio=st.integers(1, 3),
)
def test_the_newest_window_is_given_and_those_passed_over_are_counted(
    sizes: list[int], length: int, hop: int, ratio: int
) -> None:
    samples = planted(1)
    pipeline = Pipeline([Decimate(ratio)]) if ratio > 1 else Pipeline()
    every = {w.first: w for w in cut(samples, pipeline, [N], length=length, hop=hop)}
    cutter = Windows(SIGNAL, pipeline, length=length, hop=hop, newest=True)
    at, given_out = 0, 0
    for turn in range(N):
        end = min(N, at + sizes[turn % len(sizes)])
        chunk = samples[at:end]
        bad = np.zeros(chunk.shape, bool)
        reset = "start" if at == 0 else ""
        got = list(
            cutter.push(Window(SIGNAL, at, chunk, np.arange(at, end) / RATE, bad, end - 1, reset=reset))
        )
        at = end
        assert len(got) <= 1
        for window in got:
            same = every[window.first]
            assert window.samples.tobytes() == same.samples.tobytes()
            assert window.last_sample + hop * pipeline.ratio(SIGNAL) >= end
            given_out += 1 + window.skipped
    assert cutter.windows == cutter.yielded + cutter.skipped == given_out == len(every)


def counted(first: int, end: int, reset: str = "") -> Window:
    """Samples that are their own count."""
    samples = np.arange(first, end, dtype="f4")[:, None].repeat(3, axis=1)
    bad = np.zeros((end - first, 3), bool)
    return Window(SIGNAL, first, samples, np.arange(first, end) / RATE, bad, end - 1, reset=reset)


@pytest.mark.parametrize("copy", [True, False])
def test_whoever_takes_the_newest_window_and_leaves_has_lost_nothing(copy: bool) -> None:
    cutter = Windows(SIGNAL, Pipeline(), length=4, hop=5, newest=True, copy=copy)
    for at in range(0, 700, 7):
        window = next(cutter.push(counted(at, at + 7, "" if at else "start")), None)
        if window is not None:
            assert window.samples[:, 0].tolist() == list(range(window.first, window.end))
    assert cutter.windows == (700 - 4) // 5 + 1
    assert cutter.windows == cutter.yielded + cutter.skipped


def test_windows_left_behind_are_an_error_and_not_a_silent_loss() -> None:
    cutter = Windows(SIGNAL, Pipeline(), length=4, hop=5)
    next(cutter.push(counted(0, 20, "start")))
    with pytest.raises(RuntimeError, match="all be taken"):
        cutter.push(counted(20, 30))


def test_views_hold_until_the_next_window_is_asked_for_however_long_the_chunk() -> None:
    cutter = Windows(SIGNAL, Pipeline(), length=20, hop=3, copy=False)
    for window in cutter.push(counted(0, 5000, "start")):
        assert window.samples[:, 0].tolist() == list(range(window.first, window.end))
        assert window.samples.base is not None
    assert cutter.yielded == (5000 - 20) // 3 + 1


def test_windows_are_views_only_when_asked_for() -> None:
    samples = planted(2)
    bad = np.zeros(samples.shape, bool)
    chunk = Window(SIGNAL, 0, samples, np.arange(N) / RATE, bad, N - 1, reset="start")
    owned = list(windows([chunk], Pipeline(), length=10, hop=10))
    assert [w.first for w in owned] == list(range(0, N, 10))
    viewed = [w.samples.copy() for w in windows([chunk], Pipeline(), length=10, hop=10, copy=False)]
    for a, b in zip(owned, viewed, strict=True):
        assert a.samples.tobytes() == b.tobytes()
