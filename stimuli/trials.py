"""Trials: what a protocol asks for, what became of it, and the table that says so."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Ending(StrEnum):
    """What became of a trial."""

    SHOWN = "shown"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One trial as a protocol asks for it.

    Attributes
    ----------
    stimulus : int
        Its number in the set.
    name : str
        What it is called.
    image : (height, width, 3) uint8
        What is shown.
    stimulus_s, feedback_s, blank_s : float
        How long it is shown, how long reconstructions may be seen after it, how long nothing is shown before it.
    """

    stimulus: int
    name: str
    image: NDArray[np.uint8]
    stimulus_s: float
    feedback_s: float = 0.0
    blank_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What was read of one trial.

    Attributes
    ----------
    trial : int
        Which.
    latent : (d,) float32
        The reconstruction's place in the latent space.
    confidence : float
        Its confidence; NaN for none.
    """

    trial: int
    latent: NDArray[np.float32]
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of a trial.

    Attributes
    ----------
    trial : int
        Which.
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
    """

    trial: int
    ending: Ending
    onset: float
    latent: NDArray[np.float32] | None = None
    confidence: float = math.nan
    late: tuple[Reading, ...] = ()


#: A protocol is asked for trials, one at a time, and told what became of each: ignored, it is a fixed list; used,
#: the loop is closed.
Protocol = Generator[Trial, Outcome, None]
