"""Scores of classes of events: single trials and averages of several, beside readouts of shuffled classes.

Classes are exchanged trial by trial, or by whole blocks where the experiment showed them in blocks: what drifts from
block to block, and tells nothing of a class, is then no better than chance (Nichols and Holmes 2002, exchangeability).

Of two classes the score is the area under the curve of the first against the second; of more, the mean of each class
against all others. Averages are of consecutive trials of one class within a fold: of their log-odds, as an experiment
would that flashes each choice several times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.metrics.ranks import class_area
from models.systems.events.choice import Choice, describe, settle
from models.systems.events.folds import Fold, folds_of
from models.systems.events.readout import fit
from models.systems.events.settings import EventsConfig
from models.systems.events.trials import FEWEST_TRIALS, EventTrials

Floats = NDArray[np.float64]

#: Curves go to averages of so many trials.
MOST_AVERAGED = 5
#: Orders that are drawn until one leaves every fold trials of every class to fit.
_MOST_DRAWS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """A Predicted holds the cross-predicted log-odds of each trial, and its class and fold.

    Attributes
    ----------
    scores : (n, k) float64
    classes, fold : (n,) int64
    choices : tuple of Choice
        Of each fold: the readout that was fitted.
    """

    scores: Floats
    classes: NDArray[np.int64]
    fold: NDArray[np.int64]
    choices: tuple[Choice, ...] = ()


def predict(config: EventsConfig, trials: EventTrials, folds: Sequence[Fold]) -> Predicted:
    """Predict each trial by a readout that never saw its fold."""
    scores = np.full((len(trials), len(trials.labels)), np.nan)
    fold = np.empty(len(trials), np.int64)
    choices = []
    for place, part in enumerate(folds):
        choice = settle(config.readout, trials, part.fit)
        readout = fit(trials, part.fit, choice.readout)
        scores[part.score] = readout.scores(trials.epochs[part.score])
        fold[part.score] = place
        choices.append(choice)
    return Predicted(scores, trials.classes, fold, tuple(choices))


def area_by_fold(predicted: Predicted) -> list[float]:
    """Return the area under the curve of each fold by itself; a fold without a class is left out."""
    areas = []
    for fold in np.unique(predicted.fold):
        own = predicted.fold == fold
        if len(np.unique(predicted.classes[own])) == predicted.scores.shape[1]:
            areas.append(class_area(predicted.scores[own], predicted.classes[own]))
    return areas


def averaged(predicted: Predicted, n: int) -> Predicted:
    """Return averages of `n` consecutive trials of one class within a fold; what is left over is not used."""
    scores, classes, folds = [], [], []
    for fold in np.unique(predicted.fold):
        for one in range(predicted.scores.shape[1]):
            own = predicted.scores[(predicted.fold == fold) & (predicted.classes == one)]
            groups = own[: len(own) // n * n].reshape(-1, n, own.shape[1]).mean(axis=1)
            scores.append(groups)
            classes += [one] * len(groups)
            folds += [int(fold)] * len(groups)
    return Predicted(np.concatenate(scores), np.array(classes, np.int64), np.array(folds, np.int64))


def score(
    config: EventsConfig, trials: EventTrials, folds: Sequence[Fold], shuffles: int | None = None
) -> dict[str, Any]:
    """Score a readout by cross-prediction.

    Returns
    -------
    dict
        ``auc`` (mean over folds), ``auc_folds``, ``auc_together`` (all trials ranked together), ``balanced_accuracy``,
        ``shuffled`` (low, mean, high of the middle 95 % over readouts fitted and scored with shuffled classes), ``p``,
        ``readouts`` (of each fold, with what was tried where there was a choice), ``averaged`` (by the number of
        trials, as far as each fold has as many: ``auc``, ``n`` and the middle 95 % of shuffled ones), ``trials`` (by
        class), ``left_out``.
    """
    shuffles = config.shuffles if shuffles is None else shuffles
    predicted = predict(config, trials, folds)
    observed = area_by_fold(predicted)
    curve = {n: averaged(predicted, n) for n in range(1, MOST_AVERAGED + 1)}
    random = np.random.default_rng(config.seed)
    null: dict[int, list[float]] = {n: [] for n in curve}
    for _ in range(shuffles):
        if config.folds == "pictures":
            shuffled = _pictures_shuffled(trials, random)
            guessed = predict(config, shuffled, folds_of(config, shuffled))
        else:
            guessed = predict(config, _shuffled(trials, random, folds), folds)
        for n in curve:
            null[n].append(_mean(area_by_fold(averaged(guessed, n))))
    chosen = predicted.scores.argmax(axis=1)
    right = [float((chosen[trials.classes == one] == one).mean()) for one in range(len(config.labels))]
    mean = _mean(observed)
    return {
        "auc": mean,
        "auc_folds": observed,
        "auc_together": class_area(predicted.scores, predicted.classes),
        "balanced_accuracy": float(np.mean(right)),
        "shuffled": _middle(null[1]),
        "p": (1 + sum(value >= mean for value in null[1])) / (1 + shuffles),
        "averaged": {
            str(n): {"auc": _mean(area_by_fold(part)), "n": len(part.classes), "shuffled": _middle(null[n])}
            for n, part in curve.items()
            if area_by_fold(part) and np.isfinite(null[n]).any()
        },
        "readouts": [
            {"fitted": describe(choice.readout), "tried": dict(choice.areas)} for choice in predicted.choices
        ],
        "trials": {label: int((trials.classes == one).sum()) for one, label in enumerate(config.labels)},
        "left_out": dict(trials.left_out),
    }


def _shuffled(trials: EventTrials, random: np.random.Generator, folds: Sequence[Fold]) -> EventTrials:
    """Return the same epochs with their classes exchanged within each recording; whole blocks where there are any."""
    kinds = np.unique(trials.classes)
    for _ in range(_MOST_DRAWS):
        classes = trials.classes.copy()
        for run in np.unique(trials.run):
            own = np.flatnonzero(trials.run == run)
            classes[own] = exchanged(trials.classes[own], random)
        counts = [np.bincount(classes[fold.fit], minlength=len(kinds)) for fold in folds]
        if min(count[kinds].min() for count in counts) >= FEWEST_TRIALS:
            break
    else:
        classes = (
            trials.classes
        )  # so few blocks that hardly another order can be fitted: nothing is told from chance
    return replace(trials, classes=classes)


def exchanged(classes: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Return the classes of consecutive trials, (n,), in another order: trial by trial, or block by block.

    They came in blocks where a class follows itself so often that there are fewer than half as many changes as a random
    order has (Wald and Wolfowitz 1940). Blocks keep their places and lengths; their classes are exchanged.

    Examples
    --------
    >>> blocks = np.repeat([0, 1, 0, 1], 5)
    >>> exchanged(blocks, np.random.default_rng(1)).reshape(4, 5).std(axis=1).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    n, counts = len(classes), np.bincount(classes)
    starts = np.flatnonzero(np.r_[True, np.diff(classes) != 0])
    expected = 1 + (n**2 - (counts**2).sum()) / n
    if len(starts) >= expected / 2:
        return random.permutation(classes)
    lengths = np.diff(np.r_[starts, n])
    return np.repeat(classes[starts][random.permutation(len(starts))], lengths)


def _pictures_shuffled(trials: EventTrials, random: np.random.Generator) -> EventTrials:
    """Return the same epochs with the classes of whole pictures exchanged; folds are made anew of them.

    Trials of one picture stay of one class: what tells pictures apart, but no classes, is then no better than chance.
    """
    pictures, first = np.unique(trials.shown, return_index=True)
    exchanged = trials.classes[first][random.permutation(len(pictures))]
    return replace(trials, classes=exchanged[np.searchsorted(pictures, trials.shown)])


def _mean(areas: Sequence[float]) -> float:
    return float(np.mean(areas)) if len(areas) else float("nan")


def _middle(values: Sequence[float]) -> list[float]:
    known = np.array(values)[np.isfinite(values)]
    if not len(known):
        return [float("nan")] * 3
    low, high = np.quantile(known, [0.025, 0.975])
    return [float(low), float(known.mean()), float(high)]
