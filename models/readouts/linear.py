"""LinearReadout turns any linear solver into a readout: checks, frozen scaling, an error from held-out trials."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.checks import check_pair, check_repeats, check_runs, check_trials, check_varying
from models.readouts.affine import AffineReadout
from models.readouts.collapse import Collapse, diagnose
from models.readouts.interface import Posterior
from models.readouts.scaling import Array, Standard

Floats = NDArray[np.float64]
Runs = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A linear map that a solver found.

    Attributes
    ----------
    weights : (voxels, d)
    intercept : (d,)
    errors : (n, d), optional
        Of each trial, predicted without it; None when the solver does not know.
    chosen : mapping of str to object, optional
        What the solver chose, for the report.
    """

    weights: Array
    intercept: Floats
    errors: Floats | None = None
    chosen: dict[str, object] | None = None


class Solver(Protocol):
    """What finds a linear map between standardised brain data and standardised latents."""

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials it can be fitted on, and why."""
        ...

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map: (n, voxels), (n, d) and the run of each trial (n,), numbered from 0."""
        ...


def run_folds(runs: Runs, folds: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield (fitted, held out) masks; whole runs are held out, gathered into at most `folds` folds.

    Raises
    ------
    DataError
        If there is only one run.
    """
    count = int(runs.max()) + 1
    if count < 2:
        raise DataError(
            "expected at least 2 runs to hold one out, came 1. "
            "Pass the runs, or leave them out and contiguous blocks are used."
        )
    for k in range(min(folds, count)):
        out = runs % min(folds, count) == k
        yield ~out, out


class LinearReadout:
    """A readout that comes to one matrix.

    The error is measured on trials that average as many presentations as those of training. With more of them the
    truth is nearer, so what is stated is an upper bound; with fewer it would claim too much and is refused.

    Parameters
    ----------
    solver : Solver
        What finds the map.
    folds : int
        Folds of whole runs on which the error is measured, where the solver does not leave trials out itself.
    standardise : bool
        Whether the solver sees latents in units of their own deviation, or as they are.

    Attributes
    ----------
    solution_ : Solution
        After `fit`.
    repeats_ : float
        After `fit`: the fewest presentations that a training trial averaged.
    collapse_ : Collapse
        After `fit`: of predictions of trials that were left out.
    """

    solution_: Solution
    repeats_: float
    collapse_: Collapse

    def __init__(self, solver: Solver, folds: int = 3, *, standardise: bool = True) -> None:
        self.solver = solver
        self.folds = folds
        self.standardise = standardise

    def fit(
        self,
        brain: ArrayLike,
        latents: ArrayLike,
        *,
        runs: ArrayLike | None = None,
        repeats: ArrayLike | None = None,
    ) -> Self:
        """Fit the map and measure its error.

        Parameters
        ----------
        brain, latents : (n, voxels), (n, d)
        runs : (n,), optional
            Held out together; contiguous blocks when left out.
        repeats : (n,), optional
            Presentations that each trial averages.

        Raises
        ------
        DataError
            If trials and latents do not match, are not finite, do not vary, or are too few for the solver.
        """
        brain, latents = check_pair(brain, latents)
        check_trials(len(brain), *self._needs(brain.shape[1], latents.shape[1]))
        check_varying(brain)
        self.repeats_ = float(check_repeats(repeats, len(brain)).min())
        runs = check_runs(runs, len(brain))
        d = latents.shape[1]
        voxels = Standard.of(brain)
        scale = Standard.of(latents) if self.standardise else Standard(np.zeros(d), np.ones(d))
        x, y = voxels.forward(brain), scale.forward(latents)
        self.solution_ = self.solver.solve(x, y, runs)
        errors = self.solution_.errors
        if errors is None:
            errors = np.empty(y.shape)
            for kept, out in run_folds(runs, self.folds):
                part = self.solver.solve(x[kept], y[kept], np.unique(runs[kept], return_inverse=True)[1])
                errors[out] = y[out] - (x[out] @ part.weights + part.intercept)
        self.collapse_ = diagnose(y, y - errors)
        self._affine = AffineReadout(
            voxels, scale, self.solution_.weights, self.solution_.intercept, errors.T @ errors / len(errors)
        )
        return self

    def _needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        needed, reason = self.solver.needs(voxels, latents)
        return needed, type(self.solver).__name__, reason

    def frozen(self, repeats: int | None = None) -> AffineReadout:
        """Return what runs and is exported.

        Parameters
        ----------
        repeats : int, optional
            Presentations that a trial averages, checked where an uncertainty is wanted.

        Raises
        ------
        DataError
            If it is not fitted, or trials average fewer presentations than those it was trained on.
        """
        if not hasattr(self, "_affine"):
            raise DataError("expected a fitted readout, came one that was not. Call fit first.")
        if repeats is not None and repeats < self.repeats_:
            raise DataError(
                f"expected trials that average at least {self.repeats_:g} presentations, as those this readout's error "
                f"was measured on, came {repeats}. Fit on single trials, or use InvertedEncoder, which knows "
                "about repeats."
            )
        return self._affine

    def predict(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return latents: (n, voxels) to (n, d); the same map whatever the repeats."""
        return self.frozen().predict(brain)

    def posterior(self, brain: ArrayLike, *, repeats: int = 1) -> Posterior:
        """Return latents with the covariance of held-out errors; raises as `frozen` does."""
        return self.frozen(repeats).posterior(brain)

    def confidence(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return the expected cosine with the truth: (n,) from 0 to 1; raises as `frozen` does."""
        return self.frozen(repeats).confidence(brain)
