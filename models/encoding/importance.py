r"""Importance samples of a posterior: latents are drawn about what a quick readout said, and weighted by what is true.

.. math:: w_k \propto \frac{p(y | z_k)\, p(z_k)}{q(z_k)}, \qquad z_k \sim q = N(\mu, \operatorname{diag} \sigma^2),
    \qquad n = \frac{1}{\sum_k w_k^2}

with weights that sum to 1, the likelihood of a white answer and a standard normal prior (Robert and Casella 2004,
section 3.3). The effective number n of samples says whether mean and variance can be trusted.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ImportanceSamples:
    """An ImportanceSamples holds the posterior of trials as weighted samples tell it.

    Attributes
    ----------
    mean, variance : (n, d) float64
    effective : (n,) float64
        Samples that count, of those drawn: near 1 the mean is one sample, and its variance no variance.
    """

    mean: Floats
    variance: Floats
    effective: Floats


def importance_samples(
    answers: Floats,
    mean: Floats,
    sd: Floats,
    count: int,
    predict: Callable[[Floats], Floats],
    seed: int = 0,
    precision: float = 1.0,
) -> ImportanceSamples:
    """Weigh samples of each trial.

    Parameters
    ----------
    answers : (n, axes)
        White.
    mean, sd : (n, d), (n, d) or (d,)
        Of the normal density that latents are drawn from.
    count : int
        Samples of each trial.
    predict : callable
        From latents, (count, d), to the white answers expected, (count, axes).
    seed : int
    precision : float
        One over the variance of the answers' noise: presentations that a trial averages, over the noise temperature.
    """
    random, widths = np.random.default_rng(seed), np.broadcast_to(sd, mean.shape)
    means, variances, effective = [], [], []
    for answer, centre, width in zip(answers, mean, widths, strict=True):
        unit = random.standard_normal((count, len(centre)))
        z = centre + width * unit
        missed = answer - predict(z)
        logs = ((unit**2).sum(axis=1) - (z**2).sum(axis=1) - precision * (missed**2).sum(axis=1)) / 2
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        means.append(weights @ z)
        variances.append(weights @ (z - means[-1]) ** 2)
        effective.append(1 / (weights**2).sum())
    return ImportanceSamples(np.array(means), np.array(variances), np.array(effective))
