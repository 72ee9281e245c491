"""An epoch of one volume, the wait after an onset, holds the beta of its trial; live, replayed, in any chunks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.epochs import Epoch, Epochs
from bci.signal.pipeline import Pipeline
from bci.signal.run import Design, Run
from bci.signal.steps.filters import Decimate, HighPass
from bci.signal.types import Event, Signal, Window
from bci.signal.volumes.motion import HEAD_RADIUS_MM, MotionCorrection
from bci.signal.volumes.realign import brain
from bci.signal.volumes.responses import ResponseGrid, drifts
from bci.signal.volumes.rigid import matrix_of, voxel_sizes_mm
from bci.signal.volumes.trial_betas import SingleTrialBetas
from bci.signal.volumes.trial_scores import TrialsBefore
from bci.signal.windows import Windows
from bci.sim.scanner.head import head_affine, head_volume

TR, N, VOXELS = 1.5, 80, 12
ROWS = Signal("voxels", 1 / TR, (VOXELS,))
ONSETS = (6.2, 14.0, 20.3, 31.9, 40.0, 52.4, 60.1, 71.0, 80.6, 90.0)
DESIGN = Design(np.array(ONSETS), np.full(len(ONSETS), 1.0), ("picture",) * len(ONSETS))
EVENTS = [Event(100 + onset, "picture") for onset in ONSETS]
GRID = ResponseGrid(N, TR)
TRUTH = np.random.default_rng(0).normal(20, 8, (len(ONSETS), VOXELS))
PLANNED = SingleTrialBetas(7.5, N, motion=False, drift="polynomial", order=1)
TOLD = SingleTrialBetas(7.5, N, "events", 1.0, motion=False, drift="polynomial", order=1)
BEFORE = TrialsBefore(4, tuple(np.linspace(15, 25, VOXELS).tolist()), (8.0,) * VOXELS)
TRAINED = replace(TOLD, trained=4, mean=BEFORE.mean, spread=BEFORE.spread, frozen=False)


def values(noise: float = 2.0) -> NDArray[np.float32]:
    responses = np.sum([np.outer(GRID.column(o, 1.0), b) for o, b in zip(ONSETS, TRUTH, strict=True)], axis=0)
    return (900 + responses + np.random.default_rng(1).normal(0, noise, (N, VOXELS))).astype("f4")


def chunks(samples: NDArray[np.float32], sizes: Sequence[int], gap: int = -1) -> list[Window]:
    out: list[Window] = []
    at = 0
    while at < len(samples):
        end = min(at + sizes[len(out) % len(sizes)], len(samples), gap if at < gap else len(samples))
        bad = np.zeros((end - at, *samples.shape[1:]), bool)
        reset = "start" if at == 0 else "gap" if at == gap else ""
        signal = Signal(ROWS.name, ROWS.rate, samples.shape[1:])
        out.append(
            Window(
                signal, at, samples[at:end].copy(), 100 + np.arange(at, end) * TR, bad, end - 1, reset=reset
            )
        )
        at = end
    return out


def cut(
    step: SingleTrialBetas,
    given: list[Window],
    events: Sequence[Event] = EVENTS,
    indices: Sequence[int] = (),
    spread: bool = False,
) -> list[Epoch]:
    """Return epochs of one volume; with `spread`, each event comes with the chunk after its time, as live."""
    pipeline = Pipeline([step]).for_run(Run(design=DESIGN))
    cutter = Epochs(ROWS, pipeline, start=7.5, stop=7.5 + TR)
    out: list[Epoch] = []
    coming = list(events)
    for chunk in given:
        now = [e for e in coming if not spread or e.time <= chunk.times[-1]]
        coming = [e for e in coming if e not in now]
        out += cutter.push(chunk, now, indices if chunk.first == 0 else ())
    return out


def by_definition(number: int, volume: int, samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the LSS beta of a trial from its design matrix, of the volumes up to `volume`."""
    begun = [onset for onset in ONSETS if onset <= volume * TR]
    own = GRID.column(ONSETS[number], 1.0)
    others = np.sum([GRID.column(onset, 1.0) for onset in begun], axis=0) - own
    columns = np.column_stack([own, others, np.ones(N), drifts("polynomial", N, TR, order=1)])[: volume + 1]
    used = np.abs(columns).sum(axis=0) > 0
    return np.linalg.lstsq(columns[:, used], samples[: volume + 1].astype(float), rcond=None)[0][0]


@pytest.mark.parametrize("step", [PLANNED, TOLD], ids=["planned", "told"])
def test_each_epoch_holds_the_beta_of_its_trial(step: SingleTrialBetas) -> None:
    samples = values()
    got = cut(step, chunks(samples, [7]))
    assert len(got) == len(ONSETS)
    for number, epoch in enumerate(got):
        assert epoch.window.samples.shape == (1, VOXELS)
        volume = epoch.window.first
        assert epoch.window.signal.unit == "beta"
        if number < 2:  # too few volumes for ten degrees of freedom, or just enough
            continue
        assert not epoch.window.bad.any()
        wanted = by_definition(number, volume, samples)
        assert np.allclose(epoch.window.samples[0], wanted, rtol=1e-5, atol=1e-4)
    assert got[0].window.bad.all()


def test_betas_are_near_the_planted_ones() -> None:
    found = np.array([epoch.window.samples[0] for epoch in cut(TOLD, chunks(values(0.5), [1]))])[2:]
    assert np.corrcoef(found.ravel(), TRUTH[2:].ravel())[0, 1] > 0.8


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4), step=st.sampled_from([PLANNED, TOLD, TRAINED])
)
def test_epochs_do_not_depend_on_chunking_or_on_when_events_come(
    sizes: list[int], step: SingleTrialBetas
) -> None:
    samples = values()
    whole = cut(step, chunks(samples, [N]))
    for parts in (cut(step, chunks(samples, sizes)), cut(step, chunks(samples, [1]), spread=True)):
        assert len(whole) == len(parts)
        for one, other in zip(whole, parts, strict=True):
            assert one.index == other.index
            assert one.window.samples.tobytes() == other.window.samples.tobytes()
            assert one.window.bad.tobytes() == other.window.bad.tobytes()


def test_reproduction_with_the_recorded_indices_gives_the_same() -> None:
    samples = values()
    live = cut(TOLD, chunks(samples, [1]), spread=True)
    again = cut(TOLD, chunks(samples, [N]), indices=[epoch.index for epoch in live])
    assert [e.window.samples.tobytes() for e in live] == [e.window.samples.tobytes() for e in again]


def test_after_a_gap_the_model_begins_anew_and_onsets_stay() -> None:
    samples = values()
    got = {epoch.event.time: epoch for epoch in cut(PLANNED, chunks(samples, [5], gap=30))}
    late = got[EVENTS[8].time]
    begun = [onset for onset in ONSETS if onset <= late.window.first * TR]
    own = GRID.column(ONSETS[8], 1.0)
    others = np.sum([GRID.column(onset, 1.0) for onset in begun], axis=0) - own
    columns = np.column_stack([own, others, np.ones(N), drifts("polynomial", N, TR, order=1)])
    rows = slice(30, late.window.first + 1)
    wanted = np.linalg.lstsq(columns[rows], samples[rows].astype(float), rcond=None)[0][0]
    assert np.allclose(late.window.samples[0], wanted, rtol=1e-5, atol=1e-4)


def test_a_volume_that_must_not_be_trusted_is_left_out() -> None:
    samples = values()
    given = chunks(samples, [1])
    given[40].samples[:] = 1e5
    given[40].bad[:] = True
    given[20].bad[0, 3] = True
    got = cut(PLANNED, given)[-1]
    assert np.isfinite(got.window.samples).all()
    assert np.corrcoef(got.window.samples[0], TRUTH[-1])[0, 1] > 0.5
    assert not got.window.bad.any()
    for chunk in given[:30]:
        chunk.bad[0, 5] = True
    assert np.flatnonzero(cut(PLANNED, given)[-1].window.bad[0]).tolist() == [5]


@pytest.mark.parametrize("frozen", [True, False])
def test_betas_are_z_scores_over_trials_after_a_warm_up(frozen: bool) -> None:
    samples = values()
    plain = [e.window.samples[0].astype(float) for e in cut(PLANNED, chunks(samples, [4]))]
    scored = cut(replace(PLANNED, warm_up=4, frozen=frozen), chunks(samples, [4]))
    # The first trial has too few volumes, and is none of the warm-up.
    assert [bool(e.window.bad.all()) for e in scored] == [True] * 5 + [False] * 5
    for number in range(5, 10):
        known = np.array(plain[1:5] if frozen else plain[1 : number + 1])
        wanted = (plain[number] - known.mean(axis=0)) / known.std(axis=0, ddof=1)
        assert np.allclose(scored[number].window.samples[0], wanted, rtol=1e-4, atol=1e-4)


def test_trials_of_training_stand_before_a_run_so_that_none_waits_for_a_warm_up() -> None:
    samples = values()
    plain = [e.window.samples[0].astype(float) for e in cut(TOLD, chunks(samples, [4]))]
    scored = cut(TRAINED, chunks(samples, [4]))
    # The first trial has too few volumes for a beta of either kind.
    assert [bool(e.window.bad.any()) for e in scored] == [True] + [False] * 9
    mean, spread = np.array(BEFORE.mean), np.array(BEFORE.spread)
    for number in range(1, 10):
        own = np.array(plain[1 : number + 1])
        together = (4 * mean + own.sum(axis=0)) / (4 + len(own))
        # Squares about the common mean: of four trials with the mean and spread of training, and of the run's.
        squares = 3 * spread**2 + 4 * (mean - together) ** 2 + ((own - together) ** 2).sum(axis=0)
        wanted = (plain[number] - together) / np.sqrt(squares / (3 + len(own)))
        assert np.allclose(scored[number].window.samples[0], wanted, rtol=1e-4, atol=1e-4)
    assert TRAINED.output(ROWS).unit == "z of beta"


def test_a_run_whose_betas_shrink_and_move_is_scored_as_one_that_has_them_as_trained() -> None:
    rng = np.random.default_rng(3)
    good = np.zeros(VOXELS, bool)
    trials = rng.normal(BEFORE.mean, BEFORE.spread, (60, VOXELS)).astype(np.float32)
    moved = (0.6 * trials + 4.0).astype(np.float32)
    as_trained, elsewhere = (
        np.array([scores(row, good)[0] for row in rows])
        for scores, rows in ((TRAINED.scores(VOXELS), trials), (TRAINED.scores(VOXELS), moved))
    )
    by_training = (moved - np.array(BEFORE.mean)) / np.array(BEFORE.spread)
    late = slice(30, None)
    assert np.abs(elsewhere - as_trained)[late].mean() < 0.25 * np.abs(by_training - as_trained)[late].mean()
    # Frozen, training alone scores all of them.
    frozen = replace(TRAINED, frozen=True).scores(VOXELS)
    assert np.allclose([frozen(row, good)[0] for row in moved], by_training, atol=1e-5)


def test_values_that_are_marked_are_no_part_of_the_mean_that_others_are_scored_by() -> None:
    scores, bad = TRAINED.scores(VOXELS), np.zeros(VOXELS, bool)
    bad[2] = True
    wild = np.full(VOXELS, 1e6, np.float32)
    assert scores(wild, bad)[1].tolist() == bad.tolist()
    row = np.array(BEFORE.mean, np.float32)
    given, flags = scores(row, np.zeros(VOXELS, bool))
    assert abs(given[2]) < 1e-5
    assert np.abs(np.delete(given, 2)).min() > 0.1
    assert not flags.any()


def test_after_the_planned_run_nothing_is_given() -> None:
    short = SingleTrialBetas(7.5, 60, "events", 1.0, motion=False, drift="none")
    pipeline = Pipeline([short])
    running = pipeline.start(ROWS)
    for chunk in chunks(values(), [N]):
        assert running(chunk).bad[60:].all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"wait_s": 0.0}, "wait_s"),
        ({"volumes": 2}, "volumes must be a whole number from 3"),
        ({"kind": "p"}, "kind must be one of beta, t, z, got 'p'"),
        ({"drift": "spline"}, "drift must be one of"),
        ({"onsets": "guess"}, "onsets must be one of design, events"),
        ({"freedom": 0}, "freedom"),
        ({"trained": -1}, "trained must be a whole number from 0"),
        ({"trained": 4}, "mean and spread of 12 voxels, came 0 and 0. Training fills them in"),
        ({"trained": 4, "mean": (0.0,) * 3, "spread": (1.0,) * 3}, "of 12 voxels, came 3 and 3"),
        ({"mean": (0.0,) * VOXELS, "spread": (1.0,) * VOXELS}, "no mean and spread without trained"),
        (
            {"trained": 4, "mean": (0.0,) * VOXELS, "spread": (-1.0,) * VOXELS},
            "spread finite and not below 0",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(change: dict[str, Any], words: str) -> None:
    step = SingleTrialBetas(**({"wait_s": 7.5, "volumes": N, "motion": False} | change))
    with pytest.raises(ConfigError, match=words):
        step.output(ROWS)


def test_what_the_session_does_not_give_is_named() -> None:
    with pytest.raises(ConfigError, match=r"planned trials in \[run\] design, came none"):
        Pipeline([PLANNED]).for_run(Run())
    unplanned = Pipeline([PLANNED]).start(ROWS)
    row = np.ones((1, VOXELS), np.float32)
    with pytest.raises(ConfigError, match="only a session fixes"):
        unplanned(Window(ROWS, 0, row, np.zeros(1), row < 0, 0, reset="start"))
    close = Design(np.array([10.0, 10.4]), np.zeros(2), ("a", "b"))
    with pytest.raises(ConfigError, match="a volume or more apart"):
        Pipeline([PLANNED]).for_run(Run(design=close)).start(ROWS)
    late = Design(np.array([10.0, 500.0]), np.zeros(2), ("a", "b"))
    with pytest.raises(ConfigError, match="within the 80 volumes of the run"):
        Pipeline([PLANNED]).for_run(Run(design=late)).start(ROWS)
    with pytest.raises(ConfigError, match="needs 'motion' for each of its samples"):
        Pipeline([SingleTrialBetas(7.5, N, "events")]).start(ROWS)
    with pytest.raises(ConfigError, match="must not decimate"):
        Pipeline([Decimate(2, 1), TOLD]).start(ROWS)
    with pytest.raises(ConfigError, match="sliding windows have none"):
        Windows(ROWS, Pipeline([TOLD]), length=1, hop=1)
    assert Pipeline.from_json(Pipeline([TOLD]).to_json()) == Pipeline([TOLD])


SHAPE = (24, 28, 14)
AFFINE = head_affine(SHAPE, (8.0, 8.0, 9.0))
STILL = head_volume(SHAPE, AFFINE)


def test_from_volumes_to_betas_with_motion_as_nuisance() -> None:
    """Motion that the correction has found is in the model of the step after it."""
    rng = np.random.default_rng(5)
    mask = brain(STILL, voxel_sizes_mm(AFFINE)) & (np.indices(SHAPE)[2] > 3) & (np.indices(SHAPE)[2] < 10)
    n, voxels = 40, int(mask.sum())
    six = np.cumsum(rng.normal(0, 0.1, (n, 6)), axis=0) * np.array([1, 1, 1, 0.01, 0.01, 0.01])
    response = ResponseGrid(n, TR).column(20.0, 1.0)
    planted = np.where(mask, rng.normal(150, 30, SHAPE), 0.0)
    volumes = np.stack(
        [
            head_volume(SHAPE, AFFINE, matrix_of(six[i], np.zeros(3)))
            + planted * response[i]
            + rng.normal(0, 2, SHAPE)
            for i in range(n)
        ]
    ).astype("f4")
    steps = [MotionCorrection("brain", voxels), SingleTrialBetas(9.0, n, "events", 1.0, drift="none")]
    signal = Signal("voxels", 1 / TR, SHAPE)
    run = Run(reference=STILL, affine=AFFINE, masks={"brain": mask})
    cutter = Epochs(signal, Pipeline(steps).for_run(run), start=9.0, stop=9.0 + TR)
    sides: list[Window] = []
    got: list[Epoch] = []
    for chunk in chunks(volumes, [9]):
        got += cutter.push(chunk, [Event(120.0, "picture")] if chunk.first == 0 else [])
        sides += cutter.pipeline.take_sides(chunk)
    motion = np.concatenate([side.samples for side in sides])
    assert len(motion) == n
    assert [side.first for side in sides] == [0, 9, 18, 27, 36]
    (epoch,) = got
    rows = Pipeline(steps[:1]).for_run(run).start(signal)
    values = np.concatenate([rows(chunk).samples for chunk in chunks(volumes, [n])]).astype(float)
    arcs = motion[:, :6] * np.array([1, 1, 1, *[HEAD_RADIUS_MM] * 3])
    columns = np.column_stack([ResponseGrid(n, TR).column(20.0, 1.0), np.ones(n), arcs])[
        : epoch.window.first + 1
    ]
    wanted = np.linalg.lstsq(columns, values[: len(columns)], rcond=None)[0][0]
    assert np.allclose(epoch.window.samples[0], wanted, rtol=1e-4, atol=1e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("gap", [-1, 40])
def test_behind_a_high_pass_the_mean_beta_is_that_of_the_responses_whatever_the_spacing(gap: int) -> None:
    rng, low, n = np.random.default_rng(3), 0.02, 200
    mean = {}
    for every in (6.1, 14.5):
        onsets = np.arange(75.0, n * TR - 12.0, every)
        heights = 30.0 + rng.normal(0.0, 3.0, (len(onsets), VOXELS))
        grid = ResponseGrid(n, TR)
        answers = [np.outer(grid.column(o, 1.5), h) for o, h in zip(onsets, heights, strict=True)]
        data = (9000.0 + np.sum(answers, axis=0) + rng.normal(0.0, 0.3, (n, VOXELS))).astype("f4")
        events = [Event(100.0 + onset, "picture") for onset in onsets.tolist()]
        for known in (0.0, low):
            step = SingleTrialBetas(7.5, n, "events", 1.5, motion=False, drift="none", high_pass_hz=known)
            cutter = Epochs(ROWS, Pipeline([HighPass(low, 1), step]), start=7.5, stop=9.0)
            windows = []
            for number, chunk in enumerate(chunks(data, [7], gap)):
                windows += [epoch.window for epoch in cutter.push(chunk, () if number else events)]
            betas = [window.samples[0] for window in windows if not window.bad.any()]
            assert len(betas) == len(onsets)
            mean[every, known] = float(np.mean(betas))
    assert [mean[every, low] for every in (6.1, 14.5)] == pytest.approx([30.0, 30.0], abs=1.0)
    # Where the model knows nothing of the filter, what the image was before is in the betas.
    assert max(mean[every, 0.0] for every in (6.1, 14.5)) < 0.0


def test_what_does_not_pass_the_filter_is_refused_beside_it() -> None:
    with pytest.raises(ConfigError, match="expected motion = false and physiology = false"):
        replace(TOLD, high_pass_hz=0.02, motion=True).output(ROWS)
