"""A readout's uncertainty is true of runs and stimuli it never saw, also where repeats, runs or noise could fool it."""

import numpy as np
import pytest
from planted_brain import world

from bci.errors import DataError
from models.metrics.calibration import coverage
from models.metrics.latents import cosine, r_squared
from models.readouts.bayes import InvertedEncoder
from models.readouts.folds import held_out_folds
from models.readouts.kernel import KernelReadout
from models.readouts.linear import LinearReadout
from models.readouts.solvers import BandedRidge, LeastSquares, Principal, PseudoInverse, Ridge
from models.readouts.voxels import choose_voxels

RIDGES = {
    "ridge": lambda: LinearReadout(Ridge()),
    "kernel ridge": KernelReadout,
    "banded ridge": lambda: LinearReadout(BandedRidge(tuple(k % 2 for k in range(240)), tries=1)),
    "components, then ridge": lambda: LinearReadout(Principal(60)),
    "encoder": lambda: LinearReadout(PseudoInverse()),
}


def repeated(stimuli=50, repeats=6, *, responses=1.0):
    """Each run shows every stimulus once; a stimulus evokes, beside what its latents say, an answer all its own."""
    rng = np.random.default_rng(3)
    made = world()
    brain, latents = made.draw(stimuli, 10**9, seed=8)
    own = responses * made.gain * rng.standard_normal(brain.shape)
    shown = np.concatenate([rng.permutation(stimuli) for _ in range(repeats)])
    noise = 0.5 * made.gain * rng.standard_normal((len(shown), brain.shape[1]))
    return (brain + own)[shown] + noise, latents[shown], np.arange(len(shown)) // stimuli


@pytest.mark.parametrize("name", RIDGES)
def test_stimuli_shown_again_do_not_pass_for_prediction(name):
    brain, latents, runs = repeated()
    readout = RIDGES[name]().fit(brain, latents, runs=runs)
    made = world()
    new, truth = made.draw(300, 10**9, seed=9)
    new = new + np.sqrt(1.25) * made.gain * np.random.default_rng(4).standard_normal(new.shape)
    belief = readout.posterior(new)
    assert 0.86 < coverage(truth, belief.mean, belief.sd, 0.9) < 0.99
    assert readout.confidence(new).mean() < cosine(truth - 1, belief.mean - 1).mean() + 0.1


@pytest.mark.parametrize("name", ["ridge", "kernel ridge"])
@pytest.mark.parametrize("order", ["beside each other", "one set after the other"])
def test_trials_that_stand_twice_in_the_data_teach_no_certainty(name, order):
    made = world()
    brain, latents = made.draw(150)
    twice = np.repeat(np.arange(150), 2) if order == "beside each other" else np.tile(np.arange(150), 2)
    readout = RIDGES[name]().fit(brain[twice], latents[twice])
    new, truth = made.draw(300, seed=9)
    belief = readout.posterior(new)
    assert 0.86 < coverage(truth, belief.mean, belief.sd, 0.9) < 0.99
    assert readout.confidence(new).mean() < 0.9


@pytest.mark.parametrize("name", ["ridge", "kernel ridge"])
def test_what_runs_have_in_common_does_not_pass_for_prediction(name):
    # Latents and baseline both move from run to run: inside a run the baseline tells the latents, in a new run not.
    made, rng = world(), np.random.default_rng(5)

    def session(seed, runs, each=30):
        brain, latents = made.draw(runs * each, seed=seed)
        of_run = np.arange(runs * each) // each
        shift = rng.standard_normal((runs, brain.shape[1])) * made.gain * 2
        return (
            brain + shift[of_run],
            latents + 2 * rng.standard_normal((runs, latents.shape[1]))[of_run],
            of_run,
        )

    readout = RIDGES[name]()
    brain, latents, runs = session(11, 8)
    readout.fit(brain, latents, runs=runs)
    new, truth, _ = session(12, 20)
    belief = readout.posterior(new)
    assert coverage(truth, belief.mean, belief.sd, 0.9) > 0.84


def test_folds_share_neither_run_nor_stimulus_and_hold_every_trial_out_once():
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((40, 5))
    for shown in (np.tile(np.arange(40), 6), np.r_[np.arange(40), 3, 5], np.arange(40)):
        runs = np.arange(len(shown)) * 6 // len(shown)
        seen = np.zeros(len(shown), int)
        for kept, out in held_out_folds(runs, drawn[shown], 5):
            assert not set(runs[kept]) & set(runs[out])
            assert not set(shown[kept]) & set(shown[out])
            seen += out
        assert (seen == 1).all()
    # Two states are no stimuli: a fit has to see both.
    states = np.arange(60) % 2
    for kept, _ in held_out_folds(np.arange(60) // 10, np.eye(2)[states], 5):
        assert set(states[kept]) == {0, 1}


def planted_digits(n, seed):
    """Few trials of many voxels that answer in a bent line, with noise of very uneven size from trial to trial.

    The encoder supposes straight answers and noise that is alike in all trials.
    """
    rng = np.random.default_rng([17, seed])
    world_rng = np.random.default_rng(17)
    d, voxels = 20, 3000
    weights = world_rng.standard_normal((d, voxels)) * 0.25
    latents = rng.standard_normal((n, d)) @ np.diag(np.geomspace(1, 0.2, d))
    trial_noise = np.exp(rng.standard_normal(n))[:, None]
    patterns = world_rng.standard_normal((60, voxels))
    shared = (rng.standard_t(2, (n, 60)) * 0.8) @ patterns
    bent = np.tanh(latents @ weights * 2)
    return bent + trial_noise * rng.standard_normal((n, voxels)) + shared * 0.3, latents


def test_an_encoder_whose_noise_model_is_wrong_is_recalibrated_on_held_out_runs():
    brain, latents = planted_digits(90, 1)
    encoder = InvertedEncoder().fit(brain, latents, runs=np.arange(90) // 15)
    new, truth = planted_digits(300, 2)
    belief = encoder.posterior(new)
    assert r_squared(truth, belief.mean, latents.mean(0)) > -0.02
    assert 0.85 < coverage(truth, belief.mean, belief.sd, 0.9) < 0.97
    assert (
        encoder.confidence(new).mean()
        < cosine(truth - latents.mean(0), belief.mean - latents.mean(0)).mean() + 0.1
    )


def test_an_inflated_readout_is_shrunk_and_a_collapsed_one_claims_nothing():
    made = world()
    brain, latents = made.draw(200)
    new, truth = made.draw(300, seed=9)
    inflated = LinearReadout(PseudoInverse((0.0,))).fit(brain[:, :14], latents)
    assert "inflated" in str(inflated.collapse_)
    assert r_squared(truth, inflated.predict(new[:, :14]), 1) > -0.02
    # Nothing of these latents is in the brain data: what is said of any trial is next to nothing.
    nothing = np.random.default_rng(1).standard_normal((200, 12))
    collapsed = LinearReadout(Ridge()).fit(brain, nothing)
    assert collapsed.collapse_.collapsed
    assert (collapsed.confidence(new) == 0).all()
    assert (
        coverage(np.random.default_rng(2).standard_normal((300, 12)), collapsed.predict(new), 1, 0.9) > 0.85
    )


@pytest.mark.parametrize("still", [0.0, 1e-15, 1e-9])
@pytest.mark.parametrize("level", [0.0, 1000.0])
def test_voxels_that_hardly_move_in_training_are_refused_like_constant_ones(still, level):
    made, rng = world(), np.random.default_rng(6)
    brain, latents = made.draw(200)
    brain[:, 7] = level + still * rng.standard_normal(200)
    for readout in (
        LinearReadout(Ridge()),
        LinearReadout(LeastSquares()),
        KernelReadout(),
        InvertedEncoder(),
    ):
        with pytest.raises(DataError, match=r"1 constant or nearly constant ones \(columns 7\)"):
            readout.fit(brain, latents)
    with pytest.raises(DataError, match="nearly constant"):
        choose_voxels(brain, 240, subject="sub-01")
    assert 7 not in choose_voxels(brain, 239, subject="sub-01").index


def test_voxels_of_very_different_size_are_all_accepted():
    brain, latents = world().draw(200)
    scales = np.geomspace(1e-2, 1e3, brain.shape[1])
    LinearReadout(Ridge()).fit((brain - 50) * scales, latents)
