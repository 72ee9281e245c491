"""The stimuli ring: what an experiment's engine asks the display to show, and when, ahead of time."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bci.memory.ring import Column, Ring
from bci.signal.types import cut_text


class Phase(IntEnum):
    """What a part of a trial shows."""

    STIMULUS = 1
    FEEDBACK = 2


#: One part of a trial, due from `start` to `stop`; `stimulus` is its number in the set, `since` the trial's beginning.
PART_DTYPE = np.dtype(
    [
        ("phase", "i4"),
        ("trial", "i8"),
        ("stimulus", "i8"),
        ("since", "f8"),
        ("start", "f8"),
        ("stop", "f8"),
        ("name", "S96"),
    ]
)

#: Parts that may be asked for ahead of time.
CAPACITY = 64


def stimulus_columns(height: int, width: int) -> tuple[Column, ...]:
    """Return the columns of a stimuli ring."""
    return Column.of("image", "u1", (height, width, 3)), Column.of("part", PART_DTYPE)


def create_stimuli(name: str, height: int, width: int) -> Ring:
    """Create a stimuli ring in shared memory."""
    return Ring.create(name, stimulus_columns(height, width), CAPACITY, 8, readers=1)


def write_part(
    ring: Ring,
    phase: Phase,
    *,
    trial: int,
    stimulus: int,
    since: float,
    start: float,
    stop: float,
    name: str = "",
    image: NDArray[np.uint8] | None = None,
) -> None:
    """Ask for one part of a trial.

    Parameters
    ----------
    ring : Ring
        A ring of `stimulus_columns`.
    phase : Phase
        A stimulus, or the time in which reconstructions may be seen.
    trial, stimulus : int
        Which trial, and which stimulus of the set.
    since : float
        When the trial begins, session seconds.
    start, stop : float
        When this part is due, session seconds.
    name : str
        What the stimulus is called.
    image : (height, width, 3) uint8, optional
        The stimulus; not needed for feedback.
    """
    place = ring.claim(1)
    place["part"][0] = (phase, trial, stimulus, since, start, stop, cut_text(name, 96))
    if image is not None:
        place["image"][0] = image
    ring.commit(1)
