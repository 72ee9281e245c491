"""Scores of latents and features, each with the baselines that a reader needs to judge it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError

Floats = NDArray[np.float64]

#: Values of a row that differ by no more than this share of the largest do not vary: the rounding of their mean does.
_EVEN = 1e-12


def pair(truth: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as (n, d) float64, with NaN for infinity: a score of what is not finite is NaN.

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
    return finite_or_nan(a), finite_or_nan(b)


def finite_or_nan(values: Floats) -> Floats:
    """Return values with NaN in place of infinity; the same array where all are finite."""
    finite = np.isfinite(values)
    return values if finite.all() else np.where(finite, values, np.nan)


def centred(rows: Floats) -> tuple[Floats, Floats]:
    """Return rows less their means, and the length of each: (n, d) to (n, d) and (n,).

    A row that does not vary, but for the rounding of its mean, is all zero: its remainder would have a direction, and
    correlate with something. A row that holds NaN has the length NaN.

    Examples
    --------
    >>> centred(np.array([[0.1] * 3, [1.0, 2.0, 3.0]]))[1].round(3).tolist()
    [0.0, 1.414]
    """
    less = rows - rows.mean(1, keepdims=True)
    less[does_not_vary(rows)] = 0.0
    return less, np.linalg.norm(less, axis=1)


def does_not_vary(rows: Floats) -> NDArray[np.bool_]:
    """Return which rows are a constant, but for rounding: (n, d) to (n,); one that holds NaN is not."""
    return np.asarray(np.ptp(rows, axis=1) <= _EVEN * np.abs(rows).max(1))


def cosine(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return the cosine of each pair of rows: (n, d) twice to (n,); 0 where one has no length, NaN where one has NaN.

    Examples
    --------
    >>> cosine([[3.0, 4.0]], [[6.0, 8.0]]).round(12).tolist()
    [1.0]
    """
    a, b = pair(truth, predicted)
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    # Where there is no length the sum is 0, or NaN if the other side is.
    return np.divide(dot := np.einsum("nd,nd->n", a, b), size, out=dot.copy(), where=size > 0)


def r_squared(truth: ArrayLike, predicted: ArrayLike, centre: ArrayLike = 0.0) -> float:
    r"""Return :math:`1 - \sum (z - \hat z)^2 / \sum (z - c)^2` over all items and features.

    Parameters
    ----------
    truth, predicted : (n, d)
    centre : float or (d,)
        c: the constant that scores 0, such as the training mean; never the mean of the test items themselves.

    Returns
    -------
    float
        NaN where all truths are c: there is nothing to explain.

    Examples
    --------
    >>> r_squared([[1.0], [-1.0]], [[1.0], [0.0]]), r_squared([[0.0]], [[0.0]])
    (0.5, nan)
    """
    a, b = pair(truth, predicted)
    total = float(((a - np.asarray(centre)) ** 2).sum())
    return 1.0 - float(((a - b) ** 2).sum()) / total if total else float("nan")


def scaled_r_squared(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Return R² about zero after scaling by the factor that fits the test items best: a bound on what scaling gains.

    Predictions that are all zero stay so, and score 0.
    """
    a, b = pair(truth, predicted)
    power = float((b * b).sum())
    return r_squared(a, b * (float((a * b).sum()) / power) if power else b)


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
    (a, of_a), (b, of_b) = centred(a), centred(b)
    size = of_a * of_b
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


def derangement(n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a random cycle through all items: a shuffle that leaves none in its place (Sattolo 1986)."""
    order = rng.permutation(n)
    moved = np.empty(n, np.intp)
    moved[order] = np.roll(order, 1)
    return moved
