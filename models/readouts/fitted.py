r"""A FittedReadout is any readout after fitting: frozen scalings, a map between them, and the remaining uncertainty.

.. math:: \hat z = \mu_z + \sigma_z \odot f\big((y - \mu_y)/\sigma_y\big)

It is what runs live and what is exported. Readouts differ in the map f alone (`models.readouts.maps`).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from models.checks import as_matrix, check_columns
from models.readouts.maps import Map, Network
from models.readouts.novelty import Novelty
from models.readouts.scaling import Array, Standard

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """A Posterior holds Gaussian beliefs about latents.

    Attributes
    ----------
    mean : (n, d) float64
    covariance : (d, d) float64
        The same for every trial: in a linear-Gaussian model it depends on the noise, not on what was measured.
    variance : (n, d) float64, optional
        Of each latent in each trial, by a readout that states it; the covariance is then what trials have on average.
    """

    mean: Floats
    covariance: Floats
    variance: Floats | None = None

    @property
    def sd(self) -> Floats:
        """Standard deviation of each latent: (d,), or (n, d) where each trial has its own."""
        return np.sqrt(np.diag(self.covariance) if self.variance is None else self.variance)

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Return the lower and upper ends of the central intervals that hold `level` of the belief: two (n, d)."""
        reach = float(norm.ppf((1 + level) / 2)) * self.sd
        return self.mean - reach, self.mean + reach


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutLatents:
    """A HeldOutLatents is what fits that never saw a training trial read of it, for choices made on validation.

    Attributes
    ----------
    truth, predicted : (n, d) float64
        In the latents' own units; predicted as the fitted readout would, its gain included.
    """

    truth: Array
    predicted: Array


@dataclass(frozen=True, slots=True, eq=False)
class FittedReadout:
    """A FittedReadout predicts each trial from that trial alone.

    Attributes
    ----------
    voxels, latents : Standard
        Frozen at training.
    map : Map
        From standardised voxels to standardised latents.
    covariance : (d, d) float64
        Covariance of the remaining uncertainty, in standardised latents.
    claims : bool
        Whether a confidence may be claimed: not by a readout whose answers hardly depend on what was measured.
    novelty : Novelty, optional
        How far a trial lies outside those of training; without it no trial is looked at.
    held_out : HeldOutLatents, optional
        Of training trials; None where a readout does not hold any out.
    uncertainty : float
        The trace of the covariance; infinite where nothing is claimed, so that the confidence is 0. A map that states
        its own variance (`models.readouts.maps.LogVariance`) has another in each trial.
    """

    voxels: Standard
    latents: Standard
    map: Map
    covariance: Floats
    claims: bool = True
    novelty: Novelty | None = None
    held_out: HeldOutLatents | None = None
    uncertainty: float = field(init=False)

    def __post_init__(self) -> None:
        trace = float(np.trace(self.covariance)) if self.claims else float("inf")
        object.__setattr__(self, "uncertainty", trace)

    def standard(self, brain: ArrayLike) -> Array:
        """Return latents in units of their own deviation: (n, voxels) to (n, d).

        Raises
        ------
        DataError
            If these are voxels of another subject or mask, or not finite.
        """
        return self.map(self._standardised(brain))

    def predict(self, brain: ArrayLike) -> Floats:
        """Return latents: (n, voxels) to (n, d); raises as `standard` does."""
        return self.latents.back(self.standard(brain)).astype(np.float64)

    def posterior(self, brain: ArrayLike) -> Posterior:
        """Return latents with their covariance; raises as `standard` does."""
        scale = self.latents.scale
        own = self._own_variance(self._standardised(brain))
        own = None if own is None else own * scale**2
        return Posterior(self.predict(brain), self.covariance * scale[:, None] * scale, own)

    def confidence(self, brain: ArrayLike) -> Floats:
        """Return the expected cosine with the truth, about the latents' mean: (n,) from 0 to 1; 0 of unlike trials."""
        own = self._own_variance(self._standardised(brain)) if self.claims else None
        uncertainty = self.uncertainty if own is None else own.sum(axis=1)
        confidence = expected_cosine(self.standard(brain), uncertainty)
        return confidence if self.novelty is None else np.where(self.unlike(brain), 0.0, confidence)

    def unlike(self, brain: ArrayLike) -> NDArray[np.bool_]:
        """Return which trials are unlike those of training: (n, voxels) to (n,) bool; none where that is not known.

        Raises
        ------
        DataError
            As `standard`.
        """
        standard = self._standardised(brain)
        if self.novelty is None:
            return np.zeros(len(standard), bool)
        return np.asarray(self.novelty(standard) > 1.0)

    def _standardised(self, brain: ArrayLike) -> Array:
        """Return checked brain data in units of their own deviation: (n, voxels) to the same."""
        matrix = as_matrix(brain, "brain data", "voxels")
        check_columns(matrix, len(self.voxels.mean), "brain data", "voxels")
        return self.voxels.forward(matrix)

    def _own_variance(self, standard: Array) -> Floats | None:
        """Return the variance that the map states: (n, voxels) to (n, d), in standard units; None where it does not."""
        return self.map.variance(standard) if isinstance(self.map, Network) else None


def spread(errors: Array) -> Floats:
    """Return the covariance of errors about zero: (n, d) to (d, d)."""
    covariance: Floats = errors.T @ errors / len(errors)
    return covariance


def expected_cosine(mean: Array, uncertainty: float | Floats) -> Floats:
    r"""Return the cosine that a prediction is expected to have with the truth, :math:`z \sim N(m, C)`.

    .. math:: E[\cos(m, z)] \approx \frac{\|m\|}{\sqrt{\|m\|^2 + \operatorname{tr} C}}

    since :math:`E[m \cdot z] = \|m\|^2` and :math:`E\|z\|^2 = \|m\|^2 + \operatorname{tr} C`. It can be checked by
    comparing with the cosines that came.

    Parameters
    ----------
    mean : (n, d)
        In units of the latents' own deviation, from their mean.
    uncertainty : float or (n,)
        The trace of C in the same units.

    Examples
    --------
    >>> float(expected_cosine(np.array([[3.0, 4.0]]), 11.0)[0])
    0.8333333333333334
    """
    power = np.einsum("nd,nd->n", mean, mean, dtype=np.float64)
    total = power + uncertainty
    return np.sqrt(np.divide(power, total, out=np.zeros_like(power), where=total > 0))
