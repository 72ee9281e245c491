"""The comparison table: all systems × one metric set × one data set, never a score without its baselines.

Every row states chance, the score of the mean picture and of shuffled reconstructions, the number of test items, and
the averaging; ceiling and oracle where they are known.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.metrics.identification import correlation_table, wins
from models.metrics.latents import LATENT_SCORES, derangement, finite_or_nan, r_squared
from models.metrics.significance import bootstrap_stimuli, permutation_test

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

#: Most pairs of pictures that are scored for a permutation test; SSIM of one takes milliseconds.
_PAIRS = 4000


@dataclass(frozen=True, slots=True)
class _Draws:
    """_Draws holds the random generator and the numbers of permutations and resamples."""

    rng: np.random.Generator
    permutations: int
    resamples: int


@dataclass(frozen=True, slots=True)
class Row:
    """A Row is one metric of one system.

    Attributes
    ----------
    system, metric : str
    score : float
        Mean over test stimuli. An item without a score, such as the correlation of a picture that does not vary, counts
        as 0; a prediction that holds NaN makes the score NaN.
    low, high : float
        95 % interval, stimuli resampled.
    chance : float or None
        Expected score of a guess, where it has a closed form.
    baselines : mapping of str to float
        The same metric of the mean picture (or zero latent) and of shuffled reconstructions.
    p : float or None
        One-sided, stimuli shuffled; None where there were too many pairs to test, or the score is NaN.
    n : int
        Number of test stimuli, not of trials.
    averaged : str
        The averaging before scoring, in words.
    """

    system: str
    metric: str
    score: float
    low: float
    high: float
    chance: float | None
    baselines: Mapping[str, float]
    p: float | None
    n: int
    averaged: str


def picture_rows(
    systems: Mapping[str, ArrayLike],
    truth: ArrayLike,
    training_mean: ArrayLike,
    *,
    averaged: str,
    rng: np.random.Generator,
    which: ArrayLike | None = None,
    others: Mapping[str, ArrayLike] = MappingProxyType({}),
    permutations: int = 1000,
    resamples: int = 1000,
) -> list[Row]:
    """Score the reconstructions of several systems; by SSIM (anchor) where `images.why_no_anchor` has nothing to say.

    Parameters
    ----------
    systems : mapping of str to (n, height, width, 3)
        Reconstructions.
    truth : (k, height, width, 3)
        The pictures that were shown.
    training_mean : (height, width, 3)
        The mean picture of training.
    averaged : str
        Such as "14 repeats of each stimulus".
    rng : numpy.random.Generator
    which : (n,) int, optional
        Index of each reconstruction's truth; by default one each, in order.
    others : mapping of str to (k, height, width, 3)
        Further baselines, a picture for each truth, such as those drawn from random latents.
    permutations, resamples : int
    """
    from models.metrics.images import (
        IMAGE_SCORES,
        pictures,
        pixel_correlation,
        resize,
        ssim_anchor,
        ssim_hyper,
        ssim_hyper_table,
        why_no_anchor,
    )

    rows = []
    for system, predicted in systems.items():
        a, b = pictures(truth, "true pictures"), pictures(predicted, "reconstructions")
        own, draws = _own(which, len(b), len(a)), _Draws(rng, permutations, resamples)
        baselines = {"mean picture": np.broadcast_to(np.asarray(training_mean, np.float64), a.shape)}
        baselines |= {name: pictures(values, name) for name, values in others.items()}
        flat = correlation_table(a.reshape(len(a), -1), b.reshape(len(b), -1))
        rows += _identification((system, averaged), flat, own, draws, ", pixels")
        for metric, score in IMAGE_SCORES.items():
            if score is ssim_anchor and why_no_anchor(*a.shape[1:3]):
                continue
            if score is ssim_hyper:  # every pair is scored at 224²: resize each picture once, not once a pair
                a, b = (resize(np.ascontiguousarray(side), 224) for side in (a, b))
                baselines = {n: resize(np.ascontiguousarray(side), 224) for n, side in baselines.items()}
            known = {name: _mean(score(a, side)) for name, side in baselines.items()}
            if len(a) * len(b) <= _PAIRS or score is pixel_correlation:
                table = ssim_hyper_table(a, b) if score is ssim_hyper else _pair_table(score, a, b)
                rows.append(_row((system, metric, averaged), table, own, known, draws))
            else:
                rows.append(_untested((system, metric, averaged), score, (a, b), own, known, draws))
    return rows


def latent_rows(
    systems: Mapping[str, ArrayLike],
    truth: ArrayLike,
    *,
    averaged: str,
    rng: np.random.Generator,
    which: ArrayLike | None = None,
    ways: Sequence[int] = (),
    permutations: int = 1000,
    resamples: int = 1000,
) -> list[Row]:
    """Score latents or features of several systems, with zero and random latents as baselines.

    Parameters
    ----------
    systems : mapping of str to (n, d)
        Decoded latents or features.
    truth : (k, d)
        True latents or features.
    averaged, rng, which, permutations, resamples
        As in `picture_rows`.
    ways : sequence of int
        Numbers of candidates to identify among, beside two; by default 200 and 300, or all where there are fewer.
    """
    rows = []
    for system, predicted in systems.items():
        a, b = (finite_or_nan(np.asarray(side, np.float64)) for side in (truth, predicted))
        own, draws = _own(which, len(b), len(a)), _Draws(rng, permutations, resamples)
        guesses = {"zero latent": np.zeros_like(a), "random latents": rng.standard_normal(a.shape)}
        for metric, score in LATENT_SCORES.items():
            known = {name: _mean(score(a, side)) for name, side in guesses.items()}
            rows.append(_row((system, metric, averaged), _pair_table(score, a, b), own, known, draws))
        rows.append(_r_squared((system, averaged), a, b, own, guesses, draws))
        rows += _identification((system, averaged), correlation_table(a, b), own, draws, ways=ways)
    return rows


def _own(which: ArrayLike | None, n: int, k: int) -> Indices:
    """Return the index of each prediction's truth.

    Raises
    ------
    DataError
        If predictions and truths do not belong together.
    """
    if k < 2:
        raise DataError(f"expected at least 2 test stimuli, came {k}. Baselines need others to shuffle with.")
    own = np.arange(n) if which is None else np.asarray(which, np.intp)
    if own.shape != (n,) or (which is None and n != k) or len(np.unique(own)) != k or own.max() != k - 1:
        raise DataError(
            f"expected predictions of {k} stimuli, each of them, came {n} predictions of {len(np.unique(own))}. "
            "Score only what belongs together."
        )
    return own


def _identification(
    names: tuple[str, str], table: Floats, own: Indices, draws: _Draws, by: str = "", ways: Sequence[int] = ()
) -> list[Row]:
    """Score 2-way, and 200- and 300-way or the whole set where it is smaller."""
    (system, averaged), k = names, table.shape[1]
    ways = sorted(ways or {w for w in (200, 300) if w <= k} or {k})
    rows = []
    for way in (2, *(w for w in ways if w > 2)):
        row = _row((system, f"{way}-way identification{by}", averaged), wins(table, way), own, {}, draws)
        rows.append(replace(row, chance=1 / way))
    return rows


def _row(
    names: tuple[str, str, str], table: Floats, own: Indices, baselines: dict[str, float], draws: _Draws
) -> Row:
    """Return a row from the scores of every prediction with every truth; whole stimuli are permuted and resampled."""
    (system, metric, averaged), trials, k = names, np.arange(len(table)), table.shape[1]
    values = table[trials, own]
    shuffled = float(table[trials, derangement(k, draws.rng)[own]].mean())
    test = permutation_test(
        lambda order: float(table[trials, order[own]].mean()),
        k,
        permutations=draws.permutations,
        rng=draws.rng,
    )
    low, high = bootstrap_stimuli(values, own, resamples=draws.resamples, rng=draws.rng)
    known = baselines | {"shuffled": shuffled}
    return Row(system, metric, float(values.mean()), low, high, None, known, test.p, k, averaged)


def _untested(
    names: tuple[str, str, str],
    score: Callable[[Floats, Floats], Floats],
    sides: tuple[Floats, Floats],
    own: Indices,
    baselines: dict[str, float],
    draws: _Draws,
) -> Row:
    """Return a row where there are too many pairs for a permutation test: one shuffle, an interval, no p."""
    (system, metric, averaged), (truth, predicted) = names, sides
    values = np.nan_to_num(score(truth[own], predicted), nan=0.0)
    shuffled = _mean(score(truth[derangement(len(truth), draws.rng)[own]], predicted))
    low, high = bootstrap_stimuli(values, own, resamples=draws.resamples, rng=draws.rng)
    known = baselines | {"shuffled": shuffled}
    return Row(system, metric, _mean(values), low, high, None, known, None, len(truth), averaged)


def _r_squared(
    names: tuple[str, str],
    truth: Floats,
    predicted: Floats,
    own: Indices,
    guesses: Mapping[str, Floats],
    draws: _Draws,
) -> Row:
    """Return the row of R² about zero, one figure of all stimuli: their sums of squares are resampled."""
    (system, averaged), k, count = names, len(truth), np.bincount(own)
    # Squared distance of every prediction to every truth, and of zero to the truth: both per stimulus.
    power = (truth**2).sum(1)
    distance = (predicted**2).sum(1)[:, None] - 2 * predicted @ truth.T + power
    trials = np.arange(len(predicted))

    def explained(left: float, total: float) -> float:
        return float(1 - left / total) if total else float("nan")

    def r2(order: Indices) -> float:
        return explained(distance[trials, order[own]].sum(), (power[order] * count).sum())

    left = np.bincount(own, distance[trials, own])
    chosen = [draws.rng.integers(k, size=k) for _ in range(draws.resamples)]
    low, high = np.quantile(
        [explained(left[c].sum(), (power * count)[c].sum()) for c in chosen], [0.025, 0.975]
    )
    test = permutation_test(r2, k, permutations=draws.permutations, rng=draws.rng)
    known = {name: r_squared(truth, side) for name, side in guesses.items()}
    known["shuffled"] = r2(derangement(k, draws.rng))
    return Row(system, "R²", test.observed, float(low), float(high), None, known, test.p, k, averaged)


def _pair_table(score: Callable[[Floats, Floats], Floats], truth: Floats, predicted: Floats) -> Floats:
    """Return the score of every prediction (rows) with every truth (columns), which permutations look up: (n, k).

    A pair without a score counts as 0; the row of a prediction that holds NaN is NaN.
    """
    table = np.stack([score(truth, np.broadcast_to(row, truth.shape)) for row in predicted])
    table = np.nan_to_num(table, nan=0.0)
    table[np.isnan(predicted.reshape(len(predicted), -1)).any(1)] = np.nan
    return table


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
            "" if row.p is None else f"{row.p:.3g}",
            str(row.n),
            row.averaged,
        ]
        for row in rows
    ]
