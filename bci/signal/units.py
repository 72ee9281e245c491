"""Spellings of units of measurement are reduced here to one each: uV, mV, nV, V."""

from collections.abc import Mapping
from types import MappingProxyType

#: The units that are known under other spellings too, and their names in full, as streams write them.
IN_FULL: Mapping[str, str] = MappingProxyType(
    {"uV": "microvolts", "mV": "millivolts", "nV": "nanovolts", "V": "volts"}
)

#: Both code points of micro. `str.casefold` makes the micro sign a Greek mu.
_MICRO = "μ"
_SPELLINGS = {
    **{spelling: unit for unit, name in IN_FULL.items() for spelling in (unit.casefold(), name, name[:-1])},
    f"{_MICRO}v": "uV",
}
_NO_UNIT = frozenset({"", "none", "n/a", "na", "boolean", "dimensionless", "counter"})


def unit_name(spelling: str) -> str:
    """Return this project's spelling of a unit: empty for "none", unchanged when unknown.

    >>> unit_name("microvolts"), unit_name("µV"), unit_name("none"), unit_name(" a.u.")
    ('uV', 'uV', '', 'a.u.')
    """
    key = spelling.strip().casefold()
    return "" if key in _NO_UNIT else _SPELLINGS.get(key, spelling.strip())


def unit_key(unit: str) -> str:
    """Return the form by which units are compared: ``uV``, ``µV`` and ``microvolts`` are one.

    >>> unit_key("µV"), unit_key("microvolts"), unit_key("uV"), unit_key("V")
    ('uv', 'uv', 'uv', 'v')
    """
    return unit_name(unit).casefold()
