"""The rings of an experiment: parts of trials for the display, and latents that become pictures ahead of time.

The engine writes parts into the stimuli ring. Where a stimulus is a latent, it first writes the latent into the
requests ring, and the render program answers with a picture in the drawn ring.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bci.memory.events import event_columns
from bci.memory.ring import Column, Ring
from bci.signal.types import Event, cut_text, event_record


class Phase(IntEnum):
    """A Phase is the kind of a part of a trial, by what it shows.

    `CLEAR` takes back all that was asked for; `UPDATE` shows another picture of the stimulus that is on the screen;
    `TARGET` is no part of a trial: the fixation target is changed while it is due.
    """

    STIMULUS = 1
    FEEDBACK = 2
    CLEAR = 3
    UPDATE = 4
    TARGET = 5


class Stage(IntEnum):
    """A Stage is how far an experiment is, as the engine's row on the board says."""

    RUNNING = 0
    WAITING = 1
    PAUSED = 2
    ABORTED = 3
    OVER = 4


#: The longest text of a stimulus, bytes of UTF-8.
LONGEST_TEXT = 480

#: One part of a trial, due from `start` to `stop`; `stimulus` is its number in the set, `since` the trial's beginning;
#: `text` is drawn by the display, lines `text_deg` degrees high, and is empty where the stimulus is a picture; `feed`
#: is the place of the decoder whose pictures this trial shows, among those that feed the display.
PART_DTYPE = np.dtype(
    [
        ("phase", "i4"),
        ("trial", "i8"),
        ("stimulus", "i8"),
        ("since", "f8"),
        ("start", "f8"),
        ("stop", "f8"),
        ("name", "S96"),
        ("text_deg", "f8"),
        ("text", f"S{LONGEST_TEXT}"),
        ("feed", "i4"),
    ]
)

#: A latent to be drawn for a trial; the same record stands beside its picture, `drawn` 1 where there is one;
#: `generator` says which one draws it: 0, or 1 for the second of a session that has two.
REQUEST_DTYPE = np.dtype(
    [("request", "i8"), ("trial", "i8"), ("stimulus", "i8"), ("drawn", "u1"), ("generator", "u1")]
)

#: Parts, and pictures, that may be asked for ahead of time.
CAPACITY = 64

#: Texts of the events in a ring of responses: a key, its name following, and the fixation target, changed and back.
KEY, CHANGED, BACK = "key ", "fixation changed", "fixation back"

#: Keys that stay readable; the engine looks fifty times a second.
RESPONSES = 1024


def stimulus_columns(height: int, width: int) -> tuple[Column, ...]:
    """Return the columns of a stimuli ring."""
    return Column.of("image", "u1", (height, width, 3)), Column.of("part", PART_DTYPE)


def create_stimuli(name: str, height: int, width: int) -> Ring:
    """Create a stimuli ring in shared memory."""
    return Ring.create(name, stimulus_columns(height, width), CAPACITY, 8, readers=1)


def create_requests(name: str, latent: int) -> Ring:
    """Create the ring in which latents of size `latent` are sent to be drawn."""
    columns = (Column.of("latent", "f4", (latent,)), Column.of("request", REQUEST_DTYPE))
    return Ring.create(name, columns, CAPACITY, 8, readers=1)


def create_drawn(name: str, height: int, width: int) -> Ring:
    """Create the ring in which their pictures come back."""
    columns = (Column.of("image", "u1", (height, width, 3)), Column.of("request", REQUEST_DTYPE))
    return Ring.create(name, columns, CAPACITY, 8, readers=1)


def create_responses(name: str) -> Ring:
    """Create the ring in which a window says which keys were pressed in it."""
    return Ring.create(name, event_columns(), RESPONSES, RESPONSES // 4, readers=1)


def write_response(ring: Ring, text: str, time: float) -> None:
    """Say in a ring of responses what happened at a session time: `KEY` and a key's name, `CHANGED` or `BACK`."""
    place = ring.claim(1)
    place["event"][0] = event_record(Event(time, text, 0, time))
    ring.commit(1)


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
    text: str = "",
    text_deg: float = 0.0,
    feed: int = 0,
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
        The stimulus, where it is a picture.
    text, text_deg : str, float
        The stimulus, where it is a text, and the height of its lines in degrees.
    feed : int
        Which of the decoders that feed the display this trial shows.
    """
    place = ring.claim(1)
    place["part"][0] = (
        phase,
        trial,
        stimulus,
        since,
        start,
        stop,
        cut_text(name, 96),
        text_deg,
        cut_text(text, LONGEST_TEXT),
        feed,
    )
    if image is not None:
        place["image"][0] = image
    ring.commit(1)


def write_clear(ring: Ring, trial: int) -> None:
    """Take back all parts that were asked for: from its next look on, the display shows the fixation target alone."""
    never = float("inf")
    write_part(ring, Phase.CLEAR, trial=trial, stimulus=-1, since=never, start=never, stop=never)


def write_request(
    ring: Ring, latent: NDArray[np.float32], *, trial: int, stimulus: int, generator: int = 0
) -> None:
    """Ask for the picture of a latent, (d,), that a trial will show; of the smaller of two spaces it is filled up."""
    place = ring.claim(1)
    place["latent"][0] = 0
    place["latent"][0][: len(latent)] = latent
    place["request"][0] = (ring.count, trial, stimulus, 0, generator)
    ring.commit(1)


def write_drawn(ring: Ring, request: np.void, image: NDArray[np.uint8] | None) -> None:
    """Answer a request, a record of `REQUEST_DTYPE`, with its picture (height, width, 3), None where there is none."""
    place = ring.claim(1)
    place["image"][0] = 0 if image is None else image
    place["request"][0] = request
    place["request"][0]["drawn"] = image is not None
    ring.commit(1)
