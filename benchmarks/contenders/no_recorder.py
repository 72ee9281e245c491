"""No recorder: the same session with nothing recorded but the stamps of frames and flips.

It takes the recorder's place in the line. The stamps are kept in memory and written as the tables that a session
is judged by when it is over; neither samples nor pictures are read, and nothing is written while the line runs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.program import Program
from bci.live.tables import FRAME_FIELDS, SHOWN_FIELDS, Rows, Table, frame_rows, shown_rows
from bci.signal.ring import Ring

_EVERY = 0.05
_NO_IMAGE = np.zeros((1, 1, 3), np.uint8)


class _Notes:
    """Copies of one column of a ring."""

    def __init__(self, ring: Ring, column: str) -> None:
        self._ring, self._column = ring, column
        self._at = 0
        self._copies: list[NDArray[Any]] = []

    def take(self) -> None:
        """Copy what has come; the ring holds ten seconds, so nothing is overwritten."""
        while self._at < self._ring.count:
            upto = min(self._ring.count, self._at + self._ring.max_window)
            self._copies.append(self._ring.view(self._at, upto)[self._column].copy())
            self._ring.check(self._at)
            self._at = upto

    def save(self, table: Table, to_rows: Rows) -> None:
        """Write a table; its digests are those of no picture."""
        for copy in self._copies:
            n = len(copy)
            columns = {"image": np.broadcast_to(_NO_IMAGE, (n, 1, 1, 3)), "latent": np.zeros((n, 1), "f4")}
            for row in to_rows(columns | {self._column: copy}, 0):
                table.write(row)
        table.close()


def main(program: Program) -> None:
    """Note stamps until told to stop."""
    frames, shown = _Notes(program.ring("frames"), "info"), _Notes(program.ring("shown"), "shown")
    tables = (
        Table(program.folder / "frames.csv", FRAME_FIELDS),
        Table(program.folder / "shown.csv", SHOWN_FIELDS),
    )
    program.ready()
    while program.tick():
        program.clock.sleep_until(program.clock.now() + _EVERY)
        frames.take()
        shown.take()
    frames.take()
    shown.take()
    frames.save(tables[0], frame_rows)
    shown.save(tables[1], shown_rows)
