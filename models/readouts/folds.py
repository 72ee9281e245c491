"""Folds hold out runs and whole stimuli: a trial is predicted by a fit that saw neither its run nor its stimulus."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError

Array = NDArray[np.floating[Any]]
Runs = NDArray[np.intp]
Mask = NDArray[np.bool_]

#: Fewer latents than these are conditions, such as two states: leaving one out would leave a fit that never saw it.
_FEWEST_STIMULI = 10

#: Where both runs and stimuli are held out, each in so many parts at most: the square of it is the number of fits.
_MOST_PARTS = 4


def run_folds(runs: Runs, folds: int) -> Iterator[tuple[Mask, Mask]]:
    """Yield (fitted, held out) masks; whole runs are held out, gathered into at most `folds` folds.

    Raises
    ------
    DataError
        If there is only one run.
    """
    for part in _parts(runs, folds):
        yield ~part, part


def held_out_folds(runs: Runs, latents: Array, folds: int) -> Iterator[tuple[Mask, Mask]]:
    """Yield (fitted, held out) masks, (n,) bool each; every trial is held out once.

    No fitted trial shares its run or its stimulus with one that is held out, so what is common to a run, and what is
    common to the repeats of a stimulus, cannot pass for prediction. Where stimuli lie in one run each, these are
    `run_folds`; where few do not, their repeats are left out of the fit; where leaving them out would leave less than
    half, runs and stimuli are both divided, and each cell is predicted from what shares neither with it.

    Parameters
    ----------
    runs : (n,) int
        Of each trial, numbered from 0.
    latents : (n, d)
        Equal ones are one stimulus; fewer than ten different ones are conditions, of which none is left out.
    folds : int
        The most parts that runs are gathered into.

    Raises
    ------
    DataError
        If there is only one run.
    """
    stimuli = stimuli_of(latents)
    parts = list(_parts(runs, folds))
    if stimuli.max() + 1 < _FEWEST_STIMULI:
        yield from ((~part, part) for part in parts)
        return
    apart = [~part & ~np.isin(stimuli, stimuli[part]) for part in parts]
    if all(
        2 * np.count_nonzero(kept) >= np.count_nonzero(~part) for kept, part in zip(apart, parts, strict=True)
    ):
        yield from zip(apart, parts, strict=True)
        return
    among = min(max(folds, 2), _MOST_PARTS)
    for part in _parts(runs, among):
        for k in range(among):
            chosen = stimuli % among == k
            if (part & chosen).any():
                yield ~part & ~chosen, part & chosen


def about_one_centre(held_out: Array, fitted: Array, centre: Array) -> NDArray[np.float64]:
    r"""Return what one fold's fit reads of its held-out trials, moved so that all folds lie about one centre.

    A fit that knows little answers with the mean of what it was fitted to. A stimulus that is held out has no part in
    that mean, and most of the others have: over folds, a reading of nothing would be less like its own truth than like
    others, and score below chance. A bundle has one centre for all trials; so have these.

    .. math:: \hat z_i - \overline{\hat z_{\text{fitted}}} + c

    Parameters
    ----------
    held_out, fitted : (m, d), (n, d)
        Answers of the same fit to the trials of the fold, and to those that it was fitted to.
    centre : (d,)
        The mean of all trials' latents: the same for every fold, so it tells nothing of any.

    Examples
    --------
    >>> about_one_centre(np.array([[3.0], [1.0]]), np.array([[2.0], [0.0]]), np.array([5.0])).ravel().tolist()
    [7.0, 5.0]
    """
    moved: NDArray[np.float64] = held_out - fitted.mean(axis=0) + centre
    return moved


def stimuli_of(latents: Array) -> NDArray[np.intp]:
    """Return the stimulus of each trial, numbered from 0: (n, d) to (n,); latents that are equal are one."""
    scale = np.maximum(np.abs(latents).max(0), 1e-300)
    return np.unique(np.round(latents / scale, 6), axis=0, return_inverse=True)[1].reshape(-1)


def _parts(runs: Runs, folds: int) -> Iterator[Mask]:
    count = int(runs.max()) + 1
    if count < 2:
        raise DataError(
            "expected at least 2 runs to hold one out, came 1. "
            "Pass the runs, or leave them out and contiguous blocks are used."
        )
    for k in range(min(folds, count)):
        yield runs % min(folds, count) == k
