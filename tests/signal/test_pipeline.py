"""A pipeline of any steps: the same however chunked, honest about what was bad, refusing what it cannot be."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal as dsp

from bci.errors import ConfigError
from bci.signal.measured import LARGEST
from bci.signal.pipeline import Pipeline
from bci.signal.step import TOLERANCE, Step
from bci.signal.steps.features import BandPower, Covariance
from bci.signal.steps.filters import BandPass, Decimate, HighPass, LowPass, Notch, Sos
from bci.signal.steps.masking import Artefact, Flat, Saturation
from bci.signal.steps.montage import Bipolar, CommonAverage, Pick, Scale
from bci.signal.types import Signal, Window

RATE = 200.0
LABELS = ("Fz", "Cz", "Pz", "Oz", "O1", "O2", "T7")
SIGNAL = Signal("planted", RATE, (7,), LABELS, "uV")


def chunk(
    samples: NDArray[np.generic],
    first: int = 0,
    reset: str = "",
    bad: NDArray[np.bool_] | None = None,
    signal: Signal = SIGNAL,
) -> Window:
    n = len(samples)
    flags = np.zeros((n, *signal.flag_shape), bool) if bad is None else bad
    times = np.arange(first, first + n) / RATE
    return Window(signal, first, samples, times, flags, first + n - 1, reset=reset)


def run(
    pipeline: Pipeline,
    samples: NDArray[np.generic],
    sizes: tuple[int, ...] = (),
    first: int = 0,
    bad: NDArray[np.bool_] | None = None,
    signal: Signal = SIGNAL,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float64]]:
    """Pass everything through in chunks of these sizes in turn; return samples, flags and times."""
    running = pipeline.start(signal)
    parts, at, turn = [], 0, 0
    while at < len(samples):
        end = min(len(samples), at + (sizes[turn % len(sizes)] if sizes else len(samples)))
        flags = None if bad is None else bad[at:end]
        out = running(chunk(samples[at:end], first + at, "" if at else "start", flags, signal))
        assert out.first == (first + at) // running.ratio
        parts.append((out.samples.copy(), out.bad.copy(), out.times.copy()))
        at, turn = end, turn + 1
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]


edges = st.tuples(st.floats(0.5, 15), st.floats(1.5, 3)).map(lambda e: (e[0], e[0] * e[1]))
# Steps that take any number of channels, so that any sequence of them is a pipeline.
any_step: st.SearchStrategy[Step] = st.one_of(
    edges.map(lambda e: BandPass(*e, order=2)),
    st.floats(0.5, 10).map(lambda low: HighPass(low, 2)),
    st.floats(10, 20).map(lambda high: LowPass(high, 3)),
    st.floats(5, 20).map(lambda f: Notch(f, 10)),
    st.just(CommonAverage()),
    st.just(Decimate(2)),
    st.floats(20, 200).map(Saturation),
    st.tuples(st.floats(20, 200), st.floats(0.01, 0.3)).map(lambda a: Artefact(*a)),
    st.floats(0.02, 0.2).map(Flat),
)
last_step: st.SearchStrategy[list[Step]] = st.one_of(
    st.just([]),
    st.integers(1, 40).map(lambda block: [BandPower(((4, 8), (9, 16)), block, order=2)]),
    st.integers(2, 40).map(lambda block: [Covariance(block)]),
    st.just([Pick(("oz", "CZ")), Bipolar((("Oz", "Cz"),)), Scale((1.5,), (2.0,))]),
)
pipelines = st.tuples(st.lists(any_step, max_size=4), last_step).filter(
    # Decimated once, every edge above is still below half the rate.
    lambda p: sum(isinstance(step, Decimate) for step in p[0]) <= 1
)


@settings(max_examples=60, deadline=None)
@given(
    steps=pipelines,
    seed=st.integers(0, 1 << 30),
    sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4),
    first=st.integers(0, 10_000),
    order=st.sampled_from("CF"),
    bursts=st.lists(st.tuples(st.integers(0, 399), st.integers(1, 30), st.integers(0, 6)), max_size=3),
)
def test_any_pipeline_is_the_same_for_any_chunking(
    steps: tuple[list[Step], list[Step]],
    seed: int,
    sizes: list[int],
    first: int,
    order: str,
    bursts: list[tuple[int, int, int]],
) -> None:
    pipeline = Pipeline([*steps[0], *steps[1]])
    samples = np.random.default_rng(seed).normal(0, 40, (400, 7)).astype("f4")
    for at, length, channel in bursts:
        samples[at : at + length, channel] = (np.nan, np.inf, -np.inf)[channel % 3]
    whole = run(pipeline, samples, first=first)
    for parts in (
        run(pipeline, np.asarray(samples, order=order), tuple(sizes), first),
        run(pipeline, samples, (1,), first),
    ):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(whole, parts, strict=True))
    assert np.isfinite(whole[0]).all()
    ratio = pipeline.ratio(SIGNAL)
    assert len(whole[0]) == (first + 400) // ratio - first // ratio
    assert Pipeline.from_json(pipeline.to_json()) == pipeline


# -- what was bad ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "sos"),
    [
        (BandPass(1, 40), dsp.butter(4, (1, 40), "bandpass", fs=RATE, output="sos")),
        (HighPass(0.5, 2), dsp.butter(2, 0.5, "highpass", fs=RATE, output="sos")),
        (LowPass(20), dsp.butter(4, 20, "lowpass", fs=RATE, output="sos")),
        (Notch(50), dsp.tf2sos(*dsp.iirnotch(50, 30, fs=RATE))),
    ],
)
@pytest.mark.parametrize("length", [1, 40, 900])
def test_what_is_left_of_a_missing_stretch_where_marks_end_is_within_the_stated_tolerance(
    step: Step, sos: NDArray[np.float64], length: int
) -> None:
    clean = np.random.default_rng(6).normal(0, 50, (12_000, 7)).astype("f4")
    spoilt = clean.copy()
    spoilt[3000 : 3000 + length, 2] = np.nan
    held = np.abs(clean[3000 : 3000 + length, 2] - clean[2999, 2]).max()
    expected, _, _ = run(Pipeline([step]), clean)
    got, bad, _ = run(Pipeline([step]), spoilt, (50,))
    marked = np.flatnonzero(bad[:, 2])
    assert marked[0] == 3000
    assert len(marked) == marked[-1] - marked[0] + 1 > length
    assert not np.delete(bad, 2, axis=1).any()
    difference = np.abs(got - expected)[~bad].max()
    whole = np.abs(dsp.sosfilt(sos, np.eye(1, 20_000)[0])).sum()
    assert difference <= TOLERANCE * whole * held + 1e-4  # and the last place of float32
    assert np.abs(got - expected)[bad].max() > 10 * difference


def test_the_value_of_a_flagged_channel_never_reaches_the_average_of_the_others() -> None:
    samples = np.random.default_rng(7).normal(0, 50, (500, 7)).astype("f4")
    flags = np.zeros((500, 7), bool)
    flags[100:200, 3] = True
    missing = samples.copy()
    missing[100:200, 3] = np.nan
    pipeline = Pipeline([CommonAverage()])
    flagged, bad, _ = run(pipeline, samples, (33,), bad=flags)
    gone, bad_too, _ = run(pipeline, missing, (10,))
    assert np.array_equal(bad, flags)
    assert np.array_equal(bad_too, flags)
    assert flagged[~bad].tobytes() == gone[~bad].tobytes()


def test_a_missing_value_is_held_and_zero_before_the_first() -> None:
    samples = np.array([[np.nan] * 7, [5.0] * 7, [np.inf] * 7, [np.nan] * 7, [6.0] * 7], "f4")
    got, bad, _ = run(Pipeline(), samples, (1,))
    assert got[:, 0].tolist() == [0.0, 5.0, 5.0, 5.0, 6.0]
    assert bad[:, 0].tolist() == [True, False, True, True, False]


def test_what_is_too_large_to_be_measured_is_as_bad_as_nan() -> None:
    samples = np.random.default_rng(0).normal(0, 40, (400, 7)).astype("f4")
    samples[200:260:2, 1] = 3e38
    samples[201:260:2, 1] = -3e38
    got, bad, _ = run(Pipeline([BandPower(((8, 13),), 10)]), samples)
    assert np.isfinite(got).all()
    assert bad[20:26, 1].all()
    edge = np.full((3, 7), LARGEST, "f4")
    assert not run(Pipeline(), edge)[1].any()
    assert run(Pipeline(), 2 * edge)[1].all()


def test_integers_reach_their_rail_at_either_end() -> None:
    signal = Signal("counts", RATE, (1,), dtype="int16")
    samples = np.array([[0], [-32768], [32767], [32766]], "i2")
    _, bad, _ = run(Pipeline([Saturation(32767)]), samples, signal=signal)
    assert bad[:, 0].tolist() == [False, True, True, False]


def test_a_reset_forgets_everything_but_the_count() -> None:
    samples = np.random.default_rng(1).normal(0, 40, (1200, 7)).astype("f4")
    samples[380:400, 1] = np.nan
    pipeline = Pipeline([BandPass(4, 20, 2), Flat(0.05), Decimate(2), Covariance(10)])
    running = pipeline.start(SIGNAL)
    running(chunk(samples[:400], 0, "start"))
    went_on = running(chunk(samples[400:], 400, "gap"))
    fresh = pipeline.start(SIGNAL)(chunk(samples[400:], 400, "start"))
    assert went_on.samples.tobytes() == fresh.samples.tobytes()
    assert went_on.bad.tobytes() == fresh.bad.tobytes()
    assert (went_on.first, went_on.reset, fresh.reset) == (20, "gap", "start")


def test_a_count_that_jumps_is_a_reset_without_being_told() -> None:
    running = Pipeline([HighPass(1)]).start(SIGNAL)
    samples = np.ones((10, 7), "f4")
    assert running(chunk(samples, 0, "start")).reset == "start"
    assert running(chunk(samples, 10)).reset == ""
    assert running(chunk(samples, 25)).reset == "discontinuity"
    assert running.settled_from == 25 + running.settle


def test_a_filter_whose_input_falls_silent_comes_to_rest() -> None:
    # Otherwise its state decays into denormal numbers, which are some forty times slower, and stays there.
    sos = dsp.butter(4, (8, 13), "bandpass", fs=RATE, output="sos")
    kernel = Sos(sos, Signal("two", 100.0, (2,)))
    kernel.reset(3)
    kernel(np.random.default_rng(0).normal(0, 50, (500, 2)), None)
    for _ in range(12):
        silent, _ = kernel(np.zeros((4096, 2)), None)
    assert not kernel._zi.any()
    assert not silent.any()
    loud, _ = kernel(np.ones((10, 2)), None)
    assert np.array_equal(loud[:, 0], dsp.sosfilt(sos, np.ones(10)))


# -- what cannot be --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        ["common_average"],
        [3],
        [{"step": ["band_pass"]}],
        [{"step": None}],
        [{"step": "pick", "channels": [1]}],
        [{"step": "pick", "channels": "Oz"}],
        [{"step": "pick", "channels": []}],
        [{"step": "bipolar", "pairs": [3]}],
        [{"step": "bipolar", "pairs": [["Oz", "Cz", "Pz"]]}],
        [{"step": "scale", "mean": ["x"], "deviation": [1]}],
        [{"step": "scale", "mean": [0], "deviation": [0]}],
        [{"step": "scale", "mean": [math.nan], "deviation": [1]}],
        [{"step": "band_power", "bands": [], "block": 3}],
        [{"step": "band_power", "bands": [[8]], "block": 3}],
        [{"step": "band_power", "bands": [[8, 13]], "block": 1.5}],
        [{"step": "band_power", "bands": [[1 + k / 10, 2 + k / 10] for k in range(200)], "block": 1_000_000}],
        [{"step": "covariance", "block": True}],
        [{"step": "covariance", "block": 10**12}],
        [{"step": "decimate", "factor": 0}],
        [{"step": "band_pass", "low": [1], "high": 2}],
        [{"step": "band_pass", "low": 1, "high": math.inf}],
        [{"step": "band_pass", "low": 1, "high": 40, "order": 10**9}],
        [{"step": "flat", "seconds": -1}],
        [{"step": "flat", "tolerance": "none"}],
        [{"step": "artefact", "threshold": math.nan}],
    ],
    ids=repr,
)
def test_hostile_settings_are_refused_as_settings(steps: list[dict[str, object]]) -> None:
    with pytest.raises(ConfigError):
        Pipeline.from_json(steps).start(SIGNAL)


@pytest.mark.parametrize(
    "step", [BandPass(1, 40), Notch(50), Decimate(2), Flat(), Artefact(3.0), Covariance(4)]
)
def test_an_irregular_signal_is_refused_by_what_needs_a_rate(step: Step) -> None:
    with pytest.raises(ConfigError, match="irregular"):
        Pipeline([step]).output(Signal("events", 0.0, (7,), LABELS))


def test_a_volume_passes_what_works_on_single_values_and_is_refused_elsewhere() -> None:
    volume = Signal("bold", RATE, (4, 3, 2))
    samples = np.random.default_rng(0).normal(0, 1, (50, 4, 3, 2)).astype("f4")
    samples[10, 1, 2, 0] = np.nan
    got, bad, _ = run(Pipeline([HighPass(20, 1), Saturation(100.0)]), samples, (7,), signal=volume)
    assert got.shape == samples.shape
    assert np.argwhere(bad[10]).tolist() == [[1, 2, 0]]
    assert np.isfinite(got).all()
    with pytest.raises(ConfigError, match="row of 2 or more channels"):
        Pipeline([CommonAverage()]).output(volume)
