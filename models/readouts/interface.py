"""The one interface of all readouts: brain data (n, voxels) in, latents (n, d) with their uncertainty out."""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from models.checks import check_columns, check_pair
from models.metrics.latents import r_squared
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Gaussian beliefs about latents.

    Attributes
    ----------
    mean : (n, d) float64
    covariance : (d, d) float64
        The same for every trial: in a linear-Gaussian model it depends on the noise, not on what was measured.
    """

    mean: Floats
    covariance: Floats

    @property
    def sd(self) -> Floats:
        """Standard deviation of each latent: (d,)."""
        return np.sqrt(np.diag(self.covariance))

    def interval(self, level: float) -> tuple[Floats, Floats]:
        """Return the lower and upper ends of the central intervals that hold `level` of the belief: two (n, d)."""
        reach = float(norm.ppf((1 + level) / 2)) * self.sd
        return self.mean - reach, self.mean + reach


class Frozen(Protocol):
    """What a fitted readout comes to: what runs and is exported."""

    voxels: Standard
    latents: Standard
    uncertainty: float

    def standard(self, brain: ArrayLike) -> NDArray[np.floating[Any]]:
        """Return latents in units of their own deviation: (n, voxels) to (n, d)."""
        ...


class Readout(Protocol):
    """What every readout promises.

    `fit` takes training data alone. What it learns is frozen: a prediction depends on its own trial and nothing else.
    """

    def fit(
        self,
        brain: ArrayLike,
        latents: ArrayLike,
        *,
        runs: ArrayLike | None = None,
        repeats: ArrayLike | None = None,
    ) -> Self:
        """Learn from (n, voxels) and (n, d); the run of each trial (n,); how many presentations each averages (n,)."""
        ...

    def predict(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return latents (n, d) for trials that each average `repeats` presentations."""
        ...

    def posterior(self, brain: ArrayLike, *, repeats: int = 1) -> Posterior:
        """Return the latents with what is not known about them."""
        ...

    def frozen(self, repeats: int = 1) -> Frozen:
        """Return what runs for trials that each average `repeats` presentations."""
        ...

    def confidence(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return the cosine with the true latent that is to be expected: (n,) from 0 to 1."""
        ...


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


def expected_cosine(mean: NDArray[Any], uncertainty: float) -> Floats:
    r"""Return the cosine that a prediction is expected to have with the truth, :math:`z \sim N(m, C)`.

    .. math:: E[\cos(m, z)] \approx \frac{\|m\|}{\sqrt{\|m\|^2 + \operatorname{tr} C}}

    since :math:`E[m \cdot z] = \|m\|^2` and :math:`E\|z\|^2 = \|m\|^2 + \operatorname{tr} C`. It can be checked by
    comparing with the cosines that came.

    Parameters
    ----------
    mean : (n, d)
        In units of the latents' own deviation, from their mean.
    uncertainty : float
        The trace of C in the same units.

    Examples
    --------
    >>> float(expected_cosine(np.array([[3.0, 4.0]]), 11.0)[0])
    0.8333333333333334
    """
    power = np.einsum("nd,nd->n", mean, mean, dtype=np.float64)
    total = power + uncertainty
    return np.sqrt(np.divide(power, total, out=np.zeros_like(power), where=total > 0))
