"""The inverted encoder finds the planted noise, is right about what it does not know, and knows about repeats."""

import numpy as np
import pytest
from planted_brain import world

from bci.errors import DataError
from models.metrics.calibration import coverage
from models.metrics.latents import cosine, r_squared
from models.readouts.bayes import InvertedEncoder
from models.readouts.linear import LinearReadout
from models.readouts.noise import NoiseFit, held_out_likelihood, rotate
from models.readouts.ridge_solver import fit_ridge
from models.readouts.solvers import ALPHAS, Ridge

RUNS = np.arange(240) // 24


@pytest.mark.parametrize("factors", [0, 4])
@pytest.mark.parametrize("silent", [0.0, 0.4])
def test_rank_is_found_intervals_are_true_and_ridge_is_beaten(factors, silent):
    made = world(factors=factors, silent=silent)
    brain, latents = made.draw(240)
    encoder = InvertedEncoder().fit(brain, latents, runs=RUNS)
    ridge = LinearReadout(Ridge()).fit(brain, latents)
    assert encoder.noise_.rank == factors
    for repeats in (1, 10):
        new, truth = made.draw(400, repeats, seed=5)
        belief = encoder.posterior(new, repeats=repeats)
        assert coverage(truth, belief.mean, belief.sd, 0.9) == pytest.approx(0.9, abs=0.04)
        assert r_squared(truth, belief.mean, 1) > r_squared(truth, ridge.predict(new), 1)
        came, says = cosine(truth - 1, belief.mean - 1), encoder.confidence(new, repeats=repeats)
        assert came.mean() == pytest.approx(says.mean(), abs=0.04)


def test_repeats_divide_the_noise_but_not_the_uncertainty_of_the_weights():
    made = world()
    encoder = InvertedEncoder().fit(*made.draw(240), runs=RUNS)
    new, _ = made.draw(5)
    sd = [encoder.posterior(new, repeats=n).sd.mean() for n in (1, 2, 14, 10**9)]
    assert sd == sorted(sd, reverse=True)
    assert sd[-1] > 0.15 * sd[0]


def test_trials_that_average_more_count_for_more():
    made, repeats = world(), np.where(np.arange(240) % 2, 8, 1)
    brain, latents = made.draw(240, repeats)
    new, truth = made.draw(300, seed=5)
    score = {
        name: r_squared(
            truth, InvertedEncoder().fit(brain, latents, runs=RUNS, repeats=given).predict(new), 1
        )
        for name, given in (("told", repeats), ("not told", None))
    }
    assert score["told"] > score["not told"]


def test_a_silent_voxel_is_given_no_weight():
    made = world(silent=0.4, factors=0)
    encoder = InvertedEncoder().fit(*made.draw(240), runs=RUNS)
    size = np.linalg.norm(encoder.weights_, axis=0)
    assert np.median(size[:96]) < 0.2 * np.median(size[96:])


def test_fewer_trials_than_latents_are_no_obstacle():
    made = world(d=60, factors=2)
    encoder = InvertedEncoder().fit(*made.draw(40), runs=np.arange(40) // 10)
    new, truth = made.draw(300, 20, seed=3)
    belief = encoder.posterior(new, repeats=20)
    assert r_squared(truth, belief.mean, 1) > 0.05
    assert coverage(truth, belief.mean, belief.sd, 0.9) == pytest.approx(0.9, abs=0.04)


def test_correlated_latents_are_read_better_with_their_own_prior():
    made, mix = (
        world(d=12),
        np.linalg.cholesky(0.8 ** np.abs(np.subtract.outer(np.arange(12), np.arange(12)))).T,
    )

    def draw(n, seed):
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((n, 12)) @ mix
        shared = rng.standard_normal((n, 4)) @ made.factors
        return z @ made.weights + shared + np.sqrt(0.5) * rng.standard_normal((n, 240)), z

    (brain, latents), (new, truth) = draw(120, 1), draw(400, 2)
    belief = [InvertedEncoder(correlated=c).fit(brain, latents).posterior(new) for c in (False, True)]
    assert r_squared(truth, belief[1].mean) > r_squared(truth, belief[0].mean) + 0.01
    assert coverage(truth, belief[1].mean, belief[1].sd, 0.9) == pytest.approx(0.9, abs=0.04)


def features_that_move_together(n, seed):
    """Draw 20 noisy sources that answer, seen smoothly in 300 features with hardly any noise of their own."""
    rng = np.random.default_rng(6)
    mixing = np.cumsum(rng.standard_normal((20, 300)), axis=1) / 17
    encoding = rng.standard_normal((8, 20)) * np.sqrt(0.3 / 8)
    rng = np.random.default_rng([6, seed])
    z = rng.standard_normal((n, 8))
    sources = z @ encoding + rng.standard_normal((n, 20))
    return sources @ mixing + 0.05 * rng.standard_normal((n, 300)), z


def test_features_that_move_together_are_read_through_their_components():
    (brain, latents), (new, truth) = features_that_move_together(240, 1), features_that_move_together(400, 2)
    plain = InvertedEncoder().fit(brain, latents, runs=RUNS)
    through = InvertedEncoder(components=20).fit(brain, latents, runs=RUNS)
    # Trials are independent here: ridge may choose its penalty by leaving one out.
    ridge = fit_ridge(brain, latents, ALPHAS)
    score = [r_squared(truth, readout.predict(new), 0) for readout in (plain, through)]
    score.append(r_squared(truth, new @ ridge.weights + ridge.intercept, 0))
    assert score[0] < 0.05 < score[1]
    assert str(plain.collapse_).startswith("COLLAPSED")
    assert str(through.collapse_).startswith("not collapsed")
    assert score[1] > score[2] - 0.01
    belief = through.posterior(new)
    assert coverage(truth, belief.mean, belief.sd, 0.9) == pytest.approx(0.9, abs=0.04)
    with pytest.raises(DataError, match=r"at least 241 trials .*240 components and a mean\), came 240"):
        InvertedEncoder(components=240).fit(brain, latents, runs=RUNS)


def test_which_directions_of_the_latents_are_answered_to_is_learned():
    rng = np.random.default_rng(8)
    turn = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    weights = turn[:, :3] @ rng.standard_normal((3, 120)) * np.sqrt(0.3 / 3)

    def draw(n, seed):
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((n, 30))
        return z @ weights + rng.standard_normal((n, 120)), z

    (brain, latents), (new, truth) = draw(240, 1), draw(400, 2)
    readouts = [InvertedEncoder(relevance=r).fit(brain, latents, runs=RUNS) for r in (False, True)]
    score = [r_squared(truth, readout.predict(new), 0) for readout in readouts]
    assert score[1] > score[0] + 0.01
    belief = readouts[1].posterior(new)
    assert coverage(truth, belief.mean, belief.sd, 0.9) == pytest.approx(0.9, abs=0.04)
    # Along the answered directions, and only there, is anything known.
    known = np.diag(turn.T @ belief.covariance @ turn)
    assert known[:3].max() < 0.5 < known[3:].min()


def test_the_likelihood_of_held_out_trials_is_that_of_the_dense_gaussian():
    rng = np.random.default_rng(3)
    z, y = rng.standard_normal((40, 5)), rng.standard_normal((40, 9)).astype(np.float32)
    y[:, 0] += 3 * y[:, 1]
    trials = rotate(y, z)
    noise = NoiseFit(trials, 3)(2)
    new_z, new_y = rng.standard_normal((4, 5)), rng.standard_normal((4, 9)).astype(np.float32)
    sigma = np.diag(noise.private) + noise.loadings @ noise.loadings.T
    prior = np.diag(noise.private) / noise.alpha
    # The posterior of all weights at once, stacked: (9 · 5) unknowns.
    design = np.kron(z, np.eye(9))
    inverse = np.kron(np.eye(40), np.linalg.inv(sigma))
    spread = np.linalg.inv(design.T @ inverse @ design + np.kron(np.eye(5), np.linalg.inv(prior)))
    mean = spread @ design.T @ inverse @ y.astype(float).ravel()
    expected = 0.0
    for row, seen in zip(new_z, new_y, strict=True):
        at = np.kron(row[None], np.eye(9))
        whole, rest = sigma + at @ spread @ at.T, seen - at @ mean
        expected -= 0.5 * (np.linalg.slogdet(whole)[1] + rest @ np.linalg.solve(whole, rest))
    assert held_out_likelihood(noise, trials, new_y, new_z) == pytest.approx(expected, rel=1e-4)


def test_what_cannot_be_used_is_refused():
    brain, latents = world().draw(60)
    with pytest.raises(DataError, match=r"at least 2 runs .* came 1"):
        InvertedEncoder().fit(brain, latents, runs=np.zeros(60))
    with pytest.raises(DataError, match=r"run of each of 60 trials, came an array of shape \(59,\)"):
        InvertedEncoder().fit(brain, latents, runs=np.zeros(59))
    with pytest.raises(DataError, match="repeats of at least 1"):
        InvertedEncoder().fit(brain, latents, repeats=np.zeros(60))
    with pytest.raises(DataError, match="at least 1 presentation per trial, came 0"):
        InvertedEncoder().fit(brain, latents).predict(brain, repeats=0)
