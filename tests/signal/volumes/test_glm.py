"""A model fitted as volumes come is the model fitted to all of them so far, and betas are those of nilearn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.errors import ConfigError, DataError
from bci.signal.volumes.glm import IncrementalGlm
from bci.signal.volumes.responses import ResponseGrid, double_gamma, drifts
from bci.signal.volumes.single_trials import KEPT, BetaKind, SingleTrials, normal_deviate

TR, N, VOXELS = 1.5, 90, 40
NO_NILEARN = "NILEARN IS MISSING: pip install '.[fmri]' to run this test"
ONSETS = [4.1, 10.3, 15.0, 21.7, 33.0, 38.2, 52.9, 60.0, 75.5, 90.0, 101.0]


def design(rng: np.random.Generator) -> np.ndarray:
    grid = ResponseGrid(N, TR)
    task = np.sum([grid.column(onset, 1.0) for onset in ONSETS], axis=0)
    motion = np.cumsum(rng.normal(0, 0.02, (N, 6)), axis=0)
    return np.column_stack([task, motion, drifts("cosine", N, TR, 64.0), np.ones(N)])


def data(rng: np.random.Generator, columns: np.ndarray) -> np.ndarray:
    return 800 + columns @ rng.normal(0, 5, (columns.shape[1], VOXELS)) + rng.normal(0, 4, (N, VOXELS))


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 99))
def test_the_model_equals_batch_least_squares_at_every_volume(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = design(rng)
    values = data(rng, columns)
    glm = IncrementalGlm(columns.shape[1], VOXELS)
    for n in range(N):
        glm.add(columns[n], values[n])
        if glm.degrees_of_freedom < 3 or glm.rank < columns.shape[1]:
            continue
        batch, rest, _, _ = np.linalg.lstsq(columns[: n + 1], values[: n + 1], rcond=None)
        assert np.allclose(glm.betas(), batch, rtol=1e-6, atol=1e-6)
        weights = np.eye(columns.shape[1])[0]
        effect, t = glm.contrast(weights)
        variance = np.sum(np.linalg.pinv(columns[: n + 1])[0] ** 2) * rest / (n + 1 - len(weights))
        assert np.allclose(effect, batch[0], rtol=1e-6, atol=1e-6)
        assert np.allclose(t, batch[0] / np.sqrt(variance), rtol=1e-5)
    assert glm.volumes == N


def test_gates_wait_for_what_cannot_be_told_yet_and_a_state_goes_on() -> None:
    rng = np.random.default_rng(3)
    columns = np.column_stack([np.ones(8), np.arange(8.0), rng.normal(size=8)])
    values = rng.normal(size=(8, 5))
    glm = IncrementalGlm(3, 5)
    for n in range(2):
        glm.add(columns[n], values[n])
    with pytest.raises(DataError, match=r"tell 3 columns apart, came 2 rows of rank 2"):
        glm.betas()
    glm.add(columns[2], values[2])
    with pytest.raises(DataError, match="more volumes than columns"):
        glm.contrast(np.array([0, 1, 0]))
    other = IncrementalGlm(3, 5)
    other.restore(glm.state())
    for n in range(3, 8):
        for one in (glm, other):
            one.add(columns[n], values[n])
    assert np.array_equal(glm.betas(), other.betas())
    with pytest.raises(DataError, match="expected the state"):
        IncrementalGlm(4, 5).restore(glm.state())
    with pytest.raises(DataError, match="leave it out"):
        glm.add(columns[0], np.full(5, np.nan))
    with pytest.raises(DataError, match="row of 3 columns and 5 voxels"):
        glm.add(columns[0][:2], values[0])


def test_a_column_that_repeats_others_is_never_fitted() -> None:
    glm = IncrementalGlm(3, 2)
    for n in range(12):
        glm.add(np.array([1.0, n, 2.0 * n + 1]), np.array([n, 1.0]))
    assert glm.rank == 2
    with pytest.raises(DataError, match="repeats others"):
        glm.betas()


def test_responses_are_those_of_nilearn_on_the_planned_run() -> None:
    models = pytest.importorskip("nilearn.glm.first_level.hemodynamic_models", reason=NO_NILEARN)
    for tr, n in ((1.5, 90), (1.9779, 155), (0.8, 40)):
        grid = ResponseGrid(n, tr)
        for onset, duration in ((4.1, 0.0), (10.37, 1.0), (0.0, 3.0), (n * tr - 5, 2.0), (17.0, 0.0)):
            theirs, _ = models.compute_regressor(
                np.array([[onset], [duration], [1.0]]), "spm", grid.times_s, oversampling=50
            )
            assert np.abs(grid.column(onset, duration) - theirs[:, 0]).max() < 1e-9, (tr, onset, duration)


def test_drifts_are_those_of_nilearn() -> None:
    matrix = pytest.importorskip("nilearn.glm.first_level.design_matrix", reason=NO_NILEARN)
    for n, tr, cutoff in ((100, 2.0, 128.0), (155, 1.5, 64.0)):
        theirs, _ = matrix._make_drift("cosine", np.arange(n) * tr, 3, 1 / cutoff)
        assert np.allclose(drifts("cosine", n, tr, cutoff), theirs[:, :-1], atol=1e-9)
    with pytest.raises(ConfigError, match="cosine, polynomial, none"):
        drifts("spline", 10, 1.0)  # type: ignore[arg-type]


def test_a_response_begins_after_its_event_and_ends() -> None:
    grid = ResponseGrid(N, TR)
    whole = grid.column(20.0, 1.0)
    assert not whole[: int(20 / TR)].any()
    assert not whole[grid.last_volume(20.0, 1.0) + 1 :].any()
    assert double_gamma(0.1).sum() == pytest.approx(1.0)
    with pytest.raises(ConfigError, match="3 volumes or more"):
        ResponseGrid(2, 1.0)


def nuisance(rng: np.random.Generator) -> np.ndarray:
    motion = np.cumsum(rng.normal(0, 0.02, (N, 6)), axis=0)
    return np.column_stack([np.ones(N), drifts("polynomial", N, TR, order=2), motion])


def lss_columns(number: int, n: int, rows: np.ndarray, begun: list[float]) -> np.ndarray:
    """Return the model of one trial by its definition: itself, every other trial begun by volume n - 1, nuisance."""
    grid = ResponseGrid(N, TR)
    own = grid.column(begun[number], 1.0)
    others = np.sum([grid.column(o, 1.0) for i, o in enumerate(begun) if i != number], axis=0)
    others = np.broadcast_to(others, N)
    return np.column_stack([own, others, rows])[:n]


def test_single_trial_betas_are_those_of_nilearn_s_ols_on_the_volumes_so_far() -> None:
    glms = pytest.importorskip("nilearn.glm.first_level", reason=NO_NILEARN)
    rng = np.random.default_rng(0)
    rows = nuisance(rng)
    truth = np.sum(
        [np.outer(ResponseGrid(N, TR).column(o, 1.0), rng.normal(20, 8, VOXELS)) for o in ONSETS], axis=0
    )
    values = 900 + truth + rng.normal(0, 3, (N, VOXELS))
    fit = SingleTrials(ResponseGrid(N, TR), rows.shape[1], VOXELS)
    told, compared = 0, 0
    for n in range(N):
        while told < len(ONSETS) and ONSETS[told] <= n * TR:
            fit.begin(ONSETS[told], 1.0)
            told += 1
        fit.add(n, rows[n], values[n])
        for number in range(max(0, told - 3), told):
            if fit.volumes < 25 or ONSETS[number] + 5 > n * TR:
                continue
            columns = lss_columns(number, n + 1, rows, ONSETS[:told])
            labels, results = glms.run_glm(values[: n + 1], columns, noise_model="ols")
            theirs = results[labels[0]]
            assert np.allclose(fit.estimate(number), theirs.theta[0], rtol=1e-5, atol=1e-5)
            contrast = theirs.Tcontrast(np.eye(columns.shape[1])[0])
            assert np.allclose(fit.estimate(number, "t"), np.squeeze(contrast.t), rtol=1e-5, atol=1e-5)
            compared += 1
    assert compared > 100


@pytest.mark.parametrize("late", [0, 1, 5])
def test_trials_that_are_told_late_are_the_same_in_the_end(late: int) -> None:
    rng = np.random.default_rng(1)
    rows, values = nuisance(rng), 500 + rng.normal(0, 3, (N, VOXELS))
    planned = SingleTrials(ResponseGrid(N, TR), rows.shape[1], VOXELS)
    adaptive = SingleTrials(ResponseGrid(N, TR), rows.shape[1], VOXELS)
    for onset in ONSETS:
        planned.begin(onset, 1.0)
    told = 0
    for n in range(N):
        for one in (planned, adaptive):
            one.add(n, rows[n], values[n])
        while told < len(ONSETS) and ONSETS[told] + late * TR <= n * TR:
            adaptive.begin(ONSETS[told], 1.0)
            told += 1
    for number in range(len(ONSETS)):
        mine, theirs = adaptive.estimate(number), planned.estimate(number)
        assert mine is not None
        assert theirs is not None
        assert np.allclose(mine, theirs, rtol=1e-9, atol=1e-9)
    with pytest.raises(ConfigError, match=f"within {KEPT} volumes"):
        adaptive.begin(20.0)


def test_a_volume_that_is_left_out_changes_no_onset_and_a_trial_without_volumes_waits() -> None:
    rng = np.random.default_rng(2)
    rows = nuisance(rng)[:, :1]
    grid = ResponseGrid(N, TR)
    truth = rng.normal(20, 8, VOXELS)
    values = 500 + np.outer(grid.column(30.0), truth)
    fit = SingleTrials(grid, 1, VOXELS)
    fit.begin(30.0)
    for n in range(N):
        if n not in (20, 21, 24):
            fit.add(n, rows[n], values[n])
        if n * TR <= 30.0:
            assert fit.estimate(0) is None
    found = fit.estimate(0)
    assert found is not None
    assert np.allclose(found, truth, rtol=1e-7)
    assert fit.degrees_of_freedom(0) == N - 3 - 2
    with pytest.raises(ConfigError, match="a run of 90 volumes as planned, came volume 90"):
        fit.add(N, rows[0], values[0])


@pytest.mark.parametrize("kind", ["t", "z"])
def test_without_a_response_t_and_z_are_those_of_chance(kind: BetaKind) -> None:
    rng = np.random.default_rng(4)
    fit = SingleTrials(ResponseGrid(40, TR), 1, 4000)
    fit.begin(15.0)
    for n in range(40):
        fit.add(n, np.ones(1), rng.normal(0, 1, 4000))
    found = fit.estimate(0, kind)
    assert found is not None
    assert found.mean() == pytest.approx(0.0, abs=0.06)
    assert found.std() == pytest.approx(1.0 if kind == "z" else np.sqrt(38 / 36), abs=0.04)
    assert normal_deviate(np.array([1e3, -1e3]), 30).tolist() == pytest.approx(
        [-normal_deviate(np.array([-1e3]), 30)[0], normal_deviate(np.array([-1e3]), 30)[0]]
    )


def test_a_trial_that_is_due_before_any_volume_could_be_taken_waits() -> None:
    fit = SingleTrials(ResponseGrid(40, 2.0), 1, 2)
    assert fit.degrees_of_freedom(fit.begin(4.0)) == 0


def test_columns_that_are_never_told_apart_explain_together_what_they_do() -> None:
    """A heart at half the scanner's pace: its sine and cosine are one column; what they leave is known all the same."""
    random = np.random.default_rng(3)
    n = 40
    beat = np.where(np.arange(n) % 2, -1.0, 1.0)
    beat[:20] = 0.0  # not heard yet
    design = np.column_stack([np.ones(n), np.linspace(-1, 1, n), 0.8 * beat, 0.6 * beat])
    values = random.standard_normal((n, 3)) + 5 * beat[:, None]
    glm = IncrementalGlm(4, 3)
    for k in range(n):
        glm.add(design[k], values[k])
        said = glm.explained(design[k])
        if k < 2 or k == 20:
            assert said is None or glm.degrees_of_freedom < 1, "what is the first of its kind says what it is"
            continue
        whole = design[: k + 1] @ np.linalg.lstsq(design[: k + 1], values[: k + 1])[0]
        assert said is not None, k
        np.testing.assert_allclose(said, whole[k], atol=1e-9)
