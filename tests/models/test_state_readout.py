"""The readout finds a planted state, its probabilities mean what they say, and no fold has seen another."""

import numpy as np
import onnxruntime
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bci.errors import ConfigError
from models.metrics.probability import calibration
from models.metrics.ranks import auc
from models.systems.alpha.export import export_state_readout
from models.systems.alpha.fitting import StateEstimator, Trials, fit_linear, fit_sigmoid
from models.systems.alpha.novelty import StateNovelty
from models.systems.alpha.readout import RelativePower, class_confidence

LENGTH, HOP, RATIO = 5, 1, 16
FEATURES = RelativePower((0, 1), 2)


def covariances(power):
    """Return (n, length, channels, bands · channels) of channels that have nothing in common but their `power`."""
    n, length, channels, bands = power.shape
    own = power[..., None] * np.eye(channels, dtype=np.float32)[:, None]
    return own.reshape(n, length, channels, bands * channels)


def trials(effect=1.0, n=150, runs=(0, 1), seed=0, gain=None):
    """Power in 3 channels × 3 bands that waxes and wanes; in state 1 band 1 is stronger by `effect` nepers."""
    source = np.random.default_rng(seed)
    windows, states, run, start = [], [], [], []
    for r, state in enumerate(runs):
        slow = np.cumsum(source.normal(size=(n + LENGTH, 3, 3)), 0)
        slow -= np.apply_along_axis(lambda x: np.convolve(x, np.ones(31) / 31, "same"), 0, slow)
        power = np.exp(0.5 * slow + 2.0)
        power[:, :, 1] *= np.exp(effect * state)
        if gain is not None:
            power *= gain[r]
        for k in range(n):
            windows.append(power[k : k + LENGTH])
            states.append(bool(state))
            run.append(r)
            start.append(k * HOP * RATIO)
    start = np.array(start)
    return Trials(
        covariances(np.array(windows, np.float32)),
        np.array(states),
        np.array(run),
        start,
        start + LENGTH * RATIO,
    )


def estimator(**changes):
    settings = {"shrinkages": (0.1, 0.5), "folds": 5, "margin": LENGTH * RATIO}
    return StateEstimator(FEATURES, **(settings | changes))


def test_a_planted_state_is_read_and_no_state_is_not():
    planted = trials(effect=2.0, n=200, runs=(0, 1, 0, 1))
    fresh = trials(effect=2.0, n=200, seed=1)
    fitted = estimator().fit(planted)
    assert auc(fresh.states, fitted.predict(fresh.windows)[:, 0]) > 0.95
    nothing = trials(effect=0.0, n=200, runs=(0, 1, 0, 1))
    p = estimator().cross_predict(nothing)
    assert 0.3 < auc(nothing.states, p) < 0.7


def test_a_gain_on_a_run_changes_nothing():
    plain, amplified = trials(), trials(gain=(1.0, 25.0))
    np.testing.assert_allclose(FEATURES(plain.windows), FEATURES(amplified.windows), atol=1e-5)


def test_the_latent_is_a_probability_that_means_what_it_says():
    many = trials(effect=0.8, n=400, runs=(0, 1) * 4)
    fresh = trials(effect=0.8, n=400, runs=(0, 1) * 8, seed=5)
    fitted = estimator().fit(many)
    p = fitted.predict(fresh.windows)[:, 0]
    assert 0.55 < ((p >= 0.5) == fresh.states).mean() < 0.97  # neither a guess nor without error
    _, error = calibration(class_confidence(p), (p >= 0.5) == fresh.states)
    assert error < 0.08
    np.testing.assert_allclose(fitted.readout_.confidence(fresh.windows), np.maximum(p, 1 - p))


def test_what_is_held_out_has_no_influence_on_its_own_prediction():
    known = trials(n=100)
    changed = trials(n=100)
    first_block = changed.start < 20 * RATIO
    changed.windows[first_block] = np.random.default_rng(8).uniform(1, 9, changed.windows[first_block].shape)
    changed.states[first_block] ^= True
    one, other = estimator().cross_predict(known), estimator().cross_predict(changed)
    assert not np.allclose(one[~first_block], other[~first_block])  # the change does reach the others' fits
    # Put the old windows back under the fits made with the new ones: only their own fold's fit is used.
    changed.windows[first_block] = known.windows[first_block]
    restored = estimator().cross_predict(changed)
    np.testing.assert_array_equal(one[first_block], restored[first_block])


def test_windows_that_share_samples_with_a_held_out_block_are_not_fitted_on():
    known = trials(n=100)
    made = estimator(margin=3 * RATIO)
    everything = np.arange(len(known))
    held = made._blocks(known, everything)[2]
    rest = made._apart(known, everything, held)
    for run in (0, 1):
        low = known.start[held][known.run[held] == run].min() - 3 * RATIO
        high = known.end[held][known.run[held] == run].max() + 3 * RATIO
        own = rest[known.run[rest] == run]
        assert ((known.end[own] <= low) | (known.start[own] >= high)).all()
    assert len(held) == 40
    assert len(rest) < len(known) - len(held)


def test_a_run_that_is_too_short_for_the_folds_is_refused():
    with pytest.raises(ConfigError, match="ask for fewer folds"):
        estimator(folds=3, margin=40 * RATIO).fit(trials(n=30))


def test_two_crossed_wires_are_told_and_a_gain_is_not():
    # Four neighbours record one rhythm, unequally, and little of their own.
    source = np.random.default_rng(9)

    def cut(n):
        rhythm = np.exp(0.4 * source.normal(size=(n, LENGTH, 1))) * source.normal(size=(n, LENGTH, 16))
        own = 0.15 * source.normal(size=(n, LENGTH, 4, 16))
        samples = rhythm[:, :, None] * np.array([1.0, 1.3, 0.9, 1.2])[:, None] + own
        return (np.einsum("nlct,nldt->nlcd", samples, samples) / 16).astype(np.float32)

    folds = [
        (np.flatnonzero(np.arange(300) % 5 != k), np.flatnonzero(np.arange(300) % 5 == k)) for k in range(5)
    ]
    novelty = StateNovelty.fit(cut(300), folds)
    fresh = cut(200)
    crossed = fresh[:, :, [1, 0, 2, 3]][..., [1, 0, 2, 3]]
    assert (novelty(fresh) > 1).mean() <= 0.02
    assert (novelty(1.2 * fresh) > 1).mean() <= 0.05
    assert (novelty(crossed) > 1).mean() >= 0.95
    # An electrode that is bridged to its neighbour has no component of its own.
    assert (novelty(fresh[:, :, [0, 0, 2, 3]][..., [0, 0, 2, 3]]) > 1).mean() >= 0.95


def test_the_graph_gives_the_novelty_that_numpy_gives():
    planted = trials(effect=2.0, n=120)
    fitted = estimator().fit(planted)
    model = export_state_readout(fitted.readout_, planted.windows.shape[1:], fitted.novelty_)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    noise = covariances(np.random.default_rng(3).uniform(1e9, 9e9, (20, LENGTH, 3, 3)).astype(np.float32))
    windows = np.concatenate([planted.windows[:20], noise, np.zeros_like(noise[:1])])
    given = [session.run(["novelty", "confidence"], {"window": one[None]}) for one in windows]
    novelty, confidence = np.concatenate(given, axis=1)
    # Of a dead amplifier nothing moves but rounding: a lower limit over that is huge, whatever it is.
    np.testing.assert_allclose(novelty[:-1], fitted.novelty_(windows[:-1]), rtol=2e-3)
    assert min(novelty[-1], fitted.novelty_(windows[-1:])[0]) > 1e6
    unlike = novelty > 1
    assert unlike[20:].all()
    assert (confidence[unlike] == 0.5).all()
    np.testing.assert_allclose(confidence[~unlike], fitted.readout_.confidence(windows)[~unlike], atol=1e-5)


def test_scores_that_say_nothing_become_a_guess():
    source = np.random.default_rng(2)
    states = np.arange(200) >= 100
    reversed_scores = np.where(states, -1.0, 1.0) + source.normal(size=200)
    guess = fit_sigmoid(reversed_scores, states)
    assert (guess(reversed_scores) == 0.5).all()


def test_separable_scores_do_not_become_certain():
    states = np.arange(40) >= 20
    scores = np.where(states, 1.0, -1.0)
    assert fit_sigmoid(scores, states)(np.ones(1)) == pytest.approx(21 / 22, abs=1e-3)  # Platt's target


def test_calibrated_scores_of_two_gaussians_are_their_posterior():
    source = np.random.default_rng(11)
    states = source.uniform(size=100_000) < 0.2  # a rarer state is not less probable live
    scores = 3.0 * (source.normal(size=100_000) + np.where(states, 0.5, -0.5))
    calibrate = fit_sigmoid(scores, states)
    assert calibrate.slope == pytest.approx(1 / 3, rel=0.05)
    assert calibrate.offset == pytest.approx(0.0, abs=0.05)


def test_the_linear_score_is_the_log_odds_of_two_gaussians():
    source = np.random.default_rng(3)
    states = source.uniform(size=200_000) < 0.5
    features = source.normal(size=(200_000, 2)) + np.where(states, 1.0, -1.0)[:, None] * [0.5, 0.0]
    score = fit_linear(features, states, 0.0)
    np.testing.assert_allclose(score(np.array([[1.0, 0.0], [0.0, 1.0]])), [1.0, 0.0], atol=0.03)


@pytest.mark.parametrize("shrinkage", [0.0, 0.2, 1.0])
def test_the_discriminant_is_that_of_scikit_learn(shrinkage):
    source = np.random.default_rng(4)
    states = np.arange(90) % 3 == 0
    features = (
        source.normal(size=(90, 5)) @ source.normal(size=(5, 5)) + states[:, None] * [1, 0, 2, 0, 0] + 7
    )
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage, priors=[0.5, 0.5])
    standard = (features - features.mean(0)) / features.std(0)
    expected = theirs.fit(standard, states).decision_function(standard)
    np.testing.assert_allclose(
        fit_linear(features, states, shrinkage)(features), expected, rtol=1e-9, atol=1e-9
    )
