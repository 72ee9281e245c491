"""Inference on windows that depend on each other: blocks of time are permuted and resampled, never windows alone.

Sliding windows overlap, and a brain state outlasts a window, so n windows are far fewer than n observations.
Windows are therefore grouped into contiguous blocks; labels, confidences and resamples move block by block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.metrics.ranks import centred_ranks, spearman

#: Confidence level of the intervals and significance claimed of a decoder.
CLAIM_LEVEL = 0.05

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A Blocks groups windows into contiguous blocks of equal size within each run.

    Attributes
    ----------
    index : (blocks, size) intp
        Numbers of the windows in each block, in time order.
    run : (blocks,) intp
        Number of each block's run.
    left_out : int
        Windows at the ends of runs that fill no block.
    """

    index: Indices
    run: Indices
    left_out: int

    def __len__(self) -> int:
        return len(self.index)

    @property
    def windows(self) -> Indices:
        """All windows in blocks, in order: (blocks · size,) intp."""
        return self.index.ravel()


def cut_blocks(run: NDArray[np.integer[Any]], size: int) -> Blocks:
    """Group windows into blocks of `size`.

    Parameters
    ----------
    run : (n,) int
        Number of each window's run; windows of one run stand together, in time order.
    size : int
        Windows per block.

    Examples
    --------
    >>> cut_blocks(np.array([0, 0, 0, 1, 1]), 2).index.tolist()
    [[0, 1], [3, 4]]
    """
    index: list[Indices] = []
    of: list[int] = []
    for r in np.unique(run):
        where = np.flatnonzero(run == r)
        whole = where[: len(where) // size * size].reshape(-1, size)
        index.extend(whole)
        of.extend([int(r)] * len(whole))
    table = np.array(index, np.intp).reshape(-1, size)
    return Blocks(table, np.array(of, np.intp), len(run) - table.size)


def permuted_labels(
    statistic: Callable[[NDArray[np.bool_], Floats], float],
    labels: NDArray[np.bool_],
    scores: Floats,
    blocks: Blocks,
    *,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[float, Floats, float | None]:
    r"""Compare a statistic with its values when whole blocks exchange their labels.

    .. math:: p = \frac{1 + \#\{\text{permuted} \ge \text{observed}\}}{1 + B}

    Parameters
    ----------
    statistic : callable
        Function of labels and scores; larger means a better match.
    labels : (n,) bool
        Constant within each block.
    scores : (n,) float64
        Scores that are compared with the labels.
    blocks : Blocks
        What moves as one.
    permutations : int
        B.
    rng : numpy.random.Generator
        Where the permutations come from.

    Returns
    -------
    observed : float
        On the windows in blocks.
    permuted : (permutations,) float64
    p : float or None
        None where the statistic is NaN.
    """
    kept, size = scores[blocks.windows], blocks.index.shape[1]
    per_block = labels[blocks.index[:, 0]]
    observed = statistic(np.repeat(per_block, size), kept)
    permuted = np.array(
        [statistic(np.repeat(rng.permutation(per_block), size), kept) for _ in range(permutations)]
    )
    if np.isnan(observed) or np.isnan(permuted).any():
        return observed, permuted, None
    return observed, permuted, float((1 + np.sum(permuted >= observed)) / (1 + permutations))


def bootstrap(
    statistic: Callable[[Indices], float],
    blocks: Blocks,
    *,
    resamples: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic under resampling of blocks within each run.

    Parameters
    ----------
    statistic : callable
        Function of the indices of the windows drawn.
    blocks : Blocks
        Blocks to draw from with replacement, from each run as many as it has.
    resamples : int
        Number of resamples.
    rng : numpy.random.Generator
        Where the draws come from.
    level : float
        Share of the resamples that the interval holds.
    """
    of_run = [np.flatnonzero(blocks.run == r) for r in np.unique(blocks.run)]
    values = []
    for _ in range(resamples):
        drawn = np.concatenate([rng.choice(these, len(these)) for these in of_run])
        values.append(statistic(blocks.index[drawn].ravel()))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def falling_with(
    confidence: Floats,
    error: Floats,
    blocks: Blocks,
    *,
    permutations: int,
    rng: np.random.Generator,
) -> tuple[float | None, float]:
    """Return the rank correlation of confidence with error, and the p value of its being negative.

    Blocks of confidence are exchanged within each run, so neither dependence in time nor a difference between
    runs can make it significant.

    Parameters
    ----------
    confidence, error : (n,) float64
        Confidence and error of each window.
    blocks : Blocks
        What moves as one.
    permutations : int
        B of ``(1 + #{permuted ≤ observed}) / (1 + B)``.
    rng : numpy.random.Generator
        Where the permutations come from.

    Returns
    -------
    correlation : float or None
        Spearman's, on the windows in blocks; None (undefined) when one of them does not vary.
    p : float
        One-sided; 1 when there is no correlation.
    """
    kept = error[blocks.windows]
    observed = spearman(confidence[blocks.windows], kept)
    if observed is None:
        return None, 1.0
    of_run = [np.flatnonzero(blocks.run == r) for r in np.unique(blocks.run)]
    # A permutation moves ranks with their blocks and leaves them as they are: only the products are summed again.
    ranks = centred_ranks(confidence[blocks.windows]).reshape(blocks.index.shape)
    errors = centred_ranks(kept)
    norm = float(np.sqrt((ranks**2).sum() * (errors**2).sum()))
    as_low = 0
    for _ in range(permutations):
        shuffled = np.concatenate([rng.permutation(these) for these in of_run])
        as_low += float((ranks[shuffled].ravel() * errors).sum()) / norm <= observed + 1e-12
    return observed, (1 + as_low) / (1 + permutations)
