"""A Witness sees what was flipped and what was decoded, and says what became of a trial."""

import math
from collections.abc import Iterable

from bci.errors import Overrun
from bci.memory.ring import Ring
from bci.signal.types import STAGES, Shown
from stimuli.trials import Ending, Outcome, Reading, Trial

_ARRIVED = STAGES.index("arrived")


class Witness:
    """A Witness reads the display's flips and the decoder's reconstructions for an engine.

    Parameters
    ----------
    shown, frames : Ring
        The display's changes of picture, and the decoder's reconstructions.
    early_s : float
        How long before the time it was asked for a flip may come and still be this stimulus', seconds.
    first_frame : int
        Count of the first reconstruction that no engine has looked at.

    Attributes
    ----------
    frames_seen : int
        Count of the reconstructions that have been looked at.
    """

    def __init__(self, shown: Ring, frames: Ring, *, early_s: float, first_frame: int = 0) -> None:
        self._shown, self._frames = shown, frames
        self._at = shown.count
        self._early_s = early_s
        self.frames_seen = first_frame
        self._changes: list[tuple[Shown, int, float]] = []

    def look(self) -> None:
        """Take in the changes of picture since the last look."""
        while self._at < self._shown.count:
            try:
                record = self._shown.read(self._at, self._at + 1)["shown"][0]
            except Overrun as overrun:
                self._at = overrun.first + overrun.lost
                continue
            self._changes.append((Shown(int(record["kind"])), int(record["frame"]), float(record["flip"])))
            self._at += 1

    def outcome(self, number: int, start: float, trial: Trial, *, cut_short: bool = False) -> Outcome:
        """Say what became of the trial whose stimulus was due at `start` and which is now over."""
        self.look()
        changes = [change for change in self._changes if change[2] >= start - self._early_s]
        self._changes = []
        onset, broken = math.nan, cut_short
        for kind, frame, flip in changes:
            if kind is Shown.STIMULUS and frame == trial.number and math.isnan(onset):
                onset = flip
            elif kind is Shown.NEUTRAL and flip < start + trial.stimulus_s:
                broken = True
        ending = Ending.ABORTED if broken or math.isnan(onset) else Ending.SHOWN
        readings = self.readings()
        own = readings.pop(number, None) or self._newest_window(onset)
        return _outcome(number, ending, onset, own, readings.values())

    def lost(self, number: int, pending: Iterable[Reading] = ()) -> Outcome:
        """Say what became of a trial whose engine died in it; `pending` are late readings that were to come with it."""
        readings = {reading.trial: reading for reading in pending} | self.readings()
        return _outcome(number, Ending.ABORTED, math.nan, readings.pop(number, None), readings.values())

    def readings(self) -> dict[int, Reading]:
        """Return the newest valid reconstruction of every trial that one has come of since the last call."""
        readings: dict[int, Reading] = {}
        while self.frames_seen < self._frames.count:
            try:
                frame = self._frames.read(self.frames_seen, self.frames_seen + 1)
            except Overrun as overrun:
                self.frames_seen = overrun.first + overrun.lost
                continue
            self.frames_seen += 1
            info = frame["info"][0]
            trial = int(info["event"]["trial"])
            if info["valid"] and trial >= 0:
                readings[trial] = Reading(trial, frame["latent"][0].copy(), float(info["confidence"]))
        return readings

    def _newest_window(self, onset: float) -> Reading | None:
        """Return the newest valid reconstruction of a sliding window whose data arrived after the onset."""
        for at in range(self._frames.count - 1, max(-1, self._frames.oldest - 1), -1):
            try:
                frame = self._frames.read(at, at + 1)
            except Overrun:
                break
            info = frame["info"][0]
            if info["event"]["length"] >= 0 or not info["stamps"][_ARRIVED] > onset:
                break
            if info["valid"]:
                return Reading(-1, frame["latent"][0].copy(), float(info["confidence"]))
        return None


def _outcome(
    number: int, ending: Ending, onset: float, own: Reading | None, late: Iterable[Reading]
) -> Outcome:
    in_order = tuple(sorted(late, key=lambda reading: reading.trial))
    if own is None:
        return Outcome(number, ending, onset, late=in_order)
    return Outcome(number, ending, onset, own.latent, own.confidence, in_order)
