"""TrialScores gives betas of trials as z-scores over the trials so far, which training may have begun.

Between two places of training's grid a voxel answers as a mixture of its neighbours, so that its betas shrink, and
their mean moves, for the whole session. A decoder that was trained on betas as they are takes that for what was seen.
Mean and spread of the run itself take it out, but are not known at its first trials. So some trials of training stand
before them (`TrialsBefore`), which as many trials of the run outweigh.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.types import Flags
from bci.signal.volumes.running import RunningMoments

Betas = NDArray[np.float32]


@dataclass(frozen=True)
class TrialsBefore:
    """TrialsBefore stands for trials of training that are taken to have come before a run.

    Attributes
    ----------
    trials : int
        How many.
    mean, spread : tuple of float
        Mean and standard deviation of each voxel's betas over the trials of training.
    """

    trials: int
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    def check(self, voxels: int) -> None:
        """Raise ConfigError unless they are of so many voxels, and can be."""
        if not self.trials:
            raise ConfigError(
                "SingleTrialBetas: expected no mean and spread without trained, came some. Set trained to the number "
                "of trials that they stand for."
            )
        if not len(self.mean) == len(self.spread) == voxels:
            raise ConfigError(
                f"SingleTrialBetas: trained = {self.trials}: expected mean and spread of {voxels} voxels, came "
                f"{len(self.mean)} and {len(self.spread)}. Training fills them in: leave both out of its file."
            )
        if not np.isfinite(self.mean).all() or not all(0 <= spread < math.inf for spread in self.spread):
            raise ConfigError(
                "SingleTrialBetas: every mean must be finite and every spread finite and not below 0"
            )

    def moments(self) -> RunningMoments:
        """Return moments that go on from them."""
        moments = RunningMoments(len(self.mean))
        counts = np.full(len(self.mean), float(self.trials))
        squares = (counts - 1.0) * np.square(self.spread)
        moments.restore({"counts": counts, "mean": np.array(self.mean), "squares": squares})
        return moments


class TrialScores:
    """TrialScores gives each beta of a run in standard deviations from its mean, both of the trials so far.

    A trial is among those it is scored by, but not once mean and spread are frozen. Values that are marked are left
    out, voxel by voxel.

    Parameters
    ----------
    voxels : int
        In one beta.
    warm_up : int
        Trials until which scores are marked.
    frozen : bool
        Whether mean and spread stay as they are after the warm-up.
    before : TrialsBefore, optional
        What training leaves.

    >>> scores = TrialScores(1, 0, False, TrialsBefore(10, (4.0,), (2.0,)))
    >>> [round(float(scores(np.array([beta], "f4"), np.array([False]))[0][0]), 2) for beta in (4, 6, 6, 6)]
    [0.0, 0.97, 0.9, 0.84]
    """

    def __init__(self, voxels: int, warm_up: int, frozen: bool, before: TrialsBefore | None = None) -> None:
        self._warm_up, self._frozen = warm_up, frozen
        self._moments = RunningMoments(voxels) if before is None else before.moments()
        self._trials = 0

    def __call__(self, beta: Betas, bad: Flags) -> tuple[Betas, Flags]:
        """Take the beta of the next trial, (voxels,), and return its scores and which of them must not be trusted."""
        warm = self._trials >= self._warm_up
        self._trials += 1
        if not (warm and self._frozen):
            self._moments.add(beta, bad)
        scores, still = self._moments.z(beta)
        return scores.astype(np.float32), bad | still if warm else np.ones(len(bad), bool)
