"""LinearReadout turns any linear solver into a readout: frozen scaling, an error from held-out trials."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.readouts.folds import held_out_folds
from models.readouts.interface import Readout, Training
from models.readouts.maps import Affine
from models.readouts.recalibration import Recalibration
from models.readouts.scaling import Array, Standard

Floats = NDArray[np.float64]
Runs = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A Solution is a linear map found by a solver.

    Attributes
    ----------
    weights : (voxels, d)
    intercept : (d,)
    errors : (n, d), optional
        Of each trial, predicted by a fit that saw neither its run nor its stimulus; None when the solver does not know.
    chosen : mapping of str to object, optional
        The solver's choices, for the report.
    """

    weights: Array
    intercept: Floats
    errors: Floats | None = None
    chosen: dict[str, object] | None = None


class Solver(Protocol):
    """A Solver finds a linear map between standardised brain data and standardised latents."""

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials it can be fitted on, and why."""
        ...

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map: (n, voxels), (n, d) and the run of each trial (n,), numbered from 0."""
        ...


class LinearReadout(Readout):
    """A LinearReadout is a readout whose map is one matrix.

    Parameters
    ----------
    solver : Solver
        Finds the map.
    folds : int
        Folds of whole runs and stimuli on which the error is measured, where the solver does not hold them out itself.
    standardise : bool
        Whether the solver sees latents in units of their own deviation, or as they are.

    Attributes
    ----------
    solution_ : Solution
        After `fit`.
    """

    solution_: Solution

    def __init__(self, solver: Solver, folds: int = 5, *, standardise: bool = True) -> None:
        self.solver = solver
        self.folds = folds
        self.standardise = standardise

    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return what the solver needs."""
        needed, reason = self.solver.needs(voxels, latents)
        return needed, type(self.solver).__name__, reason

    def learn(self, training: Training) -> None:
        """Find the map and measure its error."""
        runs, d = training.runs, training.latents.shape[1]
        voxels = Standard.of(training.brain)
        scale = Standard.of(training.latents) if self.standardise else Standard(np.zeros(d), np.ones(d))
        x, y = voxels.forward(training.brain), scale.forward(training.latents)
        self.solution_ = self.solver.solve(x, y, runs)
        errors = self.solution_.errors
        if errors is None:
            errors = np.empty(y.shape)
            for kept, out in held_out_folds(runs, y, self.folds):
                part = self.solver.solve(x[kept], y[kept], np.unique(runs[kept], return_inverse=True)[1])
                errors[out] = y[out] - (x[out] @ part.weights + part.intercept)
        centre = y.mean(0, dtype=np.float64)
        recalibration = Recalibration.of(y, y - errors, centre)
        self.collapse_ = recalibration.collapse
        affine = Affine(self.solution_.weights, self.solution_.intercept)
        self._fitted = recalibration.readout(voxels, scale, affine)
