"""A ClockOffset is what liblsl measured of a sender's clock: what to add to its stamps, and how wrong that may be.

liblsl compares both clocks by packets that go there and back, some a burst, and keeps the comparison whose packet was
the quickest. Half the way could have taken no time or all of it, so the offset is not further off than the time of that
trip; over a cable that is a fraction of a millisecond, over a busy radio link it can be tens of them.
"""

import ctypes
from typing import Any, NamedTuple

from bci.memory.liblsl import pylsl


class ClockOffset(NamedTuple):
    """An offset in seconds, and the most that it may be wrong by."""

    seconds: float
    uncertainty: float


def measured_offset(inlet: Any, timeout: float = 0.0) -> ClockOffset:
    """Return what an inlet knows of its sender's clock; the first time takes some tenths of a second.

    Raises
    ------
    TimeoutError
        If nothing is known after `timeout` seconds.
    pylsl.LostError
        If the sender is gone for good.
    """
    ask = pylsl.lib.lib.lsl_time_correction_ex
    ask.restype = ctypes.c_double
    there, uncertainty, code = ctypes.c_double(), ctypes.c_double(), ctypes.c_int()
    seconds = ask(
        inlet.obj,
        ctypes.byref(there),
        ctypes.byref(uncertainty),
        ctypes.c_double(timeout),
        ctypes.byref(code),
    )
    pylsl.util.handle_error(code)
    return ClockOffset(float(seconds), float(uncertainty.value))
