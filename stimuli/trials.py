"""Trials: what a protocol asks for, what became of it, and the table that says so."""

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
        The newest valid reconstruction of data from after the onset.
    confidence : float
        Its confidence; NaN for none.
    """

    trial: int
    ending: Ending
    onset: float
    latent: NDArray[np.float32] | None
    confidence: float


#: A protocol is asked for trials, one at a time, and told what became of each: ignored, it is a fixed list; used,
#: the loop is closed.
Protocol = Generator[Trial, Outcome, None]
