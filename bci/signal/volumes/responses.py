"""Predicted responses of blood to events, and slow drifts: the columns of a design matrix, fixed before a run begins.

A column's value at a volume never depends on how many volumes have come: its fine time grid is laid once, over the
planned run. (A grid laid over the volumes so far moves with each new one, and with it every value.)
"""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.steps.sections import Sections, section_loop

Column = NDArray[np.float64]
Drift = Literal["cosine", "polynomial", "none"]

#: Parameters of the canonical response: seconds to peak and to undershoot, their dispersions, ratio of the two, length.
PEAK_S, UNDERSHOOT_S, DISPERSION, RATIO, LENGTH_S = 6.0, 16.0, 1.0, 0.167, 32.0

#: Points of the fine grid in one TR, and its beginning before the first volume, seconds.
OVERSAMPLING, LEAD_S = 50, 24.0


def double_gamma(step_s: float, length_s: float = LENGTH_S) -> Column:
    """Return the canonical response on a grid of `step_s`, its sum 1: a gamma density less a sixth of a later one.

    The parameters are those of SPM (``spm_hrf``; Friston et al. 1998, NeuroImage 7:30): peak at 5 s, trough after 15.

    >>> response = double_gamma(0.1)
    >>> round(float(response.argmax()) * 0.1, 1), bool(response.min() < 0), round(float(response.sum()), 9)
    (5.1, True, 1.0)
    """
    from scipy import stats  # programs that model nothing do not wait for it

    times = np.linspace(0.0, length_s, round(length_s / step_s))
    peak = stats.gamma.pdf(times, PEAK_S / DISPERSION, loc=step_s, scale=DISPERSION)
    undershoot = stats.gamma.pdf(times, UNDERSHOOT_S / DISPERSION, loc=step_s, scale=DISPERSION)
    response = peak - RATIO * undershoot
    return np.asarray(response / response.sum())


@dataclass(frozen=True, eq=False)
class ResponseGrid:
    """A ResponseGrid gives predicted responses at the volumes of a planned run.

    Attributes
    ----------
    volumes : int
        Volumes planned.
    tr_s : float
        Seconds from volume to volume, as measured where the file's header is known to round it.
    passes : (sections, 6) float64, optional
        A filter that the data have passed, from rest: what is predicted passes it as well.
    begins : int
        The volume at which that filter began.
    """

    volumes: int
    tr_s: float
    passes: Sections | None = None
    begins: int = 0
    _reached: Column = field(init=False)
    _fine: Column = field(init=False)

    def __post_init__(self) -> None:
        if self.volumes < 3 or not 0 < self.tr_s < math.inf:
            raise ConfigError(
                f"expected a planned run of 3 volumes or more and a TR above 0, came {self.volumes} and {self.tr_s:g} s"
            )
        last = (self.volumes - 1) * self.tr_s
        end = last * (1.0 + 1.0 / (self.volumes - 1))
        points = round((self.volumes - 1) / last * (end + LEAD_S) * OVERSAMPLING + 1)
        object.__setattr__(self, "_fine", np.linspace(-LEAD_S, end, points))
        object.__setattr__(self, "_reached", np.cumsum(double_gamma(self.tr_s / OVERSAMPLING)))

    @property
    def times_s(self) -> Column:
        """Seconds of each volume from the first."""
        return np.arange(self.volumes, dtype=np.float64) * self.tr_s

    def column(self, onset_s: float, duration_s: float = 0.0) -> Column:
        """Return the response to one event at all volumes, (volumes,).

        Parameters
        ----------
        onset_s, duration_s : float
            Seconds from the first volume; an event without duration lasts for one point of the fine grid.
        """
        begun, over = np.searchsorted(self._fine, (onset_s, onset_s + duration_s))
        begun = min(int(begun), len(self._fine) - 1)
        over = max(int(over), begun + 1)
        points = np.arange(len(self._fine))
        # The convolution of a box with the response is a difference of two of its running sums.
        answer = self._running(points - begun) - self._running(points - over)
        return self.filtered(np.interp(self.times_s, self._fine, answer)[:, None])[:, 0]

    def filtered(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return columns (volumes, k) as the data have them: behind the filter, where there is one."""
        if self.passes is None:
            return columns
        rows = np.array(columns.T, np.float64, order="C")
        rows[:, : self.begins] = 0.0
        section_loop()(self.passes, rows, np.zeros((len(rows), len(self.passes), 2)))
        return rows.T

    def _running(self, since: NDArray[np.int_]) -> Column:
        sums: Column = np.array(self._reached[np.clip(since, 0, len(self._reached) - 1)])
        sums[since < 0] = 0.0
        return sums

    def last_volume(self, onset_s: float, duration_s: float = 0.0) -> int:
        """Return the volume after which the response to an event has ended; the last planned one at most."""
        ended = onset_s + duration_s + LENGTH_S + self.tr_s
        return min(self.volumes - 1, math.ceil(ended / self.tr_s))


def drifts(
    kind: Drift, volumes: int, tr_s: float, cutoff_s: float = 128.0, order: int = 2
) -> NDArray[np.float64]:
    """Return slow courses that a run may have besides its mean: (volumes, k).

    Parameters
    ----------
    kind : "cosine", "polynomial" or "none"
        Cosines of periods above `cutoff_s` (discrete cosine transform, as in SPM), Legendre polynomials up to
        `order`, or nothing.
    volumes, tr_s : int, float
        Length of the planned run.
    cutoff_s : float
        Shortest period taken for drift, seconds.
    order : int
        Highest power of the polynomials.

    >>> drifts("cosine", 100, 2.0, 100.0).shape, drifts("polynomial", 100, 2.0).shape, drifts("none", 9, 1.0).shape
    ((100, 4), (100, 2), (9, 0))
    """
    if kind not in get_args(Drift):
        raise ConfigError(
            f"expected a drift of {', '.join(get_args(Drift))}, came {kind!r}. Choose one of these."
        )
    if kind == "cosine":
        count = min(volumes - 1, math.floor(2.0 * volumes * tr_s / cutoff_s))
        place = np.arange(volumes)[:, None] + 0.5
        return np.asarray(
            math.sqrt(2.0 / volumes) * np.cos(np.pi / volumes * place * np.arange(1, count + 1))
        )
    if kind == "polynomial":
        at = np.linspace(-1.0, 1.0, volumes)
        return np.asarray(np.polynomial.legendre.legvander(at, order)[:, 1:])
    return np.zeros((volumes, 0))
