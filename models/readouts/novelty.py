r"""A Novelty says how far a trial lies outside those of training: at most 1 is like them, above 1 is not.

A confidence is calibrated on the distribution that it was trained on and is worth nothing outside. Of standardised
voxels x, with the k strongest principal axes a and their variances :math:`\lambda`, two statistics say whether a trial
could be one of training (Jackson and Mudholkar 1979):

.. math::

    T &= \tfrac1k \textstyle\sum_i (a_i \cdot x)^2 / \lambda_i \qquad \text{Mahalanobis distance along the axes} \\
    Q &= \tfrac1p \big(\|x\|^2 - \textstyle\sum_i (a_i \cdot x)^2\big) \qquad \text{power beside them}

Both have a lower limit too: a dead amplifier lies very near the mean of training, nearer than any brain does. Limits
come from runs that were held out, each but for the run that would widen it most. The ratio T/Q has limits too, and a
gain leaves it as it is: noise that is as large as a trial has not its shape. The novelty is the largest share of a
limit: :math:`T/T_{high}`, :math:`T_{low}/T` and so on.

Few trials have no half a per cent, and the largest of fifteen says little of the sixteenth. Where held-out trials,
those that share samples counted once, are fewer than two hundred, a limit reaches at least as far as the interval of a
trial still to come, of the statistics' cube roots, which are nearly normal (Wilson and Hilferty 1931; of ratios,
Paulson 1942):

.. math:: m \pm t_{n-1} \, s \sqrt{1 + 1/n}
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.stats import t as student

Floats = NDArray[np.float64]
Array = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

#: Of held-out trials, the share below the lower and above the upper value that the limits are made of.
_TAIL = 0.005

#: How far the limits lie beyond those values, as a factor: another session has another gain and another noise than
#: the held-out runs of one, by some tenth of its power, and between the simulated scanner's sessions by a quarter.
MARGIN = 1.5

#: Of T, Q and T/Q: a gain is nothing to the ratio.
_MARGINS = (MARGIN, MARGIN, 1.2)

#: A statistic below this is what rounding leaves where there is nothing: no limit is drawn there.
FLOOR = 1e-4

#: Runs of which one may be left out when a limit is drawn: with fewer the others would not say how far runs differ.
_SPARED_OF = 4

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
    def of(
        cls, held_out: Floats, margins: Sequence[float] = (MARGIN,), *, independent: float | None = None
    ) -> "Limits":
        """Draw them around the statistics of held-out trials, (n, s), by one factor, or one for each statistic.

        So many trials are `independent`, by default enough to draw them around quantiles alone.
        """
        low, high = np.quantile(held_out, [_TAIL, 1 - _TAIL], axis=0)
        if independent is not None and independent < 1 / _TAIL:
            least, most = _to_come(held_out, max(independent, 2.0))
            low, high = np.minimum(low, least), np.maximum(high, most)
        margin = np.asarray(margins)
        return cls(np.where(low > FLOOR, low / margin, 0.0), np.maximum(high * margin, FLOOR))

    def united(self, other: "Limits") -> "Limits":
        """Return limits that hold what either holds."""
        return Limits(np.minimum(self.low, other.low), np.maximum(self.high, other.high))

    def __call__(self, statistics: Floats) -> Floats:
        """Return the novelty: (n, s) to (n,)."""
        above = (statistics / self.high).max(1)
        below = (self.low / np.maximum(statistics, np.finfo(np.float32).tiny)).max(1)
        return np.asarray(np.maximum(above, below))


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
        Of T and, where the axes do not span all voxels, of Q and T/Q.
    """

    mean: Floats
    axes: Floats
    variances: Floats
    limits: Limits

    @classmethod
    def fit(
        cls,
        standard: Array,
        folds: Iterable[tuple[Mask, Mask]],
        *,
        hold_fitted: bool = False,
        overlap: float = 1.0,
    ) -> "Novelty":
        """Fit to training trials, and draw the limits from those that were held out of the fit.

        Parameters
        ----------
        standard : (n, voxels)
            Standardised.
        folds : iterable of (fitted, held out) masks, (n,) bool each
            Every trial is held out once, with its whole run.
        hold_fitted : bool
            Whether the limits hold the training trials themselves too. Axes leave less beside the trials that they were
            fitted to, so that T/Q may be larger than of any held-out trial: wanted where the training recording is
            played again, and it lets answers pass that are of the right shape and several times as strong.
        overlap : float
            How many trials there are for each that shares no sample with another.
        """
        x = np.asarray(standard, np.float64)
        parts = list(folds)
        fewest = min(int(np.count_nonzero(kept)) for kept, _ in parts)
        count = max(1, min(_MOST_AXES, fewest // _TRIALS_PER_AXIS, x.shape[1]))
        held_out = [_statistics(x[out], *_axes(x[kept], count)) for kept, out in parts]
        axes, limits = _axes(x, count), _all_but_the_widest(held_out, overlap)
        if hold_fitted:
            fitted = [_statistics(x[out], *axes) for _, out in parts]
            limits = limits.united(_all_but_the_widest(fitted, overlap))
        return cls(*axes, limits)

    @classmethod
    def fit_by(cls, standard: Array, parts: NDArray[np.int64]) -> "Novelty":
        """Fit to training trials (n, voxels), each part of them held out in turn: their run or fold, (n,)."""
        return cls.fit(standard, ((parts != part, parts == part) for part in np.unique(parts)))

    def __call__(self, standard: Array) -> Floats:
        """Return the novelty of standardised trials: (n, voxels) to (n,); each trial for itself."""
        return self.limits(
            _statistics(np.asarray(standard, np.float64), self.mean, self.axes, self.variances)
        )

    def beside(self) -> "Novelty":
        """Return it with limits on Q alone: for what is shown other kinds of pictures than it was trained on.

        Those lie far out along the axes, which hold what pictures do, and not beside them. Without Q nothing is unlike.
        """
        low, high = np.zeros_like(self.limits.low), np.full_like(self.limits.high, np.inf)
        low[1:2], high[1:2] = self.limits.low[1:2], self.limits.high[1:2]
        return replace(self, limits=Limits(low, high))

    def scaled(self, low: float, high: float) -> "Novelty":
        """Return it for trials that average more presentations, or fewer.

        Parameters
        ----------
        low, high : float
            How many times less power a trial may have than one of training, at most 1, and how many times more.
        """
        lows, highs = np.full(3, low), np.full(3, high)
        # Of what T and Q become, the ratio goes as far as both together.
        lows[2], highs[2] = low / high, high / low
        count = len(self.limits.low)
        limits = Limits(self.limits.low * lows[:count], self.limits.high * highs[:count])
        return replace(self, limits=limits)


def _all_but_the_widest(runs: Sequence[Floats], overlap: float) -> Limits:
    """Draw each limit around the statistics of all held-out runs but the one that widens it most; of few, of all.

    An electrode that came loose in one run would else make room for whatever is as odd as that run.
    """

    def around(some: Sequence[Floats]) -> Limits:
        held_out = np.concatenate(some)
        return Limits.of(held_out, _MARGINS[: held_out.shape[1]], independent=len(held_out) / overlap)

    if len(runs) < _SPARED_OF:
        return around(runs)
    without = [around([*runs[:spared], *runs[spared + 1 :]]) for spared in range(len(runs))]
    return Limits(np.max([one.low for one in without], axis=0), np.min([one.high for one in without], axis=0))


def _to_come(statistics: Floats, independent: float) -> tuple[Floats, Floats]:
    """Return between which values, (s,) each, a trial still to come lies, by statistics (n, s) of few trials."""
    roots = np.cbrt(statistics)
    mean, spread = roots.mean(0), roots.std(0, ddof=1)
    reach = student.ppf(1 - _TAIL, independent - 1) * np.sqrt(1 + 1 / independent) * spread
    return np.maximum(mean - reach, 0.0) ** 3, (mean + reach) ** 3


def _axes(x: Floats, count: int) -> tuple[Floats, Floats, Floats]:
    """Return mean (voxels,), whitening axes (voxels, k) and variances (k,), k at most `count`."""
    mean = x.mean(0)
    c, n = x - mean, len(x)
    wide = c.shape[1] > n
    gram = (c @ c.T if wide else c.T @ c) / n
    first = max(0, len(gram) - count)
    s, u = eigh(gram, subset_by_index=(first, len(gram) - 1), check_finite=False)
    keep = s > max(float(s[-1]), FLOOR) * len(gram) * np.finfo(np.float64).eps
    s, u = s[keep], u[:, keep]
    # Of the trials' Gram matrix, axis = c'u / √(n s); either way it is divided by √s.
    axes = c.T @ u / (np.sqrt(n) * s) if wide else u / np.sqrt(s)
    return mean, axes, s


def _statistics(x: Floats, mean: Floats, axes: Floats, variances: Floats) -> Floats:
    """Return T, and where the axes leave something Q and T/Q: (n, voxels) to (n, 1 or 3)."""
    c = x - mean
    squares = (c @ axes) ** 2
    t = squares.mean(1)
    if len(variances) == x.shape[1]:
        return t[:, None]
    q = np.maximum((c**2).sum(1) - squares @ variances, 0.0) / x.shape[1]
    return np.stack([t, q, t / np.maximum(q, FLOOR)], axis=1)
