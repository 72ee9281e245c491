r"""An encoding model predicts the answers of a brain to pictures, and says how they scatter about the prediction.

.. math:: y = W^T \phi + b + e, \qquad e \sim N(0, \Sigma)

:math:`\phi` are standardised features of the picture; every component of the answer has a ridge penalty of its own,
chosen by leaving single trials out. :math:`\Sigma` is the covariance of the errors for trials of runs that took no part
in the fit, shrunk towards a multiple of the unit matrix: by a stated share, or as Ledoit and Wolf (2004).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoding.ridge import PictureRidge, scaled
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]
Runs = NDArray[np.intp]

#: Pictures whose answers are predicted at once.
_BATCH = 5000


@dataclass(frozen=True, slots=True, eq=False)
class EncodingModel:
    """An EncodingModel holds what was fitted.

    Attributes
    ----------
    features : Standard
        By which features are standardised.
    weights : (features, components) float64
        Of standardised features over the root of their number.
    mean : (components,) float64
    noise : (components, components) float64
        Covariance of a single trial's answer about its prediction.
    predicted : (n, components) float64
        Of the trials that it was fitted to, each by a fit without its run.
    explained : (components,) float64
        Share of the variance of each component that is predicted of runs held out; below 0 where prediction does harm.
    """

    features: Standard
    weights: Floats
    mean: Floats
    noise: Floats
    predicted: Floats
    explained: Floats

    @classmethod
    def fit(
        cls,
        features: NDArray[np.float32],
        answers: Floats,
        runs: Runs,
        folds: int = 6,
        shrinkage: float | None = None,
    ) -> "EncodingModel":
        """Fit to features, (n, features), and answers, (n, components), of runs, (n,).

        Parameters
        ----------
        features, answers, runs : arrays
        folds : int
            Parts of whole runs that are held out in turn.
        shrinkage : float, optional
            Of the noise covariance, 0 to 1; without it, as Ledoit and Wolf (2004).
        """
        return cls.of(PictureRidge.of(features, runs, folds), answers, shrinkage)

    @classmethod
    def of(cls, ridge: PictureRidge, answers: Floats, shrinkage: float | None = None) -> "EncodingModel":
        """Fit to answers, (n, components), to pictures whose features are already taken; as `fit` does."""
        predicted, mean = ridge.held_out(answers), answers.mean(axis=0)
        weights = ridge.weights(answers - mean)
        power = ((answers - mean) ** 2).mean(axis=0)
        errors = answers - predicted
        explained = 1 - (errors**2).mean(axis=0) / np.where(power > 0, power, 1.0)
        return cls(ridge.standard, weights, mean, _covariance(errors, shrinkage), predicted, explained)

    def __call__(self, features: NDArray[np.float32]) -> Floats:
        """Return the answers that are expected to pictures of these features: (n, features) to (n, components)."""
        parts = np.array_split(features, 1 + len(features) // _BATCH)
        return np.concatenate([scaled(self.features, part) @ self.weights + self.mean for part in parts])


def _covariance(errors: Floats, shrinkage: float | None) -> Floats:
    """Return the shrunk covariance of errors about their mean: (n, components) to (components, components)."""
    from sklearn.covariance import LedoitWolf, ShrunkCovariance  # reports are written without it

    fitted = LedoitWolf() if shrinkage is None else ShrunkCovariance(shrinkage=shrinkage)
    covariance: Floats = fitted.fit(errors).covariance_
    return covariance
