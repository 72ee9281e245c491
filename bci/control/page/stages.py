"""StageTimes are how long each stage of the newest reconstructions took, beside what each may take."""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import INTERVALS, STAGES

#: Reconstructions that are kept.
KEPT = 2000

#: Edges of the bins, milliseconds: thirty a decade from 10 µs to 100 s would be too fine to see, ten are not.
EDGES_MS = np.logspace(-2, 5, 71)

_AT = {stage: place for place, stage in enumerate(STAGES)}

#: Stages that a reconstruction goes through before the display has it.
BEFORE_DISPLAY = tuple(name for name, (_, stop) in INTERVALS.items() if _AT[stop] <= _AT["published"])
AT_DISPLAY = tuple(name for name in INTERVALS if name not in BEFORE_DISPLAY)


@dataclass(frozen=True, eq=False)
class StageHistogram:
    """One stage.

    Attributes
    ----------
    name : str
        Which: see `bci.signal.types.INTERVALS`.
    counts : (bins,) int
        How many reconstructions took so long, in the bins of `EDGES_MS`.
    p50, p99 : float
        Percentiles, milliseconds; NaN where there is none.
    budget_ms : float
        What it may take, milliseconds; NaN where nothing says.
    """

    name: str
    counts: NDArray[np.int64]
    p50: float
    p99: float
    budget_ms: float


class StageTimes:
    """The newest reconstructions' times.

    Parameters
    ----------
    budgets : mapping of str to float
        What stages may take, seconds, by their names.
    """

    def __init__(self, budgets: Mapping[str, float]) -> None:
        self._budgets = dict(budgets)
        self._kept: dict[str, deque[float]] = {name: deque(maxlen=KEPT) for name in INTERVALS}

    def add(self, stamps: Iterable[float], names: Iterable[str]) -> None:
        """Take in one reconstruction.

        Parameters
        ----------
        stamps : (len(STAGES),) float
            Session seconds of its stages, NaN where one was not reached.
        names : iterable of str
            Which stages to take from it.
        """
        times = list(stamps)
        for name in names:
            start, stop = INTERVALS[name]
            seconds = times[_AT[stop]] - times[_AT[start]]
            if math.isfinite(seconds):
                self._kept[name].append(seconds)

    def histograms(self) -> list[StageHistogram]:
        """Return all stages, in order."""
        return [self._histogram(name) for name in INTERVALS]

    def _histogram(self, name: str) -> StageHistogram:
        ms = 1e3 * np.array(self._kept[name])
        # What a clock's correction makes negative counts as the shortest.
        counts, _ = np.histogram(np.clip(ms, EDGES_MS[0], EDGES_MS[-1]), EDGES_MS)
        p50, p99 = np.percentile(ms, (50, 99)) if len(ms) else (math.nan, math.nan)
        return StageHistogram(name, counts, float(p50), float(p99), 1e3 * self._budgets.get(name, math.nan))
