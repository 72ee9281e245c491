"""Scores that depend on order alone: area under the ROC curve and Spearman's correlation, ties shared."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def auc(labels: NDArray[np.bool_], scores: Floats) -> float:
    r"""Return the area under the ROC curve: the probability that a positive outranks a negative.

    .. math:: \frac{R_+ - n_+(n_+ + 1)/2}{n_+ n_-}

    with :math:`R_+` the sum of the ranks of the positives (Mann and Whitney 1947); ties count half, and NaN among the
    scores gives NaN.

    Examples
    --------
    >>> auc(np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    positive = int(np.count_nonzero(labels))
    negative = len(labels) - positive
    if not positive or not negative:
        raise ValueError(f"an ROC curve needs both classes, got {positive} positive and {negative} negative")
    above = rankdata(scores)[labels].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def area_difference_variance(labels: NDArray[np.bool_], one: Floats, other: Floats) -> float:
    r"""Return the variance of the difference of two areas under the curve, of the same independent trials.

    .. math:: \bar h^2 - \frac{\sum_{i \ne k,\, j \ne l} h_{ij} h_{kl}}{n_+ (n_+ - 1)\, n_- (n_- - 1)}

    with :math:`h_{ij}` 1, one half or 0 as positive i outranks negative j by one reading, less the same by the other,
    and :math:`\bar h` their mean, the difference. Pairs that share no trial are independent, so that the second term is
    without bias the square of what the difference is in the long run, however few trials there are (Bamber 1975). By
    chance it may be the larger one: add up several before you take a root. NaN where a class has one trial alone, or a
    score is NaN.

    Examples
    --------
    >>> labels, read = np.array([False, False, True, True]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> area_difference_variance(labels, read, read)
    0.0
    >>> area_difference_variance(labels, read, np.zeros(4))
    0.0625
    """
    pairs = np.zeros((np.count_nonzero(labels), np.count_nonzero(~labels)))
    for sign, scores in ((1.0, one), (-1.0, other)):
        gap = scores[labels][:, None] - scores[~labels][None]
        pairs += sign * (gap > 0) + sign * 0.5 * (gap == 0)
    positive, negative = pairs.shape
    if min(pairs.shape) < 2 or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("nan")
    apart = (
        pairs.sum() ** 2 - (pairs.sum(axis=1) ** 2).sum() - (pairs.sum(axis=0) ** 2).sum() + (pairs**2).sum()
    )
    return float(pairs.mean() ** 2 - apart / (positive * (positive - 1) * negative * (negative - 1)))


def class_area(scores: Floats, classes: NDArray[np.int64]) -> float:
    """Return the area under the curve of classes by their scores, (n, k).

    Of two classes it is that of the first against the second; of more, the mean of each against the best of the others.

    >>> class_area(np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0]]), np.array([0, 1, 1]))
    0.75
    """
    k = scores.shape[1]
    if k == 2:
        return auc(classes == 0, scores[:, 0] - scores[:, 1])
    areas = []
    for one in range(k):
        others = np.delete(scores, one, axis=1)
        areas.append(auc(classes == one, scores[:, one] - others.max(axis=1)))
    return float(np.mean(areas))


def roc(labels: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Return false and true positive rates as the threshold falls past every score: two (k,) arrays from 0 to 1."""
    order = np.argsort(-scores, kind="stable")
    last_of_value = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(labels[order])[last_of_value]
    alarms = 1 + last_of_value - hits
    return np.append(0.0, alarms / max(1, alarms[-1])), np.append(0.0, hits / max(1, hits[-1]))


def centred_ranks(values: Floats) -> Floats:
    """Return the ranks of values less their mean: (n,).

    >>> centred_ranks(np.array([5.0, 1.0, 5.0])).tolist()
    [0.5, -1.0, 0.5]
    """
    ranks: Floats = rankdata(values) - (len(values) + 1) / 2
    return ranks


def spearman(a: Floats, b: Floats) -> float | None:
    """Return Spearman's rank correlation, or None when one side does not vary.

    Examples
    --------
    >>> spearman(np.array([1.0, 2.0, 4.0]), np.array([9.0, 5.0, 1.0]))
    -1.0
    """
    ranks = [centred_ranks(side) for side in (a, b)]
    norm = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum()) / norm if norm > 0 else None
