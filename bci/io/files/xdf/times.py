"""Times of a recorded stream's samples: holes are found, and the jitter between them is removed.

A hole is found where the live line finds one (`bci.io.lsl.stamps`): where a step between stamps is longer than the
stream's period by more than its tolerance, or backwards. Between holes a straight line through the stamps against the
samples' numbers is the better clock (least squares); a line must never be laid across a hole, however short, or every
time on both sides of it is wrong by up to half its length.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError

Times = NDArray[np.float64]

#: Below so many samples the stream's period is a better slope than one fitted to their jitter.
_FEW = 32

#: How far to both sides of a possible hole the earliest stamps are looked for, seconds.
_NEAR_S = 3.0

#: Over so long the noise of two stamps is small beside the time between them, seconds.
_LAG_S = 10.0

#: A stream with more holes than that is not regular.
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
        Whether the stamps are the samples' own times: then half a sample is a hole, and they pass untouched, but for
        runs in which one is repeated.
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
        runs = _runs(borders, len(stamps))
        pieces = [stamps[first:end] for first, end in runs]
        return np.concatenate([p if np.all(np.diff(p) > 0) else _line(p, 1 / rate) for p in pieces]), runs
    certain = set(known) | {b for b in borders if steps[b - 1] < 0}
    period = _period(stamps, rate)
    delays = stamps - stamps[0] - period * np.arange(len(stamps))
    near = round(_NEAR_S * rate)
    while True:
        runs = _runs(borders, len(stamps))
        before = [float(delays[max(first, end - near) : end].min()) for first, end in runs[:-1]]
        behind = [float(delays[first : min(end, first + near)].min()) for first, end in runs[1:]]
        # A stamp can be late and never early: where the earliest are as early as before, none was missing.
        kept = [
            border
            for border, a, b in zip(borders, before, behind, strict=True)
            if border in certain or b - a > tolerance / 2
        ]
        if len(kept) == len(borders):
            return np.concatenate([_line(stamps[first:end], period) for first, end in runs]), runs
        borders = kept


def _period(stamps: Times, rate: float) -> float:
    """Return seconds between samples by the median of the stamps; nominal where that is implausible."""
    lag = min(round(_LAG_S * rate), len(stamps) // 10)
    measured = float(np.median(stamps[lag:] - stamps[:-lag])) / lag if lag else 0.0
    return measured if 0.5 < measured * rate < 2 else 1 / rate


def _runs(borders: Sequence[int], n: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip([0, *borders], [*borders, n], strict=True))


def _line(stamps: Times, period: float) -> Times:
    """Return the straight line through the stamps of consecutive samples."""
    n = len(stamps)
    numbers = np.arange(n) - (n - 1) / 2
    origin = float(stamps[0])
    middle = float((stamps - origin).mean())
    if n >= _FEW:
        period = float(numbers @ (stamps - origin - middle)) / float(numbers @ numbers)
    return np.asarray(origin + middle + period * numbers, np.float64)
