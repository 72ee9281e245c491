"""Oracles: the best score that any decoder can reach, computed from the participant's own model.

Identification is exact: each candidate's likelihood under the known Gaussian noise, its covariance included, and
under the known chance of a lapse. The oracle knows everything about a trial but which picture it showed and
whether the participant lapsed: eye position, latencies, remembered looks, and what all other trials added. It is
therefore a bound for every decoder, not a decoder.

The posterior mean of a latent has a closed form only where latent, answer and noise are linear and Gaussian
(`gaussian_posterior`); the participant's is not, so there `sampled_posterior` gives a bound from sampled candidates.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.special import logsumexp

from bci.sim.cortex.gaze import Pictures
from bci.sim.electrodes import ElectrodeParticipant
from bci.sim.responses import Responses
from bci.sim.voxels import VoxelParticipant

Array = NDArray[np.float64]


class FactorNoise:
    """A FactorNoise is the covariance ``D (share F Fᵀ + (1 - share) I) D`` of voxel noise, inverted once (Woodbury).

    Parameters
    ----------
    factors : (voxels, k) array
        `F`.
    share : float
        Part of the variance in the factors, below 1.
    deviations : (voxels,) array
        The diagonal of `D`.
    """

    def __init__(self, factors: NDArray[np.floating], share: float, deviations: NDArray[np.floating]) -> None:
        if not 0 <= share < 1:
            raise ValueError(f"noise that is all shared has no inverse: share is 0 to below 1, got {share}")
        self._factors = np.asarray(factors, np.float64)
        self._deviations = np.asarray(deviations, np.float64)
        self._share = share
        inner = self._factors.T @ self._factors * share + (1 - share) * np.eye(self._factors.shape[1])
        self._inner = scipy.linalg.cho_factor(inner)

    def solve(self, x: Array) -> Array:
        """Return the covariance's inverse times rows of x (n, voxels)."""
        scaled = x / self._deviations
        common = scipy.linalg.cho_solve(self._inner, (scaled @ self._factors).T).T
        return np.asarray(
            (scaled - self._share * common @ self._factors.T) / (1 - self._share) / self._deviations
        )

    def distance(self, x: Array) -> Array:
        """Return the squared Mahalanobis length of rows of x (n, voxels): (n,)."""
        return np.asarray(np.einsum("nv,nv->n", self.solve(x), x))


def likelihoods(
    participant: VoxelParticipant | ElectrodeParticipant,
    responses: Responses,
    trial: int,
    candidates: Pictures,
    drives: NDArray[np.float32] | None = None,
) -> Array:
    """Return the log likelihood of each candidate picture having been shown in one trial, up to a constant.

    Parameters
    ----------
    participant : VoxelParticipant or ElectrodeParticipant
        The participant that answered.
    responses : Responses
        Its answers, from `bci.sim.responses.respond`.
    trial : int
        Number of the trial.
    candidates : (n, h, w, 3) uint8
        Pictures that may have been shown.
    drives : (n, units) float32, optional
        Their drives from `Observer.imagine` at the trial's moment, when already computed.

    Returns
    -------
    likelihoods : (n,) float64
    """
    if drives is None:
        drives = participant.observer.imagine(candidates, responses.moments[trial])
    if isinstance(participant, VoxelParticipant):
        distances = _voxel_distances(participant, responses, trial, drives)
    else:
        distances = _electrode_distances(participant, responses, trial, drives)
    rate = participant.observer.lapse_rate
    with np.errstate(divide="ignore"):
        seen = math.log1p(-rate) - distances[1:] / 2 if rate < 1 else np.full(len(drives), -np.inf)
        lapsed = np.log(rate) - distances[0] / 2
    return np.asarray(np.logaddexp(seen, lapsed))


def score_trials(
    participant: VoxelParticipant | ElectrodeParticipant,
    responses: Responses,
    trials: Iterable[int],
    candidates: Pictures,
    drives: Sequence[NDArray[np.float32]] | None = None,
) -> Array:
    """Return the log likelihood of each candidate picture in each of some trials, as `likelihoods` gives it.

    Parameters
    ----------
    participant, responses
        As of `likelihoods`.
    trials : iterable of int
        Which.
    candidates : (n, h, w, 3) uint8
        The same for all of them.
    drives : sequence of (n, units) float32, optional
        For each of the trials, when it is known already.

    Returns
    -------
    scores : (trials, n) float64
        As `identify` takes them.
    """
    return np.stack(
        [
            likelihoods(participant, responses, int(trial), candidates, None if drives is None else drives[k])
            for k, trial in enumerate(trials)
        ]
    )


def _voxel_distances(
    participant: VoxelParticipant, responses: Responses, trial: int, drives: NDArray[np.float32]
) -> Array:
    """Return squared residual lengths under each hypothesis, first a lapse, then each of `drives`: (1 + n,)."""
    assert responses.gain is not None
    assert responses.noise_variance is not None
    gain = responses.gain[trial].astype(np.float64)
    residual = (
        responses.values[trial].astype(np.float64) - responses.clean[trial] + gain * responses.drives[trial]
    )
    noise = FactorNoise(participant.factors, participant.noise.share, participant.noise_percent)
    residuals = residual - gain * np.concatenate([np.zeros((1, len(gain))), drives])
    return np.asarray(noise.distance(residuals) / responses.noise_variance[trial])


def _electrode_distances(
    participant: ElectrodeParticipant, responses: Responses, trial: int, drives: NDArray[np.float32]
) -> Array:
    assert responses.first is not None
    moment, first = responses.moments[trial], int(responses.first[trial])
    n, channels = responses.values.shape[1:]
    since = np.arange(first, first + n) / participant.signal.rate - moment.time
    jitter = participant.jitter(moment.number)
    hypotheses = np.concatenate([responses.drives[trial : trial + 1], np.zeros((1, drives.shape[1])), drives])
    answers = np.stack([participant.evoked(w, since, jitter) for w in participant.waves(hypotheses)])
    residual = responses.values[trial].astype(np.float64) - responses.clean[trial] + answers[0]
    residuals = residual - answers[1:]
    # The covariance is time ⊗ space: whiten along each.
    time = np.linalg.cholesky(participant.background_covariance(first, n))
    space = np.linalg.cholesky(participant.sensors.background)
    flat = residuals.transpose(1, 0, 2).reshape(n, -1)
    whitened = scipy.linalg.solve_triangular(time, flat, lower=True).reshape(n, -1, channels)
    whitened = scipy.linalg.solve_triangular(space, whitened.reshape(-1, channels).T, lower=True)
    return np.asarray((whitened.reshape(channels, n, -1) ** 2).sum(axis=(0, 1)))


def identify(scores: Array, truth: NDArray[np.integer]) -> dict[str, float]:
    """Return how often the truth wins.

    Parameters
    ----------
    scores : (trials, candidates) array
        The higher the likelier; likelihoods of repeats of one picture may be added before.
    truth : (trials,) int
        The candidate that was shown.

    Returns
    -------
    dict
        ``two_way``: share of other candidates below the truth, a tie counting half; ``n_way``: share of trials in
        which the truth is the highest (a tie counts as its share); ``candidates``: how many.

    Examples
    --------
    >>> identify(np.array([[2.0, 1.0, 0.0], [1.0, 1.0, 0.0]]), np.array([0, 0]))
    {'two_way': 0.875, 'n_way': 0.75, 'candidates': 3.0}
    """
    own = scores[np.arange(len(scores)), truth][:, np.newaxis]
    below, ties = (scores < own).sum(axis=1), (scores == own).sum(axis=1) - 1
    others = scores.shape[1] - 1
    first = np.where((scores > own).any(axis=1), 0.0, 1 / (1 + ties))
    return {
        "two_way": float(((below + ties / 2) / others).mean()),
        "n_way": float(first.mean()),
        "candidates": float(scores.shape[1]),
    }


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """A Posterior holds the posterior means of trials' latents.

    Attributes
    ----------
    mean : (trials, d) float64
        The latents.
    how : "closed form" or "sampled bound"
        Exact, or a weighted mean over sampled candidates, which falls short of the exact one.
    effective : (trials,) float64
        Effective number of candidates; infinite for the closed form. Below some ten, the mean tells more about which
        candidates were sampled than about the answer.
    """

    mean: Array
    how: Literal["closed form", "sampled bound"]
    effective: Array


def gaussian_posterior(
    weights: Array, noise: FactorNoise, values: Array, repeats: int = 1
) -> tuple[Posterior, float]:
    """Return the posterior of latents z ~ N(0, I) from ``values = weights z + e``, and its expected R².

    Mean ``(Wᵀ Σ⁻¹ W n + I)⁻¹ Wᵀ Σ⁻¹ n y`` for the mean y of n repeats; expected R² is one minus the mean posterior
    variance, ``1 - tr[(n Wᵀ Σ⁻¹ W + I)⁻¹] / d``.

    Parameters
    ----------
    weights : (voxels, d) float64
        `W`.
    noise : FactorNoise
        `Σ` of a single trial.
    values : (trials, voxels) float64
        Means over the repeats.
    repeats : int
        `n`.
    """
    solved = noise.solve(np.ascontiguousarray(weights.T)).T * repeats
    precision = weights.T @ solved + np.eye(weights.shape[1])
    covariance = np.linalg.inv(precision)
    mean = values @ solved @ covariance
    certain = np.full(len(values), math.inf)
    return Posterior(mean, "closed form", certain), float(1 - np.trace(covariance) / len(covariance))


def sampled_posterior(scores: Array, latents: Array) -> Posterior:
    """Return the weighted mean of candidates' latents: a bound from below on what an answer says about a latent.

    Parameters
    ----------
    scores : (trials, candidates) float64
        Log likelihoods of pictures made from latents that were drawn from the prior, none of them the truth.
    latents : (candidates, d) float64
        Latents of the candidates.
    """
    if scores.shape[1] != len(latents):
        raise ValueError(f"scores of {scores.shape[1]} candidates need as many latents, got {len(latents)}")
    weights = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    return Posterior(weights @ latents, "sampled bound", np.asarray(1 / (weights**2).sum(axis=1)))
