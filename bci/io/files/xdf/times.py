"""Times of a recorded stream's samples: holes are found, and the jitter between them is removed.

Holes are found by the code of the live line (`bci.io.lsl.stamps`), so in the same places. Between holes a straight line
through the stamps against the samples' numbers is the better clock (least squares); a line must never be laid across a
hole, however short, or every time on both sides of it is wrong by up to half its length. Of packets that were stamped
on arrival only the last sample of each was taken at about that time: the line goes through those, at the earliest.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.lsl.packets import packet_ends
from bci.io.lsl.stamps import Stamps
from bci.signal.types import MarkKind

Times = NDArray[np.float64]

#: Below so many samples the stream's period is a better slope than one fitted to their jitter.
_FEW = 32

#: A line through the ends of packets needs so many; it lies below all but so many of a hundred.
_LEAST_PACKETS, _EARLIEST = 4, 2

#: Over so long the noise of two stamps is small beside the time between them, seconds.
_LAG_S = 10.0

#: A stream with more holes than that is not regular.
_MOST_HOLES = 100_000

#: No clock says more seconds than that: thirty thousand years, in nanoseconds.
_FURTHEST_S = 1e21


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
    if (furthest := float(np.abs(stamps).max(initial=0.0))) > _FURTHEST_S:
        raise RecordingError(f"a stamp of {furthest:.3g} s: no clock that counts seconds says that")
    events, _ = Stamps(rate, exact=exact)(stamps, np.empty(len(stamps)), last=True)
    holes = {
        max(1, event.index - round(event.since * rate))
        for event in events
        if event.kind in (MarkKind.GAP, MarkKind.CLOCK_RESET)
    }
    borders = sorted(holes | set(known))
    if len(borders) > _MOST_HOLES:
        raise RecordingError(f"{len(borders)} holes in {len(stamps)} samples: no stream at a fixed rate")
    runs = _runs(borders, len(stamps))
    pieces = [stamps[first:end] for first, end in runs]
    if exact:
        return np.concatenate([p if np.all(np.diff(p) > 0) else _line(p, 1 / rate) for p in pieces]), runs
    period = _period(stamps, rate)
    return np.concatenate([_line(piece, period) for piece in pieces]), runs


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
    every = np.arange(n) - (n - 1) / 2
    ends = packet_ends(stamps, period)
    numbers, own = (
        (every, stamps) if ends is None or len(ends) < _LEAST_PACKETS else (every[ends], stamps[ends])
    )
    origin = float(stamps[0])
    middle, centre = float((own - origin).mean()), float(numbers.mean())
    if len(own) >= _FEW:
        centred = numbers - centre
        period = float(centred @ (own - origin - middle)) / float(centred @ centred)
    line = np.asarray(origin + middle + period * (every - centre), np.float64)
    if own is not stamps:
        line += np.percentile(own - line[ends], _EARLIEST)
    return line
