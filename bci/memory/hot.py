"""The compiled hot path, where this installation has one: what `bci/_hot*.c` give, and the record that a hop works on.

It is optional: an installation without a compiler has none, and Python does all. ``BCI_HOT=off`` in the environment
leaves it alone. The Python code is the specification; the compiled code does its plain case, and nothing else.
"""

import ctypes
import functools
import importlib
import os
import sys
from typing import Any, Protocol, cast

#: Why `Compiled.hops` came back, as the C file has it: it is time; the next hop is not plain; one was pulled that is
#: not plain; the block of the line through the stamps is full.
RETURNED, BEFORE, PULLED, FULL = range(4)

#: Numbers the layout of `Hops` and the functions there are; the module says which it was made for.
LAYOUT = 2

_INTEGER, _REAL, _POINTER = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


def _members(kind: Any, names: str) -> list[tuple[str, Any]]:
    return [(name, kind) for name in names.split()]


class Hops(ctypes.Structure):
    """A Hops is the record of one receiver's regular hops: ``struct hops`` in `bci/_hot.c`, which says what is what.

    Each part of the receiver writes its own members before the compiled code runs, and reads them back after it.
    """

    _fields_ = [
        *_members(_POINTER, "words slots wakeups"),
        *_members(_INTEGER, "readers capacity max_window"),
        *_members(_POINTER, "samples times raw arrived"),
        *_members(_INTEGER, "sample_bytes channels float_bytes"),
        *_members(_POINTER, "pull available inlet now sleep_until"),
        *_members(_INTEGER, "quantum grid_start grid_step"),
        *_members(_POINTER, "row_samples row_data row_beat"),
        *_members(_REAL, "next_beat"),
        *_members(_POINTER, "block"),
        *_members(_INTEGER, "size at got"),
        *_members(_REAL, "slope knot origin offset"),
        *_members(_INTEGER, "stepwise"),
        *_members(_REAL, "longest least newest"),
        *_members(_INTEGER, "singly"),
        *_members(_REAL, "awake next_look"),
        *_members(_REAL, "period heard looked"),
        *_members(_INTEGER, "behind"),
        *_members(_REAL, "timeout lasting"),
        *_members(_INTEGER, "hops taken n room error"),
        *_members(_REAL, "last_now"),
    ]


class Compiled(Protocol):
    """A Compiled is the module `bci._hot`."""

    def layout(self) -> int:
        """Return for which layout of `Hops` it was made."""
        ...

    def hops(self, record: int, /) -> int:
        """Receive hop after hop on the `Hops` at an address; return why it came back."""
        ...

    def wait(self, words: int, slot: int, semaphore: int, target: int, timeout: float, /) -> bool:
        """Wait as `bci.memory.ring.Ring.wait` does, given the addresses of what it works on."""
        ...

    def take_window(self, samples: Any, bad: Any, to: Any, /) -> int | None:
        """Copy samples as `bci.decoder.intake.WindowIntake` does.

        Return how many of `bad` are set, -1 where a sample is not finite, None of arrays that are not contiguous
        float32, bool and float32 of one size.
        """
        ...

    def picture(self, image: Any, planes: Any, to: Any, low: float, gain: float, /) -> bool | None:
        """Quantise an image as `bci.decoder.quantiser.Quantiser` does; `planes` is room of as many bytes.

        Return whether every level is finite, None of arrays that are not contiguous (3, height, width) float32, as many
        uint8, and (height, width, 3) uint8.
        """
        ...


@functools.cache
def find_compiled() -> tuple[Compiled | None, str]:
    """Return the module of this installation, or None and why there is none."""
    if os.environ.get("BCI_HOT", "").lower() == "off":
        return None, "left alone: BCI_HOT=off"
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None, "compiled on 64-bit Linux only"
    try:
        found = cast("Compiled", importlib.import_module("bci._hot"))
    except ImportError as error:
        return None, str(error)
    if found.layout() != LAYOUT * 10000 + ctypes.sizeof(Hops):
        return None, "compiled from another version: install again"
    return found, ""


def compiled() -> Compiled | None:
    """Return the module of this installation, or None."""
    return find_compiled()[0]


def address(array: Any) -> int:
    """Return where a contiguous, writable array begins; several times faster than ``array.ctypes.data``."""
    return ctypes.addressof(ctypes.c_char.from_buffer(array))
