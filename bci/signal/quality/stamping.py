"""Stamping says whether a stream's stamps are on the session clock, in seconds, and at the rate that it states.

The first seconds of a stream are compared with the session clock: when its samples were received, and how many. A
device may stamp with another clock (the time of day, its own start), count milliseconds or nanoseconds, or send another
rate than it states. Markers are then joined to other samples than those they belong to, and filters are off by as much:
an octave, where every second sample is missing. None of that can be seen in the samples themselves.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Times

#: A stamp this much older than the arrival of its sample, or newer, is of another clock, seconds.
OLDEST_S, NEWEST_S = 10.0, -1.0

#: From so far off the stated rate a stream is another than it says; from so far off it is said.
OFF_RATE, UNEVEN_RATE = 0.15, 0.03

#: So many seconds tell the rate; a rate that is off by more than `_GROSS` shows in the first ones.
ENOUGH_S, SOON_S, _GROSS = 2.5, 0.5, 0.4

_UNITS = {1e3: "milliseconds", 1e6: "microseconds", 1e9: "nanoseconds"}

#: Two stamps are of one packet if they are closer than this share of a period.
_TOGETHER = 0.25

#: Packets have fewer samples than that, but for those of very fast streams.
_PACKET = 256

#: Clocks that differ by less than a day and a half from the time of day show the time of day somewhere.
_DAY_S = 1.5 * 86400


@dataclass(frozen=True, slots=True)
class Stamping:
    """A Stamping is what the first seconds of a stream show of its time.

    Attributes
    ----------
    fault : str
        Why its time cannot be used, a sentence: what was expected, what came, what to do; empty where it can.
    note : str
        What is odd and can be used; empty where nothing is.
    kind : str
        ``"not a number"``, ``"alike"``, ``"unit"``, ``"clock"``, ``"rate"`` or, without fault, empty.
    """

    fault: str = ""
    note: str = ""
    kind: str = ""


def judge_stamps(stamps: Times, arrived: Times, rate: float, time_of_day: float = math.nan) -> Stamping:
    """Judge the time of a stream by its first samples.

    Parameters
    ----------
    stamps : (n,) float64
        As sent, corrected for the sender's clock where it is known to be another: session seconds, so they should be.
    arrived : (n,) float64
        When each sample was received, session seconds.
    rate : float
        Samples per second as the stream states them, at the speed it plays.
    time_of_day : float
        Seconds since 1970 when the session clock showed 0; NaN where that is not known.

    Examples
    --------
    >>> taken = 50 + np.arange(1000) / 250
    >>> judge_stamps(taken, taken + 0.01, 250.0).kind, judge_stamps(1e3 * taken, taken + 0.01, 250.0).kind
    ('', 'unit')
    >>> judge_stamps(taken, taken + 0.01, 500.0).fault.split(".")[0]
    '500 samples a second were expected, 250 came'
    """
    n = len(stamps)
    odd = n - int(np.count_nonzero(np.isfinite(stamps)))
    if odd:
        return Stamping(
            f"{odd} of the first {n} samples have a stamp that is no finite number; seconds were expected. Correct "
            "the program that sends the stream.",
            kind="not a number",
        )
    if n < 2:
        return Stamping()
    took, went = float(arrived[-1] - arrived[0]), float(stamps[-1] - stamps[0])
    if went == 0 and took > 1.0 and (n - 1) / rate > 1.0:
        return Stamping(
            f"the first {n} samples, {took:.1f} s of them, all have the same stamp; each should have its own. Correct "
            "the program that sends the stream.",
            kind="alike",
        )
    scale = _scale(went, took)
    pace = _of_rate(stamps, arrived, rate, took) if scale == 1 else Stamping()
    return pace if pace.fault else _of_clock(stamps / scale, arrived, scale, time_of_day) or pace


def _scale(went: float, took: float) -> float:
    """Return by how much stamps count faster than seconds, if that is a unit of time: 1, 1e3, 1e6 or 1e9."""
    if took < SOON_S / 2 or went <= 0:
        return 1.0
    return unit_of(went / took)


def unit_of(pace: float) -> float:
    """Return how many of the unit that stamps count make a second, where they pass `pace` times faster than seconds.

    >>> unit_of(990.0), unit_of(1.1), unit_of(40.0)
    (1000.0, 1.0, 1.0)
    """
    return next((scale for scale in _UNITS if 0.4 < pace / scale < 2.5), 1.0)


def _of_clock(stamps: Times, arrived: Times, scale: float, time_of_day: float) -> Stamping | None:
    age = float(np.median(arrived - stamps))
    own = NEWEST_S <= age <= OLDEST_S
    if own and scale == 1:
        return None
    day = abs(age + time_of_day) < _DAY_S
    whose = "the time of day (Unix time)" if day else "this computer's clock" if own else "another clock"
    unit = _UNITS.get(scale, "seconds")
    words = f"stamps in seconds of the session clock were expected, {unit} of {whose} came"
    if not day and not own:
        words += f": {abs(age):.3g} s {'behind' if age > 0 else 'ahead of'} ours"
    return Stamping(
        f"{words}. Markers would fall on other samples: have the sender stamp with LSL's local_clock(), or send no "
        "stamps of its own.",
        kind="unit" if scale != 1 else "clock",
    )


def _of_rate(stamps: Times, arrived: Times, rate: float, took: float) -> Stamping:
    by_stamps = pace_of(stamps, _TOGETHER / rate, rate) / rate
    by_arrival = pace_of(arrived, 0.0, rate) / rate
    off = abs(by_stamps - 1), abs(by_arrival - 1)
    limit = OFF_RATE if took >= ENOUGH_S else _GROSS
    if not all(map(math.isfinite, off)) or took < SOON_S:
        return Stamping()
    if off[0] > limit and off[1] > limit / 2 and (by_stamps > 1) == (by_arrival > 1):
        return Stamping(
            f"{rate:g} samples a second were expected, {by_stamps * rate:.4g} came. Filters and windows would be off "
            "by as much: set the rate in the device's program, or what it states.",
            kind="rate",
        )
    if off[0] > limit and off[1] < limit / 2:
        return Stamping(
            f"{rate:g} samples a second were expected and came, but by their stamps they are {by_stamps * rate:.4g} a "
            "second: those are of another clock. Have the sender stamp with LSL's local_clock().",
            kind="clock",
        )
    if off[1] > limit and took >= ENOUGH_S:
        return Stamping(
            f"{rate:g} samples a second were expected, and by their stamps came, but {by_arrival * rate:.4g} a second "
            "were received: the stamps are counted, not measured. Set the rate that the device really has.",
            kind="rate",
        )
    if off[0] > UNEVEN_RATE and took >= ENOUGH_S:
        return Stamping(note=f"{by_stamps * rate:.4g} samples a second by the stamps, {rate:g} as stated")
    return Stamping()


def in_seconds(stamps: Times, rate: float) -> tuple[float, str]:
    """Return by what stamps (n,) of a stream of `rate` have to be divided to be seconds, and what they count.

    >>> in_seconds(np.arange(500) * 4.0, 250.0), in_seconds(np.arange(500) * 0.0043, 250.0)
    ((1000.0, 'milliseconds'), (1.0, 'seconds'))
    """
    steps = np.diff(stamps)
    went = float(stamps[-1] - stamps[0]) / max(1, len(steps)) * rate
    # A clock that was set, or a long pause, says nothing of the unit: the usual pace must say the same.
    # It is taken over more samples than a packet has, which share one stamp.
    lag = max(1, min(len(stamps) // 5, max(len(stamps) // 20, _PACKET)))
    usual = float(np.median(stamps[lag:] - stamps[:-lag])) / lag * rate if len(steps) else 1.0
    scale = unit_of(went)
    return (scale, _UNITS[scale]) if scale != 1 and scale == unit_of(usual) else (1.0, "seconds")


def pace_of(stamps: NDArray[np.float64], together: float, rate: float) -> float:
    """Return samples per second by stamps of which packets share one, or nearly; NaN where they are too few.

    It goes from the end of the first packet to the end of the last whole one, or by the median of five parts of that,
    which a single hole leaves as it is: what is nearer to the stated `rate`.

    >>> pace_of(np.repeat([1.0, 1.5, 2.0, 2.5], 64), 0.001, 100.0)
    128.0
    """
    ends = np.flatnonzero(np.diff(stamps) > together)
    if len(ends) < 3:
        return math.nan
    parts = ends[np.linspace(0, len(ends) - 1, min(6, len(ends))).round().astype(int)]
    passed = np.diff(stamps[parts])
    whole = float(stamps[ends[-1]] - stamps[ends[0]])
    if whole <= 0 or passed.min() <= 0:
        return math.nan
    paces = float(ends[-1] - ends[0]) / whole, float(np.median(np.diff(parts) / passed))
    return min(paces, key=lambda pace: abs(pace / rate - 1))
