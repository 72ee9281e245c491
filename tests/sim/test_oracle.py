"""Oracles: chance where there is nothing, theory where there is one, more with more signal."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray
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


LAPSES = 0.2
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


def check_likelihoods(
    scores: NDArray[np.float64], left: NDArray[np.float64], answers: Any, covariance: Any
) -> None:
    """Compare with the density of what is left of an answer once each candidate's, or nothing, is taken away."""
    noise = scipy.stats.multivariate_normal(np.zeros(len(covariance)), covariance)
    seen = np.array([noise.logpdf((left - answer).ravel()) for answer in answers])
    density = np.logaddexp(np.log1p(-LAPSES) + seen, np.log(LAPSES) + noise.logpdf(left.ravel()))
    assert np.ptp(density) > 1
    # Of both, up to one constant.
    assert np.allclose(scores - scores[0], density - density[0], rtol=1e-6, atol=1e-6)


def test_the_likelihood_of_an_epoch_is_the_gaussian_one_over_channels_and_time() -> None:
    participant = small("eeg", snr=0.5, lapse_rate=LAPSES)
    found = respond(participant, PICTURES[:6])
    i = next(i for i, moment in enumerate(found.moments) if i > 1 and not moment.lapsed)
    # Some samples around 100 ms: the covariance of a whole epoch would be too large to write down.
    part = slice(20, 30)
    found = replace(
        found,
        values=found.values[:, part],
        clean=found.clean[:, part],
        first=found.first + part.start,  # type: ignore[operator]
    )
    scores = likelihoods(participant, found, i, PICTURES[:6])
    begin, n = int(found.first[i]), found.values.shape[1]  # type: ignore[index]
    covariance = np.kron(participant.background_covariance(begin, n), participant.sensors.background)
    since = np.arange(begin, begin + n) / participant.signal.rate - found.moments[i].time
    drives = np.concatenate(
        [found.drives[i : i + 1], participant.observer.imagine(PICTURES[:6], found.moments[i])]
    )
    own, *answers = (participant.evoked(w, since, participant.jitter(i)) for w in participant.waves(drives))
    left = found.values[i].astype("f8") - found.clean[i] + own
    check_likelihoods(scores, left, answers, covariance)


def test_the_likelihood_of_a_beta_is_the_gaussian_one_over_voxels() -> None:
    participant = small("fmri", snr=0.05, lapse_rate=LAPSES)
    found = respond(participant, PICTURES[:6])
    i = next(i for i, moment in enumerate(found.moments) if i > 1 and not moment.lapsed)
    scores = likelihoods(participant, found, i, PICTURES[:6])
    share, f = participant.noise.share, participant.factors.astype("f8")
    covariance = share * f @ f.T + (1 - share) * np.eye(len(f))
    covariance *= np.outer(participant.noise_percent, participant.noise_percent) * found.noise_variance[i]  # type: ignore[index]
    gain = found.gain[i].astype("f8")  # type: ignore[index]
    answers = gain * participant.observer.imagine(PICTURES[:6], found.moments[i])
    left = found.values[i].astype("f8") - found.clean[i] + gain * found.drives[i]
    check_likelihoods(scores, left, answers, covariance)


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
