r"""A StatedVariance compares the variance that a network states of each trial with one for all, on trials held out.

What a network states is of dreams. What came of real trials of runs that were held out, :math:`e_{ij}`, corrects it for
each latent by one factor, the most likely one of Gaussian errors,

.. math:: f_j = \overline{e_{ij}^2 / v_{ij}}

and says what it is worth: the gain in log likelihood over one variance for all trials, :math:`\overline{e_{ij}^2}`,

.. math:: \tfrac12 \textstyle\sum_j \Big(\log \frac{\overline{e_j^2}}{f_j v_{ij}} + \frac{e_{ij}^2}{\overline{e_j^2}}
          - \frac{e_{ij}^2}{f_j v_{ij}}\Big)

Both fit as many numbers to the same errors. Where the gain is not above its standard error, one for all is kept.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.readouts.maps import Map, Network

Floats = NDArray[np.float64]
Array = NDArray[np.floating[Any]]

_LEAST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, eq=False)
class StatedVariance:
    """A StatedVariance is what held-out trials say of the variance that a readout states of each of them.

    Attributes
    ----------
    factor : (d,) float64
        By which it is multiplied.
    gain : float
        Nats of a trial that it tells more than one variance for all, the mean over trials.
    error : float
        Standard error of the gain.
    """

    factor: Floats
    gain: float
    error: float

    @classmethod
    def of(cls, missed: Array, stated: Array) -> Self:
        """Compare errors of held-out trials with the variance stated of them: (n, d) twice.

        Examples
        --------
        >>> random = np.random.default_rng(0)
        >>> variance = np.exp(random.standard_normal((500, 8)))
        >>> missed = random.standard_normal((500, 8)) * np.sqrt(3 * variance)
        >>> found = StatedVariance.of(missed, variance)
        >>> found.taken, bool(np.all(np.abs(found.factor / 3 - 1) < 0.25))
        (True, True)
        >>> StatedVariance.of(missed, random.permutation(variance)).taken
        False
        """
        squares, own = np.asarray(missed, np.float64) ** 2, np.maximum(stated, _LEAST)
        factor = np.maximum((squares / own).mean(axis=0), _LEAST)
        each, all_alike = factor * own, np.maximum(squares.mean(axis=0), _LEAST)
        gains = 0.5 * (np.log(all_alike / each) + squares / all_alike - squares / each).sum(axis=1)
        return cls(factor, float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(len(gains))))

    @property
    def taken(self) -> bool:
        """Whether the trials' own variance is stated."""
        return self.gain > self.error

    def __call__(self, found: Map) -> Map:
        """Return a network that states its variance as held-out trials correct it, or none."""
        if not isinstance(found, Network) or found.spread is None:
            return found
        spread = found.spread.scaled(self.factor) if self.taken else None
        return Network(found.layers, found.front, spread)

    def __str__(self) -> str:
        """Return it in words, for a report."""
        what = "each trial has a variance of its own" if self.taken else "all trials have one variance"
        return f"{what} (its own tells {self.gain:+.2f} ± {self.error:.2f} nats of a held-out trial beside one for all)"
