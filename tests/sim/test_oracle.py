"""Oracles: chance where there is nothing, theory where there is one, more with more signal."""

import numpy as np
import pytest
import scipy.stats
from planted_participants import PICTURES, small

from bci.sim.oracle import (
    FactorNoise,
    gaussian_posterior,
    identify,
    likelihoods,
    sampled_posterior,
    score_trials,
)
from bci.sim.responses import respond


def test_the_inverse_is_that_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    f, d = rng.standard_normal((40, 5)), rng.uniform(0.5, 2, 40)
    covariance = d[:, None] * (0.6 * f @ f.T + 0.4 * np.eye(40)) * d
    x = rng.standard_normal((3, 40))
    noise = FactorNoise(f, 0.6, d)
    assert np.allclose(noise.solve(x), np.linalg.solve(covariance, x.T).T)
    assert np.allclose(noise.distance(x), np.einsum("nv,nv->n", x, np.linalg.solve(covariance, x.T).T))
    with pytest.raises(ValueError, match="no inverse"):
        FactorNoise(f, 1.0, d)


FAINT = {"fmri": 0.01, "eeg": 0.004}


@pytest.mark.parametrize("kind", ["fmri", "eeg"])
def test_identification_is_chance_without_signal_and_rises_with_it(kind: str) -> None:
    order = np.random.default_rng(1).permutation(np.arange(36) % 12)
    reached, drives = [], []
    for snr in (0.0, FAINT[kind], 0.05):
        participant = small(kind, snr=snr, lapse_rate=0.1)
        found = respond(participant, PICTURES[order])
        # What a look would have caused does not hang on the signal's size.
        drives = drives or [participant.observer.imagine(PICTURES[:12], moment) for moment in found.moments]
        scores = score_trials(participant, found, range(len(order)), PICTURES[:12], drives)
        reached.append(identify(scores.round(6), order)["n_way"])
    assert reached[0] == pytest.approx(1 / 12)
    assert 0.15 < reached[1] < reached[2]
    assert reached[2] > 0.6


def test_a_lapse_is_taken_into_account() -> None:
    participant = small("eeg", snr=5.0, lapse_rate=0.5)
    found = respond(participant, PICTURES[:8])
    lapsed = [i for i, moment in enumerate(found.moments) if moment.lapsed]
    scores = score_trials(participant, found, lapsed, PICTURES[:8])
    # Nobody was there, and the oracle does not make one candidate win by the noise alone.
    assert np.ptp(scores, axis=1).max() < 1e-6
    awake = next(i for i, moment in enumerate(found.moments) if not moment.lapsed)
    assert likelihoods(participant, found, awake, PICTURES[:8]).argmax() == awake


def test_the_likelihood_is_the_gaussian_one() -> None:
    participant = small("eeg", snr=0.5, lapse_rate=0.0)
    found = respond(participant, PICTURES[:6])
    i, begin, n = 3, int(found.first[3]), 25
    # By brute force, on 25 samples after 80 ms and 8 of the channels.
    scores = likelihoods(participant, found, i, PICTURES[:6])
    time = participant.background_covariance(begin, found.values.shape[1])
    keep = slice(20, 20 + n)
    covariance = np.kron(time[keep, keep], participant.sensors.background[:8, :8])
    assert np.all(np.linalg.eigvalsh(covariance) > 0)
    drives = participant.observer.imagine(PICTURES[:6], found.moments[i])
    since = np.arange(begin, begin + found.values.shape[1]) / 250 - found.moments[i].time
    answers = [participant.evoked(w, since, participant.jitter(i)) for w in participant.waves(drives)]
    left = found.values[i] - found.clean[i] + answers[i]
    brute = [
        scipy.stats.multivariate_normal(np.zeros(8 * n), covariance).logpdf((left - a)[keep, :8].ravel())
        for a in answers
    ]
    assert np.argmax(brute) == np.argmax(scores) == i


def test_identify_counts_ties_as_shares() -> None:
    assert identify(np.zeros((4, 5)), np.arange(4)) == {"two_way": 0.5, "n_way": 0.2, "candidates": 5.0}


def test_a_linear_participant_reaches_the_r2_of_theory() -> None:
    """Linear in the latent and Gaussian: the one case with a closed form, here and nowhere in a demonstration."""
    rng = np.random.default_rng(5)
    voxels, d, trials = 400, 32, 4000
    weights = rng.standard_normal((voxels, d)) / np.sqrt(d)
    f = rng.standard_normal((voxels, 10))
    f /= np.linalg.norm(f, axis=1, keepdims=True)
    deviations = np.full(voxels, np.sqrt(1 / 0.05))
    for share, repeats in ((0.0, 1), (0.5, 1), (0.5, 14)):
        z = rng.standard_normal((trials, d))
        common = rng.standard_normal((trials, 10)) @ f.T
        noise = np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal((trials, voxels))
        y = z @ weights.T + deviations * noise / np.sqrt(repeats)
        found, r2 = gaussian_posterior(weights, FactorNoise(f, share, deviations), y, repeats)
        assert 1 - ((found.mean - z) ** 2).sum() / (z**2).sum() == pytest.approx(r2, abs=0.01)
        assert found.how == "closed form"


def test_a_sampled_posterior_says_so_and_stays_below_the_closed_form() -> None:
    rng = np.random.default_rng(6)
    weights, d = rng.standard_normal((30, 3)), 3
    noise = FactorNoise(np.ones((30, 1)), 0.0, np.full(30, 4.0))
    z = rng.standard_normal((300, d))
    y = z @ weights.T + 4 * rng.standard_normal((300, 30))
    exact, _ = gaussian_posterior(weights, noise, y)
    latents = rng.standard_normal((3000, d))
    scores = np.stack([-noise.distance(row - latents @ weights.T) / 2 for row in y])
    sampled = sampled_posterior(scores, latents)
    assert sampled.how == "sampled bound"
    error = [((p.mean - z) ** 2).mean() for p in (exact, sampled)]
    assert error[0] < error[1] < 1.1 * error[0]
    assert np.all((sampled.effective >= 1) & (sampled.effective <= 3000))
    with pytest.raises(ValueError, match="as many latents"):
        sampled_posterior(scores, latents[:5])
