"""Identification measures how often a reconstruction is nearer to its own truth than to others.

Ties share, so a reconstruction that says nothing, such as one that is all zero, scores as a guess does. One that holds
NaN is not scored: it is NaN, so is the mean over all, and there is no p.
"""

from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.metrics.latents import centred, finite_or_nan
from models.metrics.significance import permutation_test

Floats = NDArray[np.float64]

_PERMUTATIONS = 2000

#: Two-way identification of a decoder that reads single trials well; where chance reaches beyond it, nothing is told.
_GOOD = 0.75

#: Of fewer pictures the orders are so few (4! = 24) that the 95 % interval of chance holds that score.
_FEWEST = 5


def correlation_table(truth: ArrayLike, predicted: ArrayLike) -> Floats:
    """Return Pearson's r of every prediction (rows) with every truth (columns): (k, d) and (n, d) to (n, k).

    An item that does not vary has no correlation: its row or column is 0. That of an item with NaN is NaN.

    Raises
    ------
    DataError
        If their numbers of features differ.
    """
    sides = [np.asarray(side, np.float64) for side in (truth, predicted)]
    if any(side.ndim != 2 for side in sides) or sides[0].shape[1] != sides[1].shape[1]:
        raise DataError(
            f"expected truths and predictions of the same features, came {sides[0].shape} and {sides[1].shape}. "
            "Score only what belongs together."
        )
    a, b = (_directions(finite_or_nan(side)) for side in sides)
    # An undefined item makes its own row or column NaN, whatever the product of the others was.
    table: Floats = np.nan_to_num(b) @ np.nan_to_num(a).T
    table[np.isnan(b).any(1)] = np.nan
    table[:, np.isnan(a).any(1)] = np.nan
    return table


def _directions(rows: Floats) -> Floats:
    less, size = centred(rows)
    return less / np.where(size == 0, 1.0, size)[:, None]


def two_way(table: ArrayLike) -> Floats:
    """Return for each prediction the share of other truths less similar to it than its own: (n, n) to (n,).

    Ties count half; chance is .5; NaN where a row holds NaN. It saturates (.996 at R² .012 with 512 latents): never
    print it alone.

    Examples
    --------
    >>> two_way([[0.9, 0.1, 0.5], [0.2, 0.1, 0.3], [0.0, 0.4, 0.4]]).tolist()
    [1.0, 0.0, 0.75]
    """
    return np.diag(wins(_square(table), 2))


def n_way(table: ArrayLike, ways: int) -> Floats:
    """Return the probability that each prediction picks its own truth among `ways` candidates: (n, n) to (n,).

    Chance is 1/`ways`; ties share. See `wins`.

    Raises
    ------
    DataError
        If there are fewer items than candidates.
    """
    return np.diag(wins(_square(table), ways))


def wins(table: ArrayLike, ways: int) -> Floats:
    r"""Return how probably each prediction would pick each truth among `ways` candidates: (n, k) to (n, k).

    The other candidates are drawn from the remaining truths without replacement. The expectation over draws is computed
    exactly instead of drawing: with b truths less similar than this one, of :math:`k - 1` others,
    :math:`\binom{b}{w - 1} / \binom{k - 1}{w - 1}`. Ties share. Two ways: the share of others less similar. A row that
    holds NaN has no order: all of it is NaN.

    Raises
    ------
    DataError
        If there are fewer truths than candidates.

    Examples
    --------
    >>> wins([[0.9, 0.1, 0.5]], 2).tolist()
    [[1.0, 0.0, 0.5]]
    """
    similarity = np.asarray(table, np.float64)
    if similarity.ndim != 2 or similarity.shape[1] < 2:
        raise DataError(
            f"expected similarities with at least 2 truths, came {similarity.shape}. Rows are predictions."
        )
    others = similarity.shape[1] - 1
    if not 2 <= ways <= others + 1:
        raise DataError(
            f"expected 2 to {others + 1} candidates for {others + 1} test items, came {ways}. Ask for fewer ways."
        )
    ordered = np.sort(similarity, axis=1)
    below = np.stack([np.searchsorted(row, own) for row, own in zip(ordered, similarity, strict=True)])
    upto = np.stack(
        [np.searchsorted(row, own, "right") for row, own in zip(ordered, similarity, strict=True)]
    )
    pairs = np.stack([below, upto - below - 1])
    kinds, index = np.unique(pairs.reshape(2, -1), axis=1, return_inverse=True)
    # With j ties among the candidates a truth is picked once in j + 1.
    share = [
        sum(_share(int(b), int(t), j, others, ways - 1) / (j + 1) for j in range(min(t, ways - 1) + 1))
        for b, t in kinds.T
    ]
    won = np.asarray(share)[index.reshape(similarity.shape)]
    won[np.isnan(similarity).any(1)] = np.nan
    return won


def _share(below: int, ties: int, drawn: int, others: int, draws: int) -> float:
    """Return how probable `drawn` ties and otherwise only less similar truths are among `draws` of `others`."""
    return comb(ties, drawn) * comb(below, draws - drawn) / comb(others, draws)


def _square(table: ArrayLike) -> Floats:
    square = np.asarray(table, np.float64)
    if square.ndim != 2 or square.shape[0] != square.shape[1] or len(square) < 2:
        raise DataError(
            f"expected a square table of similarities of at least 2 items, came {square.shape}. Rows are predictions."
        )
    return square


def identify(
    predicted: NDArray[Any],
    candidates: NDArray[Any],
    which: NDArray[np.integer[Any]],
    random: np.random.Generator,
) -> dict[str, Any]:
    """Identify each single trial's picture among all candidates, by the correlation of latents.

    Parameters
    ----------
    predicted : (n, d)
        Latents decoded from the trials.
    candidates : (k, d)
        Latents of the pictures.
    which : (n,) int
        The picture of each trial.
    random : numpy.random.Generator
        Draws the pairings of chance.

    Returns
    -------
    dict
        ``two_way`` (share of the other pictures that are less similar to the decoded latent), ``n_way`` (share of
        trials whose own picture is the most similar), ties shared, each with its 95 % chance interval and p by
        exchanging whole pictures. If latents hold NaN, ``unread`` says of how many trials, shares and their chance are
        NaN, and each p is None.
    """
    table = correlation_table(candidates, predicted)
    trials, k = np.arange(len(table)), len(candidates)
    scores: dict[str, Any] = {"pictures": k}
    if unread := int((~np.isfinite(predicted).all(1)).sum()):
        scores["unread"] = unread
    for name, share in (("two_way", wins(table, 2)), ("n_way", wins(table, k))):

        def statistic(order: NDArray[np.integer[Any]], share: NDArray[Any] = share) -> float:
            return float(share[trials, order[which]].mean())

        tested = permutation_test(
            statistic,
            k,
            permutations=_PERMUTATIONS,
            rng=random,
        )
        scores |= {name: tested.observed, f"{name}_chance": list(tested.chance), f"{name}_p": tested.p}
    return scores


def headline(identified: dict[str, Any], read_of: str = "single trials") -> dict[str, Any]:
    """Return in words whether single trials, or what else was read, carry information, from the result of `identify`.

    A score within chance says *no information* only where a good decoder's would lie above it: of two trials, or of
    three pictures, any score is within chance, and nothing can be told.
    """
    if unread := identified.get("unread"):
        return {
            "headline": f"not scored: the latent read was NaN in {unread} trial{'s' * (unread > 1)}",
            "informed": False,
        }
    low, high = identified["two_way_chance"]
    informed = bool(identified["two_way"] > high)
    finding, why = f"{read_of} tell the pictures apart" if informed else "no information", ""
    if not informed and (high > _GOOD or identified["pictures"] < _FEWEST):
        finding, why = "too few to tell", f": a good decoder's {_GOOD:.0%} would be within chance too"
    return {
        "headline": f"{finding}: two-way identification {identified['two_way']:.1%} "
        f"(chance {low:.1%} to {high:.1%}, p {identified['two_way_p']:.4f}){why}",
        "informed": informed,
    }
