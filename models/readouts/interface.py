"""A Readout is the interface of all readouts: brain data (n, voxels) in, latents (n, d) with their uncertainty out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.checks import check_columns, check_pair, check_repeats, check_runs, check_trials, check_varying
from models.metrics.latents import r_squared
from models.readouts.collapse import Collapse
from models.readouts.fitted import FittedReadout, Posterior
from models.readouts.folds import run_folds
from models.readouts.novelty import Novelty
from models.readouts.scaling import Array

Floats = NDArray[np.float64]

#: Folds of whole runs on which the limits of the novelty are drawn.
_NOVELTY_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """A Training holds checked training trials.

    Attributes
    ----------
    brain : (n, voxels)
        Finite, every voxel varies.
    latents : (n, d)
        Finite.
    runs : (n,) int
        Of each trial, numbered from 0; contiguous blocks where the data do not say.
    counts : (n,) float64
        How many presentations each trial averages.
    """

    brain: Array
    latents: Array
    runs: NDArray[np.intp]
    counts: Floats

    def __len__(self) -> int:
        return len(self.brain)


class Readout(ABC):
    """A Readout maps brain data to latents.

    `fit` takes training data alone, and the result is frozen: a prediction depends on its own trial and nothing else.
    A subclass states what it needs (`needs`) and learns from checked trials (`learn`).

    Unless it knows about repeats, its error is measured on trials that average as many presentations as those of
    training. With more of them the truth is nearer, so what is stated is an upper bound; with fewer it would claim too
    much and is refused.

    Attributes
    ----------
    repeats_ : float
        After `fit`: the fewest presentations that a training trial averaged.
    collapse_ : Collapse
        After `fit`: of predictions of trials that were left out.
    novelty_ : Novelty
        After `fit`: how far a trial lies outside those of training.
    """

    repeats_: float
    collapse_: Collapse
    novelty_: Novelty
    _fitted: FittedReadout
    _most_repeats: float

    @abstractmethod
    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return the fewest trials that it can be fitted on, what needs them, and why."""

    @abstractmethod
    def learn(self, training: Training) -> None:
        """Learn from checked trials: set `collapse_` and what `freeze` returns."""

    def fit(
        self,
        brain: ArrayLike,
        latents: ArrayLike,
        *,
        runs: ArrayLike | None = None,
        repeats: ArrayLike | None = None,
    ) -> Self:
        """Learn from training trials; test trials play no part.

        Parameters
        ----------
        brain, latents : (n, voxels), (n, d)
        runs : (n,), optional
            Of each trial; whole runs are held out together. Contiguous blocks when left out.
        repeats : (n,), optional
            Presentations that each trial averages.

        Raises
        ------
        DataError
            If trials and latents do not match, are not finite, do not vary, or are too few.
        """
        brain, latents = check_pair(brain, latents)
        check_trials(len(brain), *self.needs(brain.shape[1], latents.shape[1]))
        check_varying(brain)
        counts = check_repeats(repeats, len(brain))
        self.repeats_, self._most_repeats = float(counts.min()), float(counts.max())
        training = Training(brain, latents, check_runs(runs, len(brain)), counts)
        self.learn(training)
        standard = self.freeze(int(self.repeats_)).voxels.forward(brain)
        self.novelty_ = Novelty.fit(standard, run_folds(training.runs, _NOVELTY_FOLDS))
        return self

    def frozen(self, repeats: float | None = None) -> FittedReadout:
        """Return the fitted readout, which runs and is exported.

        Parameters
        ----------
        repeats : int, optional
            Presentations that a trial averages, checked where an uncertainty is wanted.

        Raises
        ------
        DataError
            If it is not fitted, or trials average fewer presentations than those it was trained on.
        """
        self._require_fit("novelty_")
        fitted = self.freeze(repeats)
        if repeats is None:
            return replace(fitted, novelty=self.novelty_)
        lowest, highest = min(1.0, self._most_repeats / repeats), max(1.0, self.repeats_ / repeats)
        return replace(fitted, novelty=self.novelty_.scaled(lowest, highest))

    def freeze(self, repeats: float | None = None) -> FittedReadout:
        """Return what `learn` found, for trials that average so many presentations; raises as `frozen` does."""
        if repeats is not None and repeats < self.repeats_:
            raise DataError(
                f"expected trials that average at least {self.repeats_:g} presentations, as those this readout's error "
                f"was measured on, came {repeats}. Fit on single trials, or use InvertedEncoder, which knows "
                "about repeats."
            )
        return self._fitted

    def predict(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return latents: (n, voxels) to (n, d); the same map whatever the repeats, unless a readout knows of them."""
        return self.frozen().predict(brain)

    def posterior(self, brain: ArrayLike, *, repeats: int = 1) -> Posterior:
        """Return the latents with their uncertainty; raises as `frozen` does."""
        return self.frozen(repeats).posterior(brain)

    def confidence(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return the cosine with the true latent that is to be expected: (n,) from 0 to 1, 0 of unlike trials.

        Raises
        ------
        DataError
            As `frozen`.
        """
        return self.frozen(repeats).confidence(brain)

    def _require_fit(self, attribute: str) -> None:
        """Refuse a readout that was not fitted."""
        if not hasattr(self, attribute):
            raise DataError(
                f"expected a fitted {type(self).__name__}, came one that was not. Call fit first."
            )


def score(readout: Readout, brain: ArrayLike, latents: ArrayLike, *, repeats: int = 1) -> float:
    """Return R² on test trials, about the mean of training: 0 is what a constant reaches.

    Raises
    ------
    DataError
        If trials and latents do not match, or belong to another subject or generator.
    """
    brain, latents = check_pair(brain, latents)
    mean = readout.frozen().latents.mean
    check_columns(latents, len(mean), "latents", "dimensions")
    return r_squared(latents, readout.predict(brain, repeats=repeats), mean)
