"""A Witness sees what was flipped and what was decoded, and says what became of a trial."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import Overrun
from bci.memory.ring import Ring
from bci.signal.types import STAGES, Shown
from stimuli.trials import Answer, Ending, Outcome, Reading, Trial

_ARRIVED = STAGES.index("arrived")

#: The feed of a trial whose readings are of no use.
NO_FEED = -1


class Witness:
    """A Witness reads the display's flips and the decoder's reconstructions for an engine.

    Parameters
    ----------
    shown : Ring
        The display's changes of picture.
    frames : sequence of Ring
        The reconstructions of each decoder that feeds the display; none in a session that collects.
    early_s : float
        How long before the time it was asked for a flip may come and still be this stimulus', seconds.
    first_frames : sequence of int
        Of each, the count of the first reconstruction that no engine has looked at; 0 where it is not given.
    limits_s : sequence of float
        Of each, what the time of an event may be wrong by, seconds: what was read of one that may be wrong by more is
        no reading of its trial. No limit where it is not given.

    Attributes
    ----------
    frames_seen : list of int
        Of each, the count of the reconstructions that have been looked at.
    feeds : dict of int to int
        Which of the decoders each trial shows; the first one where nothing is said. Others' readings of it are not
        its own.
    """

    def __init__(
        self,
        shown: Ring,
        frames: Sequence[Ring],
        *,
        early_s: float,
        first_frames: Sequence[int] = (),
        limits_s: Sequence[float] = (),
    ) -> None:
        self._shown, self._frames = shown, tuple(frames)
        self._at = shown.count
        self._early_s = early_s
        self.frames_seen = [*first_frames, *[0] * len(self._frames)][: len(self._frames)]
        self._limits_s = [*limits_s, *[math.inf] * len(self._frames)][: len(self._frames)]
        self.feeds: dict[int, int] = {}
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

    def paused(self, number: int, start: float, trial: Trial) -> Outcome:
        """Say what became of a trial that a pause cut short; nothing that is read of it is told to the protocol."""
        self.feeds[number] = NO_FEED
        onset, _ = self._onset(start, trial)
        return Outcome(number, Ending.PAUSED, onset)

    def outcome(
        self,
        number: int,
        start: float,
        trial: Trial,
        answers: tuple[Answer, ...] = (),
        *,
        cut_short: bool = False,
    ) -> Outcome:
        """Say what became of the trial whose stimulus was due at `start` and which is now over."""
        onset, broken = self._onset(start, trial)
        ending = Ending.ABORTED if broken or cut_short or math.isnan(onset) else Ending.SHOWN
        readings = self.readings()
        feed = self.feeds.get(number, 0)
        own = readings.pop(number, None)
        if own is None and feed < len(self._frames):
            own = self._newest_window(self._frames[feed], onset)
        return replace(_outcome(number, ending, onset, own, readings.values()), answers=answers)

    def _onset(self, start: float, trial: Trial) -> tuple[float, bool]:
        """Return the flip that brought a stimulus, NaN for none, and whether the screen was neutral in its time."""
        self.look()
        changes = [change for change in self._changes if change[2] >= start - self._early_s]
        self._changes = []
        onset, broken = math.nan, False
        for kind, frame, flip in changes:
            if kind is Shown.STIMULUS and frame == trial.number and math.isnan(onset):
                onset = flip
            elif kind is Shown.NEUTRAL and flip < start + trial.stimulus_s:
                broken = True
        return onset, broken

    def newest(self, feed: int, since: float) -> tuple[int, NDArray[np.float32] | None]:
        """Return number and latent of a decoder's newest reconstruction, -1 and None unless it is valid and fresh.

        Parameters
        ----------
        feed : int
            Which of the decoders that feed the display.
        since : float
            When its data must have arrived at the earliest, session seconds.
        """
        if feed >= len(self._frames):
            return -1, None
        ring = self._frames[feed]
        if not ring.count:
            return -1, None
        try:
            frame = ring.read(ring.count - 1, ring.count)
        except Overrun:
            return -1, None
        info = frame["info"][0]
        if not info["valid"] or not info["stamps"][_ARRIVED] >= since:
            return -1, None
        return ring.count - 1, frame["latent"][0].copy()

    def lost(self, number: int, pending: Iterable[Reading] = ()) -> Outcome:
        """Say what became of a trial whose engine died in it; `pending` are late readings that were to come with it."""
        readings = {reading.trial: reading for reading in pending} | self.readings()
        return _outcome(number, Ending.ABORTED, math.nan, readings.pop(number, None), readings.values())

    def readings(self) -> dict[int, Reading]:
        """Return the newest valid reconstruction of every trial that one has come of since the last call."""
        readings: dict[int, Reading] = {}
        for feed in range(len(self._frames)):
            for frame in self._new_frames(feed):
                info = frame["info"][0]
                trial = int(info["event"]["trial"])
                uncertain = info["event"]["uncertainty"] > self._limits_s[feed]
                if info["valid"] and not uncertain and trial >= 0 and self.feeds.get(trial, 0) == feed:
                    readings[trial] = Reading(trial, frame["latent"][0].copy(), float(info["confidence"]))
        return readings

    def _new_frames(self, feed: int) -> Iterator[Mapping[str, Any]]:
        """Yield the reconstructions of a decoder that no engine has looked at, each copied out of its ring."""
        ring, seen = self._frames[feed], self.frames_seen
        while seen[feed] < ring.count:
            try:
                frame = ring.read(seen[feed], seen[feed] + 1)
            except Overrun as overrun:
                seen[feed] = overrun.first + overrun.lost
                continue
            seen[feed] += 1
            yield frame

    @staticmethod
    def _newest_window(frames: Ring, onset: float) -> Reading | None:
        """Return the newest valid reconstruction of a sliding window whose data arrived after the onset."""
        for at in range(frames.count - 1, max(-1, frames.oldest - 1), -1):
            try:
                frame = frames.read(at, at + 1)
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
