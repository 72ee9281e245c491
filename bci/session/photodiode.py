"""The photodiode: when light truly came, from what a photodiode taped over the patch recorded.

A flip stamp is the time at which the buffer swap returned; the light comes later, by what the driver, the monitor's
electronics and its pixels take. The patch turns between white and black at every change of picture, so each change
is an edge in the photodiode's signal. Edges are found by crossing halfway between the local levels of dark and light
(so a drifting room light does not matter), with hysteresis; the offset is the time from a flip to its edge.

The signal must hold still while the patch does: a strobed or pulsed backlight needs a low-pass in front, as most
photodiode amplifiers have. What is found is where the light is halfway between its two levels.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

Seconds = NDArray[np.float64]

#: Light comes after a flip, at most so much later; a stamp that was taken late may lie a little behind the light.
EARLIEST, LATEST = -0.005, 0.25
REACH = (EARLIEST, LATEST)

#: Share of the step between dark and light by which the threshold for one lies above the other's.
HYSTERESIS = 0.25

#: Stamps further apart than this are a gap in the photodiode's signal, seconds and sample periods.
_GAP_S, _GAP_PERIODS = 0.02, 3.5

#: Width of the bins in which the most frequent offset is looked for, seconds.
_BIN = 0.002

#: An offset that explains this share of what the best one does is as good as that one.
_AS_GOOD = 0.9


@dataclass(frozen=True, eq=False)
class Edges:
    """When the light changed.

    Attributes
    ----------
    times : (n,) float64
        Seconds, increasing.
    rising : (n,) bool
        Whether it became brighter.
    """

    times: Seconds
    rising: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Onset:
    """From flip to light, over a session.

    Attributes
    ----------
    offsets : (n,) float64
        Seconds from each matched flip to its light.
    rising : (n,) bool
        Whether that light was brighter than before.
    unmatched : int
        Flips that changed the patch without any light.
    outside : int
        Flips at which the photodiode was not recorded.
    stray : int
        Changes of the light that belong to no flip.
    ambiguous : bool
        Whether another offset would explain the edges as well: the flips came too regularly.
    reason : str
        Why nothing can be said; empty when something can.
    """

    offsets: Seconds
    rising: NDArray[np.bool_]
    unmatched: int = 0
    outside: int = 0
    stray: int = 0
    ambiguous: bool = False
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str) -> "Onset":
        """Return what can be said without a photodiode: nothing, and why."""
        return cls(np.empty(0), np.empty(0, bool), reason=reason)

    def result(self) -> dict[str, Any]:
        """Return it for machines, in milliseconds; ``median`` and the like are None where there is no offset."""
        ms = self.offsets * 1e3
        named = {
            "median": ms,
            "median_rising": ms[self.rising],
            "median_falling": ms[~self.rising],
        }
        cuts = np.percentile(ms, (1, 99)) if len(ms) else (None, None)
        return {
            "known": not self.reason,
            "reason": self.reason,
            "matched": len(ms),
            "unmatched": self.unmatched,
            "outside": self.outside,
            "stray": self.stray,
            "ambiguous": self.ambiguous,
            **{name: float(np.median(some)) if len(some) else None for name, some in named.items()},
            "p1": None if cuts[0] is None else float(cuts[0]),
            "p99": None if cuts[1] is None else float(cuts[1]),
        }

    def sentences(self) -> tuple[str, ...]:
        """Return it for people."""
        if self.reason:
            return (f"true onset unknown: {self.reason}",)
        figures = self.result()
        lines = [
            f"light {figures['median']:.2f} ms after the flip (median; p1 {figures['p1']:.2f}, "
            f"p99 {figures['p99']:.2f}), over {figures['matched']} changes of the patch"
            if figures["matched"]
            else "no flip could be matched with light"
        ]
        if self.unmatched:
            lines.append(f"{self.unmatched} changes of the patch brought no light that was seen")
        if self.outside:
            lines.append(f"{self.outside} changes of the patch while the photodiode was not recorded")
        if self.stray:
            lines.append(f"{self.stray} changes of the light belong to no flip")
        if self.ambiguous:
            lines.append(
                "the flips came so regularly that an offset longer by their interval would fit as well"
            )
        return tuple(lines)


def onset(light: NDArray[Any], times: Seconds, flips: Seconds) -> Onset:
    """Match flips that changed the patch with the light they made.

    Parameters
    ----------
    light : (n,) array
        The photodiode's signal, any unit, either polarity.
    times : (n,) float64
        Session seconds of its samples.
    flips : (m,) float64
        Session seconds of the flips that changed the patch, increasing.
    """
    light, times, flips = usable(light, times, flips)
    seen = recorded_at(times, flips)
    outside = int(np.count_nonzero(~seen))
    if not seen.any():
        return Onset(np.empty(0), np.empty(0, bool), outside=outside)
    edges = find_edges(light, times, step_size(light, times, flips[seen]))
    # Flips whose light may have been missed for want of a recording still own the light that was seen.
    pairs, ambiguous = pair_edges(edges, flips, seen=seen)
    stray = np.ones(len(edges.times), bool)
    stray[pairs[:, 1]] = False
    # Light before the first flip, or after the last, belongs to no flip.
    stray &= (edges.times >= flips[0] + EARLIEST) & (edges.times <= flips[-1] + LATEST)
    pairs = pairs[seen[pairs[:, 0]]]
    return Onset(
        offsets=edges.times[pairs[:, 1]] - flips[pairs[:, 0]],
        rising=edges.rising[pairs[:, 1]],
        unmatched=int(np.count_nonzero(seen)) - len(pairs),
        outside=outside,
        stray=int(np.count_nonzero(stray)),
        ambiguous=ambiguous,
    )


def usable(light: NDArray[Any], times: Seconds, flips: Seconds) -> tuple[Seconds, Seconds, Seconds]:
    """Return a signal and its times without what is no number, or stamped before the sample before it; and the flips.

    All (n,) or (m,) float64.
    """
    light, times, flips = (np.asarray(array, np.float64) for array in (light, times, flips))
    newest = np.maximum.accumulate(np.append(-np.inf, times[:-1]))
    good = np.isfinite(light) & (times > newest)
    return light[good], times[good], flips


def recorded_at(times: Seconds, flips: Seconds, reach: tuple[float, float] = REACH) -> NDArray[np.bool_]:
    """Return (m,) whether the signal was recorded without a gap as long as a flip's change may come, in `reach`."""
    seen = np.zeros(len(flips), bool)
    for first, end in _pieces(times):
        seen |= (flips + reach[0] >= times[first]) & (flips + reach[1] <= times[end - 1])
    return seen


def pair_edges(
    edges: Edges, flips: Seconds, reach: tuple[float, float] = REACH, seen: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.intp], bool]:
    """Pair flips with edges by the offset that most have; see `match`. Also whether another offset would do as well.

    Parameters
    ----------
    edges : Edges
        Where the signal changed.
    flips : (m,) float64
        Seconds, increasing.
    reach : (float, float)
        So much before, and after, its flip an edge may come.
    seen : (m,) bool, optional
        The flips by which the offset is found; all when absent.
    """
    known = flips if seen is None else flips[seen]
    offset, ambiguous = usual_offset(known, edges.times, reach)
    return match(flips + offset, edges.times), ambiguous


def step_size(
    light: NDArray[np.float64], times: Seconds, flips: Seconds, reach: tuple[float, float] = REACH
) -> float:
    """Return the size of the step between dark and light: the median, over flips, of the range around them."""
    first = np.searchsorted(times, flips + reach[0])
    end = np.searchsorted(times, flips + reach[1], side="right")
    ranges = [float(np.ptp(light[a:b])) for a, b in zip(first, end, strict=True) if b > a]
    return float(np.median(ranges)) if ranges else 0.0


def find_edges(light: NDArray[np.float64], times: Seconds, step: float, around_s: float = LATEST) -> Edges:
    """Return where the light crossed the middle between its local levels.

    A local level is the lowest, and the highest, within `around_s` on both sides; where they lie less than
    half of `step` apart the light holds still. A crossing counts once it has passed the middle by half of
    `HYSTERESIS`, and is timed, between two samples, where it passed the middle itself.

    Parameters
    ----------
    light : (n,) float64
        Finite.
    times : (n,) float64
        Seconds, increasing; no edge is found across a gap.
    step : float
        Size of the step between dark and light.
    around_s : float
        How far around a sample its levels are looked for, seconds.
    """
    at: list[Seconds] = []
    rising: list[NDArray[np.bool_]] = []
    for first, end in _pieces(times):
        if end - first < 3 or step <= 0:
            continue
        edge, up = _edges_in(light[first:end], times[first:end], step, around_s)
        at.append(edge)
        rising.append(up)
    return Edges(np.concatenate([np.empty(0), *at]), np.concatenate([np.empty(0, bool), *rising]))


def _edges_in(
    x: NDArray[np.float64], times: Seconds, step: float, around_s: float
) -> tuple[Seconds, NDArray[np.bool_]]:
    size = 2 * max(1, round(around_s * (len(times) - 1) / (times[-1] - times[0]))) + 1
    low, high = minimum_filter1d(x, size), maximum_filter1d(x, size)
    middle, span = (low + high) / 2, high - low
    band = HYSTERESIS / 2 * span
    moving = span >= step / 2
    side = np.where(x > middle + band, 1, np.where(x < middle - band, -1, 0)) * moving
    decided = np.flatnonzero(side)
    turns = decided[1:][side[decided[1:]] != side[decided[:-1]]]
    up = side[turns] > 0
    # Back from where the other side was reached to the last sample that had not passed the middle.
    index = np.arange(len(x))
    last_below = np.maximum.accumulate(np.where(x <= middle, index, 0))
    last_above = np.maximum.accumulate(np.where(x >= middle, index, 0))
    before = np.where(up, last_below[turns], last_above[turns])
    after = before + 1
    rise = x[after] - x[before]
    share = np.divide(middle[before] - x[before], rise, out=np.zeros(len(rise)), where=rise != 0)
    return times[before] + np.clip(share, 0, 1) * (times[after] - times[before]), up


def usual_offset(flips: Seconds, edges: Seconds, reach: tuple[float, float] = REACH) -> tuple[float, bool]:
    """Return the offset that most flips have to some edge, and whether another would do as well.

    Of offsets that do as well the shortest is taken.
    """
    first = np.searchsorted(edges, flips + reach[0])
    end = np.searchsorted(edges, flips + reach[1], side="right")
    offsets = np.concatenate(
        [np.empty(0), *(edges[a:b] - flip for flip, a, b in zip(flips, first, end, strict=True))]
    )
    if not len(offsets):
        return 0.0, False
    bins = np.arange(reach[0], reach[1] + 2 * _BIN, _BIN)
    counts = np.histogram(offsets, bins)[0].astype(float)
    # Three bins together: the edges of the bins mean nothing.
    counts = np.convolve(counts, np.ones(3), "same")
    good = np.flatnonzero(counts >= _AS_GOOD * counts.max())
    shortest = good[: 1 + int(np.argmax(np.append(np.diff(good) > 3, True)))]
    centre = bins[shortest[int(np.argmax(counts[shortest]))]] + _BIN / 2
    near = offsets[np.abs(offsets - centre) <= 2 * _BIN]
    return float(np.median(near)), bool(good[-1] > shortest[-1])


def match(expected: Seconds, came: Seconds) -> NDArray[np.intp]:
    """Pair each expected time with the one that came, where each is the other's nearest.

    At most half the median interval apart, and a tenth of a second.

    Returns
    -------
    (k, 2) int
        Indices into `expected` and `came`, increasing.

    Examples
    --------
    >>> match(np.array([1.0, 2.0, 3.0]), np.array([1.01, 2.9, 3.02])).tolist()
    [[0, 0], [2, 2]]
    """
    if not len(expected) or not len(came):
        return np.empty((0, 2), np.intp)
    reach = min(0.1, 0.5 * float(np.median(np.diff(expected)))) if len(expected) > 1 else 0.1
    there, back = _nearest(expected, came), _nearest(came, expected)
    index = np.arange(len(expected))
    paired = (back[there] == index) & (np.abs(came[there] - expected) <= reach)
    return np.stack([index[paired], there[paired]], axis=1)


def _nearest(values: Seconds, among: Seconds) -> NDArray[np.intp]:
    """Return for each value the index of the nearest one in `among`, which increases."""
    right = np.clip(np.searchsorted(among, values), 1, max(1, len(among) - 1))
    left = right - 1
    right = np.minimum(right, len(among) - 1)
    return np.where(values - among[left] <= among[right] - values, left, right)


def _pieces(times: Seconds) -> list[tuple[int, int]]:
    """Return the runs of samples without a gap: the first, and one past the last."""
    if len(times) < 2:
        return [(0, len(times))] if len(times) else []
    steps = np.diff(times)
    gaps = np.flatnonzero(steps > max(_GAP_S, _GAP_PERIODS * float(np.median(steps)))) + 1
    edges = [0, *gaps.tolist(), len(times)]
    return list(itertools.pairwise(edges))
