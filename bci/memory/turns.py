"""How long a program's turns on a processor are: one that asks for short turns is woken ahead of those that do not.

Linux gives every program the same share of a processor, and from 6.12 on lets each say in how long pieces it wants it
(its *slice*; sched_setattr(2), "EEVDF"). A program with a short slice has its turn due sooner: when a sample wakes it
it need not wait until the recorder's turn of milliseconds is over. Its share does not grow, and it needs no privilege.
"""

import ctypes
import platform
import sys

#: The shortest slice that Linux grants, seconds.
SHORT = 1e-4

#: Numbers of the calls ``sched_setattr`` and ``sched_getattr``, which Python's `os` does not have, by processor.
_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}
_ORDINARY = 0


class _Attributes(ctypes.Structure):
    """The kernel's ``struct sched_attr``, its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def take_short_turns(length: float = SHORT) -> float | None:
    """Have this thread, and those that it will start, take turns of `length` seconds; return what was granted.

    None where turns cannot be asked for: another system, Linux before 6.12, or a thread to which its user gave another
    policy than the ordinary one (``chrt``), which then stays.
    """
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    if platform.machine() not in _CALLS:
        return None
    set_, get = _CALLS[platform.machine()]
    syscall = ctypes.CDLL(None).syscall
    size = ctypes.sizeof(_Attributes)
    has = _Attributes()

    def read() -> bool:
        return bool(syscall(get, 0, ctypes.byref(has), size, 0) == 0)

    if not read() or has.policy != _ORDINARY:
        return None
    has.runtime = round(1e9 * length)
    if syscall(set_, 0, ctypes.byref(has), 0) or not read():
        return None
    return has.runtime / 1e9 or None  # an older kernel takes the wish and says 0
