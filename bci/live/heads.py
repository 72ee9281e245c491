"""LostHeads tells the operator of volumes whose motion cannot be corrected: on the board, in marks and in the log."""

import logging

import numpy as np
from numpy.typing import NDArray

from bci.memory.board import Row
from bci.memory.marks import write_mark
from bci.memory.ring import Ring
from bci.signal.clock import Clock
from bci.signal.types import MarkKind, Window
from bci.signal.volumes.motion import FAULT, fault_words


class LostHeads:
    """LostHeads reads what MotionCorrection says of each volume beside the samples.

    Parameters
    ----------
    row : Row
        The decoder's: ``head`` is the newest volume's `bci.signal.volumes.realign.MotionFault`, ``heads_lost`` counts.
    marks : Ring
        Gets a ``head_lost`` mark for each volume, with the reason.
    clock : Clock
        The session clock.
    log : logging.Logger
        Told when the head is lost, and when it is back.
    """

    def __init__(self, row: Row, marks: Ring, clock: Clock, log: logging.Logger) -> None:
        self._row, self._marks, self._clock, self._log = row, marks, clock, log
        self._lasts = 0

    def hear(self, window: Window) -> None:
        """Take the newest rows of one side output; one that is not of MotionCorrection is passed over."""
        if FAULT not in window.signal.channels:
            return
        column = window.signal.channels.index(FAULT)
        for place, row in enumerate(np.asarray(window.samples, np.float64)):
            self._take(window.first + place, row, int(row[column]))

    def _take(self, volume: int, row: NDArray[np.float64], fault: int) -> None:
        self._row["head"] = fault
        if fault:
            words = fault_words(row)
            self._row["heads_lost"] += 1
            write_mark(self._marks, MarkKind.HEAD_LOST, volume, count=1, time=self._clock.now(), detail=words)
            if not self._lasts:
                self._log.warning("the head is lost at volume %d: %s", volume, words)
            self._lasts += 1
        elif self._lasts:
            self._log.warning("the head is back at volume %d, after %d volumes", volume, self._lasts)
            self._lasts = 0
