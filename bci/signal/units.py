"""Spellings of units of measurement are reduced here to one each: uV, mV, nV, V.

Case does not count: a header that says ``MV`` means millivolts, for no brain gives megavolts.
"""

import itertools
from collections.abc import Mapping
from types import MappingProxyType

#: The units that are known under other spellings too, and their names in full, as streams write them.
IN_FULL: Mapping[str, str] = MappingProxyType(
    {"uV": "microvolts", "mV": "millivolts", "nV": "nanovolts", "V": "volts"}
)

#: Microvolts in one of each unit of voltage.
MICROVOLTS: Mapping[str, float] = MappingProxyType({"uV": 1.0, "mV": 1e3, "nV": 1e-3, "V": 1e6})

# `str.casefold` makes the micro sign a Greek mu. The last five of micro are the bytes of that letter in UTF-8 (both
# code points), Shift-JIS, GBK and DOS's code page, each taken for Latin-1 on the way here.
_PREFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "uV": (
            *("u", "μ", "mu", "mc", "micro", "mikro", "1e-6", "10^-6"),
            *("âμ", "î¼", "\x83ê", "¦ì", "æ"),
        ),
        "mV": ("m", "milli", "1e-3", "10^-3"),
        "nV": ("n", "nano", "1e-9", "10^-9"),
        "V": ("",),
    }
)
_SPELLINGS = {
    prefix + base: unit
    for unit, prefixes in _PREFIXES.items()
    for prefix, base in itertools.product(prefixes, ("v", "volt", "volts"))
}
# mne-lsl states a power of ten of the unit that MNE has for the channel's type, which is the volt for these types.
_POWERS: Mapping[str, str] = MappingProxyType({"0": "V", "-3": "mV", "-6": "uV", "-9": "nV"})
_IN_VOLTS = frozenset({"eeg", "ecog", "seeg", "dbs", "eog", "emg", "ecg", "bio"})
_NO_UNIT = frozenset(
    {"", "none", "n/a", "na", "boolean", "dimensionless", "unitless", "unknown", "counter", "aru"}
)


def unit_name(spelling: str) -> str:
    """Return this project's spelling of a unit: empty for "none", unchanged when unknown.

    >>> unit_name("microvolts"), unit_name("µV"), unit_name("none"), unit_name(" a.u.")
    ('uV', 'uV', '', 'a.u.')
    >>> unit_name("MV"), unit_name("Micro Volts"), unit_name("µV".encode().decode("latin-1"))
    ('mV', 'uV', 'uV')
    """
    key = spelling.strip(" \t\r\n\0").casefold()
    found = _SPELLINGS.get(key.replace(" ", "").replace("_", ""))
    return "" if key in _NO_UNIT else found or spelling.strip(" \t\r\n\0")


def channel_unit(spelling: str, kind: str) -> str:
    """Return the unit of a channel of a stated type; see `unit_name`. It may be stated as a power of ten of the volt.

    >>> channel_unit("microvolts", "eeg"), channel_unit("-6", "EEG"), channel_unit("0", "eeg"), channel_unit("0", "mag")
    ('uV', 'uV', 'V', '0')
    """
    power = _POWERS.get(spelling.strip()) if kind.strip().casefold() in _IN_VOLTS else None
    return power or unit_name(spelling)


def unit_in(header: bytes) -> str:
    """Return the unit that a header field of unknown encoding states; see `unit_name`.

    >>> unit_in(b"uv      "), unit_in("μV".encode("shift-jis")), unit_in(b"")
    ('uV', 'uV', '')
    """
    return unit_name(header.decode("latin-1"))


def unit_key(unit: str) -> str:
    """Return the form by which units are compared: ``uV``, ``µV`` and ``microvolts`` are one.

    >>> unit_key("µV"), unit_key("microvolts"), unit_key("uV"), unit_key("V")
    ('uv', 'uv', 'uv', 'v')
    """
    return unit_name(unit).casefold()
