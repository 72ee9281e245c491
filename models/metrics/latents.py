"""Scores of latents and features, each with the baselines that a reader needs to judge it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError

Floats = NDArray[np.float64]


def pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as (n, d) float64.

    Raises
    ------
    DataError
        If their shapes differ or have not two dimensions.
    """
    a, b = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    if a.ndim != 2 or a.shape != b.shape or not a.size:
        raise DataError(
            f"expected truths and predictions of one shape (items, features), came {a.shape} and {b.shape}. "
            "Score only what belongs together."
        )
    return a, b


def cosine(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return the cosine of each pair of rows: (n, d) twice to (n,); 0 where one has no length.

    Examples
    --------
    >>> cosine([[3.0, 4.0]], [[6.0, 8.0]]).round(12).tolist()
    [1.0]
    """
    a, b = pair(truth, predicted)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide(np.einsum("nd,nd->n", a, b), size, out=np.zeros(len(a)), where=size > 0)


def r_squared(truth: ArrayLike, predicted: ArrayLike, centre: ArrayLike = 0.0) -> float:
    r"""Return :math:`1 - \sum (z - \hat z)^2 / \sum (z - c)^2` over all items and features.

    Parameters
    ----------
    truth, predicted : (n, d)
    centre : float or (d,)
        c: the constant that scores 0, such as the training mean; never the mean of the test items themselves.
    """
    a, b = pair(truth, predicted)
    total = float(((a - np.asarray(centre)) ** 2).sum())
    return 1.0 - float(((a - b) ** 2).sum()) / total


def scaled_r_squared(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return R² about zero after scaling by the factor that fits the test items best: a bound on what scaling gains."""
    a, b = pair(truth, predicted)
    power = float((b * b).sum())
    return r_squared(a, b * (float((a * b).sum()) / power)) if power > 0 else 0.0


def similarity(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    r"""Return :math:`1/(1 + \mathrm{MSE})` of each row, as HYPER's released code computes it: (n,).

    Predicting zeros scores .5 for N(0, 1) latents and a random latent 1/3, so it says nothing without its baselines.

    Examples
    --------
    >>> similarity([[0.0, 2.0]], [[0.0, 0.0]]).tolist()
    [0.3333333333333333]
    """
    a, b = pair(truth, predicted)
    return np.asarray(1.0 / (1.0 + ((a - b) ** 2).mean(1)))


def correlations(a: NDArray[Any], b: NDArray[Any]) -> Floats:
    """Return Pearson's r of each pair of rows: (n, k) twice to (n,); NaN where one does not vary."""
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide(np.einsum("nk,nk->n", a, b), size, out=np.full(len(a), np.nan), where=size > 0)


def profile_correlation(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return Pearson's r of each feature over items: (d,); NaN for a feature that does not vary."""
    a, b = pair(truth, predicted)
    return correlations(a.T, b.T)


def pattern_correlation(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return Pearson's r of each item over features: (n,); NaN for an item that does not vary."""
    return correlations(*pair(truth, predicted))


#: Scores of each item by the name that reports use; larger is better.
LATENT_SCORES: Mapping[str, Callable[[ArrayLike, ArrayLike], Floats]] = MappingProxyType(
    {"cosine": cosine, "similarity 1/(1+MSE)": similarity, "pattern r": pattern_correlation}
)


@dataclass(frozen=True, slots=True)
class LatentScores:
    """LatentScores holds the scores of one set of predictions, means over items.

    Attributes
    ----------
    cosine, r2, r2_scaled, similarity, profile, pattern : float
        R² is relative to the training mean; the scaled one to zero.
    """

    cosine: float
    r2: float
    r2_scaled: float
    similarity: float
    profile: float
    pattern: float


def score_latents(
    truth: ArrayLike, predicted: ArrayLike, training_mean: ArrayLike, *, rng: np.random.Generator
) -> dict[str, LatentScores]:
    """Score predictions beside zero, the training mean, random latents and the predictions shuffled over items.

    Parameters
    ----------
    truth, predicted : (n, d)
    training_mean : (d,)
        Mean of the training latents.
    rng : numpy.random.Generator
        Draws the random latents, N(0, 1), and the shuffle, which moves every item.

    Returns
    -------
    dict of str to LatentScores
        ``readout``, ``zero``, ``mean``, ``random`` and ``shuffled``.
    """
    a, b = pair(truth, predicted)
    centre = np.broadcast_to(np.asarray(training_mean, np.float64), a.shape[1:])
    rows = {
        "readout": b,
        "zero": np.zeros_like(a),
        "mean": np.broadcast_to(centre, a.shape),
        "random": rng.standard_normal(a.shape),
        "shuffled": b[derangement(len(b), rng)],
    }
    return {name: _score(a, row, centre) for name, row in rows.items()}


def _score(truth: Floats, predicted: Floats, centre: Floats) -> LatentScores:
    def mean(values: Floats) -> float:
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    return LatentScores(
        mean(cosine(truth, predicted)),
        r_squared(truth, predicted, centre),
        scaled_r_squared(truth, predicted),
        mean(similarity(truth, predicted)),
        mean(profile_correlation(truth, predicted)),
        mean(pattern_correlation(truth, predicted)),
    )


def derangement(n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a random cycle through all items: a shuffle that leaves none in its place (Sattolo 1986)."""
    order = rng.permutation(n)
    moved = np.empty(n, np.intp)
    moved[order] = np.roll(order, 1)
    return moved
