"""Solvers of scikit-learn behind the same interface: lasso, elastic net and partial least squares, chosen over runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import enet_path

from bci.errors import DataError
from models.readouts.folds import held_out_folds
from models.readouts.linear import Runs, Solution
from models.readouts.scaling import Array

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ElasticNet:
    """ElasticNet is elastic net, or lasso with ``ratio=1``; each latent gets the penalty that held-out runs prefer.

    Attributes
    ----------
    ratio : float
        Share of the absolute penalty, above 0 to 1.
    steps : int
        Number of penalties, from the largest that leaves any weight down to ``smallest`` of it.
    smallest : float
        The smallest penalty, as a share of the largest.
    folds : int
        Folds of whole runs and stimuli.
    """

    ratio: float = 1.0
    steps: int = 12
    smallest: float = 0.02
    folds: int = 3

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        return 10, "penalties are chosen on held-out runs"

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map, latent by latent."""
        x_mean, y_mean = brain.mean(0, dtype=np.float64), latents.mean(0, dtype=np.float64)
        x, y = np.asfortranarray(brain - x_mean), latents - y_mean
        folds = list(held_out_folds(runs, latents, self.folds))
        weights, chosen = np.zeros((x.shape[1], y.shape[1])), np.zeros(y.shape[1])
        for latent in range(y.shape[1]):
            top = float(np.abs(x.T @ y[:, latent]).max()) / (len(x) * self.ratio)
            if top == 0:
                continue
            penalties = top * np.geomspace(1, self.smallest, self.steps)
            losses = np.zeros(self.steps)
            for kept, out in folds:
                path = self._path(np.asfortranarray(x[kept]), y[kept, latent], penalties)
                losses += ((y[out, latent][:, None] - x[out] @ path) ** 2).sum(0)
            best = int(losses.argmin())
            # The path down to the chosen one: each start is the last answer.
            weights[:, latent] = self._path(x, y[:, latent], penalties[: best + 1])[:, -1]
            chosen[latent] = penalties[best]
        return Solution(weights, y_mean - x_mean @ weights, None, {"alphas": chosen})

    def _path(self, x: Array, y: Array, penalties: Floats) -> Floats:
        _, path, _ = enet_path(x, y, l1_ratio=self.ratio, alphas=penalties, tol=1e-3, max_iter=5000)
        return np.asarray(path, np.float64)


@dataclass(frozen=True, slots=True)
class PartialLeastSquares:
    """PartialLeastSquares uses the number of components that held-out runs prefer.

    Attributes
    ----------
    components : sequence of int
        To choose from.
    folds : int
        Folds of whole runs and stimuli.
    """

    components: Sequence[int] = (1, 2, 4, 8, 16, 32)
    folds: int = 3

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        least = min(self.components)
        return 2 * (least + 2), f"{least} components are found on part of them"

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map."""
        folds = list(held_out_folds(runs, latents, self.folds))
        most = min(*(int(kept.sum()) - 1 for kept, _ in folds), brain.shape[1], latents.shape[1])
        tried = [count for count in self.components if count <= most]
        if not tried:
            raise DataError(
                f"expected components of at most {most} for {len(brain)} trials and {latents.shape[1]} latents, came "
                f"{tuple(self.components)}. Ask for fewer."
            )
        losses = np.zeros(len(tried))
        for kept, out in folds:
            for at, count in enumerate(tried):
                model = PLSRegression(count, scale=False).fit(brain[kept], latents[kept])
                losses[at] += ((latents[out] - model.predict(brain[out])) ** 2).sum()
        count = tried[int(losses.argmin())]
        model = PLSRegression(count, scale=False).fit(brain, latents)
        weights = np.asarray(model.coef_.T, np.float64)
        intercept = latents.mean(0, dtype=np.float64) - brain.mean(0, dtype=np.float64) @ weights
        return Solution(weights, intercept, None, {"components": count})
