"""A Pairing joins each reconstruction to its stimulus: a reconstruction carries the stamp of the flip it belongs to.

::

    shown ring    a stimulus: its trial, its pixels, its flip ──┐
    frame ring    a reconstruction: the flip of its event ──────┴──► a pair
    decode marks  an event that was lost: its flip, why ───────────► a pair without a reconstruction

The newest frame may belong to an earlier stimulus than the newest, or to none, so order alone does not pair them.
"""

import dataclasses
from collections import deque
from collections.abc import Iterator
from typing import Any

from bci.errors import Overrun
from bci.memory.ring import Ring
from bci.signal.types import MarkKind, Shown
from stimuli.operator.pair_sheet import Pair


class Pairing:
    """A Pairing holds the newest trials of a session, each with its reconstruction.

    Nothing waits for this reader: it looks when it likes, and what it missed by looking too seldom is counted.

    Parameters
    ----------
    shown, frames, marks : Ring
        The display's changes of picture, the decoder's reconstructions, and its marks.
    keep : int
        How many trials to remember.

    Attributes
    ----------
    pairs : deque of Pair
        Oldest first.
    trials, lost : int
        Stimuli seen so far, and records that were overwritten before they were read.
    """

    def __init__(self, shown: Ring, frames: Ring, marks: Ring, *, keep: int) -> None:
        self.pairs: deque[Pair] = deque(maxlen=keep)
        self.trials = self.lost = 0
        self._shown, self._frames, self._marks = shown, frames, marks
        self._at = {"frames": 0, "marks": 0, "shown": 0}

    def look(self) -> bool:
        """Read new records of the rings; return whether a pair has changed."""
        # A stimulus is shown before it is marked lost or read: taken in the reverse order, its trial is there first.
        frames = list(self._new("frames", self._frames))
        marks = list(self._new("marks", self._marks))
        changed = False
        for columns in self._new("shown", self._shown):
            record = columns["shown"][0]
            if record["kind"] == Shown.STIMULUS:
                name = bytes(record["reason"]).decode(errors="replace")
                self.pairs.append(
                    Pair(int(record["trial"]), name, columns["image"][0].copy(), float(record["flip"]))
                )
                self.trials += 1
                changed = True
        for columns in marks:
            changed |= self._take_mark(columns["mark"][0])
        for columns in frames:
            changed |= self._take_frame(columns)
        return changed

    def _take_mark(self, mark: Any) -> bool:
        if mark["kind"] != MarkKind.EPOCH_LOST:
            return False
        # A flip marker is stamped with its flip, and a lost one's mark keeps that stamp.
        why = bytes(mark["detail"]).decode(errors="replace").partition(":")[0]
        return self._answer(float(mark["value"]), trouble=f"no epoch: {why}")

    def _take_frame(self, columns: Any) -> bool:
        info = columns["info"][0]
        flip = float(info["event"]["raw"])
        if not info["valid"]:
            reason = bytes(info["reason"]).decode(errors="replace")
            return self._answer(flip, trouble=f"invalid: {reason}")
        return self._answer(flip, read=columns["image"][0].copy(), confidence=float(info["confidence"]))

    def _answer(self, flip: float, **facts: Any) -> bool:
        """Update the trial of a flip with its result; False where the trial is not remembered."""
        for place, pair in enumerate(self.pairs):
            if pair.flip == flip:
                self.pairs[place] = dataclasses.replace(pair, **facts)
                return True
        return False

    def _new(self, name: str, ring: Ring) -> Iterator[dict[str, Any]]:
        """Yield the new records, each copied out of the ring."""
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
