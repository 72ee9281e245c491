"""A Board holds the heartbeat and the counters of every program of a session.

It is a small shared segment, one row per program; each program writes its own row only and may read all. A row's
counters bear the names that the program's description gives them (see `bci.control.line.Post`); the names stand in the
segment beside the numbers. From it the display decides whether its picture is still alive, and the supervisor which
program hangs.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import RingError
from bci.memory.closing import Closing
from bci.memory.hot import address
from bci.memory.ring import Column, Ring


class State(IntEnum):
    """A State is the stage of a program."""

    ABSENT = 0
    LOADING = 1
    READY = 2
    RUNNING = 3
    STOPPED = 4
    FAILED = 5


#: What every row holds before its program's own counters: how far the program is, when its heart last beat and its
#: newest data came (session seconds, NaN before the first), after how many seconds without data its stream counts as
#: stalled (NaN where it receives none), how many orders it has refused, how often it was started again.
FIELDS = ("state", "beat", "data", "data_limit", "refused", "restarts")

_FLOATS = frozenset({"beat", "data", "data_limit"})

#: Names of a board's programs, each with the names of its counters.
Programs = Mapping[str, Iterable[str]]


class Row:
    """One program's record, live in shared memory: ``row["skipped"] += 1``.

    Plain memory rather than a NumPy record: a program that has slept writes to it twenty times sooner.

    Attributes
    ----------
    counters : tuple of str
        Names of the program's own counters.
    """

    __slots__ = ("_floats", "_ints", "_places", "counters")

    def __init__(self, numbers: NDArray[np.int64], counters: tuple[str, ...]) -> None:
        self.counters = counters
        # Eight bytes each and aligned, so that no reader sees half a number.
        self._ints = numbers.data
        self._floats = numbers.view(np.float64).data
        self._places = {field: place for place, field in enumerate((*FIELDS, *counters))}

    def __getitem__(self, field: str) -> Any:
        try:
            place = self._places[field]
        except KeyError:
            raise self._unknown(field) from None
        return self._floats[place] if field in _FLOATS else self._ints[place]

    def __setitem__(self, field: str, value: Any) -> None:
        try:
            place = self._places[field]
        except KeyError:
            raise self._unknown(field) from None
        if field in _FLOATS:
            self._floats[place] = value
        else:
            self._ints[place] = value

    def address(self, field: str) -> int:
        """Return where the field lies in this process, for compiled code: eight bytes."""
        return address(self._ints) + 8 * self._places[field]

    def counts(self) -> dict[str, int]:
        """Return what the program's own counters stand at now."""
        return {counter: int(self[counter]) for counter in self.counters}

    def _unknown(self, field: str) -> RingError:
        return RingError(f"no counter {field!r} in this row; its program shows {', '.join(self.counters)}")


class Board(Closing):
    """The rows of all programs.

    Examples
    --------
    >>> with Board.private({"decode": ["windows", "skipped"]}) as board:
    ...     board.row("decode")["skipped"] = 3
    ...     board.row("decode").counts()
    {'windows': 0, 'skipped': 3}
    """

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        columns = ring.view(0, ring.count)
        counters: Mapping[str, list[str]] = json.loads(bytes(columns["programs"][0]).rstrip(b"\0"))
        self._rows = {
            name: Row(columns["row"][i], tuple(own)) for i, (name, own) in enumerate(counters.items())
        }

    @classmethod
    def create(cls, name: str, programs: Programs | Sequence[str]) -> Self:
        """Create the shared segment, all programs absent.

        Parameters
        ----------
        name : str
            Name of the segment, unique on this host.
        programs : mapping of str to sequence of str, or sequence of str
            Each program's counters; of a program that shows none the name is enough.
        """
        columns, values = _laid_out(programs)
        n = len(values["row"])
        ring = Ring.create(name, columns, n, n, 0)
        ring.write(**values)
        return cls(ring)

    @classmethod
    def private(cls, programs: Programs | Sequence[str]) -> Self:
        """Make a board of this process alone; `programs` as for `create`."""
        columns, values = _laid_out(programs)
        n = len(values["row"])
        ring = Ring.private(columns, n, n)
        ring.write(**values)
        return cls(ring)

    @classmethod
    def attach(cls, name: str) -> Self:
        """Open the board another process created."""
        return cls(Ring.attach(name))

    @classmethod
    def look(cls, name: str) -> Self:
        """Open the board another process created, to look at and for nothing else; see `Ring.look`."""
        return cls(Ring.look(name))

    def row(self, program: str) -> Row:
        """Return the live record of `program`: `FIELDS` and its own counters.

        Raises
        ------
        RingError
            If there is no such program.
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


def _laid_out(programs: Programs | Sequence[str]) -> tuple[list[Column], dict[str, NDArray[Any]]]:
    """Return the columns of a board's ring, and what stands in them at first."""
    own = {name: list(programs[name]) if isinstance(programs, Mapping) else [] for name in programs}
    names = json.dumps(own).encode()
    places = len(FIELDS) + max((len(counters) for counters in own.values()), default=0)
    rows = np.zeros((len(own), places), np.int64)
    rows.view(np.float64)[:, [FIELDS.index(field) for field in _FLOATS]] = np.nan
    columns = [Column.of("row", "i8", (places,)), Column.of("programs", f"S{len(names)}")]
    return columns, {"row": rows, "programs": np.full(len(own), names)}
