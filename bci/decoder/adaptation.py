r"""Adaptation of a readout to a session: scale and offset of its latents follow the trials whose truth is known.

What is read drifts: electrodes dry, a head settles in the coil, a participant tires. Most of that is a gain and a
shift of the latents. After each trial whose stimulus is known both are fitted anew, by recursive least squares with
forgetting (Haykin 2002, ch. 9) in its information form, which keeps sums in place of a covariance. What was read is
taken for a line in time, to which a stimulus adds its share:

.. math:: \hat z_t = \beta + \gamma\,\tau_t + s\,z_t + e, \qquad
    a = \frac{\mathrm{cov}(\hat z, z)}{\mathrm{var}(\hat z)}, \qquad \hat z' = a\,(\hat z - \beta)

with :math:`\hat z` what the readout gave, :math:`z` the stimulus' latent, and :math:`\tau` the age of a trial, 0 now
and -1 a memory ago; variances are about the line. A calibrated readout that does not drift has
:math:`a = 1, \beta = 0`. Without the slope :math:`\gamma` the shift would lag behind a steady drift by a memory's worth
of it, always. The shift is the reading of a stimulus whose latent is zero, and not what regression of :math:`z` on
:math:`\hat z` calls its offset: that is the mean of the stimuli shown, which a weak readout would then read in every
trial. All begin with some trials' worth of belief that nothing has changed. One gain for all latents is the default: a
gain is one number, and one for each of many weak latents is mostly noise.

A trial is learned from only after its own reconstruction was published, so nothing is read with its own answer.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from bci.signal.markers import stimulus_of

Floats = NDArray[np.float64]

#: What a state begins with: trials learned from, the squared error before the last one, the weight of all trials,
#: what is left of the belief that nothing has changed, and the sums of ages and of their squares.
_HEAD = 6

#: Sums of each latent behind that.
_SUMS = 7


def state_size(d: int) -> int:
    """Return how many numbers the state of a `Drift` of d latents has."""
    return _HEAD + _SUMS * d


class Drift:
    """A Drift corrects a readout's latents: scale · latent + offset, which begin at 1 and 0.

    Parameters
    ----------
    d : int
        Latents.
    memory : float
        Trials over which the past fades to 1/e.
    trust : float
        Trials' worth of belief that nothing has changed; and, for as long as it goes on, that nothing is changing.
    common : bool
        One gain for all latents; else one for each.

    Attributes
    ----------
    trials : int
        Learned from so far.
    error : float
        Mean squared error of the last trial before it was learned from; NaN before the first.

    Examples
    --------
    >>> drift = Drift(2, memory=50, trust=1)
    >>> for trial in range(200):
    ...     true = np.array([np.sin(trial), np.cos(trial)])
    ...     _ = drift.learn(0.5 * true + 0.2, true)
    >>> drift([[0.7, -0.3]]).round(1).tolist()
    [[1.0, -1.0]]
    """

    def __init__(self, d: int, *, memory: float = 60.0, trust: float = 10.0, common: bool = True) -> None:
        if memory <= 1 or trust <= 0:
            raise DataError(
                f"expected a memory above 1 trial and trust above 0, came {memory:g} and {trust:g}."
            )
        self._forget, self._step, self._trust, self._common = math.exp(-1 / memory), 1 / memory, trust, common
        self._sums = np.zeros((_SUMS, d))  # of ẑ, z, ẑ², ẑz, z², τẑ, τz
        self._weight, self._belief = 0.0, trust
        self._ages, self._squares = 0.0, 0.0  # of τ, τ²
        self.trials, self.error = 0, math.nan
        self._solve()

    @property
    def scale(self) -> Floats:
        """Of each latent, (d,)."""
        return self._scale

    @property
    def offset(self) -> Floats:
        """Of each latent, (d,)."""
        return self._offset

    def __call__(self, latents: ArrayLike) -> Floats:
        """Correct latents: (n, d) to (n, d)."""
        return self._sized(latents) * self._scale + self._offset

    def learn(self, predicted: ArrayLike, true: ArrayLike) -> float:
        """Learn from one trial: (d,) uncorrected, (d,); return its mean squared error before that."""
        read, wanted = self._sized(predicted), self._sized(true)
        self.error = float(np.mean((wanted - (read * self._scale + self._offset)) ** 2))
        self._grow_older()
        self._sums[:5] += np.stack([read, wanted, read * read, read * wanted, wanted * wanted])
        self._weight += 1.0
        self.trials += 1
        self._solve()
        return self.error

    def _grow_older(self) -> None:
        """Let a trial go by: every age moves on, and all fades."""
        step, n = self._step, self._weight
        self._squares += step * (step * n - 2 * self._ages)
        self._ages -= step * n
        self._sums[5:] -= step * self._sums[:2]
        self._sums *= self._forget
        self._weight, self._belief = self._forget * n, self._forget * self._belief
        self._ages, self._squares = self._forget * self._ages, self._forget * self._squares

    def _line(self, sums: Floats, aged: Floats) -> tuple[Floats, Floats]:
        """Return level now and slope of what has these sums, and these sums by age: (d,) each."""
        squares = self._squares + self._trust
        whole = self._weight * squares - self._ages**2
        return (squares * sums - self._ages * aged) / whole, (self._weight * aged - self._ages * sums) / whole

    def _about_lines(self) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Return the levels of ẑ and z now, and the sums of ẑ², ẑz, z² about their lines: (d,) each."""
        read, wanted, square, product, known, read_aged, wanted_aged = self._sums
        level, slope = self._line(read, read_aged)
        middle, change = self._line(wanted, wanted_aged)
        spread = square - level * read - slope * read_aged
        together = product - level * wanted - slope * wanted_aged
        varied = known - middle * wanted - change * wanted_aged
        return level, middle, spread, together, varied

    def _solve(self) -> None:
        n, t = self._weight, self._belief
        if not n:
            d = self._sums.shape[1]
            self._scale, self._offset = np.ones(d), np.zeros(d)
            return
        level, middle, spread, together, varied = self._about_lines()
        if self._common:
            spread, together, varied = (np.full(len(level), v.sum()) for v in (spread, together, varied))
        # The belief in a gain of 1 weighs as much as that many trials of what was read so far.
        belief = t * spread / n
        has = belief + spread > 0
        self._scale = np.where(has, belief + together, 1.0) / np.where(has, belief + spread, 1.0)
        share = np.where(varied > 0, together, 0.0) / np.where(varied > 0, varied, 1.0)
        shift = (level - share * middle) * n / (n + t)
        self._offset = -self._scale * shift

    @property
    def state(self) -> Floats:
        """All that it knows, (6 + 7 d,): what `restore` takes."""
        head = [
            float(self.trials),
            self.error,
            self._weight,
            self._belief,
            self._ages,
            self._squares,
        ]
        return np.concatenate([head, self._sums.ravel()])

    def restore(self, state: ArrayLike) -> Self:
        """Go on from what `state` gave.

        Raises
        ------
        DataError
            If it is that of another number of latents.
        """
        given = np.asarray(state, np.float64).ravel()
        d = self._sums.shape[1]
        if len(given) != state_size(d):
            raise DataError(
                f"expected the state of an adaptation of {d} latents, {state_size(d)} "
                f"numbers, came {len(given)}. Take that of a session with the same bundle and of this release."
            )
        self.trials, (self.error, self._weight, self._belief) = int(given[0]), map(float, given[1:4])
        self._ages, self._squares = map(float, given[4:_HEAD])
        self._sums = given[_HEAD:].reshape(self._sums.shape).copy()
        self._solve()
        return self

    def renewed(self) -> Self:
        """Begin a session with what another one ended with: its sums weigh as many trials as the belief.

        Where its line ended is where the new one begins; how steep it was is forgotten.
        """
        if self._weight:
            n, (level, middle, *about) = self._weight, self._about_lines()
            products = np.stack([level * level, level * middle, middle * middle])
            self._sums = np.concatenate(
                [n * np.stack([level, middle]), about + n * products, np.zeros((2, len(level)))]
            )
            self._ages, self._squares = 0.0, 0.0
        if self._weight > self._trust:
            self._sums *= self._trust / self._weight
            self._weight = self._trust
        self._belief = 0.0
        self.trials, self.error = 0, math.nan
        self._solve()
        return self

    def _sized(self, latents: ArrayLike) -> Floats:
        z = np.asarray(latents, np.float64)
        if z.shape[-1:] != self._sums.shape[1:] or not np.isfinite(z).all():
            raise DataError(
                f"expected finite latents of {self._sums.shape[1]} dimensions to follow, came shape {z.shape}. "
                "Use the latents of the readout that is corrected."
            )
        return z


@dataclass(frozen=True, slots=True, eq=False)
class OnlineAdaptation:
    """An OnlineAdaptation is a drift that is followed by trials whose stimuli have known latents.

    Attributes
    ----------
    drift : Drift
        The correction.
    truth : mapping of str to (d,) float64
        Latent of each stimulus, by its name.
    """

    drift: Drift
    truth: Mapping[str, Floats]

    def correct(self, latent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Correct what a readout gave, (1, d); the same array while nothing was learned."""
        if (self.drift.scale == 1).all() and not self.drift.offset.any():
            return latent
        return self.drift(latent).astype(np.float32)

    def learn(self, marker: str, read: NDArray[np.float32]) -> bool:
        """Learn from a trial, if its marker names a stimulus whose latent is known; return whether it did.

        Parameters
        ----------
        marker : str
            The event's text: ``"stimulus 3 face-3"``.
        read : (d,) float32
            What the readout gave, uncorrected.
        """
        found = stimulus_of(marker)
        if found is None or found[1] not in self.truth or not np.isfinite(read).all():
            return False
        self.drift.learn(read, self.truth[found[1]])
        return True
