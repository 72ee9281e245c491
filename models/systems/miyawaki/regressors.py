"""Regressors from voxels to the contrast of each local basis: every one a weighted sum of voxels that are chosen first.

``omp``: orthogonal matching pursuit of a few voxels out of the best (the student project's, and nilearn's example).
``linear``: least squares on the best voxels. ``bayesian``: the same with a precision per basis that evidence chooses.
``logistic``: a classifier of light against dark. ``univariate``: the one voxel that goes with the contrast best.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError

Floats = NDArray[np.float64]

#: Voxels that are kept for a basis, and of these the ones that matching pursuit takes.
BEST, ATOMS = 500, 10

#: A contrast above this is light to the classifier.
_LIGHT = 0.5

#: Of the largest eigenvalue, below which least squares takes one for 0; logarithms of the penalties that Bayesian ridge
#: begins with, and how many.
_RANK, _LOG_PENALTIES, _TRIED = 1e-12, (-5.0, 20.0), 26


@dataclass(frozen=True, eq=False)
class LocalDecoders:
    """A LocalDecoders reads the contrast of every basis.

    Attributes
    ----------
    mean, spread : (voxels,) float64
        By which voxels are standardised.
    weights, offset : (voxels, n), (n,) float64
        Of standardised voxels.
    sigmoid : bool
        Whether the sum is the logit of a probability.
    """

    mean: Floats
    spread: Floats
    weights: Floats
    offset: Floats
    sigmoid: bool = False

    def __call__(self, voxels: Floats) -> Floats:
        """Read contrasts: (samples, voxels) to (samples, n)."""
        read = self.standardised(voxels) @ self.weights + self.offset
        return 1 / (1 + np.exp(-read)) if self.sigmoid else read

    def standardised(self, voxels: Floats) -> Floats:
        """Return voxels (samples, voxels) with means of 0 and spreads of 1 in training."""
        return (voxels - self.mean) / self.spread


def fit_decoders(name: str, voxels: Floats, contrasts: Floats, *, best: int = BEST) -> LocalDecoders:
    """Fit a decoder to each basis.

    Parameters
    ----------
    name : str
        Of `REGRESSORS`.
    voxels : (samples, voxels)
        Responses to random pictures.
    contrasts : (samples, n)
        Mean contrast of each basis in them.
    best : int
        Voxels that are kept for each basis, those that go with its contrast best.

    Raises
    ------
    DataError
        If samples and pictures are not as many, a voxel does not vary, or there are fewer than three samples.
    """
    x, mean, spread = standardise(voxels, contrasts)
    weights, offset = np.zeros((x.shape[1], contrasts.shape[1])), np.zeros(contrasts.shape[1])
    centred = contrasts - contrasts.mean(0)
    strength = np.abs(x.T @ centred) / np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    fit = REGRESSORS[name]
    for k in range(contrasts.shape[1]):
        chosen = np.argsort(-strength[:, k], kind="stable")[: min(best, x.shape[1])]
        weights[chosen, k], offset[k] = fit(x[:, chosen], contrasts[:, k])
    return LocalDecoders(mean, spread, weights, offset, sigmoid=name == "logistic")


def standardise(voxels: Floats, shown: Floats) -> tuple[Floats, Floats, Floats]:
    """Return standardised responses, the mean and the spread of each voxel; see `fit_decoders` for what is refused."""
    if len(voxels) != len(shown) or len(voxels) < 3:
        raise DataError(
            f"expected as many responses as pictures, three or more; came {len(voxels)} and {len(shown)}."
        )
    mean, spread = voxels.mean(0), voxels.std(0)
    if not (np.isfinite(spread).all() and (spread > 1e-12 * np.abs(mean).max(initial=1.0)).all()):
        raise DataError(
            f"expected voxels that vary, came {np.count_nonzero(~(spread > 0))} that do not. Leave them out of the "
            f"mask."
        )
    return (voxels - mean) / spread, mean, spread


def _omp(x: Floats, y: Floats) -> tuple[Floats, float]:
    from sklearn.linear_model import OrthogonalMatchingPursuit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of voxels that are nearly alike: it then takes fewer
        model = OrthogonalMatchingPursuit(n_nonzero_coefs=min(ATOMS, x.shape[1])).fit(x, y)
    return model.coef_, float(model.intercept_)


def _linear(x: Floats, y: Floats) -> tuple[Floats, float]:
    values, vectors, along = _spectrum(x, y)
    kept = values > _RANK * values[-1]
    return vectors[:, kept] @ (along[kept] / values[kept]), float(y.mean())


def _bayesian(x: Floats, y: Floats) -> tuple[Floats, float]:
    from scipy.optimize import minimize_scalar

    values, vectors, along = _spectrum(x, y)
    total = float(((y - y.mean()) ** 2).sum())

    def surprise(log_penalty: float) -> float:
        """Return twice the negative log evidence, the noise integrated out (MacKay 1992)."""
        shrunk = values + np.exp(log_penalty)
        left = max(total - float((along**2 / shrunk).sum()), 1e-12 * total)
        return float(len(y) * np.log(left) + np.log(shrunk).sum() - len(values) * log_penalty)

    tried = np.linspace(*_LOG_PENALTIES, _TRIED)
    least = tried[int(np.argmin([surprise(one) for one in tried]))]
    step = tried[1] - tried[0]
    penalty = np.exp(minimize_scalar(surprise, bounds=(least - step, least + step), method="bounded").x)
    return vectors @ (along / (values + penalty)), float(y.mean())


def _spectrum(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return eigenvalues and vectors of voxels' products, rising, and y's products along them; x has means of 0."""
    values, vectors = np.linalg.eigh(x.T @ x)
    return np.maximum(values, 0.0), vectors, vectors.T @ (x.T @ (y - y.mean()))


def _logistic(x: Floats, y: Floats) -> tuple[Floats, float]:
    from sklearn.linear_model import LogisticRegression

    light = y > _LIGHT
    if light.all() or not light.any():
        return np.zeros(x.shape[1]), 10.0 if light.all() else -10.0
    model = LogisticRegression(C=1.0 / x.shape[1], max_iter=300).fit(x, light)
    return model.coef_[0], float(model.intercept_[0])


def _univariate(x: Floats, y: Floats) -> tuple[Floats, float]:
    weights = np.zeros(x.shape[1])
    one = x[:, 0] - x[:, 0].mean()  # the best comes first
    weights[0] = one @ y / (one @ one)
    return weights, float(y.mean() - x[:, 0].mean() * weights[0])


#: What fits weights and an offset to the chosen voxels of one basis.
REGRESSORS: Mapping[str, Callable[[Floats, Floats], tuple[Floats, float]]] = MappingProxyType(
    {"omp": _omp, "linear": _linear, "bayesian": _bayesian, "logistic": _logistic, "univariate": _univariate}
)
