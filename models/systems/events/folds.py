"""Folds of trials of known classes: rows to fit on, rows to score on, and no sample in both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from models.systems.events.settings import EventsConfig
from models.systems.events.trials import FEWEST_TRIALS, EventTrials


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A Fold is one split of the trials: rows to fit on, and rows to score on."""

    fit: NDArray[np.intp]
    score: NDArray[np.intp]


def folds_of(config: EventsConfig, trials: EventTrials) -> Sequence[Fold]:
    """Return contiguous folds; trials that share a sample with a scored one are not fitted on.

    Raises
    ------
    RecordingError
        If a fold would have a class to fit that it has no trials of.
    """
    rows = np.arange(len(trials))
    if config.folds == "recordings":
        parts = [rows[trials.run == run] for run in range(len(trials.runs))]
        if len(parts) < 2:
            which = "runs" if config.arrays is not None else "recordings or sessions"
            raise RecordingError(
                f'folds = "recordings" needs at least two {which}, came one. Set folds to a number.'
            )
    elif config.folds == "pictures":
        parts = picture_parts(trials, config.seed)
    else:
        parts = np.array_split(rows, config.folds)
    folds = []
    for part in parts:
        fit = _others(trials, part) if config.folds == "pictures" else apart_from(trials, part)
        counts = np.bincount(trials.classes[fit], minlength=len(config.labels))
        missing = [label for label, n in zip(config.labels, counts, strict=True) if not n]
        if missing or not len(part):
            raise RecordingError(
                f"expected trials of every class beside each of {len(parts)} folds, came a fold without "
                f"{', '.join(missing) or 'trials'}. Use fewer folds, or more recordings."
            )
        if counts.min() < FEWEST_TRIALS:
            least = int(counts.argmin())
            raise RecordingError(
                f"expected at least {FEWEST_TRIALS} trials of each class beside each of {len(parts)} folds, came "
                f"{counts[least]} of {config.labels[least]!r}, of {len(trials)} trials in all. Record more."
            )
        folds.append(Fold(fit, part))
    return folds


#: Folds of pictures, at most; and how many pictures of a class it takes to hold some out.
_PICTURE_FOLDS, _FEWEST_PICTURES = 5, 2


def picture_parts(trials: EventTrials, seed: int) -> list[NDArray[np.intp]]:
    """Return parts of the trials that share no picture, each with pictures of every class.

    Raises
    ------
    RecordingError
        If a class has one picture alone.
    """
    of_class = [np.unique(trials.shown[trials.classes == one]) for one in range(len(trials.labels))]
    few = [
        f"{len(own)} of {label!r}"
        for label, own in zip(trials.labels, of_class, strict=True)
        if len(own) < _FEWEST_PICTURES
    ]
    if few:
        raise RecordingError(
            f'folds = "pictures": expected at least {_FEWEST_PICTURES} pictures of each class, so that some '
            f"can be held out, came {', '.join(few)}. Show more pictures, or set folds to a number."
        )
    random = np.random.default_rng(seed)
    n = min(_PICTURE_FOLDS, *map(len, of_class))
    groups = [np.array_split(random.permutation(own), n) for own in of_class]
    return [
        np.flatnonzero(np.isin(trials.shown, np.concatenate([group[fold] for group in groups])))
        for fold in range(n)
    ]


def _others(trials: EventTrials, part: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows that are not of a part, and share no sample with any row of it."""
    apart = np.ones(len(trials), bool)
    apart[part] = False
    for row in part:
        near = (trials.end > trials.start[row]) & (trials.start < trials.end[row])
        apart &= ~(near & (trials.run == trials.run[row]))
    return np.flatnonzero(apart)


def apart_from(trials: EventTrials, part: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows that are not of a contiguous part and share no sample with the stretch that it covers."""
    apart = np.ones(len(trials), bool)
    apart[part] = False
    for run in np.unique(trials.run[part]):
        own = part[trials.run[part] == run]
        first, last = trials.start[own].min(), trials.end[own].max()
        apart &= ~((trials.run == run) & (trials.end > first) & (trials.start < last))
    return np.flatnonzero(apart)
