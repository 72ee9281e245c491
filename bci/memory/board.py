"""The Board is where every program of a session beats its heart and shows its counters.

A small shared segment, one row per program; each program writes its own row only, anybody reads. The window
decides from it whether what it shows is still alive; the supervisor decides from it who hangs.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import RingError
from bci.memory.closing import Closing
from bci.memory.ring import Column, Ring


class State(IntEnum):
    """How far a program is."""

    ABSENT = 0
    LOADING = 1
    READY = 2
    RUNNING = 3
    STOPPED = 4
    FAILED = 5


#: Counters a program may show; what they count is the program's to say.
COUNTERS = ("samples", "lost", "windows", "reconstructions", "skipped", "invalid", "flips", "dropped")

_NAME_BYTES = 32
_FLOATS = frozenset({"beat", "data"})
_PLACES = {field: place for place, field in enumerate(("state", "beat", "data", *COUNTERS))}

# Eight bytes each and aligned, so that no reader sees half a number.
_ROW = np.dtype(
    [("program", f"S{_NAME_BYTES}"), ("state", "i8"), ("beat", "f8"), ("data", "f8")]
    + [(c, "i8") for c in COUNTERS]
)


class Row:
    """One program's record, live in shared memory: ``row["skipped"] += 1``.

    Plain memory rather than a NumPy record: a program that has slept writes to it twenty times sooner.
    """

    __slots__ = ("_floats", "_ints")

    def __init__(self, record: NDArray[Any]) -> None:
        numbers = record.view(np.uint8)[_NAME_BYTES:]
        self._ints = numbers.view(np.int64).data
        self._floats = numbers.view(np.float64).data

    def __getitem__(self, field: str) -> Any:
        place = _PLACES[field]
        return self._floats[place] if field in _FLOATS else self._ints[place]

    def __setitem__(self, field: str, value: Any) -> None:
        place = _PLACES[field]
        if field in _FLOATS:
            self._floats[place] = value
        else:
            self._ints[place] = value


class Board(Closing):
    """The rows of all programs.

    Examples
    --------
    >>> with Board.private(["acquire", "decode"]) as board:
    ...     board.row("decode")["skipped"] = 3
    ...     board.row("decode")["skipped"]
    3
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        rows = ring.view(0, ring.count)["row"]
        self._rows = {bytes(rows[i]["program"]).decode(): Row(rows[i : i + 1]) for i in range(len(rows))}

    @staticmethod
    def _fill(ring: Ring, programs: Sequence[str]) -> Ring:
        rows = np.zeros(len(programs), _ROW)
        rows["program"] = [p.encode() for p in programs]
        rows["beat"] = rows["data"] = np.nan
        ring.write(row=rows)
        return ring

    @classmethod
    def create(cls, name: str, programs: Sequence[str]) -> Self:
        """Create the shared segment, all programs absent."""
        n = len(programs)
        return cls(cls._fill(Ring.create(name, [Column.of("row", _ROW)], n, n, 0), programs))

    @classmethod
    def private(cls, programs: Sequence[str]) -> Self:
        """Make a board of this process alone."""
        n = len(programs)
        return cls(cls._fill(Ring.private([Column.of("row", _ROW)], n, n), programs))

    @classmethod
    def attach(cls, name: str) -> Self:
        """Open the board another process created."""
        return cls(Ring.attach(name))

    def row(self, program: str) -> Row:
        """Return the live record of `program`: fields ``state``, ``beat``, ``data`` and `COUNTERS`.

        ``beat`` is the session time of the last heartbeat; ``data`` is when its newest data came, both NaN
        before the first.
        """
        try:
            return self._rows[program]
        except KeyError:
            raise RingError(f"no program {program!r} on the board; there are {sorted(self._rows)}") from None

    @property
    def programs(self) -> tuple[str, ...]:
        """Names of all programs, in order."""
        return tuple(self._rows)

    def close(self) -> None:
        """Let go of the memory."""
        self._rows.clear()
        self._ring.close()
