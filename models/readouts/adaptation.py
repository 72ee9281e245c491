r"""Adaptation of latents from trial to trial. Not wired: no session, bundle or command uses it yet.

It is arithmetic alone, under test on planted drift; each change is kept in a log.

`Drift` follows scale and offset of each latent by recursive least squares with forgetting, where true latents become
known after a trial (Haykin 2002, ch. 9):

.. math:: k = \frac{P x}{\lambda + x^\top P x}, \quad \theta \leftarrow \theta + k (z - x^\top\theta), \quad
    P \leftarrow (P - k x^\top P)/\lambda, \qquad x = (\hat z, 1)

`Smoother` is a Kalman filter over latents that change little from one window to the next. Its measurement is the
readout's prediction with the readout's own uncertainty.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.readouts.fitted import Posterior

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A Change is one entry of the log of adaptation.

    Attributes
    ----------
    trial : int
        Number of trials learned from.
    scale, offset : (d,) float64
        As they are after that trial.
    error : float
        Mean squared error of that trial before it was learned from.
    """

    trial: int
    scale: Floats
    offset: Floats
    error: float


class Drift:
    """A Drift corrects a readout's latents: scale · latent + offset, which start at 1 and 0.

    Parameters
    ----------
    d : int
        Latents.
    memory : float
        Trials over which the past fades to 1/e.
    trust : float
        Trials' worth of belief in the correction it starts with.

    Attributes
    ----------
    log : list of Change
    """

    def __init__(self, d: int, *, memory: float = 200.0, trust: float = 20.0) -> None:
        if memory <= 1 or trust <= 0:
            raise DataError(
                f"expected a memory above 1 trial and trust above 0, came {memory:g} and {trust:g}."
            )
        self._forget = float(np.exp(-1 / memory))
        self._theta = np.stack([np.ones(d), np.zeros(d)], 1)
        self._p = np.tile(np.eye(2) / trust, (d, 1, 1))
        self.log: list[Change] = []

    def __call__(self, latents: ArrayLike) -> Floats:
        """Correct latents: (n, d) to (n, d)."""
        z = self._sized(latents)
        return z * self._theta[:, 0] + self._theta[:, 1]

    def learn(self, predicted: ArrayLike, true: ArrayLike) -> Change:
        """Learn from one trial whose true latent is now known: (d,) uncorrected, (d,)."""
        z, wanted = self._sized(predicted), self._sized(true)
        x = np.stack([z, np.ones_like(z)], -1)
        px = np.einsum("dij,dj->di", self._p, x)
        gain = px / (self._forget + np.einsum("di,di->d", x, px))[:, None]
        error = wanted - np.einsum("di,di->d", x, self._theta)
        self._theta = self._theta + gain * error[:, None]
        self._p = (self._p - gain[:, :, None] * px[:, None, :]) / self._forget
        self.log.append(
            Change(
                len(self.log) + 1,
                self._theta[:, 0].copy(),
                self._theta[:, 1].copy(),
                float((error**2).mean()),
            )
        )
        return self.log[-1]

    def _sized(self, latents: ArrayLike) -> Floats:
        z = np.asarray(latents, np.float64)
        if z.shape[-1:] != (len(self._theta),) or not np.isfinite(z).all():
            raise DataError(
                f"expected finite latents of {len(self._theta)} dimensions to follow, came shape {z.shape}. "
                "Use the latents of the readout that is corrected."
            )
        return z


class Smoother:
    """A Smoother is a Kalman filter over latents, one window at a time.

    The latents are taken to drift as :math:`z_t = a z_{t-1} + e_t` about their mean, at constant variance.

    Parameters
    ----------
    mean, variance : (d,)
        Of the latents, from training.
    keep : float
        a: correlation of a latent with itself one window earlier, 0 (no memory) to below 1.
    """

    def __init__(self, mean: ArrayLike, variance: ArrayLike, keep: float) -> None:
        self._mean, self._variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
        if not 0 <= keep < 1 or self._mean.shape != self._variance.shape or (self._variance <= 0).any():
            raise DataError(
                f"expected 0 ≤ keep < 1 and a positive variance per latent, came keep {keep:g}, means "
                f"{self._mean.shape} and variances {self._variance.shape}."
            )
        self._keep = keep
        self.reset()

    def reset(self) -> None:
        """Forget the past: at the start of a run."""
        self._state, self._spread = self._mean.copy(), self._variance.copy()

    def step(self, belief: Posterior) -> Posterior:
        """Take in one window's posterior, (1, d), and return the smoothed one.

        The posterior already holds the prior once; it is taken out, so that the past is weighed against what was
        measured alone. Dimensions are followed separately.
        """
        if belief.mean.shape != (1, len(self._mean)):
            raise DataError(
                f"expected one window of {len(self._mean)} latents, came {belief.mean.shape}. Step window by window."
            )
        ahead = self._mean + self._keep * (self._state - self._mean)
        spread = self._keep**2 * self._spread + (1 - self._keep**2) * self._variance
        own = np.diag(belief.covariance)
        precision = np.maximum(1 / own - 1 / self._variance, 0.0)
        weighed = belief.mean[0] / own - self._mean / self._variance
        self._spread = 1 / (1 / spread + precision)
        # Where a posterior is no narrower than the prior nothing was measured.
        self._state = np.where(precision > 0, self._spread * (ahead / spread + weighed), ahead)
        return Posterior(self._state[None].copy(), np.diag(self._spread))
