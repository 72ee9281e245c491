r"""Noise of voxels that is partly shared: a few factors plus what each voxel has of its own, fitted beside the signal.

The trials, rotated into the eigenbasis of :math:`ZZ^\top` (eigenvalues :math:`s_i`), are independent rows, for the
weights :math:`w_v \sim N(0, D_v/\alpha\, I)` only add variance to them:

.. math:: \tilde y_i \sim N\big(0,\; D\,(1 + s_i/\alpha) + FF^\top\big)

so signal and noise are told apart by how the rows' variance follows :math:`s_i`, with no residuals and no
correction for degrees of freedom. F, D and :math:`\alpha` maximise this likelihood: factor analysis by
expectation–maximisation (Rubin and Thayer 1982) whose rows differ in their private variance, started from principal
axes. In units of :math:`\sqrt D`, :math:`FF^\top` has orthonormal axes P with eigenvalues b; everything is
closed-form in them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar

Floats = NDArray[np.float64]
Array = NDArray[np.floating[Any]]

#: Private variance never falls below this share of a voxel's whole variance.
_FLOOR = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class RotatedTrials:
    """RotatedTrials holds trials rotated into independent rows.

    Attributes
    ----------
    rows : (n, voxels) float32
        Centred brain data in the eigenbasis of the latents' Gram matrix.
    squares : (n, voxels) float32
    s : (n,) float64
        Its eigenvalues, ascending; 0 where the latents do not reach.
    right : (d, n) float64
        Latents' eigenvectors that belong to the rows; zero columns where ``s`` is 0.
    """

    rows: NDArray[np.float32]
    squares: NDArray[np.float32]
    s: Floats
    right: Floats


def rotate(brain: Array, latents: Floats) -> RotatedTrials:
    """Rotate centred trials: (n, voxels) and (n, d)."""
    s, u = eigh(latents @ latents.T, driver="evd", check_finite=False)
    null = s <= s[-1] * len(s) * np.finfo(np.float64).eps
    s = np.where(null, 0.0, s)
    right = np.divide(latents.T @ u, np.sqrt(s), out=np.zeros((latents.shape[1], len(s))), where=~null)
    rows = u.T.astype(np.float32) @ brain.astype(np.float32, copy=False)
    return RotatedTrials(rows, rows**2, s, right)


@dataclass(frozen=True, slots=True, eq=False)
class SharedNoise:
    """A SharedNoise is a noise covariance of low rank plus a diagonal.

    Attributes
    ----------
    private : (voxels,) float64
        D: variance of one presentation that a voxel has of its own.
    axes : (voxels, rank) float64
        P: orthonormal, in units of √D.
    strength : (rank,) float64
        b: variance along each axis in units of D.
    alpha : float
        D over the variance of a weight.
    log_likelihood : float
        Of the rows, constants left out.
    """

    private: Floats
    axes: Floats
    strength: Floats
    alpha: float
    log_likelihood: float

    @property
    def rank(self) -> int:
        """Number of factors."""
        return len(self.strength)

    @property
    def loadings(self) -> Floats:
        """F: (voxels, rank)."""
        return np.sqrt(self.private)[:, None] * self.axes * np.sqrt(self.strength)


class NoiseFit:
    """A NoiseFit fits `SharedNoise` of any rank to one set of rows; the principal axes are found once for all ranks.

    Parameters
    ----------
    trials : RotatedTrials
    most : int
        The largest rank that will be asked for.
    """

    def __init__(self, trials: RotatedTrials, most: int) -> None:
        self.trials = trials
        n = len(trials.s)
        self._total = _weighted(1 / np.full(n, n), trials.squares)
        none = SharedNoise(
            self._total, np.zeros((len(self._total), 0)), np.zeros(0), float(trials.s.mean()) or 1.0, 0
        )
        self._plain = self._finish(none.loadings, none.private, none.alpha, reach=12.0)
        for _ in range(4):
            self._plain = self._step(self._plain)
        rows = trials.rows / np.sqrt(1 + trials.s / self._plain.alpha)[:, None].astype(np.float32)
        rows /= np.sqrt(self._plain.private).astype(np.float32)
        w, q = eigh(
            (rows @ rows.T).astype(np.float64) / n,
            driver="evr",
            subset_by_index=(n - most, n - 1),
            check_finite=False,
        )
        w, q = w[::-1], q[:, ::-1]
        axes = rows.T @ q.astype(np.float32) / np.sqrt(n * w)
        self._start = axes * np.sqrt(np.maximum(w - 1, 1e-3) * self._plain.private[:, None])

    def __call__(self, rank: int, steps: int = 12) -> SharedNoise:
        """Fit a rank by `steps` of expectation–maximisation."""
        if rank == 0:
            return self._plain
        loadings = self._start[:, :rank]
        private = np.maximum(self._plain.private - (loadings**2).sum(1), _FLOOR * self._total)
        fit = self._finish(loadings, private, self._plain.alpha)
        for _ in range(steps):
            fit = self._step(fit)
        return fit

    def _step(self, now: SharedNoise) -> SharedNoise:
        """Raise the likelihood once in F and D, then in α."""
        rows, n = self.trials.rows, len(self.trials.s)
        g = 1 + self.trials.s / now.alpha
        root = np.sqrt(now.private)
        seen = _times(rows, now.axes / root[:, None])
        mean = seen * np.sqrt(now.strength) / (g[:, None] + now.strength)
        spread = g[:, None] / (g[:, None] + now.strength)
        second = (mean / g[:, None]).T @ mean + np.diag((spread / g[:, None]).sum(0))
        cross = _times(rows.T, mean / g[:, None])
        loadings = np.linalg.solve(second, cross.T).T
        private = (_weighted(1 / g, self.trials.squares) - (loadings * cross).sum(1)) / n
        return self._finish(loadings, np.maximum(private, _FLOOR * self._total), now.alpha)

    def _finish(self, loadings: Floats, private: Floats, alpha: float, reach: float = 1.0) -> SharedNoise:
        """Find axes and the best α within ``exp(±reach)`` of the last."""
        root = np.sqrt(private)
        strength, turn = np.linalg.eigh((loadings / root[:, None]).T @ (loadings / root[:, None]))
        strength = np.maximum(strength, 1e-9)
        axes = (loadings / root[:, None]) @ turn / np.sqrt(strength)
        power = _times(self.trials.rows, axes / root[:, None]) ** 2
        rest = np.maximum(self.trials.squares @ (1 / private).astype(np.float32) - power.sum(1), 0.0)
        free, s = len(private) - len(strength), self.trials.s

        def cost(log_alpha: float) -> float:
            g = 1 + s / np.exp(log_alpha)
            along = g[:, None] + strength
            return 0.5 * float(
                free * np.log(g).sum() + (rest / g).sum() + np.log(along).sum() + (power / along).sum()
            )

        at = np.log(alpha)
        best = minimize_scalar(
            cost, bounds=(at - reach, at + reach), method="bounded", options={"xatol": 1e-3}
        )
        likelihood = -best.fun - 0.5 * len(s) * float(np.log(private).sum())
        return SharedNoise(private, axes, strength, float(np.exp(best.x)), likelihood)


def held_out_likelihood(noise: SharedNoise, trials: RotatedTrials, brain: Array, latents: Floats) -> float:
    """Return the log likelihood of new trials, their signal predicted from `trials`, constants left out.

    Parameters
    ----------
    noise : SharedNoise
        Fitted to `trials`.
    trials : RotatedTrials
    brain, latents : (m, voxels), (m, d)
        Centred as the trials were.
    """
    root, s, alpha = np.sqrt(noise.private), trials.s, noise.alpha
    within = latents @ trials.right
    factors = 1 + noise.strength
    shrink = np.sqrt(s) / (s + alpha)
    rows = trials.rows
    signal = ((within * shrink).astype(np.float32) @ rows) / root.astype(np.float32)
    turned = _times(rows, noise.axes / root[:, None])
    plain = (within * shrink) @ turned
    along = within @ (np.sqrt(s)[:, None] / (s[:, None] + alpha * factors) * turned)
    rest = (brain / root.astype(brain.dtype)).astype(np.float32) - signal
    seen = _times(rest, noise.axes)
    total = np.einsum("nv,nv->n", rest, rest, dtype=np.float64) - (seen**2).sum(1)
    residual = seen + plain - along
    # What the latents' null space adds: directions that no training trial reached keep their prior.
    unreached = np.maximum((latents**2).sum(1) - (within**2).sum(1), 0.0)
    within_squares = within**2
    loose = within_squares @ (1 / (s + alpha)) + unreached / alpha
    loose_along = within_squares @ (1 / (s[:, None] + alpha * factors)) + unreached[:, None] / (
        alpha * factors
    )
    variance = factors * (1 + loose_along)
    free = len(root) - noise.rank
    return -0.5 * float(
        len(brain) * 2 * np.log(root).sum()
        + free * np.log1p(loose).sum()
        + (total / (1 + loose)).sum()
        + np.log(variance).sum()
        + (residual**2 / variance).sum()
    )


def _times(a: Array, b: Floats) -> Floats:
    """Multiply a large single-precision matrix: half the time, summed to seven digits."""
    return (a @ b.astype(np.float32)).astype(np.float64)


def _weighted(weights: Floats, rows: Array) -> Floats:
    """Sum rows with weights."""
    return (weights.astype(np.float32) @ rows).astype(np.float64)
