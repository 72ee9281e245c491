"""A Pairing joins each reconstruction to its stimulus: a reconstruction carries the stamp of the flip it belongs to.

::

    shown ring    a stimulus: its trial, its pixels, its flip ──┐
    frame ring    a reconstruction: the flip of its event ──────┴──► a pair
    decode marks  an event that was lost: its flip, why ───────────► a pair without a reconstruction

The newest frame may belong to an earlier stimulus than the newest, or to none, so order alone does not pair them.
"""

import dataclasses
import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from bci.errors import Overrun
from bci.memory.ring import Ring
from bci.signal.types import MarkKind, Shown
from stimuli.operator.fitness_curve import FitnessCurve
from stimuli.operator.pair_sheet import Pair


class Pairing:
    """A Pairing holds the newest trials of a session, each with its reconstruction.

    Nothing waits for this reader: it looks when it likes, and what it missed by looking too seldom is counted.

    Parameters
    ----------
    shown : Ring
        The display's changes of picture.
    frames, marks : mapping of int to Ring
        The reconstructions and the marks of each decoder that feeds the display, by its place in the session: a trial
        is paired with what the decoder read that it shows.
    keep : int
        How many trials to remember.
    curve : FitnessCurve, optional
        Told what was read of each trial, where pictures evolve.
    limits_s : mapping of int to float, optional
        Of each decoder, what the time of an event may be wrong by, seconds; no limit where it is not given.

    Attributes
    ----------
    pairs : deque of Pair
        Oldest first.
    trials, lost : int
        Stimuli seen so far, and records that were overwritten before they were read.
    """

    def __init__(
        self,
        shown: Ring,
        frames: Mapping[int, Ring],
        marks: Mapping[int, Ring],
        *,
        keep: int,
        curve: FitnessCurve | None = None,
        limits_s: Mapping[int, float] | None = None,
    ) -> None:
        self._curve, self._limits_s = curve, limits_s or {}
        self.pairs: deque[Pair] = deque(maxlen=keep)
        self.trials = self.lost = 0
        self._shown, self._frames, self._marks = shown, frames, marks
        self._at: dict[tuple[str, int], int] = {}

    def look(self) -> bool:
        """Read new records of the rings; return whether a pair has changed."""
        # A stimulus is shown before it is marked lost or read: taken in the reverse order, its trial is there first.
        frames = [
            (d, columns) for d, ring in self._frames.items() for columns in self._new("frames", d, ring)
        ]
        marks = [(d, columns) for d, ring in self._marks.items() for columns in self._new("marks", d, ring)]
        changed = False
        for columns in self._new("shown", -1, self._shown):
            record = columns["shown"][0]
            if record["kind"] == Shown.STIMULUS:
                name = bytes(record["reason"]).decode(errors="replace")
                image, flip = columns["image"][0].copy(), float(record["flip"])
                pair = Pair(int(record["trial"]), name, image, flip, decoder=int(record["decoder"]))
                self.pairs.append(pair)
                self.trials += 1
                changed = True
        for decoder, columns in marks:
            changed |= self._take_mark(decoder, columns["mark"][0])
        for decoder, columns in frames:
            changed |= self._take_frame(decoder, columns)
        return changed

    def _take_mark(self, decoder: int, mark: Any) -> bool:
        if mark["kind"] != MarkKind.EPOCH_LOST:
            return False
        # A flip marker is stamped with its flip, and a lost one's mark keeps that stamp.
        why = bytes(mark["detail"]).decode(errors="replace").partition(":")[0]
        return self._answer(decoder, float(mark["value"]), trouble=f"no epoch: {why}")

    def _take_frame(self, decoder: int, columns: Any) -> bool:
        info = columns["info"][0]
        flip = float(info["event"]["raw"])
        if not info["valid"]:
            reason = bytes(info["reason"]).decode(errors="replace")
            return self._answer(decoder, flip, trouble=f"invalid: {reason}")
        if (off := float(info["event"]["uncertainty"])) > self._limits_s.get(decoder, math.inf):
            return self._answer(decoder, flip, trouble=f"uncertain time: ±{1e3 * off:.1f} ms")
        read = columns["image"][0].copy()
        given = {"confidence": float(info["confidence"]), "repeats": int(info["repeats"])}
        known = self._answer(decoder, flip, read=read, **given)
        if known and self._curve is not None:
            (name,) = {pair.name for pair in self.pairs if pair.flip == flip and pair.decoder == decoder}
            self._curve.add(name, columns["latent"][0])
        return known

    def _answer(self, decoder: int, flip: float, **facts: Any) -> bool:
        """Update the trial of a flip with its result; False where the trial is another decoder's, or forgotten."""
        for place, pair in enumerate(self.pairs):
            if pair.flip == flip and pair.decoder == decoder:
                self.pairs[place] = dataclasses.replace(pair, **facts)
                return True
        return False

    def _new(self, kind: str, decoder: int, ring: Ring) -> Iterator[dict[str, Any]]:
        """Yield the new records, each copied out of the ring."""
        end, name = ring.count, (kind, decoder)
        while (at := self._at.get(name, 0)) < end:
            try:
                columns = ring.read(at, at + 1)
            except Overrun as overrun:
                self._at[name] = min(end, overrun.first + overrun.lost)
                self.lost += self._at[name] - at
                continue
            self._at[name] = at + 1
            yield columns
