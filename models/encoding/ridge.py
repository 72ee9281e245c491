r"""Ridge from features of pictures to answers; what depends on the features alone is worked out once.

.. math:: K = \Phi \Phi^T = U S U^T, \qquad \hat W = \Phi^T U (S + \alpha)^{-1} U^T Y

with a penalty :math:`\alpha` of its own for each answer, chosen by leaving single trials out (Golub, Heath and Wahba
1979). Trials of equal features are one row of K: of n trials of u pictures a matrix of u × u is decomposed, and what
lies beyond has eigenvalue 0, along which ridge predicts nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.readouts.folds import run_folds
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Runs = NDArray[np.intp]

#: Penalties that are tried, of features scaled to one unit of power in all. The largest leave nothing: what a component
#: does not answer to is predicted as its mean.
_PENALTIES = tuple(10.0**power for power in range(-2, 6))


@dataclass(frozen=True, slots=True, eq=False)
class PictureRidge:
    """A PictureRidge is ready to fit answers to the features of some trials' pictures, and to do so without each fold.

    Attributes
    ----------
    standard : Standard
        By which features are standardised.
    rows : (n, features) float64
        Standardised features over the root of their number.
    whole : _Decomposed
        Of all trials.
    folds : list of (fitted, held out, decomposed)
        Masks, (n,) bool, of parts of whole runs; and the decomposition of the fitted trials.
    """

    standard: Standard
    rows: Floats
    whole: "_Decomposed"
    folds: "list[tuple[NDArray[np.bool_], NDArray[np.bool_], _Decomposed]]"

    @classmethod
    def of(cls, features: NDArray[np.float32], runs: Runs, folds: int = 6) -> "PictureRidge":
        """Take the features, (n, features), of trials of runs, (n,), of which whole ones are held out in turn."""
        standard = Standard.of(features)
        rows = scaled(standard, features)
        pictures = alike(features)
        parts = [
            (kept, out, _Decomposed.of(rows[kept], pictures[kept])) for kept, out in run_folds(runs, folds)
        ]
        return cls(standard, rows, _Decomposed.of(rows, pictures), parts)

    def weights(self, answers: Floats) -> Floats:
        """Return the weights of all trials: answers (n, components), about their mean, to (features, components)."""
        return self.whole.weights(self.rows, answers)

    def held_out(self, answers: Floats) -> Floats:
        """Predict each trial's answers, (n, components), by a fit without its run."""
        predicted = np.empty_like(answers)
        for kept, out, decomposed in self.folds:
            mean = answers[kept].mean(axis=0)
            predicted[out] = mean + self.rows[out] @ decomposed.weights(self.rows[kept], answers[kept] - mean)
        return predicted


@dataclass(frozen=True, slots=True, eq=False)
class _Decomposed:
    """Eigenvalues, (k,), and eigenvectors, (n, k), of the inner products of n trials' features."""

    values: Floats
    axes: Floats

    @classmethod
    def of(cls, rows: Floats, pictures: Rows) -> "_Decomposed":
        """Decompose the products of rows, (n, features); those of one picture, (n,), are equal."""
        _, first, place, counts = np.unique(
            pictures, return_index=True, return_inverse=True, return_counts=True
        )
        if len(first) == len(rows):
            values, axes = np.linalg.eigh(rows @ rows.T)
        else:
            often = np.sqrt(counts)
            few = rows[first] * often[:, None]
            values, axes = np.linalg.eigh(few @ few.T)
            axes = (axes / often[:, None])[place]
        return cls(np.maximum(values, 0), axes)

    def weights(self, rows: Floats, answers: Floats) -> Floats:
        """Return weights, (features, components), each component with the penalty best for left-out trials."""
        along = self.axes.T @ answers
        squares = self.axes**2
        errors = []
        for penalty in _PENALTIES:
            kept = self.values / (self.values + penalty)
            left_out = (answers - self.axes @ (kept[:, None] * along)) / (1 - squares @ kept)[:, None]
            errors.append((left_out**2).sum(axis=0))
        best = np.argmin(errors, axis=0)
        weights = np.empty((rows.shape[1], answers.shape[1]))
        for place, own in _by_penalty(best):
            shrunk = along[:, own] / (self.values + _PENALTIES[place])[:, None]
            weights[:, own] = rows.T @ (self.axes @ shrunk)
        return weights


def alike(rows: NDArray[np.floating[Any]]) -> Rows:
    """Return which row each is, equal ones the same: (n, columns) to (n,), numbered in the order in which they come.

    >>> alike(np.array([[2.0, 1.0], [0.0, 1.0], [2.0, 1.0]])).tolist()
    [0, 1, 0]
    """
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rows], np.intp)


def scaled(standard: Standard, features: NDArray[np.float32]) -> Floats:
    """Return standardised features over the root of their number: (n, features) to the same."""
    rows: Floats = standard.forward(features.astype(np.float64)) / np.sqrt(features.shape[1])
    return rows


def _by_penalty(best: Rows) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield the place of each penalty that was chosen, and the components that chose it."""
    for place in np.unique(best):
        yield int(place), best == place
