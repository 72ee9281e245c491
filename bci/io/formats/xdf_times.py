"""When the samples of a recorded stream were taken: its holes found, and the jitter between them taken out.

A hole is found where the live line finds one (`bci.io.stamps`): where a step between stamps is longer than the
stream's period by more than its tolerance, or backwards. Between holes a straight line through the stamps against the
samples' numbers is the better clock (least squares); a line must never be laid across a hole, however short, or every
time on both sides of it is wrong by up to half its length.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError

Times = NDArray[np.float64]

#: Below so many samples the nominal period is a better slope than one fitted to jitter.
_FEW = 32

#: More holes than that are no regular stream's.
_MOST_HOLES = 100_000


def taken(
    stamps: Times, rate: float, *, exact: bool = False, known: Sequence[int] = ()
) -> tuple[Times, tuple[tuple[int, int], ...]]:
    """Return the time of each sample, and the runs without a hole: (first, one past the last).

    Parameters
    ----------
    stamps : (n,) float64
        As recorded, clocks synchronised; seconds.
    rate : float
        Samples per second of these stamps.
    exact : bool
        Whether the stamps are the samples' own times: then they pass untouched, and half a sample is a hole.
    known : sequence of int
        Samples before which some are known to be missing, whatever the stamps say.

    Raises
    ------
    RecordingError
        If a stamp is no finite number, or there are more holes than stretches.

    Examples
    --------
    >>> import numpy as np
    >>> true = np.r_[np.arange(500), np.arange(530, 1000)] / 100
    >>> late = np.random.default_rng(0).uniform(0, 0.02, len(true))
    >>> times, runs = taken(true + late, rate=100.0)
    >>> runs, bool(np.abs(times - true - 0.01).max() < 0.003)
    (((0, 500), (500, 970)), True)
    """
    if not np.isfinite(stamps).all():
        raise RecordingError("a stamp is no finite number")
    tolerance = 0.5 / rate if exact else max(10 / rate, 0.1)
    steps = np.diff(stamps)
    holes = set((np.flatnonzero((steps > 1 / rate + tolerance) | (steps < -tolerance)) + 1).tolist())
    borders = sorted(holes | set(known))
    if len(borders) > _MOST_HOLES:
        raise RecordingError(f"{len(borders)} holes in {len(stamps)} samples: no stream at a fixed rate")
    if exact:
        return stamps.copy(), _runs(borders, len(stamps))
    sure = set(known) | {b for b in borders if steps[b - 1] < 0}
    while True:
        runs = _runs(borders, len(stamps))
        times = _lines(stamps, runs, 1 / rate, most=2.0)
        # Samples that were only late catch up behind it: no time is missing then between the two lines.
        kept = [b for b in borders if b in sure or times[b] - times[b - 1] - 1 / rate > tolerance / 2]
        if len(kept) == len(borders):
            return _lines(stamps, runs, 1 / rate), runs
        borders = kept


def _runs(borders: Sequence[int], n: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip([0, *borders], [*borders, n], strict=True))


def _lines(stamps: Times, runs: Sequence[tuple[int, int]], period: float, most: float = math.inf) -> Times:
    """Return straight lines through the stamps of each run.

    A slope that differs from `period` by more than a factor of `most`, as within a burst, is not believed.
    """
    return np.concatenate([_line(stamps[first:end], period, most) for first, end in runs])


def _line(stamps: Times, period: float, most: float) -> Times:
    n = len(stamps)
    numbers = np.arange(n) - (n - 1) / 2
    origin = float(stamps[0])
    middle = float((stamps - origin).mean())
    if n >= _FEW:
        slope = float(numbers @ (stamps - origin - middle)) / float(numbers @ numbers)
        period = slope if period / most <= slope <= period * most else period
    return np.asarray(origin + middle + period * numbers, np.float64)
