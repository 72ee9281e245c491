"""Trials of a recorded session: what was shown in each, and what was read of it, joined by trial number and flip.

::

    trials.csv   what the engine asked for and what became of it      by the trial's number
    shown.csv    the flip that brought the stimulus                   by the trial's number, else its stimulus and time
    marks.csv    the event that was cut around, or why it was not     by the flip's own stamp
    frames.csv   what was decoded of that event                       by the event

Sessions from before frames and flips bore the trial's number are joined by the flip's stamp and the engine's times.
A stimulus that no experiment showed, but another program with markers of its own, is a trial without a number.
"""

import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.session.frames import Decoding, RecordedFrame
from bci.session.tables import Row
from bci.signal.markers import stimulus_of
from bci.signal.types import Event

#: Sorts of trials that are stimuli, pictures or not.
_STIMULI = frozenset({"stimulus", "target", "nontarget"})

#: A flip can come up to half a refresh before the time it was asked for, seconds; the engine allows as much.
_EARLY_S = 0.05

#: The engine writes times to the microsecond.
_ROUNDED_S = 1e-6


@dataclass(frozen=True, slots=True)
class Flip:
    """A flip that brought a stimulus: session seconds, the stimulus' number and name, and its trial (-1: none)."""

    time: float
    stimulus: int
    name: str
    trial: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class RecordedTrial:
    """One trial: what was shown, and what was read of it.

    Attributes
    ----------
    number : int
        Which trial of the experiment; -1 for a stimulus outside of one.
    stimulus : int
        The stimulus' number in the set; -1 where it is not known.
    name : str
        What the stimulus is called.
    flip : float
        When it came on the screen, session seconds; NaN where it never did. Of a stimulus outside of an experiment the
        time of its marker.
    ending : "shown", "aborted" or ""
        What the engine says became of it: aborted where the stimulus never came, the screen went neutral in its time,
        a pause cut it short, or the engine died; empty where no engine said.
    frames : tuple of RecordedFrame
        What was decoded of its event, in order, with those that are invalid; empty for sliding windows.
    lost : str
        Why no epoch could be cut around its event; empty where one was, or there was no event.
    late : bool
        Whether the reconstruction came after the trial was over, so that the engine's row does not hold it.
    engine_latent : (d,) float32 or None
        Of sliding windows, the latent in the engine's row: the newest of data from after the flip. None where epochs
        were decoded; there the frames say what was read, and in older sessions the row may hold the trial's before.
    engine_confidence : float
        Its confidence; NaN for none.
    kind : str
        What sort of trial it was, as the protocol says: stimulus, cue, target …
    file : str
        The file that its picture came from, as the engine says; empty where it does not.
    uncertain : bool
        Whether the time of its event may be wrong by more than the session file allows.
    """

    number: int
    stimulus: int
    name: str
    flip: float
    ending: Literal["shown", "aborted", ""]
    frames: tuple[RecordedFrame, ...] = ()
    lost: str = ""
    late: bool = False
    engine_latent: NDArray[np.float32] | None = None
    engine_confidence: float = math.nan
    kind: str = "stimulus"
    file: str = ""
    uncertain: bool = False

    @property
    def picture(self) -> str:
        """The name of the picture that was shown: its file's, within the folder of pictures, else the stimulus'."""
        path = PurePosixPath(self.file)
        return (
            PurePosixPath(*path.parts[1:] or path.parts).with_suffix("").as_posix()
            if self.file
            else self.name
        )

    @property
    def frame(self) -> RecordedFrame | None:
        """The newest valid reconstruction of its event; None where there is none."""
        return next((frame for frame in reversed(self.frames) if frame.valid), None)

    @property
    def latent(self) -> NDArray[np.float32] | None:
        """What was read, (d,) float32: of its event, else what the engine had of sliding windows; None for nothing."""
        frame = self.frame
        return self.engine_latent if frame is None else frame.latent

    @property
    def confidence(self) -> float:
        """The confidence of what was read; NaN for none."""
        frame = self.frame
        return self.engine_confidence if frame is None else frame.confidence

    @property
    def left_out(self) -> str:
        """Why it says nothing about the decoder; empty if it does.

        One of: no picture, aborted, uncertain time, invalid, no epoch, not decoded. An instruction or another text,
        which a protocol shows beside its stimuli, is no picture; a letter that flashes in an oddball is a stimulus.
        """
        if self.kind not in _STIMULI and not self.file:
            return "no picture"
        if self.ending == "aborted":
            return "aborted"
        if self.uncertain:
            return "uncertain time"
        if self.latent is not None:
            return ""
        if self.frames:
            return "invalid"
        return "no epoch" if self.lost else "not decoded"


def read_flips(shown: Iterable[Row], trials: Sequence[Row]) -> list[Flip]:
    """Return the flips that brought stimuli, each with its trial.

    Parameters
    ----------
    shown, trials : rows
        Of ``shown.csv`` and ``trials.csv``.

    Raises
    ------
    RecordingError
        If a row is not whole.
    """
    try:
        flips = [
            (Flip(float(row["flip"]), int(row["frame"]), row["reason"]), row.get("trial"))
            for row in shown
            if row["kind"] == "stimulus"
        ]
        if all(trial for _, trial in flips):
            return [Flip(flip.time, flip.stimulus, flip.name, int(trial or -1)) for flip, trial in flips]
        return _numbered([flip for flip, _ in flips], [_Asked.of(row) for row in trials])
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(
            f"shown.csv, trials.csv: whole rows were expected, one came without ({error}). Was a file edited?"
        ) from None


def join_trials(
    rows: Sequence[Row],
    flips: Sequence[Flip],
    decoding: Decoding,
    own: Collection[int] | None = None,
    uncertain: Collection[float] = (),
) -> list[RecordedTrial]:
    """Return the trials of a session, in order of time.

    Parameters
    ----------
    rows : rows
        Of ``trials.csv``; none where there was no experiment.
    flips : sequence of Flip
        What `read_flips` returns.
    decoding : Decoding
        What the decoder left.
    own : collection of int, optional
        The trials that showed this decoder's reconstructions, so that their rows hold what it read; all when absent.
    uncertain : collection of float
        Times of the events that may be wrong by more than the session file allows.
    """
    asked = {int(row["trial"]): row for row in rows}
    open_trials: dict[int | Event | Flip, _Open] = {
        number: _Open(row=row, own=own is None or number in own) for number, row in asked.items()
    }
    of_flip: dict[float, int | Flip] = {}
    for flip in flips:
        key: int | Flip = flip if flip.trial < 0 else flip.trial
        of_flip[flip.time] = key
        open_trials.setdefault(key, _Open()).flips.append(flip)

    def place(event: Event) -> _Open | None:
        key: int | Flip | Event = event.trial if event.trial >= 0 else of_flip.get(event.raw, event)
        if key is event and stimulus_of(event.text) is None:
            return None
        one = open_trials.setdefault(key, _Open())
        one.event = one.event or event
        return one

    for frame in decoding.frames:
        if frame.event is not None and (one := place(frame.event)) is not None:
            one.frames.append(frame)
    for lost in decoding.lost:
        if (one := place(lost.event)) is not None:
            one.lost = lost.reason
    slides = not decoding.epochs and all(frame.event is None for frame in decoding.frames)
    trials = [
        one.close(key if isinstance(key, int) else -1, slides, uncertain) for key, one in open_trials.items()
    ]
    return _in_order(trials)


@dataclass(slots=True)
class _Open:
    """A trial of which not everything has been found yet."""

    row: Row | None = None
    own: bool = True
    flips: list[Flip] = field(default_factory=list)
    event: Event | None = None
    frames: list[RecordedFrame] = field(default_factory=list)
    lost: str = ""

    def close(self, number: int, slides: bool, uncertain: Collection[float]) -> RecordedTrial:
        row = self.row
        ending: Literal["shown", "aborted", ""] = ""
        latent, confidence = None, math.nan
        stimulus, name, flip = -1, "", math.nan
        if self.event is not None:
            stimulus, name = stimulus_of(self.event.text) or (-1, self.event.text)
            flip = self.event.raw if self.flips else self.event.time
        if self.flips:
            first = self.flips[0]
            stimulus, name, flip = first.stimulus, first.name, first.time
        if row is not None:
            stimulus, name = int(row["stimulus"]), row["name"]
            # A trial that a pause cut short was aborted, and its stimulus asked for again.
            ending = "shown" if row["ending"] == "shown" else "aborted"
            if row["latent"] and self.own:
                latent, confidence = np.array(json.loads(row["latent"]), np.float32), float(row["confidence"])
        valid = [frame.latent for frame in self.frames if frame.valid]
        in_row = latent is not None and any(np.array_equal(latent, one) for one in valid)
        return RecordedTrial(
            number,
            stimulus,
            name,
            flip,
            ending,
            tuple(self.frames),
            "" if self.frames else self.lost,
            late=bool(valid) and ending == "shown" and not in_row,
            engine_latent=latent if slides else None,
            engine_confidence=confidence if slides else math.nan,
            kind=(row or {}).get("type") or "stimulus",
            file=(row or {}).get("file") or "",
            uncertain=self.event is not None and self.event.time in uncertain,
        )


def _in_order(trials: list[RecordedTrial]) -> list[RecordedTrial]:
    """Sort trials by number, and put those without one where their time lies."""
    numbered = sorted((trial for trial in trials if trial.number >= 0), key=lambda trial: trial.number)
    times, last = [], -math.inf
    for trial in numbered:
        last = last if math.isnan(trial.flip) else trial.flip
        times.append(last)
    others = [(trial.flip, trial) for trial in trials if trial.number < 0]
    both = [*zip(times, numbered, strict=True), *others]
    return [trial for _, trial in sorted(both, key=lambda pair: pair[0])]


@dataclass(frozen=True, slots=True)
class _Asked:
    """An _Asked is one trial as the engine ordered it, with the onset that it saw."""

    number: int
    stimulus: int
    planned: float
    onset: float
    until: float

    @classmethod
    def of(cls, row: Row) -> "_Asked":
        times = (float(row[name]) for name in ("planned", "onset", "until"))
        return cls(int(row["trial"]), int(row["stimulus"]), *times)

    def brought(self, flip: Flip) -> bool:
        """Whether a flip is one of this trial's, by the stimulus and the engine's times."""
        at = abs(flip.time - self.onset) <= _ROUNDED_S
        return flip.stimulus == self.stimulus and (at or self.planned - _EARLY_S <= flip.time < self.until)


def _numbered(flips: Sequence[Flip], asked: Sequence[_Asked]) -> list[Flip]:
    """Give flips their trials where the table does not say: by the engine's times, else by what lies on both sides.

    The engine's successor knows no times of the trial that its predecessor had under way: its flip is the one of its
    stimulus between the trials before and after it.
    """
    by_stimulus: defaultdict[int, list[_Asked]] = defaultdict(list)
    for one in asked:
        by_stimulus[one.stimulus].append(one)
    numbers = [
        next((one.number for one in by_stimulus[flip.stimulus] if one.brought(flip)), -1) for flip in flips
    ]
    taken = set(numbers)
    for place, flip in enumerate(flips):
        if numbers[place] >= 0:
            continue
        before = max((n for n in numbers[:place] if n >= 0), default=-1)
        after = min((n for n in numbers[place + 1 :] if n >= 0), default=math.inf)
        free = [
            one.number
            for one in by_stimulus[flip.stimulus]
            if before < one.number < after and one.number not in taken and math.isnan(one.onset)
        ]
        if free:
            numbers[place] = free[0]
            taken.add(free[0])
    return [
        Flip(flip.time, flip.stimulus, flip.name, number) for flip, number in zip(flips, numbers, strict=True)
    ]


def trials_by_flip(flips: Iterable[Flip]) -> Mapping[float, int]:
    """Return the trial of each flip that has one, by the flip's stamp."""
    return {flip.time: flip.trial for flip in flips if flip.trial >= 0}
