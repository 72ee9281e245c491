"""Significance by shuffling stimuli, correction over many tests, and intervals that resample stimuli and subjects."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Permutation:
    """A Permutation is the result of a permutation test.

    Attributes
    ----------
    observed : float
    permuted : (B,) float64
    p : float or None
        ``(1 + #{permuted ≥ observed}) / (1 + B)``; None where the statistic is NaN, observed or permuted: NaN is never
        reached, so that the p value would be the smallest of all.
    """

    observed: float
    permuted: Floats
    p: float | None

    @property
    def chance(self) -> tuple[float, float]:
        """The central 95 % interval of the permuted values."""
        low, high = np.quantile(self.permuted, [0.025, 0.975])
        return float(low), float(high)


def permutation_test(
    statistic: Callable[[Indices], float], stimuli: int, *, permutations: int, rng: np.random.Generator
) -> Permutation:
    """Compare a statistic with its values when stimuli are paired at random.

    Pairs of test items share items, so neither a binomial test nor one on trials of the same stimulus holds: whole
    stimuli are exchanged.

    Parameters
    ----------
    statistic : callable
        Function of the truth's index for each prediction, (stimuli,); larger means a better match.
    stimuli : int
        Number of test stimuli.
    permutations : int
        B.
    rng : numpy.random.Generator
        Where the permutations come from.
    """
    if stimuli < 2:
        raise DataError(f"expected at least 2 stimuli to shuffle, came {stimuli}. Test on more.")
    observed = statistic(np.arange(stimuli))
    permuted = np.array([statistic(rng.permutation(stimuli)) for _ in range(permutations)])
    if not np.isfinite(observed) or np.isnan(permuted).any():
        return Permutation(observed, permuted, None)
    # Permuted values that equal the observed one may differ from it by rounding: they count as reaching it.
    reached = permuted >= observed - 1e-12 * max(1.0, abs(observed))
    return Permutation(observed, permuted, float((1 + reached.sum()) / (1 + permutations)))


def holm(p: ArrayLike) -> Floats:
    """Return p values corrected for their number (Holm 1979), in the same shape.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    flat = values.ravel()
    order = np.argsort(flat, kind="stable")
    stepped = np.maximum.accumulate(flat[order] * np.arange(len(flat), 0, -1))
    out = np.empty_like(flat)
    out[order] = np.minimum(stepped, 1.0)
    return out.reshape(values.shape)


def bootstrap_stimuli(
    values: ArrayLike | Sequence[ArrayLike],
    stimuli: ArrayLike | Sequence[ArrayLike],
    *,
    resamples: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile interval of a mean score, resampling stimuli, nested in subjects where there are several.

    Trials of one stimulus move together and count as one: more trials of it make the interval no narrower.

    Parameters
    ----------
    values : (n,) or a sequence of them
        Scores of trials, of one subject or of each.
    stimuli : (n,) or a sequence of them
        The stimulus of each trial.
    resamples : int
    rng : numpy.random.Generator
    level : float
    """
    subjects = [(values, stimuli)] if _is_flat(values) else list(zip(values, stimuli, strict=True))  # type: ignore[arg-type]
    means = [stimulus_means(score, which) for score, which in subjects]
    draws = np.empty(resamples)
    for k in range(resamples):
        chosen = rng.integers(len(means), size=len(means)) if len(means) > 1 else [0]
        draws[k] = np.mean([rng.choice(means[s], len(means[s])).mean() for s in chosen])
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def stimulus_means(values: ArrayLike, stimuli: ArrayLike) -> Floats:
    """Return the mean score of each stimulus: (n,), (n,) to (stimuli,).

    Raises
    ------
    DataError
        If their lengths differ.
    """
    score, which = np.asarray(values, np.float64), np.asarray(stimuli)
    if score.shape != which.shape or score.ndim != 1:
        raise DataError(
            f"expected one stimulus per score, came scores {score.shape} and stimuli {which.shape}. Pair them."
        )
    _, index = np.unique(which, return_inverse=True)
    return np.asarray(np.bincount(index, score) / np.bincount(index))


def _is_flat(values: Any) -> bool:
    return np.ndim(values[0]) == 0
