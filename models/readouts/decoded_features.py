r"""Features decoded from a brain, unit by unit: voxel-selected L2 (Shen et al. 2019), and what each unit is worth.

A decoded feature :math:`\hat f` lies nearer to its mean than the truth, the more so the less is known of it. Shen et
al. give decoded features the spread of true ones again; here held-out trials say how far each lies from its mean for
a given truth, :math:`E[\hat f \mid f] = s f`, and how sure it is: a unit is wanted at :math:`\hat f / s`, and counts

.. math:: w = \frac{r^2}{1 - r^2}

with r its correlation with the truth on held-out trials: the precision of that estimate, up to the unit's variance.
(Ours; on planted voxels pictures were told from others far better by it than by every unit as it was decoded.)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.readouts.folds import held_out_folds
from models.readouts.solvers import ChosenVoxels

Floats = NDArray[np.floating[Any]]
Runs = NDArray[np.intp]

#: Share of its variance below which a unit counts as not decoded.
_LEAST = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class FeatureDecoder:
    """A FeatureDecoder is a linear map from standardised voxels to standardised units, at the length of true ones.

    Attributes
    ----------
    weights : (voxels, units)
    offset : (units,)
    worth : (units,) float64
        What each unit counts; 0 where held-out trials say that it is not decoded.
    explained : (units,) float64
        Squared correlation with the truth on held-out trials, 0 where it is negative.
    held_out : (n, units) float32
        Of the training trials, each by a fit that saw neither its run nor its stimulus.
    """

    weights: Floats
    offset: Floats
    worth: NDArray[np.float64]
    explained: NDArray[np.float64]
    held_out: NDArray[np.float32]

    @classmethod
    def fit(
        cls,
        brain: Floats,
        units: Floats,
        latents: Floats,
        runs: Runs,
        *,
        voxels: int,
        alpha: float,
        folds: int = 5,
    ) -> "FeatureDecoder":
        """Fit a ridge to each unit, on the voxels that correlate most with it.

        Parameters
        ----------
        brain : (n, voxels)
            Standardised.
        units : (n, units)
            Standardised.
        latents : (n, d)
            Of the stimuli: equal ones are one stimulus.
        runs : (n,)
            Of each trial, numbered from 0.
        voxels, alpha : int, float
            How many voxels of each unit, and the penalty.
        folds : int
        """
        solver = ChosenVoxels(voxels, alpha)
        x, y = np.asarray(brain, np.float64), np.asarray(units, np.float64)
        held = np.empty(y.shape)
        for kept, out in held_out_folds(runs, latents, folds):
            part = solver.solve(x[kept], y[kept], runs[kept])
            held[out] = x[out] @ part.weights + part.intercept
        along = (held * y).mean(axis=0)
        power = (held**2).mean(axis=0) * (y**2).mean(axis=0)
        explained = np.where(along > 0, along**2 / np.where(power > 0, power, 1.0), 0.0)
        known = explained > _LEAST
        slope = np.where(known, along / (y**2).mean(axis=0), 1.0)
        worth = np.where(known, explained / np.maximum(1 - explained, 1e-3), 0.0)
        whole = solver.solve(x, y, runs)
        return cls(
            np.asarray(whole.weights) / slope,
            whole.intercept / slope,
            worth,
            explained,
            (held / slope).astype(np.float32),
        )

    def __call__(self, brain: Floats) -> Floats:
        """Return the units that are wanted: standardised voxels (n, voxels) to (n, units)."""
        return brain @ self.weights + self.offset
