"""A Verdict says whether one channel, or a stream's time, can be used as it is, and if not, why.

A *poor* channel can be used with care, and the reason says with which; a *bad* one should not be decoded from. Most
limits are ratios without a unit, so that they hold for EEG, field potentials and any scale.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np

from bci.signal.quality.amplitude import implausible
from bci.signal.quality.channels import ChannelFigures
from bci.signal.quality.pace import Pace
from bci.signal.quality.stamping import Stamping
from bci.signal.types import Signal
from bci.signal.units import MICROVOLTS


class Level(IntEnum):
    """A Level says how usable a channel or a stream is."""

    GOOD = 0
    POOR = 1
    BAD = 2

    @property
    def word(self) -> str:
        """The level's word: good, poor or bad."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Limit:
    """A Limit holds the values from which a figure counts as poor and as bad, and the reason for them."""

    poor: float
    bad: float
    unit: str
    why: str

    def level(self, value: float) -> Level:
        """Return the level of a value; NaN, which means not measured, counts as good."""
        return Level.BAD if value >= self.bad else Level.POOR if value >= self.poor else Level.GOOD


#: Microvolts in a second below which an electrode is not connected: the amplifiers of the field are noisier than
#: this with their inputs shorted.
STILL_UV = 0.1

#: The limits of a channel. Shares are of samples or seconds, 0 to 1.
CHANNEL: Mapping[str, Limit] = MappingProxyType(
    {
        "flat": Limit(1e-9, 0.5, "of seconds", f"nothing moves (in volts: by less than {STILL_UV:g} µV)"),
        "NaN": Limit(1e-9, 0.01, "of samples", "every one masks what a filter remembers, a second or so"),
        "at rail": Limit(1e-9, 0.01, "of samples", "samples pile up on the extreme value: clipped"),
        "line": Limit(0.2, 0.5, "of power", "the mains make that much of what moves above 1 Hz"),
        "range": Limit(5.0, 20.0, "× or ÷", "of the median channel; sites of one head differ by some 2"),
        "transients": Limit(1e-9, 0.1, "of seconds", "that move over 20 × as much as usual: leave them out"),
        "offset": Limit(10.0, math.inf, "× range", "away from zero by that: take a high-pass first"),
        "drift": Limit(1.0, 10.0, "× range/min", "an electrode that settles, dries or comes off"),
    }
)

#: The limits of a stream's time.
TIME: Mapping[str, Limit] = MappingProxyType(
    {
        "rate": Limit(
            0.01, 0.05, "off nominal", "edges of filters and lengths of windows are off by as much"
        ),
        "jitter": Limit(0.01, 0.1, "s", "dejittering averages it away, an event's own sample is less sure"),
        "lost": Limit(1e-9, 0.01, "of samples", "no window spans a gap, and filters settle anew behind it"),
        "runs": Limit(2, math.inf, "stretches", "the stream was broken in between, or its clock was set"),
        "duplicates": Limit(1e-9, 0.01, "of samples", "the sender stamps two samples alike"),
    }
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A Verdict holds a level and the faults behind it, worst first."""

    level: Level
    reasons: tuple[str, ...] = ()


def still_limit(signal: Signal) -> float:
    """Return `STILL_UV` in the signal's unit; 0 where that is no voltage, so that only a constant channel is still."""
    return STILL_UV / MICROVOLTS[signal.unit] if signal.unit in MICROVOLTS else 0.0


def judge_channels(figures: ChannelFigures) -> list[Verdict]:
    """Judge every channel."""
    moves = figures.peak_to_peak > 0
    usual = float(np.median(figures.peak_to_peak[moves])) if moves.any() else math.nan
    return [_judge(figures, channel, usual) for channel in range(len(figures.nan_share))]


def _judge(figures: ChannelFigures, channel: int, usual: float) -> Verdict:
    still = float(figures.still_share[channel, 1])
    moved = float(figures.peak_to_peak[channel])
    drift, offset = float(figures.drift[channel]), float(figures.offset[channel])
    several = np.count_nonzero(figures.peak_to_peak > 0) >= 3
    ratio = max(moved / usual, usual / moved) if moved > 0 and several else math.nan
    line = float(figures.line.share[channel])
    wild = float(figures.wild_share[channel])
    until = float(figures.wild_until[channel])
    start = f", the first {until:.0f} s among them" if until else ""
    mean = float(figures.mean[channel])
    pulled = (
        f"; they pull its mean to {mean:.4g}" if abs(mean - offset) > CHANNEL["offset"].poor * moved else ""
    )
    measured = {
        "flat": (still, f"flat for {still:.0%} of the time"),
        "NaN": (
            float(figures.nan_share[channel]),
            f"{figures.nan_share[channel]:.2%} of the samples are not finite",
        ),
        "at rail": (
            float(figures.rail_share[channel]),
            f"{figures.rail_share[channel]:.2%} of the samples at the rail",
        ),
        "line": (line, f"{line:.0%} of the power is {figures.line.mains:g} Hz and its multiples"),
        "range": (ratio, f"moves {ratio:.3g} times {'more' if moved > usual else 'less'} than the others"),
        "transients": (wild, f"transients in {wild:.1%} of the seconds{start}{pulled}"),
    }
    if moved > 0:  # a flat channel has no range to compare its offset and drift with
        measured["offset"] = (abs(offset) / moved, f"offset {offset:.4g}: take a high-pass first")
        measured["drift"] = (abs(drift) / moved, f"drifts by {drift:.3g} a minute")
    return _verdict(CHANNEL, measured)


def judge_time(
    pace: Pace, samples: int, lost: int = 0, duplicates: int = 0, stamping: Stamping | None = None
) -> Verdict:
    """Judge a stream's time.

    Parameters
    ----------
    pace : Pace
        Rate and jitter by its stamps.
    samples, lost, duplicates : int
        Number of samples received; missing; with the stamp of the sample before.
    stamping : Stamping, optional
        What the first seconds of a live stream show; its fault makes the time bad, and is all that is said of it.
    """
    if stamping is not None and stamping.fault:
        return Verdict(Level.BAD, (stamping.fault,))
    off = abs(pace.measured / pace.nominal - 1)
    all_of_them = max(1, samples + lost)
    return _verdict(
        TIME,
        {
            "rate": (off, f"{pace.measured:.4g} Hz by its stamps, {pace.nominal:.4g} Hz by its own account"),
            "jitter": (pace.jitter, f"stamps jitter by {1e3 * pace.jitter:.3g} ms"),
            "lost": (lost / all_of_them, f"{lost} samples lost"),
            "runs": (float(pace.runs), f"in {pace.runs} stretches with gaps or clock resets between them"),
            "duplicates": (
                duplicates / all_of_them,
                f"{duplicates} samples with the stamp of the one before",
            ),
        },
    )


def judge_amplitude(figures: ChannelFigures, signal: Signal, kind: str = "") -> Verdict:
    """Judge whether the median channel moves by what a brain gives; *bad* says that the unit is probably misstated.

    Parameters
    ----------
    figures : ChannelFigures
        Of a survey.
    signal : Signal
        The surveyed signal; only voltages are judged.
    kind : str
        What is measured, where it is known; see `bci.signal.quality.amplitude.implausible`.
    """
    ranges = figures.peak_to_peak[figures.peak_to_peak > 0]
    words = implausible(float(np.median(ranges)), signal.unit, kind) if len(ranges) else ""
    return Verdict(Level.BAD, (words,)) if words else Verdict(Level.GOOD)


def _verdict(limits: Mapping[str, Limit], measured: Mapping[str, tuple[float, str]]) -> Verdict:
    faults = [(limits[name].level(value), words) for name, (value, words) in measured.items()]
    faults = sorted((f for f in faults if f[0] > Level.GOOD), key=lambda fault: -fault[0])
    return Verdict(faults[0][0] if faults else Level.GOOD, tuple(words for _, words in faults))


def worst(verdicts: Sequence[Verdict]) -> Level:
    """Return the worst level among verdicts."""
    return max((verdict.level for verdict in verdicts), default=Level.GOOD)
