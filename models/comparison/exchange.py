"""Scores of drawn pictures, and what exchanging pictures and resampling them makes of these, in parts.

A part is some of the exchanges, or of the resamples, from a seed of its own: a unit of a long analysis.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from models.generators.features import edges_and_colours
from models.metrics.identification import correlation_table, wins
from models.metrics.images import windowed_ssim
from models.metrics.significance import stimulus_means

Floats = NDArray[np.float64]
Which = NDArray[np.int64]
Pictures = NDArray[np.uint8]

#: Of fewer pictures there are too few orders: labels of trials are exchanged, and blocks of trials resampled.
FEW = 5


def tables(truth: Pictures, drawn: Pictures, which: Which) -> dict[str, Floats]:
    """Score drawn pictures.

    Parameters
    ----------
    truth : (k, side, side, 3)
    drawn : (n, side, side, 3)
    which : (n,)
        The truth of each.

    Returns
    -------
    dict of str to (n, k) or (n,)
        ``pixel r``, ``two-way`` and ``of k`` (identification by edges and colours; a picture that says nothing ties)
        of every drawn picture with every truth; ``SSIM`` of each with its own, at their own size. Of two truths ``AUC``
        (`ranked`) in place of ``of k``: drawn pictures that all lean to one of two are still told apart by how far.
    """
    pixels = correlation_table(*(side.reshape(len(side), -1).astype(np.float64) for side in (truth, drawn)))
    edges = correlation_table(edges_and_colours(truth), edges_and_colours(drawn))
    found = {
        "pixel r": pixels,
        f"SSIM, {truth.shape[1]}²": windowed_ssim(
            *(one / 255.0 for one in (truth[which], drawn)), taps=7, sigma=1.5
        ),
        "two-way, pixels": wins(pixels, 2),
        "two-way": wins(edges, 2),
    }
    if len(truth) == 2:
        return found | {"AUC": ranked(pixels, which)}
    return found | {f"of {len(truth)}": wins(edges, len(truth))}


def ranked(likeness: Floats, which: Which) -> Floats:
    r"""Return a table whose mean over trials is the area under the ROC curve of two pictures, (n, 2).

    Trials are ranked by how much more a drawn picture is like the first than like the second,
    :math:`r_i` from 0 to 1; with :math:`n_1` and :math:`n_2` trials of each, trial i counts

    .. math:: \tfrac12 \pm (r_i - \tfrac12) \, n^2 / (2 n_1 n_2)

    Parameters
    ----------
    likeness : (n, 2)
        Of every drawn picture with both truths; a picture that says nothing (NaN) lies in the middle.
    which : (n,)

    Examples
    --------
    >>> table = ranked(np.array([[0.9, 0.1], [0.8, 0.5], [0.7, 0.6], [0.6, 0.2]]), np.array([0, 0, 1, 1]))
    >>> float(own(table, np.array([0, 0, 1, 1])).mean())
    0.75
    """
    lean = np.nan_to_num(likeness[:, 0] - likeness[:, 1])
    counts = np.bincount(which, minlength=2)
    ranks = (rankdata(lean) - 0.5) / len(lean)
    away = (ranks - 0.5) * len(lean) ** 2 / (2 * max(1, counts[0] * counts[1]))
    return np.stack([0.5 + away, 0.5 - away], axis=1)


def own(table: Floats, which: Which) -> Floats:
    """Return the score of each drawn picture with its truth, (n,)."""
    return table if table.ndim == 1 else table[np.arange(len(table)), which]


def exchanged(
    table: Floats, which: Which, groups: NDArray[np.integer[Any]], *, count: int, seed: list[int]
) -> list[float]:
    """Return means over groups of a table, (n, k), pictures exchanged; of few, labels of trials."""
    random, trials, k = np.random.default_rng(seed), np.arange(len(table)), table.shape[1]
    _, place, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1 / counts[place] / len(counts)
    if k < FEW:
        return [float(table[trials, random.permutation(which)] @ weights) for _ in range(count)]
    return [float(table[trials, random.permutation(k)[which]] @ weights) for _ in range(count)]


def resampled(
    values: Floats, groups: NDArray[np.integer[Any]], *, count: int, seed: list[int]
) -> list[float]:
    """Return means of scores, (n,), with whole groups of trials drawn again: those of a picture, or blocks of time."""
    means, random = stimulus_means(values, groups), np.random.default_rng(seed)
    return [float(random.choice(means, len(means)).mean()) for _ in range(count)]


def summary(
    values: Floats, parts: Mapping[str, list[float]], groups: NDArray[np.integer[Any]]
) -> dict[str, Any]:
    """Return one figure: ``score`` (the mean over groups), its 95 % interval, ``chance`` and ``p``, of all parts.

    ``by_group`` holds the means themselves, so that two readers can be compared picture by picture.
    """
    means = stimulus_means(values, groups)
    score = float(means.mean())
    low, high = np.quantile(parts["resampled"], [0.025, 0.975])
    found: dict[str, Any] = {
        "score": score,
        "low": float(low),
        "high": float(high),
        "chance": None,
        "p": None,
        "by_group": [round(float(one), 6) for one in means],
    }
    if null := parts.get("exchanged"):
        reached = sum(one >= score - 1e-12 for one in null)
        found |= {
            "chance": [float(np.mean(null)), *map(float, np.quantile(null, [0.025, 0.975]))],
            "p": (1 + reached) / (1 + len(null)),
        }
    return found
