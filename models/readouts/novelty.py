r"""A Novelty says how far a trial lies outside those of training: at most 1 is like them, above 1 is not.

A confidence is calibrated on the distribution that it was trained on and is worth nothing outside. Of standardised
voxels x, with the k strongest principal axes a and their variances :math:`\lambda`, two statistics say whether a trial
could be one of training (Jackson and Mudholkar 1979):

.. math::

    T &= \tfrac1k \textstyle\sum_i (a_i \cdot x)^2 / \lambda_i \qquad \text{Mahalanobis distance along the axes} \\
    Q &= \tfrac1p \big(\|x\|^2 - \textstyle\sum_i (a_i \cdot x)^2\big) \qquad \text{power beside them}

Both have a lower limit too: a dead amplifier lies very near the mean of training, nearer than any brain does. Limits
come from runs that were held out. The novelty is the largest of :math:`T/T_{high}, T_{low}/T, Q/Q_{high}, Q_{low}/Q`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Floats = NDArray[np.float64]
Array = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

#: Of held-out trials, the share below the lower and above the upper value that the limits are made of.
_TAIL = 0.005

#: How far the limits lie beyond those values, as a factor: another session has another gain and another noise than
#: the held-out runs of one, by some tenth of its power, and between the simulated scanner's sessions by a quarter.
_MARGIN = 1.5

#: A statistic below this is what rounding leaves where there is nothing: no limit is drawn there.
_FLOOR = 1e-4

#: The most axes, and the fewest trials for each.
_MOST_AXES, _TRIALS_PER_AXIS = 160, 5


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Limits hold between which values each statistic of a trial of training lies.

    Attributes
    ----------
    low, high : (s,) float64
        Positive; a lower limit of 0 is none.
    """

    low: Floats
    high: Floats

    @classmethod
    def of(cls, held_out: Floats) -> "Limits":
        """Draw them around the statistics of held-out trials: (n, s)."""
        low, high = np.quantile(held_out, [_TAIL, 1 - _TAIL], axis=0)
        return cls(np.where(low > _FLOOR, low / _MARGIN, 0.0), np.maximum(high * _MARGIN, _FLOOR))

    def __call__(self, statistics: Floats) -> Floats:
        """Return the novelty: (n, s) to (n,)."""
        above = (statistics / self.high).max(1)
        below = (self.low / np.maximum(statistics, np.finfo(np.float32).tiny)).max(1)
        return np.asarray(np.maximum(above, below))

    def scaled(self, low: float, high: float) -> "Limits":
        """Return limits for trials whose power may be so many times lower, at most 1, or higher, at least 1."""
        return Limits(self.low * low, self.high * high)


@dataclass(frozen=True, slots=True, eq=False)
class Novelty:
    """A Novelty is fitted to the standardised voxels of training trials.

    Attributes
    ----------
    mean : (voxels,) float64
    axes : (voxels, k) float64
        Principal axes over the root of their variance: along each, training trials have variance 1.
    variances : (k,) float64
        Along the axes.
    limits : Limits
        Of T, and of Q where the axes do not span all voxels.
    """

    mean: Floats
    axes: Floats
    variances: Floats
    limits: Limits

    @classmethod
    def fit(cls, standard: Array, folds: Iterable[tuple[Mask, Mask]]) -> "Novelty":
        """Fit to training trials, and draw the limits from those that were held out of the fit.

        Parameters
        ----------
        standard : (n, voxels)
            Standardised.
        folds : iterable of (fitted, held out) masks, (n,) bool each
            Every trial is held out once, with its whole run.
        """
        x = np.asarray(standard, np.float64)
        parts = list(folds)
        fewest = min(int(np.count_nonzero(kept)) for kept, _ in parts)
        count = max(1, min(_MOST_AXES, fewest // _TRIALS_PER_AXIS, x.shape[1]))
        held = [_statistics(x[out], *_axes(x[kept], count)) for kept, out in parts]
        return cls(*_axes(x, count), Limits.of(np.concatenate(held)))

    def __call__(self, standard: Array) -> Floats:
        """Return the novelty of standardised trials: (n, voxels) to (n,); each trial for itself."""
        return self.limits(
            _statistics(np.asarray(standard, np.float64), self.mean, self.axes, self.variances)
        )

    def scaled(self, low: float, high: float) -> "Novelty":
        """Return it for trials that average more presentations, or fewer: see `Limits.scaled`."""
        return replace(self, limits=self.limits.scaled(low, high))


def _axes(x: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    """Return mean (voxels,), whitening axes (voxels, k) and variances (k,), k at most `count`."""
    mean = x.mean(0)
    c, n = x - mean, len(x)
    wide = c.shape[1] > n
    gram = (c @ c.T if wide else c.T @ c) / n
    first = max(0, len(gram) - count)
    s, u = eigh(gram, subset_by_index=(first, len(gram) - 1), check_finite=False)
    keep = s > max(float(s[-1]), _FLOOR) * len(gram) * np.finfo(np.float64).eps
    s, u = s[keep], u[:, keep]
    # Of the trials' Gram matrix, axis = c'u / √(n s); either way it is divided by √s.
    axes = c.T @ u / (np.sqrt(n) * s) if wide else u / np.sqrt(s)
    return mean, axes, s


def _statistics(x: Floats, mean: Floats, axes: Floats, variances: Floats) -> Floats:
    """Return T, and Q where the axes leave something: (n, voxels) to (n, 1 or 2)."""
    c = x - mean
    squares = (c @ axes) ** 2
    t = squares.mean(1)
    if len(variances) == x.shape[1]:
        return t[:, None]
    q = np.maximum((c**2).sum(1) - squares @ variances, 0.0) / x.shape[1]
    return np.stack([t, q], axis=1)
