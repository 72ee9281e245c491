"""Of a file's channels with units of their own, those that can be one signal are chosen here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bci.io.files.formats.file import listed
from bci.signal.units import MICROVOLTS

#: The sentence on a file whose values have no unit.
NO_UNIT = "no unit is stated: the values are played as they are"


@dataclass(frozen=True, slots=True)
class Played:
    """A Played names the channels of a file that are one signal.

    Attributes
    ----------
    picks : tuple of int
        Places of the channels, in order.
    factors : tuple of float
        What brings each from its own unit to the signal's.
    unit : str
        The signal's unit: ``"uV"`` for voltages; empty when none is stated.
    """

    picks: tuple[int, ...]
    factors: tuple[float, ...]
    unit: str


def played(labels: Sequence[str], units: Sequence[str], defects: list[str]) -> Played:
    """Choose every channel of voltage, each scaled to microvolts; without any, those of the most frequent unit.

    Parameters
    ----------
    labels, units : sequence of str
        Of each channel; units in this project's spelling (`bci.signal.units.unit_name`).
    defects : list of str
        Takes sentences on channels left out, and on a unit that is not stated.

    Examples
    --------
    >>> defects = []
    >>> played(["Cz", "Pz", "Temp"], ["mV", "uV", "degC"], defects)
    Played(picks=(0, 1), factors=(1000.0, 1.0), unit='uV')
    >>> defects
    ['in another unit than the signal and not played: Temp (degC)']
    """
    volts = [i for i, unit in enumerate(units) if unit in MICROVOLTS]
    if volts:
        picks, factors, unit = volts, [MICROVOLTS[units[i]] for i in volts], "uV"
    else:
        unit = Counter(units).most_common(1)[0][0]
        picks = [i for i, other in enumerate(units) if other == unit]
        factors = [1.0] * len(picks)
    left = [
        f"{label} ({other or 'none'})"
        for i, (label, other) in enumerate(zip(labels, units, strict=True))
        if i not in set(picks)
    ]
    if left:
        defects.append(f"in another unit than the signal and not played: {listed(left)}")
    if not unit:
        defects.append(NO_UNIT)
    return Played(tuple(picks), tuple(factors), unit)
