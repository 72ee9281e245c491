"""SingleTrials estimates a beta for each trial as it comes: least squares, separate, of the volumes so far.

Each trial has a model of its own (LSS; Mumford et al. 2012, NeuroImage 59:2636): its response, the responses of all
other trials that have begun by now together, and nuisance. Trials after it belong to the others as well: their
responses lie under its own, and left out they would bias its beta.

Nuisance is the same in all of these models, so it is taken out once, volume by volume, by the orthogonal update of
`bci.signal.volumes.glm`: what each volume adds that nuisance does not explain, of the data and of each response, is its
*innovation*. A trial's model is then two columns of innovations, and only their products with the data are kept. Slow
drifts over a whole run are almost alike over its first minutes; this does not square that, as normal equations would.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.volumes.responses import ResponseGrid

#: What is given for a trial: the coefficient, that over its standard error, or the normal deviate as probable as that.
BetaKind = Literal["beta", "t", "z"]

#: A response is told apart when this part of it, or more, is neither nuisance nor the others.
TOLD_APART = 1e-6

#: Columns of length 1 are alike when their smallest singular value is below this part of the largest.
ALIKE = 1e-10

Array = NDArray[np.float64]

#: Volumes that are kept for trials that are told after they began.
KEPT = 16


@dataclass(eq=False)
class _Trial:
    """A _Trial holds one event.

    Attributes
    ----------
    column : (volumes,) float64
        Its response at all planned volumes.
    turned : (nuisance,) float64
        The part of its response so far that nuisance explains, turned as the data are.
    innovations : list of float
        Of its response, at each volume taken.
    product : (voxels,) float64 or None
        Of its innovations with those of the data; None once it is not estimated again.
    """

    column: Array
    turned: Array
    innovations: list[float]
    product: Array | None


@dataclass(frozen=True, eq=False)
class _Taken:
    """A _Taken is a volume of late: its place in the run, the turn that took nuisance out, the data's innovations."""

    place: int
    turn: Array
    values: Array


class SingleTrials:
    """SingleTrials holds what the volumes so far say of each trial.

    Parameters
    ----------
    grid : ResponseGrid
        The planned run.
    nuisance : int
        Columns that a volume brings beside the trials' (constant, drift, motion).
    voxels : int
    """

    def __init__(self, grid: ResponseGrid, nuisance: int, voxels: int) -> None:
        self._grid, self._voxels = grid, voxels
        self._trials: list[_Trial] = []
        self._triangle: Array = np.zeros((nuisance, nuisance))
        self._turned: Array = np.zeros((nuisance, voxels))
        self._together: Array = np.zeros(voxels)
        self._squares: Array = np.zeros(voxels)
        self._rows: list[Array] = []
        self._places: list[int] = []
        self._recent: deque[_Taken] = deque(maxlen=KEPT)

    @property
    def volumes(self) -> int:
        """Volumes taken so far."""
        return len(self._places)

    def begin(self, onset_s: float, duration_s: float = 0.0) -> int:
        """Tell of a trial, planned or just begun, and return its number, counted from 0.

        Parameters
        ----------
        onset_s, duration_s : float
            Seconds from the run's first volume.

        Raises
        ------
        ConfigError
            If it began so long ago that volumes of its response are no longer kept.
        """
        column = self._grid.column(onset_s, duration_s)
        passed = self._places[: self.volumes - len(self._recent)]
        if np.any(column[passed]):
            raise ConfigError(
                f"expected trials within {KEPT} volumes of their onset, came one that began at {onset_s:.2f} s. "
                "Plan it in the design, or tell of it sooner."
            )
        trial = _Trial(column, np.zeros(len(self._triangle)), [0.0] * len(passed), np.zeros(self._voxels))
        for taken in self._recent:
            self._follow(trial, taken)
        self._trials.append(trial)
        return len(self._trials) - 1

    def add(self, place: int, nuisance: Array, samples: NDArray[np.floating]) -> None:
        """Take a volume.

        Parameters
        ----------
        place : int
            Its count in the planned run; counts may be left out, where a volume is missing or must not be trusted.
        nuisance : (columns,) float64
        samples : (voxels,) array, finite
        """
        if not 0 <= place < self._grid.volumes:
            raise ConfigError(
                f"expected a run of {self._grid.volumes} volumes as planned, came volume {place}. Plan a longer run."
            )
        turn, triangle = np.linalg.qr(np.vstack([self._triangle, nuisance]), mode="complete")
        stacked = turn.T @ np.vstack([self._turned, np.asarray(samples, np.float64)])
        self._triangle, self._turned, values = triangle[:-1], stacked[:-1], stacked[-1]
        self._squares += values * values
        self._rows.append(np.array(nuisance, np.float64))
        self._places.append(place)
        taken = _Taken(place, turn, values)
        self._recent.append(taken)
        for trial in self._trials:
            self._follow(trial, taken)

    def _follow(self, trial: _Trial, taken: _Taken) -> None:
        """Take nuisance out of a trial's response at one volume, and keep the products of what is left."""
        height = trial.column[taken.place]
        if not height and not trial.turned.any():
            trial.innovations.append(0.0)
            return
        stacked = taken.turn.T @ np.append(trial.turned, height)
        trial.turned = stacked[:-1]
        trial.innovations.append(float(stacked[-1]))
        product = stacked[-1] * taken.values
        self._together += product
        if trial.product is not None:
            trial.product += product

    def design(self, number: int) -> Array:
        """Return the model of one trial for the volumes so far, (volumes, 2 + nuisance): it, the others, nuisance."""
        places = self._places
        own = self._trials[number].column[places]
        together = np.sum([trial.column[places] for trial in self._trials], axis=0) - own
        return np.column_stack([own, together, *np.array(self._rows).reshape(len(places), -1).T])

    def degrees_of_freedom(self, number: int) -> int:
        """Return how many volumes are there beyond what the model of a trial explains; 0 while columns are alike.

        Slow drifts over a whole run are alike in its first minute, and no beta is what it seems then.
        """
        if not self._places:
            return 0
        columns = self.design(number)
        columns = columns[:, np.abs(columns).sum(axis=0) > 0]
        values = np.linalg.svd(columns / np.linalg.norm(columns, axis=0), compute_uv=False)
        alike = values.size == 0 or len(columns) < columns.shape[1] or values[-1] < ALIKE * values[0]
        return 0 if alike else len(columns) - columns.shape[1]

    def estimate(self, number: int, kind: BetaKind = "beta") -> Array | None:
        """Return what the volumes so far say of a trial, (voxels,); None while its response cannot be told apart.

        Parameters
        ----------
        number : int
            As `begin` returned; not one that was forgotten.
        kind : "beta", "t" or "z"
        """
        trial = self._trials[number]
        assert trial.product is not None, "forgotten"
        own = np.array(trial.innovations)
        others: Array = np.array([one.innovations for one in self._trials]).sum(axis=0) - own
        products = np.vstack([trial.product, self._together - trial.product])
        columns: Array = np.column_stack([own, others])
        size = float(np.linalg.norm(trial.column[self._places]))
        if others @ others <= (TOLD_APART * size) ** 2:  # no other trial has begun: no column of the model
            columns, products = columns[:, :1], products[:1]
        # The trial stands last, so that the last pivot is its part that the others have not.
        _, triangle = np.linalg.qr(columns[:, ::-1])
        if not size or abs(triangle[-1, -1]) <= TOLD_APART * size:
            return None
        inverse = np.linalg.inv(triangle)
        covariance = (inverse @ inverse.T)[::-1, ::-1]
        beta = covariance[0] @ products
        if kind == "beta":
            return np.asarray(beta)
        freedom = self.degrees_of_freedom(number)
        if freedom < 1:
            return None
        explained = np.einsum("cv,cv->v", covariance @ products, products)
        error = np.sqrt(np.maximum(self._squares - explained, 0.0) / freedom * covariance[0, 0])
        t = np.divide(beta, error, out=np.zeros_like(beta), where=error > 0)
        return t if kind == "t" else normal_deviate(t, freedom)

    def forget(self, number: int) -> None:
        """Free the memory of a trial that is not estimated again; it stays one of the others."""
        self._trials[number].product = None


def normal_deviate(t: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
    """Return the normal deviates as probable as t values with so many degrees of freedom.

    >>> normal_deviate(np.array([-2.0, 0.0, 2.0]), 10).round(3).tolist()
    [-1.79, 0.0, 1.79]
    """
    from scipy import special

    low = special.ndtri(special.stdtr(freedom, -np.abs(t)))
    return np.asarray(np.where(t > 0, -low, low)) + 0.0
