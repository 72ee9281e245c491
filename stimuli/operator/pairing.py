"""A Pairing finds the reconstruction that belongs to a stimulus: the one of the epoch that was cut around its flip.

::

    shown ring    a stimulus, its pixels and its flip ───┐ the same time
    decode marks  an epoch: the time of its marker, and  ├─────────────► a pair
                  the sample that it was put on          │ the same sample
    frame ring    a reconstruction, its first sample ────┘

The newest frame is not taken for the answer to the newest stimulus: it may be that of the one before, or of none.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Iterator
from typing import Any

from bci.errors import Overrun
from bci.memory.ring import Ring
from bci.signal.types import MarkKind, Shown
from stimuli.operator.pair_sheet import Pair

#: A marker carries its flip's own stamp; over a network it may be off by what two clocks are compared to, seconds.
_SAME_TIME = 0.005


class Pairing:
    """The newest trials of a session, each with what was read of it.

    Nothing waits for this reader: it looks when it likes, and what it missed by looking too seldom is counted.

    Parameters
    ----------
    shown, frames, marks : Ring
        The display's changes of picture, the decoder's reconstructions, and its marks.
    offset : int
        Output samples from the one that a marker was put on to the epoch's first.
    keep : int
        How many trials to remember.

    Attributes
    ----------
    pairs : deque of Pair
        Oldest first.
    trials, lost : int
        Stimuli seen so far, and records that were overwritten before they were read.
    """

    def __init__(self, shown: Ring, frames: Ring, marks: Ring, *, offset: int, keep: int) -> None:
        self.pairs: deque[Pair] = deque(maxlen=keep)
        self.trials = self.lost = 0
        self._shown, self._frames, self._marks = shown, frames, marks
        self._offset = offset
        self._at = {"frames": 0, "marks": 0, "shown": 0}
        self._epochs: dict[int, float] = {}

    def look(self) -> bool:
        """Take in what is new; return whether a pair has changed."""
        # A frame's mark is written before it, and a mark's flip before that: read in the reverse order, whatever a
        # frame hangs on is there.
        frames = list(self._new("frames", self._frames))
        marks = list(self._new("marks", self._marks))
        changed = False
        for columns in self._new("shown", self._shown):
            record = columns["shown"][0]
            if record["kind"] == Shown.STIMULUS:
                name = bytes(record["reason"]).decode(errors="replace")
                self.pairs.append(Pair(self.trials, name, columns["image"][0].copy(), float(record["flip"])))
                self.trials += 1
                changed = True
        for columns in marks:
            changed |= self._take_mark(columns["mark"][0])
        for columns in frames:
            changed |= self._take_frame(columns)
        return changed

    def _take_mark(self, mark: Any) -> bool:
        if mark["kind"] == MarkKind.EPOCH:
            self._epochs[int(mark["first"])] = float(mark["time"])
        elif mark["kind"] == MarkKind.EPOCH_LOST:
            why = bytes(mark["detail"]).decode(errors="replace").partition(":")[0]
            return self._answer(float(mark["time"]), trouble=f"no epoch: {why}")
        return False

    def _take_frame(self, columns: Any) -> bool:
        info = columns["info"][0]
        flip = self._epochs.pop(int(info["first"]) - self._offset, math.nan)
        if not info["valid"]:
            reason = bytes(info["reason"]).decode(errors="replace")
            return self._answer(flip, trouble=f"invalid: {reason}")
        return self._answer(flip, read=columns["image"][0].copy(), confidence=float(info["confidence"]))

    def _answer(self, flip: float, **facts: Any) -> bool:
        """Give the trial of that flip what was read of it; False where there is none such any more."""
        for place, pair in enumerate(self.pairs):
            if abs(pair.flip - flip) < _SAME_TIME:
                self.pairs[place] = dataclasses.replace(pair, **facts)
                return True
        return False

    def _new(self, name: str, ring: Ring) -> Iterator[dict[str, Any]]:
        """Yield the records that have come, each copied out of the ring."""
        end = ring.count
        while self._at[name] < end:
            at = self._at[name]
            try:
                columns = ring.read(at, at + 1)
            except Overrun as overrun:
                self._at[name] = min(end, overrun.first + overrun.lost)
                self.lost += self._at[name] - at
                continue
            self._at[name] = at + 1
            yield columns
