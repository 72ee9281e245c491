"""A FirstVolume says when the first volume of a run is due, as long as it is under way.

A stream of volumes may be on the network before anything is measured, and a volume is whole a TR after its scanner has
begun. Until then nothing is wrong; from then on it has the limit that every later volume has.
"""

import math

from bci.io.lsl.source import LslSource
from bci.memory.board import State
from bci.memory.program import Program

#: What `acquire` shows as ``first_due_ms``: nothing is awaited; it is due a TR after a scanner that has not begun.
NOT_AWAITED, NOT_BEGUN = 0, -1

_STARTING = (State.ABSENT, State.LOADING)


class FirstVolume:
    """A FirstVolume is what an acquire program awaits of a stream of volumes that has sent none.

    Parameters
    ----------
    program : Program
        The acquire program. Where the scanner is a program of the session too, the wait begins when that runs; its
        counter ``first_due_ms`` is written: the session time at which the volume is due, or `NOT_BEGUN`, or
        `NOT_AWAITED`.
    source : LslSource
        What it receives; marks its silence as stalled by the same time.

    Attributes
    ----------
    due : float
        From when on the source owes data, session seconds; for any other stream, the time of construction.
    """

    def __init__(self, program: Program, source: LslSource) -> None:
        self._clock, self._row, self._source = program.clock, program.row, source
        self.due = program.clock.now()
        name = program.name.partition(":")[2]
        scanner = f"scanner:{name}" if name else "scanner"
        self._scanner = program.board.row(scanner) if scanner in program.board.programs else None
        # What a program that died had received counts as received: the scanner runs.
        self._awaited = len(source.signal.shape) == 3 and math.isnan(float(self._row["data"]))
        self._tr = 1.0 / (source.signal.rate * source.speed) if self._awaited else 0.0
        self._begun = not self._awaited
        self.look()

    def look(self) -> None:
        """Take in whether the scanner has begun, and whether a volume has come; to be called some times a second."""
        now = self._clock.now()
        if not self._begun:
            self._begun = self._scanner is None or self._scanner["state"] not in _STARTING
            self._source.excused = self.due = now + self._tr
        came = self._source.received or now - self.due > self._source.data_age_limit
        self._awaited = self._awaited and not came
        due_ms = round(1e3 * self.due) if self._begun else NOT_BEGUN
        self._row["first_due_ms"] = due_ms if self._awaited else NOT_AWAITED
