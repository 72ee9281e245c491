"""The brain-reader table: all systems × one metric set × one data set, never a score without its baselines.

Every row carries chance, the mean picture, the same reconstructions shuffled over stimuli, how many test items there
were, and what was averaged; ceiling and oracle where they are known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.metrics.identification import correlation_table, n_way, two_way
from models.metrics.images import IMAGE_SCORES, picture_pair, resize, ssim_hyper
from models.metrics.latents import cosine, derangement, pattern_correlation, similarity
from models.metrics.significance import bootstrap_stimuli, permutation_test

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of one system.

    Attributes
    ----------
    system, metric : str
    score : float
        Mean over test stimuli; NaN items (a picture that does not vary) count as 0.
    low, high : float
        95 % interval, stimuli resampled.
    chance : float or None
        What a guess gives, where arithmetic knows it.
    baselines : mapping of str to float
        The same metric of the mean picture (or zero latent) and of shuffled reconstructions.
    p : float
        One-sided, stimuli shuffled.
    n : int
        Test stimuli.
    averaged : str
        What was averaged before scoring, in words.
    """

    system: str
    metric: str
    score: float
    low: float
    high: float
    chance: float | None
    baselines: Mapping[str, float]
    p: float
    n: int
    averaged: str


def picture_rows(
    systems: Mapping[str, ArrayLike],
    truth: ArrayLike,
    training_mean: ArrayLike,
    *,
    averaged: str,
    rng: np.random.Generator,
    permutations: int = 1000,
    resamples: int = 1000,
) -> list[Row]:
    """Score the reconstructions of several systems, one per stimulus.

    Parameters
    ----------
    systems : mapping of str to (n, height, width, 3)
        Reconstructions.
    truth : (n, height, width, 3)
        What was seen.
    training_mean : (height, width, 3)
        The mean picture of training.
    averaged : str
        Such as "14 repeats of each stimulus".
    rng : numpy.random.Generator
    permutations, resamples : int
    """
    rows = []
    for system, predicted in systems.items():
        a, b = picture_pair(truth, predicted)
        mean = np.broadcast_to(np.asarray(training_mean, np.float64), a.shape)
        flat = correlation_table(a.reshape(len(a), -1), b.reshape(len(b), -1))
        rows += _identification((system, averaged), flat, (rng, permutations, resamples))
        for metric, score in IMAGE_SCORES.items():
            if score is ssim_hyper:  # every pair is scored at 224²: resize each picture once, not once a pair
                a, b, mean = (resize(np.ascontiguousarray(side), 224) for side in (a, b, mean))
            rows.append(
                _row(
                    (system, metric, averaged),
                    _pair_table(score, a, b),
                    {"mean picture": _mean(score(a, mean))},
                    None,
                    (rng, permutations, resamples),
                )
            )
    return rows


def latent_rows(
    systems: Mapping[str, ArrayLike],
    truth: ArrayLike,
    *,
    averaged: str,
    rng: np.random.Generator,
    permutations: int = 1000,
    resamples: int = 1000,
) -> list[Row]:
    """Score latents or features of several systems: (n, d) each, with a zero latent as the constant baseline."""
    rows = []
    for system, predicted in systems.items():
        a, b = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
        zero = np.zeros_like(a)
        for metric, score in (
            ("cosine", cosine),
            ("similarity 1/(1+MSE)", similarity),
            ("pattern r", pattern_correlation),
        ):
            table = _pair_table(score, a, b)
            baselines = {"zero latent": _mean(score(a, zero))}
            rows.append(
                _row((system, metric, averaged), table, baselines, None, (rng, permutations, resamples))
            )
        rows += _identification((system, averaged), correlation_table(a, b), (rng, permutations, resamples))
    return rows


def _identification(
    names: tuple[str, str], table: Floats, draws: tuple[np.random.Generator, int, int]
) -> list[Row]:
    """Score 2-way, and 200- and 300-way or the whole set where it is smaller."""
    (system, averaged), (rng, permutations, resamples) = names, draws
    ways = sorted({w for w in (200, 300) if w <= len(table)} or {len(table)})
    rows = []
    for way in (2, *(w for w in ways if w > 2)):
        score = two_way if way == 2 else lambda square, way=way: n_way(square, way)
        values = score(table)

        def statistic(order: NDArray[np.intp], score: Callable[[Floats], Floats] = score) -> float:
            return float(score(table[:, order]).mean())

        test = permutation_test(statistic, len(table), permutations=permutations, rng=rng)
        low, high = bootstrap_stimuli(values, np.arange(len(values)), resamples=resamples, rng=rng)
        baselines = {"shuffled": float(score(table[:, derangement(len(table), rng)]).mean())}
        metric = f"{way}-way identification"
        rows.append(
            Row(system, metric, _mean(values), low, high, 1 / way, baselines, test.p, len(values), averaged)
        )
    return rows


def _row(
    names: tuple[str, str, str],
    table: Floats,
    baselines: dict[str, float],
    chance: float | None,
    draws: tuple[np.random.Generator, int, int],
) -> Row:
    (system, metric, averaged), (rng, permutations, resamples) = names, draws
    own, n = np.diag(table), len(table)
    shuffled = float(table[np.arange(n), derangement(n, rng)].mean())
    test = permutation_test(
        lambda order: float(table[np.arange(n), order].mean()), n, permutations=permutations, rng=rng
    )
    low, high = bootstrap_stimuli(own, np.arange(n), resamples=resamples, rng=rng)
    return Row(
        system, metric, _mean(own), low, high, chance, baselines | {"shuffled": shuffled}, test.p, n, averaged
    )


def _pair_table(score: Callable[[Floats, Floats], Floats], truth: Floats, predicted: Floats) -> Floats:
    """Score every prediction (rows) against every truth (columns), so that shuffling costs nothing: (n, n)."""
    n = len(truth)
    if n < 2:
        raise DataError(f"expected at least 2 test stimuli, came {n}. Baselines need others to shuffle with.")
    table = np.stack([score(truth, np.broadcast_to(row, truth.shape)) for row in predicted])
    return np.nan_to_num(table, nan=0.0)


def _mean(values: Floats) -> float:
    return float(np.nan_to_num(values, nan=0.0).mean())


def rows_as_text(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return header and lines of a printed table."""
    header = ["system", "metric", "score", "95 % interval", "chance", "baselines", "p", "n", "averaged"]
    return header, [
        [
            row.system,
            row.metric,
            f"{row.score:.3f}",
            f"{row.low:.3f} to {row.high:.3f}",
            "" if row.chance is None else f"{row.chance:.3g}",
            ", ".join(f"{name} {value:.3f}" for name, value in row.baselines.items()),
            f"{row.p:.3g}",
            str(row.n),
            row.averaged,
        ]
        for row in rows
    ]
