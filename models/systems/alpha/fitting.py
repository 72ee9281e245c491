"""Fitting a StateReadout: a shrinkage discriminant whose every choice is made on blocks it was not fitted on.

Overlapping windows share samples and a brain state outlasts a window, so a fold is a contiguous stretch of
each run, and windows that share samples or filter memory with it are left out of the fit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bci.errors import ConfigError
from models.metrics.probability import log_loss
from models.systems.alpha.novelty import StateNovelty
from models.systems.alpha.readout import Floats, LinearScore, RelativePower, Sigmoid, StateReadout

Labels = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """A Trials holds windows with their state, recording and place.

    Attributes
    ----------
    windows : (n, length, channels, bands · channels) float32
        Covariance in each band.
    states : (n,) bool
        True for state 1.
    run : (n,) int64
        Which recording each window comes from.
    start, end : (n,) int64
        Source samples of that recording that it was computed from, filter memory aside: ``start`` to ``end - 1``.
    fold : (n,) int64, optional
        Which windows are held out together; without it, contiguous parts of each recording.
    """

    windows: NDArray[np.float32]
    states: Labels
    run: Counts
    start: Counts
    end: Counts
    fold: Counts | None = None

    def __len__(self) -> int:
        return len(self.states)


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidation:
    """A CrossValidation is the result of cross-validation over blocks.

    Attributes
    ----------
    shrinkage : float
        The one chosen.
    losses : tuple of float
        Log loss of the held-out blocks after calibration, for each shrinkage.
    scores : (n,) float64
        Score of each window by a fit that never saw its block.
    """

    shrinkage: float
    losses: tuple[float, ...]
    scores: Floats


class StateEstimator:
    """A StateEstimator fits a `StateReadout`, in the manner of scikit-learn.

    Parameters
    ----------
    features : RelativePower
        Features computed from a window.
    shrinkages : sequence of float
        To choose from, by the log loss of held-out blocks.
    folds : int
        Blocks per run, for trials that name no folds.
    margin : int
        Source samples of filter memory: windows closer to a held-out block than this are not fitted on.

    Attributes
    ----------
    readout_ : StateReadout
        After `fit`.
    validation_ : CrossValidation
        After `fit`: how the shrinkage was chosen and the calibration made.
    novelty_ : StateNovelty
        After `fit`: tells windows unlike those of training; its limits are of held-out blocks.
    """

    readout_: StateReadout
    novelty_: StateNovelty
    validation_: CrossValidation

    def __init__(self, features: RelativePower, shrinkages: Sequence[float], folds: int, margin: int) -> None:
        self.features = features
        self.shrinkages = tuple(shrinkages)
        self.folds = folds
        self.margin = margin

    def fit(self, trials: Trials) -> Self:
        """Choose the shrinkage, calibrate on the held-out scores, and fit on all of `trials`.

        Raises
        ------
        ConfigError
            If there are too few windows of a state for the folds.
        """
        features = self.features(trials.windows)
        everything = np.arange(len(trials))
        self.readout_, self.validation_ = self._fit(trials, features, everything)
        blocks = self._blocks(trials, everything)
        folds = [(self._apart(trials, everything, held), held) for held in blocks]
        self.novelty_ = StateNovelty.fit(trials.windows, folds)
        return self

    def predict(self, windows: NDArray[np.float32]) -> Floats:
        """Return latents: (n, length, channels, bands · channels) float32 to (n, 1) in 0 to 1."""
        return self.readout_.predict(windows)

    def cross_predict(self, trials: Trials) -> Floats:
        """Return the probability of state 1 for every window, by a readout that never saw its block.

        Nothing of the held-out block enters: shrinkage and calibration are chosen anew inside the rest. These
        are the predictions by which a claim of confidence is judged.

        Returns
        -------
        (n,) float64
        """
        features = self.features(trials.windows)
        p = np.full(len(trials), np.nan)
        for held in self._blocks(trials, np.arange(len(trials))):
            readout, _ = self._fit(trials, features, self._apart(trials, np.arange(len(trials)), held))
            p[held] = readout.calibrate(readout.score(features[held]))
        return p

    def cross_score(self, trials: Trials, shrinkage: float) -> Floats:
        """Return the uncalibrated score of every window by a fit, at one shrinkage, that never saw its block: (n,)."""
        return self._held_out_scores(trials, self.features(trials.windows), np.arange(len(trials)), shrinkage)

    def _fit(
        self, trials: Trials, features: Floats, among: NDArray[np.intp]
    ) -> tuple[StateReadout, CrossValidation]:
        """Choose, calibrate and fit on the windows `among` alone."""
        states = trials.states[among]
        losses, calibrations, held_out = [], [], []
        for shrinkage in self.shrinkages:
            scores = self._held_out_scores(trials, features, among, shrinkage)
            calibration = fit_sigmoid(scores, states)
            losses.append(log_loss(states, calibration(scores)))
            calibrations.append(calibration)
            held_out.append(scores)
        best = int(np.argmin(losses))
        shrinkage = self.shrinkages[best]
        score = fit_linear(features[among], states, shrinkage)
        validation = CrossValidation(shrinkage, tuple(losses), held_out[best])
        return StateReadout(self.features, score, calibrations[best]), validation

    def _held_out_scores(
        self, trials: Trials, features: Floats, among: NDArray[np.intp], shrinkage: float
    ) -> Floats:
        """Score each window `among` by a fit on the others that lie apart from its block."""
        place = np.full(len(trials), -1)
        place[among] = np.arange(len(among))
        scores = np.full(len(among), np.nan)
        for held in self._blocks(trials, among):
            rest = self._apart(trials, among, held)
            score = fit_linear(features[rest], trials.states[rest], shrinkage)
            scores[place[held]] = score(features[held])
        return scores

    def _blocks(self, trials: Trials, among: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Divide the windows `among` into groups held out together: the folds they name, else blocks of each run."""
        if trials.fold is not None:
            return [among[trials.fold[among] == fold] for fold in np.unique(trials.fold[among])]
        pieces: list[list[NDArray[np.intp]]] = [[] for _ in range(self.folds)]
        for run in np.unique(trials.run[among]):
            for k, piece in enumerate(np.array_split(among[trials.run[among] == run], self.folds)):
                pieces[k].append(piece)
        return [np.concatenate(piece) for piece in pieces]

    def _apart(self, trials: Trials, among: NDArray[np.intp], held: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the windows `among` that share neither samples nor filter memory with those held out."""
        near = np.zeros(len(trials), bool)
        for run in np.unique(trials.run[held]):
            own = held[trials.run[held] == run]
            # The held-out windows may be in pieces, where an outer block lay between them.
            for piece in np.split(own, np.flatnonzero(np.diff(own) > 1) + 1):
                low, high = trials.start[piece].min() - self.margin, trials.end[piece].max() + self.margin
                near |= (trials.run == run) & (trials.end > low) & (trials.start < high)
        rest = among[~near[among]]
        kept = trials.states[rest]
        if min(np.count_nonzero(kept), np.count_nonzero(~kept)) < 2:
            raise ConfigError(
                "expected windows of both states outside every block that is held out of the training part, came "
                f"{np.count_nonzero(~kept)} of state 0 and {np.count_nonzero(kept)} of state 1. "
                "Train on a longer part of the recordings, shorten the window, or ask for fewer folds."
            )
        return rest


def fit_linear(features: Floats, states: Labels, shrinkage: float) -> LinearScore:
    r"""Fit Fisher's discriminant with a covariance shrunk towards a multiple of the identity.

    Of standardised features, with :math:`\mu_s` and :math:`C_s` the mean and covariance of the windows of state s:

    .. math::

        S &= (1 - \lambda)\, C + \lambda \tfrac{\operatorname{tr} C}{d} I, \qquad C = \tfrac12 (C_0 + C_1) \\
        w &= S^{-1} (\mu_1 - \mu_0), \qquad b = -\tfrac12\, w \cdot (\mu_0 + \mu_1)

    Written out here because it is fitted thousands of times to shuffled blocks; scikit-learn's
    ``LinearDiscriminantAnalysis(solver="lsqr")`` gives the same, and the tests compare the two.

    Parameters
    ----------
    features : (n, d) float64
    states : (n,) bool
    shrinkage : float
        :math:`\lambda`: 0 (the sample covariance) to 1 (spherical).
    """
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-9)
    x = (features - mean) / scale
    centres = np.stack([x[~states].mean(0), x[states].mean(0)])
    left = x - centres[states.astype(int)]
    # Both states count alike, however many windows each has.
    weight = 0.5 / np.where(states, np.count_nonzero(states), np.count_nonzero(~states))
    covariance = (left * weight[:, None]).T @ left
    d = len(mean)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / d * np.eye(d)
    weights: Floats = np.linalg.lstsq(shrunk, centres[1] - centres[0], rcond=None)[0]
    return LinearScore(mean, scale, weights, -0.5 * float(weights @ centres.sum(0)))


def fit_sigmoid(scores: Floats, states: Labels) -> Sigmoid:
    """Fit the calibration of held-out scores, both states taken as equally probable.

    The targets are Platt's (1999), ``(n₊ + 1) / (n₊ + 2)`` and ``1 / (n₋ + 2)``: a probability never reaches 0
    or 1, however well the classes separate.

    Parameters
    ----------
    scores : (n,) float64
    states : (n,) bool
    """
    positive, negative = np.count_nonzero(states), np.count_nonzero(~states)
    target = np.where(states, (positive + 1) / (positive + 2), 1 / (negative + 2))
    size = max(float(scores.std()), 1e-9)  # the optimiser likes numbers near 1
    # A soft target is one window of each class, weighted.
    weight = 0.5 * len(states) / np.where(states, positive, negative)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit(
        np.concatenate([scores, scores])[:, None] / size,
        np.repeat([True, False], len(scores)),
        sample_weight=np.concatenate([weight * target, weight * (1 - target)]),
    )
    slope = float(model.coef_[0, 0]) / size
    if slope <= 0:  # held-out scores say nothing, or the wrong thing: every window is a guess
        return Sigmoid(0.0, 0.0)
    return Sigmoid(slope, float(model.intercept_[0]))
