"""A localiser is a run, or several, whose voxels show where a mask shall lie: the most active, or the most reliable."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.run import Design
from bci.signal.volumes.survey import Surveyed

Map = NDArray[np.floating]

#: What names the two halves of a condition's trials.
_HALVES = ("#odd", "#even")


def z_of_t(t: Map, freedom: int) -> NDArray[np.float64]:
    """Return the normal deviates that are as rare as t values of so many degrees of freedom.

    The approximation is of Wallace (1959, Annals of Mathematical Statistics 30:1121): it neither overflows nor
    saturates, and keeps the order.

    >>> z_of_t(np.array([0.0, 2.0, -2.0, 40.0]), 20).round(2).tolist()
    [0.0, 1.89, -1.89, 9.26]
    """
    t = np.asarray(t, np.float64)
    factor = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
    return np.asarray(np.sign(t) * factor * np.sqrt(freedom * np.log1p(t * t / freedom)))


def joined_z(runs: Sequence[Surveyed], contrast: str) -> NDArray[np.float64]:
    """Return a contrast's z in each voxel over all runs (x, y, z), NaN where a run has none: their sum over √n.

    The sum is of Stouffer et al. (1949, The American Soldier 1:45).
    """
    each = [z_of_t(run.contrasts[contrast].t, run.freedom) for run in runs]
    return np.asarray(np.sum(each, axis=0) / math.sqrt(len(each)))


def highest(values: Map, voxels: int) -> NDArray[np.bool_]:
    """Return where a map is highest: (x, y, z) bool of so many voxels; NaN never is.

    Raises
    ------
    ConfigError
        If fewer voxels have a value.

    >>> highest(np.array([[[1.0, np.nan, 3.0, 2.0]]]), 2).tolist()
    [[[False, False, True, True]]]
    """
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < voxels:
        raise ConfigError(f"expected a map of {voxels} voxels or more, came {len(known)}. Ask for fewer.")
    order = np.argsort(-values.reshape(-1)[known], kind="stable")
    out = np.zeros(values.size, bool)
    out[known[order[:voxels]]] = True
    return out.reshape(values.shape)


def halved(design: Design) -> Design:
    """Return a design in which the trials of each condition, in their order, are by turns of one half and the other.

    Raises
    ------
    ConfigError
        If there are fewer than three conditions, or one has a single trial: nothing can be said of reliability.
    """
    conditions = sorted(set(design.conditions))
    counts = {name: design.conditions.count(name) for name in conditions}
    if len(conditions) < 3 or min(counts.values()) < 2:
        once = [name for name, count in counts.items() if count < 2]
        raise ConfigError(
            "reliability is how the answers to three conditions or more repeat: expected a design of these with two "
            f"trials each, came {len(conditions)} conditions{', once only ' + ', '.join(once[:5]) if once else ''}."
        )
    seen: dict[str, int] = dict.fromkeys(conditions, 0)
    names = [""] * len(design.conditions)
    for place in np.argsort(design.onsets, kind="stable"):
        name = design.conditions[place]
        names[place] = name + _HALVES[seen[name] % 2]
        seen[name] += 1
    return Design(design.onsets, design.durations, tuple(names))


def reliability(runs: Sequence[Surveyed]) -> NDArray[np.float64]:
    """Return each voxel's correlation of its answers to the conditions, one half of the trials with the other.

    Parameters
    ----------
    runs : sequence of Surveyed
        Of designs that `halved` made, every condition a contrast; answers are averaged over runs.

    Returns
    -------
    (x, y, z) float64
        NaN where there is none.
    """
    names = sorted({name.rpartition("#")[0] for run in runs for name in run.contrasts})
    halves = [np.array([_mean(runs, name + half) for name in names]) for half in _HALVES]
    one, other = (half - half.mean(axis=0) for half in halves)
    size = np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    return np.asarray(
        np.divide((one * other).sum(axis=0), size, out=np.full(size.shape, np.nan), where=size > 0)
    )


def _mean(runs: Sequence[Surveyed], contrast: str) -> NDArray[np.float64]:
    effects = [run.contrasts[contrast].effect for run in runs if contrast in run.contrasts]
    return np.asarray(np.mean(effects, axis=0, dtype=np.float64))
