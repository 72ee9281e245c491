"""Checks of a readout's input: every error names both sides and what to do."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError

Floats = NDArray[np.float64]

#: A voxel whose deviation is below this share of the median voxel's counts as constant.
_STILL = 1e-6


def as_matrix(values: ArrayLike, name: str, columns: str) -> NDArray[np.floating[Any]]:
    """Return `values` as a matrix of floating-point numbers, float32 kept as it is, or say why it is none.

    Parameters
    ----------
    values : (n, columns) array
    name, columns : str
        What it is and what its columns are, for the message.

    Raises
    ------
    DataError
        If it is not two-dimensional, is empty, or holds NaN or infinity.
    """
    matrix = np.asarray(values)
    if matrix.dtype not in (np.float32, np.float64):
        matrix = matrix.astype(np.float64)
    if matrix.ndim != 2 or not matrix.size:
        raise DataError(
            f"expected {name} of shape (trials, {columns}), came {matrix.shape}. Pass one row per trial."
        )
    # The sum of a column is finite only if every number of it is: one pass, no second array.
    with np.errstate(all="ignore"):
        sums = matrix.sum(0)
    if not np.isfinite(sums).all() and not (finite := np.isfinite(matrix)).all():
        rows, at = np.flatnonzero(~finite.all(1)), np.flatnonzero(~finite.all(0))
        raise DataError(
            f"expected finite {name}, came NaN or infinity in {len(rows)} of {len(matrix)} trials (first: {rows[0]}) "
            f"and {len(at)} of {matrix.shape[1]} {columns} (first: {at[0]}). "
            f"Leave these {columns} out of the mask, or the trials out of the fit."
        )
    return matrix


def check_pair(
    brain: ArrayLike, latents: ArrayLike
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Return training data as two matrices with one row per trial each.

    Raises
    ------
    DataError
        If they cannot be used or their numbers of trials differ.
    """
    brain, latents = as_matrix(brain, "brain data", "voxels"), as_matrix(latents, "latents", "dimensions")
    if len(brain) != len(latents):
        raise DataError(
            f"expected as many latents as trials, came {len(brain)} trials of brain data and {len(latents)} latents. "
            "Pair each trial with the latent of the stimulus that it answered."
        )
    return brain, latents


def check_trials(trials: int, needed: int, model: str, reason: str) -> None:
    """Refuse fewer trials than a model can be fitted on.

    Raises
    ------
    DataError
        With both numbers.
    """
    if trials < needed:
        raise DataError(
            f"expected at least {needed} trials for {model} ({reason}), came {trials}. "
            "Record more trials or choose a model with fewer free choices."
        )


def varying(brain: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return which voxels change by more than rounding: (n, voxels) to (voxels,) bool.

    A voxel that stands still but for the last digits of its type, or for a millionth of what its neighbours do, is as
    good as constant: standardised by so small a deviation, the first real change of it would be all that is read.
    """
    deviation = brain.std(0, dtype=np.float64)
    size = np.abs(brain.mean(0, dtype=np.float64))
    alive = deviation > 16 * float(np.finfo(brain.dtype).eps) * size
    typical = float(np.median(deviation[alive])) if alive.any() else 0.0
    return np.asarray(alive & (np.ptp(brain, axis=0) > 0) & (deviation > _STILL * typical))


def check_varying(brain: NDArray[np.floating[Any]]) -> None:
    """Refuse voxels that never change, or hardly: they carry nothing and cannot be standardised.

    Raises
    ------
    DataError
        With how many there are, and where.
    """
    constant = np.flatnonzero(~varying(brain))
    if len(constant):
        shown = ", ".join(map(str, constant[:5])) + (" …" if len(constant) > 5 else "")
        raise DataError(
            f"expected {brain.shape[1]} voxels that vary over the {len(brain)} training trials, came "
            f"{len(constant)} constant or nearly constant ones (columns {shown}). Leave them out of the mask."
        )


def check_columns(values: NDArray[np.floating[Any]], fitted: int, name: str, columns: str) -> None:
    """Refuse data whose columns are not those of the fit: another subject's voxels, another generator's latents.

    Raises
    ------
    DataError
        With both numbers.
    """
    if values.shape[1] != fitted:
        other = "another subject or mask" if columns == "voxels" else "another generator"
        raise DataError(
            f"expected {name} with the {fitted} {columns} of the fit, came {values.shape[1]}: they belong to {other}. "
            "Use the readout fitted for them."
        )


def check_generator(readout: int, generator: int) -> None:
    """Refuse a generator whose latents are not those that the readout was fitted for.

    Raises
    ------
    DataError
        With both sizes.
    """
    if readout != generator:
        raise DataError(
            f"expected a generator of {readout} latents, which the readout was fitted for, came one of {generator}. "
            "Fit the readout on this generator's latents."
        )


def check_runs(runs: ArrayLike | None, trials: int, blocks: int = 5) -> NDArray[np.intp]:
    """Return the run of each trial as 0, 1, 2, …; without runs, contiguous blocks stand for them.

    Raises
    ------
    DataError
        If their number is not the trials'.
    """
    if runs is None:
        return np.arange(trials) * min(blocks, trials) // trials
    runs = np.asarray(runs)
    if runs.shape != (trials,):
        raise DataError(
            f"expected the run of each of {trials} trials, came an array of shape {runs.shape}. "
            "Pass one number per trial."
        )
    return np.unique(runs, return_inverse=True)[1]


def check_repeats(repeats: ArrayLike | None, trials: int) -> Floats:
    """Return the number of presentations that each trial averages: (trials,) float64, 1 where it is not stated.

    Raises
    ------
    DataError
        If they are not one positive number per trial, or one for all.
    """
    counts = np.asarray(1 if repeats is None else repeats, np.float64)
    if counts.shape not in ((), (trials,)) or not (counts >= 1).all():
        raise DataError(
            f"expected repeats of at least 1 for each of {trials} trials (or one number for all), "
            f"came shape {counts.shape} with minimum {counts.min() if counts.size else 'none'}. "
            "Say how many presentations each trial averages."
        )
    return np.broadcast_to(counts, (trials,)).copy()
