r"""Ridge regression with one penalty per target, each chosen by leaving trials out, from one decomposition.

.. math:: \hat\beta_t = \arg\min_\beta \|y_t - X\beta\|^2 + \alpha_t \|\beta\|^2

With fewer trials than features the work is done on the Gram matrix :math:`K = XX^\top = U S U^\top` (n × n), else
on :math:`X^\top X`; the residual of a trial that was left out is known without leaving it out (Golub, Heath and
Wahba 1979):

.. math:: y_i - \hat y_{-i} = \frac{y_i - \hat y_i}{1 - H_{ii}}, \qquad
    H = U \operatorname{diag}\frac{s}{s + \alpha} U^\top + \tfrac1n 1 1^\top

That holds where trials are independent. Where runs share an offset, or a stimulus was shown more than once, the others
still know a trial that is left out alone: `fit_ridge_held_out` chooses by folds instead.

All penalties are screened in single precision, half the time; those whose error comes within its reach of the best
are compared again in double precision, in which the solution itself is computed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Floats = NDArray[np.float64]
Array = NDArray[np.floating[Any]]

#: Relative differences of squared errors below this are not decided in single precision.
_REACH = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class RidgeFit:
    """A RidgeFit holds weights, intercepts, and the penalty of each target.

    Attributes
    ----------
    weights : (features, targets) float64
    intercept : (targets,) float64
    alphas : (targets,) float64
        The penalty chosen for each target.
    errors : (n, targets) float64
        Residual of each trial, predicted by a fit without it; by one without its whole fold where folds were given.
    """

    weights: Floats
    intercept: Floats
    alphas: Floats
    errors: Floats


def fit_ridge(features: Array, targets: Array, alphas: Sequence[float]) -> RidgeFit:
    """Fit ridge with an intercept; each target gets the penalty with the smallest leave-one-out error.

    Parameters
    ----------
    features : (n, p)
    targets : (n, t)
    alphas : sequence of float
        Positive penalties to choose from; of equals, the first wins.

    Examples
    --------
    >>> x, y = np.array([[0.0], [1.0], [2.0], [4.0]]), np.array([[1.0], [3.0], [5.0], [9.0]])
    >>> fit = fit_ridge(x, y, [1e-9, 10.0])
    >>> fit.weights.round(6).tolist(), fit.intercept.round(6).tolist(), fit.alphas.tolist()
    ([[2.0]], [1.0], [1e-09])
    """
    return _fit(features, targets, np.asarray(alphas, np.float64))


def _fit(features: Array, targets: Array, alphas: Floats, chosen: NDArray[np.intp] | None = None) -> RidgeFit:
    """Fit as `fit_ridge` does; `chosen`, (targets,), says which penalty each target has, where that is known."""
    n = len(features)
    x_mean, y_mean = features.mean(0, dtype=np.float64), targets.mean(0, dtype=np.float64)
    y = targets - y_mean
    primal = features.shape[1] < n
    s, u = _decompose(features, x_mean, primal)
    rotated = u.T @ y
    # What the features cannot reach is left as it is: K's null space, complete in the dual where u is square.
    beyond = y - u @ rotated if primal else np.zeros((1, 1))
    if chosen is None:
        chosen = _choose(s, u, rotated, beyond, alphas, n)
    best = alphas[chosen]
    dual = u @ (rotated / (s[:, None] + best))
    # X'c of the centred X: c sums to nearly nothing, and what it sums to is taken out.
    weights = features.T.astype(np.float64, copy=False) @ dual - np.outer(x_mean, dual.sum(0))
    if primal:  # the dual left out 1/α of what is beyond, which is orthogonal to X
        residual = beyond + best * dual
    else:
        residual = best * dual
    leverage = np.empty_like(residual)
    for index in np.unique(chosen):
        leverage[:, chosen == index] = _leverage(s, u, float(alphas[index]), n)[:, None]
    return RidgeFit(weights, y_mean - x_mean @ weights, best, residual / (1 - leverage))


def fit_ridge_held_out(
    features: Array,
    targets: Array,
    alphas: Sequence[float],
    folds: Iterable[tuple[NDArray[np.bool_], NDArray[np.bool_]]],
) -> RidgeFit:
    """Fit ridge with an intercept; each target gets the penalty with the smallest error on held-out folds.

    Parameters
    ----------
    features : (n, p)
    targets : (n, t)
    alphas : sequence of float
        Positive penalties to choose from; of equals, the first wins.
    folds : iterable of (fitted, held out) masks, (n,) bool each
        Every trial is held out once; see `models.readouts.folds`.
    """
    grid = np.asarray(alphas, np.float64)
    parts = [_Fold.of(features, targets, kept, out) for kept, out in folds]
    table = np.zeros((len(grid), targets.shape[1]))
    for part in parts:
        for row, alpha in enumerate(grid):
            table[row] += (part.errors(np.full(targets.shape[1], alpha)) ** 2).sum(0)
    chosen = table.argmin(0)
    best = grid[chosen]
    errors = np.empty(targets.shape)
    for part in parts:
        errors[part.out] = part.errors(best)
    fit = _fit(features, targets, grid, chosen)
    return RidgeFit(fit.weights, fit.intercept, best, errors)


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """A _Fold is one decomposition of fitted trials, from which held-out ones are predicted at any penalty.

    Attributes
    ----------
    out : (n,) bool
    s : (r,) float64
        Eigenvalues of the fitted trials' Gram matrix.
    rotated : (r, targets) float64
        Fitted targets along its eigenvectors.
    across : (held out, r) float64
        Inner products of held-out with fitted trials, along the same.
    rest : (held out, targets) float64
        Held-out targets about the fitted mean.
    """

    out: NDArray[np.bool_]
    s: Floats
    rotated: Floats
    across: Floats
    rest: Floats

    @classmethod
    def of(cls, features: Array, targets: Array, kept: NDArray[np.bool_], out: NDArray[np.bool_]) -> "_Fold":
        x, x_out = features[kept].astype(np.float64), features[out].astype(np.float64)
        mean, y_mean = x.mean(0), targets[kept].mean(0, dtype=np.float64)
        s, u = _decompose(x, mean, x.shape[1] < len(x))
        x, x_out = x - mean, x_out - mean
        across = x_out @ (x.T @ u) if x.shape[1] < len(x) else (x_out @ x.T) @ u
        return cls(out, s, u.T @ (targets[kept] - y_mean), across, targets[out] - y_mean)

    def errors(self, alphas: Floats) -> Floats:
        """Return what is left of the held-out targets at one penalty each: (held out, targets)."""
        left: Floats = self.rest - self.across @ (self.rotated / (self.s[:, None] + alphas))
        return left


def _decompose(features: Array, mean: Floats, primal: bool) -> tuple[Floats, Floats]:
    """Return eigenvalues and left singular vectors of the centred features: (r,), (n, r)."""
    if primal:
        x = features - mean
        s, v = eigh(x.T @ x, driver="evd", overwrite_a=True, check_finite=False)
        keep = s > s[-1] * np.finfo(np.float64).eps * len(s)
        return s[keep], (x @ v[:, keep]) / np.sqrt(s[keep])
    x = features.astype(np.float64, copy=False)
    gram = x @ x.T
    # Centring the Gram matrix is centring its rows, without a centred copy of the features.
    at = x @ mean
    gram -= at[:, None] + at - mean @ mean
    s, u = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
    return np.maximum(s, 0.0), u


def _leverage(s: Floats, u: Array, alpha: float, n: int) -> Floats:
    """Return the diagonal of H at one penalty: (n,)."""
    return np.einsum("ij,ij,j->i", u, u, (s / (s + alpha)).astype(u.dtype), optimize=True) + 1.0 / n


def _choose(
    s: Floats, u: Floats, rotated: Floats, beyond: Floats, alphas: Floats, n: int
) -> NDArray[np.intp]:
    """Return which penalty has the smallest leave-one-out error, for each target."""
    if len(alphas) == 1:
        return np.zeros(rotated.shape[1], np.intp)

    def errors(among: NDArray[np.intp], dtype: type, columns: Any) -> Floats:
        u_, rotated_ = u.astype(dtype, copy=False), rotated[:, columns].astype(dtype, copy=False)
        left = beyond[:, columns if beyond.shape[1] > 1 else slice(None)].astype(dtype, copy=False)
        squares = u_**2
        table = np.empty((len(among), rotated_.shape[1]))
        for row, alpha in enumerate(alphas[among]):
            # 1 - H = U diag(α/(s+α)) U' - 11'/n on the span of u; the constant is in no centred feature's span.
            shrink = (alpha / (s + alpha)).astype(dtype)
            rest = u_ @ (shrink[:, None] * rotated_) + left
            kept = 1 - 1 / n - squares @ (1 - shrink)
            table[row] = np.einsum("nt,nt->t", rest / kept[:, None], rest / kept[:, None])
        return table

    everything = np.arange(len(alphas))
    table = errors(everything, np.float32, slice(None))
    chosen = table.argmin(0)
    close = table <= table.min(0) * (1 + _REACH)
    doubtful = np.flatnonzero(close.sum(0) > 1)
    if len(doubtful):
        among = np.flatnonzero(close[:, doubtful].any(1))
        exact = errors(among, np.float64, doubtful)
        exact[~close[among][:, doubtful]] = np.inf
        chosen[doubtful] = among[exact.argmin(0)]
    return chosen
