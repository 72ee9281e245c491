"""Rows of voxels: regions averaged, nuisance taken out, spikes marked, steadiness told; whatever the chunks."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.errors import ConfigError, DataError
from bci.signal.pipeline import Pipeline
from bci.signal.run import Run
from bci.signal.step import Step
from bci.signal.types import Signal, Window
from bci.signal.volumes.mask import MaskVolume
from bci.signal.volumes.motion import COLUMNS, MotionCorrection, motion_regressors
from bci.signal.volumes.nuisance import MarkSpikes, RemoveNuisance
from bci.signal.volumes.realign import brain
from bci.signal.volumes.regions import RegionMeans
from bci.signal.volumes.responses import drifts
from bci.signal.volumes.rigid import matrix_of, voxel_sizes_mm
from bci.signal.volumes.running import RunningMoments, RunningZScore, TemporalSnr
from bci.signal.volumes.slice_timing import SliceTiming
from bci.signal.volumes.smoothing import SmoothVoxels
from bci.sim.scanner.head import head_affine, head_volume

SHAPE, N = (20, 24, 12), 30
AFFINE = head_affine(SHAPE, (9.0, 9.0, 11.0))
STILL = head_volume(SHAPE, AFFINE)
MASK = brain(STILL, voxel_sizes_mm(AFFINE)) & (np.indices(SHAPE)[2] > 3) & (np.indices(SHAPE)[2] < 9)
VOXELS = int(MASK.sum())
LEFT = np.broadcast_to((np.arange(SHAPE[0]) < 10)[:, None, None], SHAPE).copy()
FRONT = np.broadcast_to((np.arange(SHAPE[1]) > 14)[:, None], SHAPE).copy()
RUN = Run(reference=STILL, affine=AFFINE, masks={"brain": MASK, "left": LEFT, "front": FRONT})
SIGNAL = Signal("bold", 0.5, SHAPE)


def volumes() -> NDArray[np.float32]:
    """A head that creeps, jumps at volume 12 and back, and flashes at volume 20."""
    rng = np.random.default_rng(2)
    out = []
    for n in range(N):
        six = np.array([0.02 * n, 0, 0, 0, 0, 0.0005 * n]) + (n == 12) * np.array([3.0, 0, 2.0, 0, 0, 0])
        out.append(head_volume(SHAPE, AFFINE, matrix_of(six, np.zeros(3))) * (1.3 if n == 20 else 1.0))
    return (np.array(out) + rng.normal(0, 3, (N, *SHAPE))).astype("f4")


VOLUMES = volumes()


def passed(
    steps: list[Step], sizes: Sequence[int] = (7,), samples: NDArray[np.float32] = VOLUMES
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[NDArray[np.float64]]]:
    """Return values, flags and every side output."""
    running = Pipeline(steps).for_run(RUN).start(SIGNAL)
    values, flags, at, turn = [], [], 0, 0
    sides: list[list[NDArray[np.float64]]] = [[] for _ in running.sides]
    while at < len(samples):
        end = min(at + sizes[turn % len(sizes)], len(samples))
        bad = np.zeros((end - at, *SHAPE), bool)
        chunk = Window(
            SIGNAL,
            at,
            samples[at:end].copy(),
            np.arange(at, end) * 2.0,
            bad,
            end - 1,
            reset="" if at else "start",
        )
        out = running(chunk)
        for place, side in enumerate(running.take_sides(chunk)):
            sides[place].append(side.samples)
        values.append(out.samples)
        flags.append(out.bad)
        at, turn = end, turn + 1
    return np.concatenate(values), np.concatenate(flags), [np.concatenate(side) for side in sides]


MOTION = MotionCorrection("brain", VOXELS, "linear")
MEANS = RegionMeans("brain", VOXELS, ("left", "front"))


def test_a_region_is_the_mean_of_its_voxels_within_the_mask() -> None:
    values, flags, (told,) = passed([MaskVolume("brain", VOXELS), MEANS])
    assert np.array_equal(told, values.astype(float))
    for place, region in enumerate((LEFT, FRONT)):
        assert np.allclose(values[:, place], VOLUMES[:, region & MASK].mean(axis=1), rtol=1e-6)
    assert not flags.any()
    output = Pipeline([MaskVolume("brain", VOXELS), MEANS]).output(SIGNAL)
    assert output.channels == ("left", "front")


@pytest.mark.parametrize(
    ("run", "step", "words"),
    [
        (
            Run(masks={"brain": MASK, "left": LEFT & ~MASK, "front": FRONT}),
            MEANS,
            "'left' within mask 'brain', came none",
        ),
        (Run(masks={"brain": MASK, "left": LEFT[:-1], "front": FRONT}), MEANS, "on one grid"),
        (Run(masks={"brain": MASK, "left": LEFT}), MEANS, "expected a mask 'front'"),
        (RUN, RegionMeans("brain", VOXELS, ()), "one region or more"),
        (RUN, RegionMeans("brain", 7, ("left",)), "expects 7 voxels"),
    ],
)
def test_regions_that_do_not_fit_are_refused(run: Run, step: RegionMeans, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Pipeline([MaskVolume("brain", VOXELS), step]).for_run(run).start(SIGNAL)


def test_a_jump_and_a_flash_are_marked_and_nothing_else() -> None:
    values, flags, _ = passed([MOTION, MarkSpikes()])
    whole = flags.mean(axis=1) > 0.9
    # The head jumps there and back, the picture brightens and darkens.
    assert np.flatnonzero(whole).tolist() == [12, 13, 20, 21]
    assert values.shape == (N, VOXELS)
    with pytest.raises(ConfigError, match="needs 'motion'"):
        Pipeline([MaskVolume("brain", VOXELS), MarkSpikes()]).for_run(RUN).start(SIGNAL)


def test_what_nuisance_leaves_is_that_of_batch_least_squares_up_to_each_volume() -> None:
    steps: list[Step] = [MOTION, RemoveNuisance(N, order=1)]
    values, flags, (motion,) = passed(steps)
    rows, _, _ = passed([MOTION])
    columns = np.column_stack([np.ones(N), drifts("polynomial", N, 2.0, order=1), motion_regressors(motion)])
    for n in range(16, N):
        fitted = np.linalg.lstsq(columns[: n + 1], rows[: n + 1].astype(float), rcond=None)[0]
        assert np.allclose(values[n], rows[n] - columns[n] @ fitted, rtol=1e-3, atol=1e-2)
        assert not flags[n].all()
    assert flags[:12].all()
    assert passed([MOTION, RemoveNuisance(20, order=1)])[1][20:].all()


def test_steadiness_is_the_median_of_mean_over_spread() -> None:
    _, _, (told,) = passed([MaskVolume("brain", VOXELS), TemporalSnr()])
    rows = VOLUMES[:, MASK].astype(float)
    assert np.isnan(told[0, 0])
    for n in (1, 10, N - 1):
        wanted = np.median(rows[: n + 1].mean(axis=0) / rows[: n + 1].std(axis=0, ddof=1))
        assert told[n, 0] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("frozen", [True, False])
def test_z_scores_begin_after_the_warm_up(frozen: bool) -> None:
    values, flags, _ = passed([MaskVolume("brain", VOXELS), RunningZScore(10, frozen=frozen)])
    rows = VOLUMES[:, MASK].astype(float)
    assert flags[:10].all()
    assert not flags[10:].any()
    for n in (10, 25):
        known = rows[:10] if frozen else rows[: n + 1]
        assert np.allclose(
            values[n], (rows[n] - known.mean(axis=0)) / known.std(axis=0, ddof=1), rtol=1e-3, atol=1e-3
        )


def test_moments_leave_marked_values_out_and_go_on_from_a_state() -> None:
    rng = np.random.default_rng(0)
    rows, bad = rng.normal(50, 5, (20, 6)), rng.random((20, 6)) < 0.3
    moments, other = RunningMoments(6), RunningMoments(6)
    for row, marked in zip(rows[:9], bad[:9], strict=True):
        moments.add(row, marked)
    other.restore(moments.state())
    for row, marked in zip(rows[9:], bad[9:], strict=True):
        for one in (moments, other):
            one.add(row, marked)
    kept = np.ma.masked_array(rows, bad)
    assert np.allclose(moments.mean, kept.mean(axis=0))
    assert np.allclose(moments.spread(), kept.std(axis=0, ddof=1))
    assert np.array_equal(moments.mean, other.mean)
    with pytest.raises(DataError, match="state of 5 voxels"):
        RunningMoments(5).restore(moments.state())


@settings(max_examples=2, deadline=None)
@given(sizes=st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_the_whole_chain_does_not_depend_on_chunking(sizes: list[int]) -> None:
    steps: list[Step] = [
        MOTION,
        MarkSpikes(),
        TemporalSnr(),
        RemoveNuisance(N, order=1),
        MEANS,
        RunningZScore(3),
    ]
    whole, parts = passed(steps, [N]), passed(steps, sizes)
    assert whole[0].tobytes() == parts[0].tobytes()
    assert whole[1].tobytes() == parts[1].tobytes()
    for one, other in zip(whole[2], parts[2], strict=True):
        assert one.tobytes() == other.tobytes()
    assert len(whole[2][0][0]) == len(COLUMNS)
    assert not whole[1][-5:].all()


def test_slices_are_brought_to_the_begin_of_their_volume_whatever_the_chunks() -> None:
    """A voxel that rises evenly is, in every slice, what it was when the volume began."""
    times = tuple(2.0 * ((7 * z) % SHAPE[2]) / SHAPE[2] for z in range(SHAPE[2]))
    taken = 2.0 * np.arange(8)[:, None] + np.array(times)
    samples = np.broadcast_to(100 + 3 * taken[:, None, None, :], (8, *SHAPE)).astype("f4")
    whole, flags, _ = passed([SliceTiming(times)], [8], samples)
    assert flags[0].all()
    assert not flags[1:].any()
    wanted = np.broadcast_to(100 + 6.0 * np.arange(1, 8)[:, None, None, None], whole[1:].shape)
    assert np.allclose(whole[1:], wanted, rtol=1e-5)
    for sizes in ([1], [3, 2]):
        parts = passed([SliceTiming(times)], sizes, samples)
        assert parts[0].tobytes() == whole.tobytes()
        assert parts[1].tobytes() == flags.tobytes()
    for wrong in (times[:-1], (*times[:-1], 2.0)):
        with pytest.raises(ConfigError, match="a time within the TR of 2 s for each of 12 slices"):
            SliceTiming(wrong).output(SIGNAL)


def test_smoothing_stays_within_the_mask_and_leaves_an_even_row_even() -> None:
    step = SmoothVoxels("brain", VOXELS, 20.0)
    even = np.where(MASK, 7.0, 1000.0).astype("f4")[None]
    values, _, _ = passed([MaskVolume("brain", VOXELS), step], samples=even)
    assert np.allclose(values, 7.0, rtol=1e-5)
    # Noise falls, and a single bright voxel is spread by the stated width.
    point = np.zeros((1, *SHAPE), np.float32)
    middle = tuple(np.argwhere(MASK).mean(axis=0).round().astype(int))
    point[(0, *middle)] = 1.0
    spread = np.zeros(SHAPE)
    spread[MASK] = passed([MaskVolume("brain", VOXELS), step], samples=point)[0][0]
    beside = spread[middle[0] + 1, middle[1], middle[2]] / spread[middle]
    assert beside == pytest.approx(0.5 ** ((9.0 / 10.0) ** 2), rel=0.05)


def test_smoothing_takes_a_marked_voxel_from_its_neighbours_and_nothing_from_it() -> None:
    kernel = SmoothVoxels("brain", VOXELS, 20.0).with_run(RUN).start(Signal("rows", 0.5, (VOXELS,)))
    rows, bad = np.full((1, VOXELS), 3.0, np.float32), np.zeros((1, VOXELS), bool)
    rows[0, 40], bad[0, 40] = 1e6, True
    values, flags = kernel(rows, bad)
    assert np.allclose(values, 3.0, rtol=1e-4)
    assert flags is not None
    assert np.flatnonzero(flags[0]).tolist() == [40]
