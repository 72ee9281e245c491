"""A TrialAlbum keeps trials of a headless display in bounded memory: each stimulus, and what was read of it.

Of an experiment the screen at even intervals shows little: most of them fall between trials. Here every stimulus that
was flipped counts, and the reconstruction that bears its trial, shown or not, stands below it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Shown
from stimuli.display.presenter import Choice
from stimuli.display.rings import Pictures
from stimuli.operator.pair_sheet import Pair

#: What stands below a stimulus of which nothing was read.
UNREAD = "not read"


@dataclass(slots=True)
class _Kept:
    """A trial that is kept: its place among all, its place in the store, and what became of it."""

    ordinal: int
    at: int
    trial: int
    name: str
    flip: float
    read: bool = False
    confidence: float = math.nan
    trouble: str = UNREAD


class TrialAlbum:
    """A TrialAlbum keeps every trial, until there are too many; then every second one, and so on.

    Parameters
    ----------
    pictures : Pictures
        Source of stimuli and frames.
    room : int
        Trials that are kept at most, at least 2; once there were as many, never fewer than half.
    stride : int
        Every so many pixels one is kept, along each side.

    Attributes
    ----------
    trials : int
        Stimuli flipped so far.
    """

    def __init__(self, pictures: Pictures, room: int, stride: int = 1) -> None:
        height, width = pictures.frames.image_shape
        self._stride = stride
        shape = (room, -(-height // stride), -(-width // stride), 3)
        self._pictures, self._frames = pictures, pictures.frames
        self._seen, self._read = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        self._free = list(range(room))
        self._kept: dict[int, _Kept] = {}  # by trial, in the order of time
        self._every = 1
        self._newest, self._last = (-1, -1), -1
        self.trials = 0

    def change(self, choice: Choice, flip: float) -> None:
        """Remember a stimulus that came on the screen at session time `flip`; of other choices nothing."""
        if choice.kind is not Shown.STIMULUS or choice.trial == self._last:
            return
        self._last = choice.trial
        image = self._pictures.of(choice)
        ordinal = self.trials
        self.trials += 1
        if image is None or ordinal % self._every:
            return
        if not self._free:
            self._thin_out()
            if ordinal % self._every:
                return
        at = self._free.pop()
        self._seen[at] = image[:: self._stride, :: self._stride]
        self._kept[choice.trial] = _Kept(ordinal, at, choice.trial, choice.reason, flip)

    def look(self) -> None:
        """Remember the newest frame, if it is new and bears a trial that is kept."""
        frame = self._frames.newest
        if frame is None or (self._frames.feed, frame.number) == self._newest:
            return
        self._newest = (self._frames.feed, frame.number)
        if (kept := self._kept.get(frame.trial)) is None:
            return
        if not frame.valid:
            kept.trouble = f"invalid: {frame.reason}"
            return
        self._read[kept.at] = self._frames.image[:: self._stride, :: self._stride]
        kept.read, kept.trouble = True, ""
        kept.confidence = float(self._frames.info["confidence"][0])

    def pairs(self, wanted: int) -> list[Pair]:
        """Return at most `wanted` trials, spread evenly over the run."""
        kept = list(self._kept.values())
        places = np.unique(np.linspace(0, len(kept) - 1, min(wanted, len(kept))).round().astype(int))
        return [self._pair(kept[place]) for place in places]

    def _pair(self, kept: _Kept) -> Pair:
        read: NDArray[np.uint8] | None = self._read[kept.at] if kept.read else None
        return Pair(
            kept.trial, kept.name, self._seen[kept.at], kept.flip, read, kept.confidence, kept.trouble
        )

    def _thin_out(self) -> None:
        self._every *= 2
        for trial in [trial for trial, kept in self._kept.items() if kept.ordinal % self._every]:
            self._free.append(self._kept.pop(trial).at)
