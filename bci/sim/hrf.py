"""Haemodynamic responses: the BOLD response to a second of neural activity, with a shape of its own in every voxel.

A response is a gamma density that peaks after some five seconds minus a later, smaller one (Friston et al. 1998,
NeuroImage 7:30; delays and widths across cortex: Handwerker, Ollinger & D'Esposito 2004, NeuroImage 21:1639).
"""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Seconds after which a response has ended, before which it has not begun, and between entries of the table.
SPAN, DEAD, STEP = 32.0, 0.3, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Shapes holds the parameters of haemodynamic responses, one per voxel.

    Attributes
    ----------
    peak_s : (n,) float64
        When the first lobe peaks.
    shape : (n,) float64
        Shape parameter of its gamma density: the larger, the narrower.
    undershoot : (n,) float64
        Area of the second lobe, which peaks ten seconds later, in that of the first.
    """

    peak_s: Array
    shape: Array
    undershoot: Array


#: The response that analyses assume: peak after 5 s, undershoot of a sixth.
CANONICAL = Shapes(np.array([5.0]), np.array([6.0]), np.array([1 / 6]))


def varied(n: int, rng: np.random.Generator) -> Shapes:
    """Return the shapes of `n` voxels: peaks at 5 ± 0.8 s, widths and undershoots varied as well."""
    return Shapes(
        peak_s=np.clip(rng.normal(5.0, 0.8, n), 3.0, 7.5),
        shape=np.clip(rng.lognormal(np.log(6.0), 0.25, n), 3.0, 12.0),
        undershoot=rng.uniform(0.05, 0.3, n),
    )


def response(shapes: Shapes, times: ArrayLike) -> Array:
    """Return the responses to one second of activity at `times` seconds after it: (times, n), 1/s."""
    t = np.asarray(times, np.float64)[:, np.newaxis]
    # A gamma density of shape k and scale s peaks at (k - 1) s.
    first = scipy.stats.gamma.pdf(t, shapes.shape, scale=shapes.peak_s / (shapes.shape - 1))
    late = shapes.peak_s + 10.0
    second = scipy.stats.gamma.pdf(t, 16.0, scale=late / 15.0)
    return np.asarray(np.where(t < DEAD, 0.0, first - shapes.undershoot * second))


class StepTable:
    """A StepTable holds the response to activity that begins and does not end, by the time since it began.

    Activity of any length is the difference of two steps, and its end need not be known before it comes.

    Parameters
    ----------
    shapes : Shapes
        Response shapes of the voxels.
    """

    def __init__(self, shapes: Shapes) -> None:
        times = np.arange(0, SPAN + 2 * STEP, STEP)
        per_second = response(shapes, times)
        steps = np.cumsum((per_second[1:] + per_second[:-1]) * (STEP / 2), axis=0)
        self._table = np.concatenate([np.zeros((1, steps.shape[1])), steps]).astype(np.float32)

    def at(self, seconds: float) -> NDArray[np.float32]:
        """Return the step response (n,) `seconds` after the step; 0 before it."""
        if seconds <= 0:
            return np.zeros(self._table.shape[1], np.float32)
        place = min(seconds, SPAN) / STEP
        low = int(place)
        share = np.float32(place - low)
        value: NDArray[np.float32] = (1 - share) * self._table[low] + share * self._table[low + 1]
        return value

    def boxcar(self, since: float, after: float) -> NDArray[np.float32]:
        """Return the response (n,) to activity that began `since` and ended `after` seconds ago (≤ 0: has not)."""
        return self.at(since) - self.at(after) if after > 0 else self.at(since)
