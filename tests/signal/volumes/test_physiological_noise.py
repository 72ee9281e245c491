"""A pulse and a belt that come beside the volumes are nuisance of live models: heard in time, late, or not at all."""

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.beside import Heard
from bci.signal.pipeline import Pipeline, RunningPipeline
from bci.signal.run import Design, Run
from bci.signal.types import Signal, Window
from bci.signal.volumes.nuisance import RemoveNuisance
from bci.signal.volumes.physiological_noise import COLUMNS, PhysiologicalNoise, is_heard, voxel_slices
from bci.signal.volumes.physiology import Physiology
from bci.signal.volumes.responses import ResponseGrid
from bci.signal.volumes.trial_betas import SingleTrialBetas

RATE, TR, N = 50.0, 2.0, 90
TIMES = (0.0, 0.7, 1.4)
BEFORE_S = 12.0
SECONDS = np.arange(0, N * TR + BEFORE_S, 1 / RATE) - BEFORE_S


def phase(seconds: NDArray[np.float64], hz: float, wander: float) -> NDArray[np.float64]:
    """Return the phase of a rhythm whose rate wanders."""
    return 2 * np.pi * hz * seconds + wander * np.sin(2 * np.pi * 0.02 * seconds)


BODY = np.column_stack([np.cos(phase(SECONDS, 1.1, 2.0)), np.cos(phase(SECONDS, 0.27, 1.0))])
MASK = np.ones((2, 2, 3), bool)
SLICES = np.argwhere(MASK)[:, 2]
VOXELS = len(SLICES)
ROWS = Signal("BOLD", 1 / TR, (VOXELS,), unit="")
RUN = Run(masks={"brain": MASK})
NOISE = PhysiologicalNoise("pulse", "belt", "brain", TIMES)
ALONE = PhysiologicalNoise(pulse="pulse")


def hears(first: int, times: NDArray[np.float64], *, deaf: Sequence[int] = ()) -> list[Heard]:
    """Return what volumes hear where all comes in time, but for the `deaf`; the next one catches up."""
    heard = []
    for volume in range(first, first + len(times)):
        before = next((v for v in range(volume - 1, -1, -1) if v not in deaf), -1)
        begin, end = (
            round((BEFORE_S + (v + 1) * TR - 0.2) * RATE) if v >= 0 else 0 for v in (before, volume)
        )
        end = begin if volume in deaf else end
        newest = SECONDS[end - 1] - volume * TR if end else np.nan
        heard.append(Heard(begin, BODY[begin:end], RATE, newest))
    return heard


def run(
    pipeline: Pipeline, values: NDArray[np.float64], chunk: int = N, **more: Sequence[int]
) -> tuple[Window, NDArray[np.float64]]:
    """Return what a pipeline gives for rows of voxels, and its side output of physiology."""
    running = pipeline.for_run(RUN).start(Signal("BOLD", 1 / TR, values.shape[1:]))
    running.beside.hears_with = lambda first, times: hears(first, times, **more)
    outs: list[Window] = []
    sides = [np.zeros((0, len(COLUMNS)))]
    for at in range(0, N, chunk):
        part = values[at : at + chunk].astype(np.float32)
        bad = np.zeros(part.shape, bool)
        times = np.arange(at, at + len(part)) * TR
        given = Window(
            running.signal, at, part, times, bad, at + len(part) - 1, reset="start" if not at else ""
        )
        outs.append(running(given))
        sides += [side.samples for side in running.take_sides(given) if side.signal.channels == COLUMNS]
    samples, bad = (np.concatenate([getattr(out, name) for out in outs]) for name in ("samples", "bad"))
    return Window(outs[0].signal, 0, samples, np.arange(N) * TR, bad, N - 1), np.concatenate(sides)


def test_nothing_is_imported_while_volumes_come() -> None:
    words = """
import sys
import numpy as np
from bci.signal.beside import Heard
from bci.signal.pipeline import Pipeline
from bci.signal.types import Signal, Window
from bci.signal.volumes.nuisance import RemoveNuisance
from bci.signal.volumes.physiological_noise import PhysiologicalNoise
nuisance = RemoveNuisance(volumes=60, motion=False, drift="none", physiology=True)
running = Pipeline((PhysiologicalNoise(pulse="pulse"), nuisance)).start(Signal("BOLD", 1.0, (2,)))
trace = np.sin(2 * np.pi * np.arange(2400)[:, None] / 36)
running.beside.hears_with = lambda first, times: [
    Heard(40 * (first + k), trace[40 * (first + k) :][:40], 40.0, 0.975) for k in range(len(times))
]
before = set(sys.modules)
values = np.random.default_rng(0).normal(size=(60, 2)).astype("f4")
bad = np.zeros((60, 2), bool)
out = running(Window(running.signal, 0, values, np.arange(60.0), bad, 59, reset="start"))
assert not out.bad[-1].any()
print(sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=100)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def planted(rng: np.random.Generator) -> NDArray[np.float64]:
    """Return rows of voxels that a heart and breathing move, each at the time of its slice."""
    at = np.arange(N)[:, None] * TR + np.array(TIMES)[SLICES]
    body = 4.0 * np.cos(phase(at, 1.1, 2.0) + 0.7) + 4.0 * np.sin(phase(at, 0.27, 1.0))
    return np.asarray(500.0 + body + rng.normal(0, 1.0, at.shape))


def test_a_heart_and_breathing_are_taken_out_as_they_come_each_slice_at_its_own_time() -> None:
    values, left = planted(np.random.default_rng(0)), {}
    for times in (None, TIMES, (0.0, 0.0, 0.0)):
        noise = PhysiologicalNoise("pulse", "belt", "brain", times or (), breath_volume=False)
        last = RemoveNuisance(N, motion=False, drift="none", physiology=times is not None)
        out, sides = run(Pipeline([noise, last] if times else [last]), values)
        assert not out.bad[60:].any()
        left[times] = float(np.median(out.samples[60:].std(axis=0)))
    assert left[None] > 3.5
    assert left[TIMES] < 1.6
    # The slices' own times are worth something: one time for all follows a wandering rate less well.
    assert left[TIMES] < left[0.0, 0.0, 0.0]
    pulse, breaths = (sides[-1, COLUMNS.index(name)] for name in ("pulse_per_minute", "breaths_per_minute"))
    assert (pulse, breaths) == (pytest.approx(66, abs=4), pytest.approx(16.2, abs=1))


def test_what_is_heard_by_a_volume_makes_nearly_the_columns_of_the_whole_run() -> None:
    running = Pipeline([NOISE]).for_run(RUN).start(ROWS)
    running.beside.hears_with = hears
    whole = Physiology(RATE, BEFORE_S, BODY[:, 0], BODY[:, 1]).columns(N, TR, TIMES)
    live = []
    for volume in range(N):
        part = np.zeros((1, VOXELS), np.float32)
        running(
            Window(
                ROWS, volume, part, np.array([volume * TR]), part > 0, volume, reset="" if volume else "start"
            )
        )
        assert running.beside.kernel is not None
        live.append(running.beside.kernel.columns[0])
    alike = [np.corrcoef(np.array(live)[10:, 1, k], whole[10:, 1, k])[0, 1] for k in range(8)]
    # The heart's phase; that of breathing, whose histogram is of the breaths so far.
    assert min(alike[:2]) > 0.99
    assert min(alike[4:6]) > 0.9


def test_betas_of_trials_are_least_squares_with_the_columns_of_each_slice() -> None:
    rng = np.random.default_rng(1)
    onsets = np.arange(40.0, 150.0, 12.0)
    design = Design(onsets, np.ones(len(onsets)), ("one",) * len(onsets))
    grid = ResponseGrid(N, TR)
    truth = rng.normal(20, 6, (len(onsets), VOXELS))
    values = planted(rng) + np.sum(
        [np.outer(grid.column(o, 1.0), t) for o, t in zip(onsets, truth, strict=True)], 0
    )
    steps = [NOISE, SingleTrialBetas(8.0, N, motion=False, drift="polynomial", order=1, physiology=True)]
    pipeline = Pipeline([step.with_run(Run(design, masks={"brain": MASK})) for step in steps])  # type: ignore[attr-defined]
    running = pipeline.start(ROWS)
    running.beside.hears_with = hears
    columns, betas = [], {}
    for volume in range(N):
        part = values[volume : volume + 1].astype(np.float32)
        reset = "" if volume else "start"
        out = running(Window(ROWS, volume, part, np.array([volume * TR]), part < 0, volume, reset=reset))
        assert running.beside.kernel is not None
        columns.append(running.beside.kernel.columns[0])
        betas[volume] = out.samples[0]
    last = int(np.ceil(onsets[-1] / TR - 0.5)) + 4
    slow = np.linspace(-1, 1, N)
    shared = [
        grid.column(onsets[-1], 1.0),
        np.sum([grid.column(o, 1.0) for o in onsets[:-1]], axis=0),
        np.ones(N),
        slow,
    ]
    for voxel in (0, 1, 2):
        own = np.array(columns)[:, SLICES[voxel]]
        X = np.column_stack([*shared, own])[: last + 1]
        fitted = np.linalg.lstsq(X, values[: last + 1, voxel].astype(np.float32), rcond=None)[0]
        assert betas[last][voxel] == pytest.approx(fitted[0], rel=1e-4)


def test_chunks_change_nothing_and_a_volume_that_hears_nothing_is_used_without() -> None:
    pipeline = Pipeline([NOISE, RemoveNuisance(N, motion=False, drift="none", physiology=True)])
    values, deaf = planted(np.random.default_rng(2)), (70, 71)
    whole, sides = run(pipeline, values, deaf=deaf)
    parts, others = run(pipeline, values, 7, deaf=deaf)
    assert np.array_equal(whole.samples, parts.samples)
    assert np.array_equal(sides, others, equal_nan=True)
    newest = sides[:, COLUMNS.index("newest_s")]
    assert [v for v in range(N) if not is_heard(newest[v], TR)] == list(deaf)
    # Without columns its noise stays, and the models go on.
    assert not whole.bad[60:].any()
    assert np.abs(whole.samples[list(deaf)]).max() > 3.0
    assert whole.samples[72:].std() < 1.6
    # What they missed is heard by the next one, so that nothing begins anew.
    assert np.isfinite(sides[72, COLUMNS.index("pulse_per_minute")])


def test_samples_that_are_missing_in_the_trace_begin_it_anew() -> None:
    running = Pipeline([ALONE]).start(ROWS)

    def lossy(first: int, times: NDArray[np.float64]) -> list[Heard]:
        (heard,) = hears(first, times)
        pulse = heard.samples[:-20, :1] if first == 50 else heard.samples[:, :1]
        return [Heard(heard.first, pulse, RATE, heard.newest_s)]

    running.beside.hears_with = lossy
    known = []
    for volume in range(70):
        part = np.zeros((1, VOXELS), np.float32)
        chunk = Window(
            ROWS, volume, part, np.array([volume * TR]), part > 0, volume, reset="" if volume else "start"
        )
        running(chunk)
        (side,) = running.take_sides(chunk)
        known.append(bool(np.isfinite(side.samples[0, COLUMNS.index("pulse_per_minute")])))
    assert known == [True] * 50 + [False] * 5 + [True] * 15


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([PhysiologicalNoise()], "expected pulse, breath or both"),
        ([PhysiologicalNoise("ecg", "ecg")], "expected pulse, breath or both"),
        ([PhysiologicalNoise("ecg", mask="brain")], "slice_times_s of 3 slices, came 0"),
        ([PhysiologicalNoise("ecg", mask="brain", slice_times_s=(0.0, 2.5, 1.0))], "within the TR"),
        ([PhysiologicalNoise("ecg", margin_s=2.0)], "margin_s from 0 to the TR of 2 s"),
        ([PhysiologicalNoise("ecg", mask="brain", slice_times_s=(0.0, 1.0))], "slice_times_s of 3 slices, came 2"),
        ([ALONE, ALONE], "one physiological_noise"),
        ([RemoveNuisance(N, motion=False, physiology=True)], "put physiological_noise before it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(steps: list[object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Pipeline(steps).for_run(RUN).start(ROWS)  # type: ignore[arg-type]


def test_a_pipeline_that_hears_refuses_samples_where_nothing_is_to_be_heard() -> None:
    running: RunningPipeline = Pipeline([ALONE]).start(ROWS)
    part = np.zeros((1, VOXELS), np.float32)
    with pytest.raises(ConfigError, match=r"name it in \[decoder\] physiology"):
        running(Window(ROWS, 0, part, np.zeros(1), part > 0, 0, reset="start"))


def test_voxels_of_another_session_s_mask_have_the_slices_of_today() -> None:
    from bci.signal.run import TrainedGrid

    raised = np.eye(4)
    raised[2, 3] = 1.0
    run = Run(
        reference=np.zeros((2, 2, 5), np.float32),
        affine=np.eye(4),
        masks={"brain": MASK},
        trained=TrainedGrid(np.eye(4), raised, np.zeros((2, 2, 3), np.float32)),
    )
    assert np.array_equal(voxel_slices(run, "brain", 5), SLICES + 1)
