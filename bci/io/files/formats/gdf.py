"""The units in the header of a GDF file; MNE takes all of them but micro- and millivolts for plain numbers.

Schlögl 2006 (GDF 2, arXiv:cs/0608052) and GDF 1.25 (Biosig): 256 bytes, then columns of fields, one for each channel.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bci.signal.units import unit_in

_FIXED = 256
_MOST_CHANNELS = 1 << 16
#: Codes of physical dimensions (IEEE 11073-10101): the low five bits are the power of ten.
_VOLT, _POWERS = 4256, {0: "V", 18: "mV", 19: "uV", 20: "nV"}
_OTHER = {0: "", 512: "", 6048: "degC"}
#: What MNE multiplies channels by: the unit in volts, where it knows it.
_KNOWN = {"uV": 1e-6, "mV": 1e-3}
_KNOWN_1 = {"uV": 1e-6}


def units_of(path: Path) -> Sequence[tuple[str, float]] | None:
    """Return unit and MNE's factor of each channel; None where the header cannot be read so far.

    The unit is in this project's spelling, ``""`` where none is stated; a value as MNE gives it, divided by the factor,
    is in that unit.
    """
    with path.open("rb") as file:
        fixed = file.read(_FIXED)
        if len(fixed) < _FIXED or fixed[:3] != b"GDF":
            return None
        try:
            version = float(fixed[4:8])
        except ValueError:
            return None
        first = version < 1.9
        n = int.from_bytes(fixed[252:256] if first else fixed[252:254], "little")
        if not 1 <= n <= _MOST_CHANNELS:
            return None
        width = 8 if first else 2
        file.seek(_FIXED + n * (96 if first else 102))
        fields = file.read(n * width)
    if len(fields) < n * width:
        return None
    if first:
        units = [unit_in(fields[i * 8 : i * 8 + 8]) for i in range(n)]
        # MNE looks at the first two letters alone.
        return [
            (unit, _KNOWN_1["uV"] if fields[i * 8 : i * 8 + 2] == b"uV" else 1.0)
            for i, unit in enumerate(units)
        ]
    names = [_name(int(code)) for code in np.frombuffer(fields, "<u2")]
    return [(name, _KNOWN.get(name, 1.0)) for name in names]


def _name(code: int) -> str:
    """Return the unit of a code.

    >>> _name(4275), _name(4256), _name(0), _name(4180)
    ('uV', 'V', '', 'GDF unit 4180')
    """
    if code & ~31 == _VOLT and code & 31 in _POWERS:
        return _POWERS[code & 31]
    return _OTHER.get(code, f"GDF unit {code}")
