r"""A DreamLikeness says how far real trials lie from dreamed ones: whether they could be draws from the dream.

A dreamed trial lies about its prediction with white noise, so its squared distance from there is :math:`\chi^2`
distributed. Of a real trial of a run that took no part in the fit the same distance gives the probability integral
transform

.. math:: u_i = F_{\chi^2_k}\big(\|y_i - m(s_i)\|^2\big)

which is uniform from 0 to 1 where real trials are as dreamed ones are (Gneiting et al. 2007); near 1 where they lie
further off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

Floats = NDArray[np.float64]

#: A trial further off than this share of dreamed ones counts as outside; and the share outside that is warned of.
_MIDDLE, _WARNED = 0.9, 0.3


@dataclass(frozen=True, slots=True)
class DreamLikeness:
    """A DreamLikeness compares the distances of real trials from their predictions with those of dreamed ones.

    Attributes
    ----------
    distance : float
        The largest difference of the two distributions, 0 to 1 (Kolmogorov and Smirnov).
    outside : float
        Share of real trials that lie further off than 90 % of dreamed ones; .1 where they are alike.
    """

    distance: float
    outside: float

    @classmethod
    def of(cls, errors: Sequence[Floats]) -> Self:
        """Compare white errors of held-out trials, (n, axes) of each fold, with white noise.

        Examples
        --------
        >>> white = np.random.default_rng(0).standard_normal((2000, 10))
        >>> alike, further = DreamLikeness.of([white]), DreamLikeness.of([1.5 * white])
        >>> alike.distance < 0.03, further.distance > 0.5, further.outside > 0.5
        (True, True, True)
        """
        u = np.sort(np.concatenate([chi2.cdf((part**2).sum(axis=1), part.shape[1]) for part in errors]))
        n = len(u)
        above, below = np.arange(1, n + 1) / n - u, u - np.arange(n) / n
        return cls(float(max(above.max(), below.max())), float((u > _MIDDLE).mean()))

    @property
    def alike(self) -> bool:
        """Whether real trials could be draws from the dream."""
        return self.outside < _WARNED

    def __str__(self) -> str:
        """Return it in words, for a report."""
        warning = "" if self.alike else ": they are no draws from the dream, so take what it reads with care"
        return (
            f"{self.outside:.0%} of held-out trials lie further from their prediction than nine tenths of dreamed ones "
            f"(10 % where both are alike; distributions differ by {self.distance:.2f}){warning}"
        )
