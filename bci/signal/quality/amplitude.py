"""An amplitude that no brain gives shows a unit that is misstated: how much channels move, beside what they can.

A stream that says microvolts and holds volts, or a file a million times too large, passes every check that compares
channels with each other. What moves within a second is compared here with what the field measures, in microvolts.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from bci.signal.types import Samples, Signal
from bci.signal.units import MICROVOLTS

#: How far a channel moves within a second, from its smallest to its largest value, microvolts: the least and the most
#: that are plausible. Scalp EEG moves by 20 to 500 (28 and 200 in the median channels of bi2012 and eegmmidb), with
#: artefacts of movement by a few thousand; field potentials by 100 to 5,000 (hippocampus of a rat: 4,000). An amplifier
#: with its inputs shorted moves by 1 to 3, and open inputs that pick up the mains by tens of thousands.
RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"EEG": (1.0, 5e3), "ECoG": (1.0, 2e4), "LFP": (1.0, 2e4)}
)
_KINDS = MappingProxyType(
    {"eeg": "EEG", "ecog": "ECoG", "ieeg": "ECoG", "seeg": "LFP", "dbs": "LFP", "lfp": "LFP"}
)
#: What a unit that is wrong is wrong by, in words; and where the truth is looked for, microvolts.
_FACTORS: Mapping[float, str] = MappingProxyType(
    {
        1e-9: "billionth",
        1e-6: "millionth",
        1e-3: "thousandth",
        1e3: "thousand",
        1e6: "million",
        1e9: "billion",
    }
)
_USUAL, _LEAST, _MOST = 70.0, 5.0, 5e3
#: So many times outside its range no electrode gives what is recorded, however bad: the unit is misstated.
IMPOSSIBLE = 100.0


def moves(samples: Samples) -> float:
    """Return how far the median channel moves in one stretch of samples, in their own unit.

    Parameters
    ----------
    samples : (n, channels) array
        A second or so. Values that are not finite are left out, and channels that do not move at all.

    Returns
    -------
    float
        NaN where no channel moves.

    Examples
    --------
    >>> moves(np.array([[0, 5, 7], [2, 9, 7]]))
    3.0
    """
    if not len(samples):
        return math.nan
    values = np.asarray(samples, np.float64)
    finite = np.isfinite(values)
    high = np.where(finite, values, -np.inf).max(axis=0)
    low = np.where(finite, values, np.inf).min(axis=0)
    ranges = (high - low)[high > low]
    return float(np.median(ranges)) if len(ranges) else math.nan


def measurable(signal: Signal) -> bool:
    """Return whether a signal's amplitude can be judged: regular rows of channels, in a unit of voltage."""
    return len(signal.shape) == 1 and signal.rate >= 4 and signal.unit in MICROVOLTS


def implausible(movement: float, unit: str, kind: str = "") -> str:
    """Return a sentence where channels move by what no brain gives; empty where it is plausible, or unknown.

    Parameters
    ----------
    movement : float
        How far the median channel moves within a second, in `unit`; see `moves`.
    unit : str
        The unit that is stated; only voltages are judged.
    kind : str
        What is measured, where it is known: ``"EEG"``, ``"ECoG"``, ``"LFP"`` and other words for them.

    Examples
    --------
    >>> implausible(187.0, "uV"), implausible(4.0, "mV"), implausible(2e4, "")
    ('', '', '')
    >>> print(implausible(8e-5, "uV", "EEG"))
    channels move by 8e-05 uV in a second, where EEG moves by 1 to 5,000: a million times as much would fit, so the \
unit is probably another, V. Correct it where it is stated, or look whether the electrodes are connected
    """
    if unit not in MICROVOLTS or not math.isfinite(movement) or movement <= 0:
        return ""
    of, least, most = _range_of(kind)
    microvolts = movement * MICROVOLTS[unit]
    if least <= microvolts <= most:
        return ""
    fitting = [factor for factor in _FACTORS if _LEAST <= microvolts * factor <= _MOST]
    hint = ""
    if fitting:
        best = min(fitting, key=lambda factor: abs(math.log(microvolts * factor / _USUAL)))
        size = f"a {_FACTORS[best]} times as much" if best > 1 else f"a {_FACTORS[best]} of it"
        likely = [
            name for name, factor in MICROVOLTS.items() if math.isclose(factor, MICROVOLTS[unit] * best)
        ]
        named = f", {likely[0]}" if likely else ""
        hint = f": {size} would fit, so the unit is probably another{named}"
    scale = f"{least:g} to {most:,.0f}"
    what = f"{of} moves" if of else f"{', '.join(list(RANGES)[:-1])} and {list(RANGES)[-1]} move"
    return (
        f"channels move by {movement:.3g} {unit} in a second, where {what} by {scale}"
        f"{'' if unit == 'uV' else ' uV'}{hint}. Correct it where it is stated, or look whether the electrodes are "
        "connected"
    )


def impossible(movement: float, unit: str, kind: str = "") -> bool:
    """Return whether channels move by what no electrode gives, `IMPOSSIBLE` times outside the plausible range.

    Parameters
    ----------
    movement, unit, kind
        As `implausible` takes them.

    Examples
    --------
    >>> impossible(187.0, "uV"), impossible(8e-5, "uV", "EEG"), impossible(7e7, "uV"), impossible(0.2, "uV", "EEG")
    (False, True, True, False)
    """
    if unit not in MICROVOLTS or not math.isfinite(movement) or movement <= 0:
        return False
    _, least, most = _range_of(kind)
    return not least / IMPOSSIBLE < movement * MICROVOLTS[unit] < most * IMPOSSIBLE


def _range_of(kind: str) -> tuple[str, float, float]:
    """Return what is measured, empty where it is unknown, and the least and the most that is plausible, microvolts."""
    of = _KINDS.get(kind.casefold(), "")
    bounds = [RANGES[of]] if of else list(RANGES.values())
    return of, min(low for low, _ in bounds), max(high for _, high in bounds)
