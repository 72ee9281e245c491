"""Trials: what a protocol asks for, what became of it, and what it may be made of."""

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.memory.trial_parts import LONGEST_TEXT


class Ending(StrEnum):
    """An Ending is the kind of a trial's end."""

    SHOWN = "shown"
    ABORTED = "aborted"
    PAUSED = "paused"
    """Cut short by a pause, and asked for again after it: the protocol never hears of this trial."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A stimulus that is pixels already.

    Attributes
    ----------
    image : (height, width, 3) uint8
        What is shown.
    """

    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """A stimulus that is a point in the latent space of the session's generator, drawn ahead of time.

    Attributes
    ----------
    latent : (d,) float32
        The point.
    generator : int
        Whose space: 0, or 1 for the second generator of a session that has two.
    """

    latent: NDArray[np.float32]
    generator: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A stimulus that is words, drawn by the display in the middle of the screen.

    Attributes
    ----------
    words : str
        What is written; a line feed begins a new line.
    size_deg : float
        Height of a line, degrees of visual angle.

    Raises
    ------
    ValueError
        If there are no words, or more than `bci.memory.trial_parts.LONGEST_TEXT` bytes of UTF-8.
    """

    words: str
    size_deg: float = 1.0

    def __post_init__(self) -> None:
        size = len(self.words.encode())
        if not self.words.strip() or size > LONGEST_TEXT or not self.size_deg > 0:
            raise ValueError(
                f"a text stimulus needs 1 to {LONGEST_TEXT} bytes of text and a size above 0 degrees; came {size} "
                f"bytes at {self.size_deg:g} degrees"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What a `Live` stimulus shows from now on, the value that this stands for, and the value that was read for it."""

    stimulus: Picture | Latent
    value: float
    read: float


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """A stimulus that is drawn anew, while it is shown, of what the decoder reads.

    Attributes
    ----------
    draw : callable
        Takes what was read last, (d,) float32, None for nothing, or nothing that is fresh, and the seconds since the
        stimulus was due; returns what to show.
    update_s : float
        Shortest time from one picture to the next.
    fresh_s : float
        A reading whose data arrived longer ago is none.
    """

    draw: Callable[[NDArray[np.float32] | None, float], Drawn]
    update_s: float = 0.2
    fresh_s: float = 1.0


#: What a trial shows.
Stimulus = Picture | Latent | Text | Live


@dataclass(frozen=True, slots=True)
class Answer:
    """An Answer is a key that the participant pressed: its name, and session seconds of the look that found it down."""

    key: str
    time: float


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One trial as a protocol asks for it.

    Attributes
    ----------
    number : int
        The stimulus' number in its set; the marker of its flip reads ``stimulus <number> <name>``.
    name : str
        What it is called.
    stimulus : Picture, Latent, Text or Live
        What is shown.
    stimulus_s, feedback_s, blank_s : float
        How long it is shown, how long reconstructions may be seen after it, how long nothing is shown before it.
    phase : str
        The phase of the experiment that it belongs to; empty where there is one. `stimuli.protocols` names it.
    kind : str
        What sort of trial it is, the ``trial_type`` of ``events.tsv``: stimulus, cue, rest, target …
    file : str
        The file that its picture came from; empty where there is none.
    until_answer : bool
        Whether a key of the participant's ends it before its time.
    """

    number: int
    name: str
    stimulus: Stimulus
    stimulus_s: float
    feedback_s: float = 0.0
    blank_s: float = 0.0
    phase: str = ""
    kind: str = "stimulus"
    file: str = ""
    until_answer: bool = False


def timed(spec: Mapping[str, Any], number: int, name: str, stimulus: Stimulus, **changes: Any) -> Trial:
    """Return a trial with the times of ``[experiment]``; `changes` are other attributes of `Trial`.

    >>> spec = {"stimulus_s": 0.5, "feedback_s": 0.0, "blank_s": 1.0}
    >>> trial = timed(spec, 3, "left", Text("left"), kind="cue", stimulus_s=2.0)
    >>> trial.number, trial.stimulus_s, trial.blank_s, trial.kind
    (3, 2.0, 1.0, 'cue')
    """
    times = {name: spec[name] for name in ("stimulus_s", "feedback_s", "blank_s")}
    return Trial(number, name, stimulus, **(times | changes))


@dataclass(frozen=True, slots=True)
class Palette:
    """A Palette holds the stimuli and results that a session's trials may have.

    Attributes
    ----------
    size : (int, int)
        Height and width of pictures.
    latent : int
        Size of the generator's latent space; 0 where the session's bundle has no generator of its own.
    reading : int
        How many values a reading has.
    second_latent : int
        Size of the second generator's latent space; 0 where the session has none.
    """

    size: tuple[int, int]
    latent: int = 0
    reading: int = 0
    second_latent: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A Reading is the decoder's result for one trial.

    Attributes
    ----------
    trial : int
        Which, counted from 0.
    latent : (d,) float32
        The reconstruction's place in the latent space, or its result where the bundle makes no picture.
    confidence : float
        Its confidence; NaN for none.
    """

    trial: int
    latent: NDArray[np.float32]
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """An Outcome is the result of a trial, for the protocol.

    Attributes
    ----------
    trial : int
        Which, counted from 0.
    ending : Ending
        Aborted: it was never on the screen, or the screen went neutral before its time.
    onset : float
        The flip that brought it, session seconds; NaN when it never came.
    latent : (d,) float32 or None
        What was read of this trial: the newest valid reconstruction of the epoch around its stimulus, or, of sliding
        windows, the newest of data from after the onset. None when there is none, or none yet.
    confidence : float
        Its confidence; NaN for none.
    late : tuple of Reading
        What was read since the outcome before of trials that were over already: an epoch may end after its trial.
    answers : tuple of Answer
        The keys that the participant pressed since the outcome before, oldest first.
    """

    trial: int
    ending: Ending
    onset: float
    latent: NDArray[np.float32] | None = None
    confidence: float = math.nan
    late: tuple[Reading, ...] = ()
    answers: tuple[Answer, ...] = ()

    @property
    def readings(self) -> tuple[Reading, ...]:
        """All that was read since the outcome before, of this trial and of earlier ones, oldest trial first."""
        own = () if self.latent is None else (Reading(self.trial, self.latent, self.confidence),)
        return (*self.late, *own)


#: A protocol is asked for trials, one at a time, and told what became of each: ignored, it is a fixed list; used,
#: the loop is closed. The same outcomes must give the same trials: a restarted engine tells it the recorded ones again.
Protocol = Generator[Trial, Outcome, None]
