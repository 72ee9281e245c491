"""Linear solvers by least squares: ridge in both directions, banded, on chosen voxels, after principal components."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lstsq, solve

from bci.errors import DataError
from models.readouts.folds import held_out_folds
from models.readouts.linear import Runs, Solution, Solver
from models.readouts.principal import principal_axes
from models.readouts.ridge_solver import fit_ridge_held_out
from models.readouts.scaling import Array

Floats = NDArray[np.float64]

#: Folds of whole runs and stimuli on which a penalty is chosen.
_FOLDS = 5

#: Voxels of which all products are kept at once.
_MOST_VOXELS = 4096

#: Penalties to choose from, for standardised data.
ALPHAS = tuple(float(alpha) for alpha in np.logspace(0, 7, 15))


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """LeastSquares is ordinary least squares; with more voxels than trials, the smallest map that fits (no penalty)."""

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        return 2, "a line needs two points"

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map."""
        mean, target = brain.mean(0, dtype=np.float64), latents.mean(0, dtype=np.float64)
        weights = lstsq(brain - mean, latents - target, check_finite=False)[0]
        return Solution(weights, target - mean @ weights)


@dataclass(frozen=True, slots=True)
class Ridge:
    """Ridge maps voxels to latents; each latent gets the penalty that predicts held-out runs and stimuli best."""

    alphas: Sequence[float] = ALPHAS
    """Penalties to choose from, for standardised data."""

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        return 4, "trials are held out"

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map."""
        fit = fit_ridge_held_out(brain, latents, self.alphas, held_out_folds(runs, latents, _FOLDS))
        return Solution(fit.weights, fit.intercept, fit.errors, {"alphas": fit.alphas})


@dataclass(frozen=True, slots=True)
class PseudoInverse:
    r"""The encoding direction, inverted: brain = W·latents by ridge or least squares, then :math:`W^+`.

    Mozafari et al. (2020) solve the regression in this direction. It gives latents at full size, so a plain R² punishes
    it where the brain says little: look at the cosine and at R² after the best scalar.

    Attributes
    ----------
    alphas : sequence of float
        Penalties of the encoding model, one chosen per voxel; ``(0.0,)`` is least squares.
    """

    alphas: Sequence[float] = ALPHAS

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        if tuple(self.alphas) == (0.0,):
            return latents + 2, f"least squares of brain on {latents} latents has no unique answer below"
        return 4, "trials are held out"

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map."""
        if tuple(self.alphas) == (0.0,):
            encoding = LeastSquares().solve(latents, brain, runs)
            weights, intercept, chosen = encoding.weights, encoding.intercept, None
        else:
            fit = fit_ridge_held_out(latents, brain, self.alphas, held_out_folds(runs, latents, _FOLDS))
            weights, intercept, chosen = fit.weights, fit.intercept, {"alphas": fit.alphas}
        inverse = np.linalg.pinv(np.asarray(weights, np.float64))
        return Solution(inverse, -intercept @ inverse, None, chosen)


@dataclass(frozen=True, slots=True)
class Principal:
    """A Principal runs any solver on the first principal components of the brain data.

    Attributes
    ----------
    components : int
        How many; fewer are used where there are fewer.
    then : Solver
        What maps components to latents, in either direction. Components keep their own sizes.
    """

    components: int
    then: Solver = field(default_factory=Ridge)

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        own = self.components + 1, f"{self.components} components and a mean"
        return max(own, self.then.needs(self.components, latents))

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map."""
        mean = brain.mean(0, dtype=np.float64)
        centred = brain - mean
        axes = principal_axes(centred, self.components)
        inner = self.then.solve(centred @ axes, latents, runs)
        weights = axes @ inner.weights
        # Held-out errors of the inner solver saw the held-out trials in the components: not passed on.
        return Solution(weights, inner.intercept - mean @ weights, None, inner.chosen)


@dataclass(frozen=True, slots=True)
class ChosenVoxels:
    """ChosenVoxels is ridge on the voxels that correlate most with each latent in training trials (as in fastl2lir).

    Attributes
    ----------
    count : int
        Number of voxels for each latent.
    alpha : float
        The penalty, for standardised data.
    """

    count: int = 500
    alpha: float = 100.0

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        return 3, "voxels are chosen by correlation"

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map."""
        n = len(brain)
        mean, target = brain.mean(0, dtype=np.float64), latents.mean(0, dtype=np.float64)
        x, y = brain - mean, latents - target
        size = np.sqrt(np.einsum("nv,nv->v", x, x))
        strength = np.abs(x.T @ y) / np.where(size > 0, size, np.inf)[:, None]
        count = min(self.count, x.shape[1])
        weights = np.zeros((x.shape[1], y.shape[1]))
        # Products of all voxels, of which each latent takes its own, cost less than its own of every latent.
        gram, along = (x.T @ x, x.T @ y) if count <= n and x.shape[1] <= _MOST_VOXELS else (None, None)
        for latent in range(y.shape[1]):
            at = np.argpartition(-strength[:, latent], count - 1)[:count]
            if gram is not None and along is not None:
                own = gram[np.ix_(at, at)]
                own.flat[:: count + 1] += self.alpha
                weights[at, latent] = solve(own, along[at, latent], assume_a="pos", check_finite=False)
                continue
            part = x[:, at]
            if count <= n:
                own = part.T @ part
                own.flat[:: count + 1] += self.alpha
                weights[at, latent] = np.linalg.solve(own, part.T @ y[:, latent])
            else:
                own = part @ part.T
                own.flat[:: n + 1] += self.alpha
                weights[at, latent] = part.T @ np.linalg.solve(own, y[:, latent])
        return Solution(weights, target - mean @ weights)


@dataclass(frozen=True, slots=True)
class BandedRidge:
    """BandedRidge is ridge whose penalty differs between bands of voxels, such as regions; weights are drawn at random.

    The search is that of Dupré la Tour et al. (2022): shares of the bands from a Dirichlet distribution, for each of
    them the best penalty per latent on held-out runs and stimuli, and the best of all per latent.

    Attributes
    ----------
    bands : sequence of int
        Band of each voxel.
    alphas : sequence of float
        Penalties to choose from, for standardised data.
    tries : int
        Number of random weightings, beside equal ones and each band alone.
    seed : int
        Of the draws.
    """

    bands: Sequence[int]
    alphas: Sequence[float] = ALPHAS
    tries: int = 10
    seed: int = 0

    def needs(self, voxels: int, latents: int) -> tuple[int, str]:
        """Return the fewest trials and why."""
        return 4, "trials are held out"

    def solve(self, brain: Array, latents: Array, runs: Runs) -> Solution:
        """Find the map."""
        _, band = np.unique(np.asarray(self.bands), return_inverse=True)
        if len(band) != brain.shape[1]:
            raise DataError(
                f"expected the band of each of {brain.shape[1]} voxels, came {len(band)} bands. Cut both with one mask."
            )
        count = int(band.max()) + 1
        drawn = np.random.default_rng(self.seed).dirichlet(np.full(count, 0.5), self.tries)
        folds = list(held_out_folds(runs, latents, _FOLDS))
        shares = np.vstack([np.full((1, count), 1 / count), np.eye(count), drawn])
        best = np.full(latents.shape[1], np.inf)
        weights = np.zeros((brain.shape[1], latents.shape[1]))
        intercept, errors = np.zeros(latents.shape[1]), np.zeros(latents.shape)
        chosen = np.zeros((latents.shape[1], count))
        for share in shares:
            scale = np.sqrt(count * share)[band]
            fit = fit_ridge_held_out(brain * scale, latents, self.alphas, folds)
            loss = (fit.errors**2).sum(0)
            better = loss < best
            best = np.where(better, loss, best)
            weights[:, better] = (scale[:, None] * fit.weights)[:, better]
            intercept[better], errors[:, better] = fit.intercept[better], fit.errors[:, better]
            chosen[better] = share
        return Solution(weights, intercept, errors, {"shares": chosen})
