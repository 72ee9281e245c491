"""Calibration of stated uncertainty: coverage of intervals, error against confidence, risk against coverage.

What is NaN, a prediction, its deviation or a confidence, makes the figure NaN; it is no miss and no lowest confidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, spearmanr

from models.metrics.latents import pair

Floats = NDArray[np.float64]


def coverage(truth: ArrayLike, mean: ArrayLike, sd: ArrayLike, level: float) -> float:
    """Return the share of truths inside the central Gaussian intervals that should hold `level` of them.

    Parameters
    ----------
    truth, mean : (n, d)
    sd : (d,) or (n, d)
    level : float
        Such as .5 or .9.

    Examples
    --------
    >>> coverage([[0.0, 3.0]], [[0.5, 0.0]], [1.0, 1.0], 0.9)
    0.5
    """
    a, b = pair(truth, mean)
    error, bound = np.abs(a - b), float(norm.ppf((1 + level) / 2)) * np.asarray(sd, np.float64)
    if np.isnan(error).any() or np.isnan(bound).any():
        return float("nan")
    return float((error <= bound).mean())


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """A RiskCoverage is the mean error of the most confident trials against the share of trials accepted.

    Attributes
    ----------
    coverage, risk : (n,) float64
        Share of trials accepted, and their mean error.
    area : float
        Mean risk over the curve.
    best, chance : float
        The area if trials were ordered by their error, and if they were ordered at random.
    """

    coverage: Floats
    risk: Floats
    area: float
    best: float
    chance: float


def risk_coverage(error: ArrayLike, confidence: ArrayLike) -> RiskCoverage:
    """Return the risk–coverage curve (El-Yaniv and Wiener 2010); equally confident trials share their mean error.

    Parameters
    ----------
    error, confidence : (n,)
    """
    error, confidence = np.asarray(error, np.float64), np.asarray(confidence, np.float64)
    counts = np.arange(1, len(error) + 1)
    if np.isnan(error).any() or np.isnan(confidence).any():
        nan = float("nan")
        return RiskCoverage(counts / len(error), np.full(len(error), nan), nan, nan, nan)
    _, group = np.unique(-confidence, return_inverse=True)
    shared = np.bincount(group, error) / np.bincount(group)
    risk = np.cumsum(shared[np.sort(group)]) / counts
    best = np.cumsum(np.sort(error)) / counts
    return RiskCoverage(
        counts / len(error), risk, float(risk.mean()), float(best.mean()), float(error.mean())
    )


def error_by_confidence(
    error: ArrayLike, confidence: ArrayLike, bins: int = 5
) -> list[tuple[float, float, int]]:
    """Return mean confidence, mean error and number of trials in `bins` of about equal size, least confident first.

    Equally confident trials share their mean error, in whichever bin they are.

    Examples
    --------
    >>> error_by_confidence([0.0, 1.0, 2.0, 3.0], [0.5, 0.5, 0.5, 0.5], bins=2)
    [(0.5, 1.5, 2), (0.5, 1.5, 2)]
    """
    error, confidence = np.asarray(error, np.float64), np.asarray(confidence, np.float64)
    _, group = np.unique(confidence, return_inverse=True)
    error = (np.bincount(group, error) / np.bincount(group))[group]
    parts: Sequence[NDArray[np.intp]] = np.array_split(np.argsort(confidence, kind="stable"), bins)
    return [
        (float(confidence[part].mean()), float(error[part].mean()), len(part)) for part in parts if len(part)
    ]


def falls_with_confidence(error: ArrayLike, confidence: ArrayLike) -> tuple[float | None, float | None]:
    """Return Spearman's correlation of error with confidence, and p of one so negative by chance.

    None twice where one of them is the same for all, as the confidence is of a readout that claims none, or holds NaN.

    Examples
    --------
    >>> falls_with_confidence([0.1, 0.2, 0.3], [0.0, 0.0, 0.0])
    (None, None)
    >>> falls_with_confidence([0.1, 0.2, 0.3, 0.5], [0.9, 0.7, 0.4, 0.1])
    (-1.0, 0.0)
    """
    wrong, sure = np.asarray(error, np.float64), np.asarray(confidence, np.float64)
    if not (np.ptp(wrong) > 0 and np.ptp(sure) > 0):
        return None, None
    tested = spearmanr(sure, wrong, alternative="less")
    return float(tested.statistic), float(tested.pvalue)
