"""Scores of stated probabilities: Brier, log loss, accuracy, and calibration; NaN if one of them is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]


def brier(labels: Labels, p: Floats) -> float:
    """Return the mean squared distance of `p` from the outcome, 0 or 1 (Brier 1950)."""
    return float(np.mean((p - labels) ** 2))


def log_loss(labels: Labels, p: Floats) -> float:
    """Return the mean negative log likelihood in nats; probabilities are kept 1e-7 away from 0 and 1."""
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(labels, np.log(p), np.log1p(-p))))


def accuracy(labels: Labels, p: Floats) -> float:
    """Return the share of trials whose more probable class is the right one; a probability of one half counts half.

    Examples
    --------
    >>> accuracy(np.array([True, True, True]), np.array([0.9, 0.5, 0.1]))
    0.5
    """
    return float(np.mean(_hits(labels, p)))


def balanced_accuracy(labels: Labels, p: Floats) -> float:
    """Return the mean over both classes of the share recognised, as `accuracy` counts; NaN where one is missing.

    Examples
    --------
    >>> balanced_accuracy(np.array([True, True, False]), np.full(3, 0.5))
    0.5
    """
    if labels.all() or not labels.any():
        return float("nan")
    hit = _hits(labels, p)
    return float(np.mean([hit[labels].mean(), hit[~labels].mean()]))


def _hits(labels: Labels, p: Floats) -> Floats:
    """Return 1, 0, one half where both classes are equally probable, and NaN where p is: (n,)."""
    return np.asarray((1 + np.sign(p - 0.5) * np.where(labels, 1, -1)) / 2, np.float64)


@dataclass(frozen=True, slots=True)
class Bin:
    """A Bin is one row of a calibration table.

    Attributes
    ----------
    low, high : float
        Range of stated probability.
    n : int
        Number of windows in the row.
    stated, came : float
        Mean stated probability of being right, and the share that was right.
    """

    low: float
    high: float
    n: int
    stated: float
    came: float


def calibration(confidence: Floats, right: Labels, bins: int = 5) -> tuple[list[Bin], float]:
    """Return the calibration table of class probabilities, and the expected calibration error.

    Parameters
    ----------
    confidence : (n,) float64
        Stated probability of the more probable of two classes, 0.5 to 1.
    right : (n,) bool
        Whether that class was the right one.
    bins : int
        Rows of the table, of equal width from 0.5 to 1; empty ones are left out.

    Returns
    -------
    table : list of Bin
    error : float
        Mean over windows of |stated − came| of their row (Naeini et al. 2015).
    """
    edges = np.linspace(0.5, 1.0, bins + 1)
    row = np.clip(np.digitize(confidence, edges) - 1, 0, bins - 1)
    table = []
    for k in range(bins):
        here = row == k
        if here.any():
            table.append(
                Bin(
                    float(edges[k]),
                    float(edges[k + 1]),
                    int(here.sum()),
                    float(confidence[here].mean()),
                    float(right[here].mean()),
                )
            )
    error = sum(b.n * abs(b.stated - b.came) for b in table) / len(confidence)
    return table, float(error)
