"""The rings of a display: the frames and stimuli it reads, and the changes of picture it writes."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import Overrun, RingError
from bci.memory.ring import Ring
from bci.memory.trial_parts import Phase
from bci.signal.clock import Clock
from bci.signal.types import FRAME_DTYPE, SHOWN_DTYPE, STAGES, Shown, cut_text, event_record
from stimuli.display.presenter import Choice, Frame, TrialPart
from stimuli.trials import Text

_ARRIVED, _TAKEN, _FLIPPED = (STAGES.index(stage) for stage in ("arrived", "taken", "flipped"))
_TRIES = 3


class FrameReader:
    """Takes the newest frame out of a frame ring.

    Parameters
    ----------
    ring : Ring
        Columns ``image`` (height, width, 3) uint8, ``latent`` (d,) float32, ``info`` of `FRAME_DTYPE`.

    Attributes
    ----------
    newest : Frame or None
        The frame last taken.
    taken : int
        Frames taken so far.
    superseded : int
        Frames never taken because a newer one was there; those from before this reader are not counted.

    Raises
    ------
    RingError
        If the ring is no frame ring.
    """

    def __init__(self, ring: Ring) -> None:
        columns = {column.name: column for column in ring.columns}
        image = columns.get("image")
        if (
            image is None
            or image.dtype != np.uint8
            or len(image.shape) != 3
            or image.shape[2] != 3
            or "latent" not in columns
            or "info" not in columns
            or columns["info"].dtype != FRAME_DTYPE
        ):
            raise RingError(
                "a frame ring has the columns image (height, width, 3) uint8, latent and info; "
                f"this one has {[(c.name, str(c.dtype), c.shape) for c in ring.columns]}"
            )
        self._ring = ring
        # Two places: a read that the writer overtakes must not spoil the frame that is being shown.
        self._spare, self._current = (
            {name: np.empty((1, *column.shape), column.dtype) for name, column in columns.items()}
            for _ in range(2)
        )
        self.image_shape = (image.shape[0], image.shape[1])
        self.latent_size = math.prod(columns["latent"].shape)
        self.newest: Frame | None = None
        self.taken = self.superseded = 0
        self._next = max(0, ring.count - 1)

    @property
    def image(self) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of the newest frame; valid until the next one is taken."""
        image: NDArray[np.uint8] = self._current["image"][0]
        return image

    @property
    def latent(self) -> NDArray[np.float32]:
        """Latent (d,) of the newest frame; valid until the next one is taken."""
        latent: NDArray[np.float32] = self._current["latent"][0]
        return latent

    @property
    def info(self) -> NDArray[Any]:
        """Provenance (1,) of the newest frame; valid until the next one is taken."""
        return self._current["info"]

    def take(self, clock: Clock) -> Frame | None:
        """Take the newest frame if there is a new one; return the newest there is, None before the first."""
        for _ in range(_TRIES):
            count = self._ring.count
            if count <= self._next:
                break
            try:
                self._ring.read_into(count - 1, self._spare)
            except Overrun:
                continue  # overwritten while it was copied, so a newer one is on its way
            self._spare, self._current = self._current, self._spare
            info = self._current["info"][0]
            info["stamps"][_TAKEN] = clock.now()
            self.newest = Frame(
                number=count - 1,
                arrived=float(info["stamps"][_ARRIVED]),
                valid=bool(info["valid"]),
                reason=bytes(info["reason"]).decode(errors="replace"),
                taken=float(info["stamps"][_TAKEN]),
                trial=int(info["event"]["trial"]),
            )
            self.superseded += count - 1 - self._next
            self.taken += 1
            self._next = count
            break
        return self.newest


class StimulusReader:
    """Takes the parts of trials out of a stimuli ring, ahead of time, and says which is due.

    Parameters
    ----------
    ring : Ring
        Columns of `bci.memory.trial_parts.stimulus_columns`.
    image_shape : (int, int)
        Height and width of the pictures that the display takes.

    Attributes
    ----------
    lost : int
        Parts that were overwritten before they were read.
    image : (height, width, 3) uint8
        The picture of the part that was due last; of a text, what `prepare_text` returned.
    prepare_text : callable or None
        Draws a text ahead of time and returns the picture that is recorded of it (see
        `stimuli.display.canvas.Canvas.prepare`); without it that picture is black.

    Raises
    ------
    RingError
        If the ring holds other pictures.
    """

    def __init__(self, ring: Ring, image_shape: tuple[int, int]) -> None:
        shapes = {c.name: c.shape for c in ring.columns}
        if shapes.get("image") != (*image_shape, 3) or "part" not in shapes:
            raise RingError(
                f"a stimuli ring for pictures of {image_shape} was expected; this one has {shapes}"
            )
        self._ring = ring
        self._waiting: deque[tuple[TrialPart, float, float, NDArray[np.uint8]]] = deque()
        self._next = ring.count  # what was asked for before this display was started is over
        self.lost = 0
        self.image: NDArray[np.uint8] = np.zeros((*image_shape, 3), np.uint8)
        self.prepare_text: Callable[[Text], NDArray[np.uint8]] | None = None

    def due(self, now: float) -> TrialPart | None:
        """Return the part that is due, the newest one where several are; its picture is then in `image`."""
        self._take()
        while self._waiting and self._waiting[0][2] <= now:
            self._waiting.popleft()
        due = None
        for part, start, stop, image in self._waiting:
            if start <= now < stop:
                due = part
                self.image = image
        return due

    def _take(self) -> None:
        while self._next < self._ring.count:
            try:
                copy = self._ring.read(self._next, self._next + 1)
            except Overrun as overrun:
                self.lost += overrun.lost
                self._next = overrun.first + overrun.lost
                continue
            record = copy["part"][0]
            name = bytes(record["name"]).decode(errors="replace")
            words = bytes(record["text"]).decode(errors="replace")
            text = Text(words, float(record["text_deg"])) if words else None
            image = copy["image"][0]
            if text is not None and self.prepare_text is not None:
                image = self.prepare_text(text)
            part = TrialPart(
                Phase(int(record["phase"])),
                int(record["trial"]),
                int(record["stimulus"]),
                name,
                float(record["since"]),
                text,
            )
            self._waiting.append((part, float(record["start"]), float(record["stop"]), image))
            self._next += 1


class Pictures:
    """Pictures gives the pixels of choices: the newest frame, or the stimulus that is due."""

    def __init__(self, frames: FrameReader, stimuli: StimulusReader | None = None) -> None:
        self.frames = frames
        self.stimuli = stimuli

    def of(self, choice: Choice) -> NDArray[np.uint8] | None:
        """Return the pixels (height, width, 3) of a choice, until the next one; None where only fixation is drawn."""
        if choice.kind is Shown.FRAME:
            return self.frames.image
        if choice.kind is Shown.STIMULUS and self.stimuli is not None:
            return self.stimuli.image
        return None


class ShownWriter:
    """Writes every change of picture into a shown ring.

    Parameters
    ----------
    ring : Ring
        Columns ``image``, ``latent`` and ``shown`` of `SHOWN_DTYPE`, image and latent as in the frame ring.
    pictures : Pictures
        Where they come from.
    background : int
        Grey level of the neutral picture.

    Raises
    ------
    RingError
        If the ring does not take this frame ring's pictures.
    """

    def __init__(self, ring: Ring, pictures: Pictures, background: int) -> None:
        frames = pictures.frames
        columns: Mapping[str, Any] = {c.name: (c.dtype, c.shape) for c in ring.columns}
        wanted = {
            "image": (np.dtype("u1"), (*frames.image_shape, 3)),
            "latent": (np.dtype("f4"), (frames.latent_size,)),
            "shown": (SHOWN_DTYPE, ()),
        }
        if columns != wanted:
            raise RingError(f"the shown ring needs the columns {wanted}; it has {dict(columns)}")
        self._ring = ring
        self._pictures, self._frames = pictures, frames
        self._background = background

    @property
    def count(self) -> int:
        """Changes of picture written so far, by this display or one before it."""
        return self._ring.count

    def write(self, choice: Choice, flip: float) -> None:
        """Write one change of picture that reached the screen at session time `flip`."""
        place = self._ring.claim(1)
        record = place["shown"]
        record["kind"], record["frame"], record["flip"] = choice.kind, choice.frame, flip
        record["trial"] = choice.trial
        record["reason"] = cut_text(choice.reason, 96)
        image = self._pictures.of(choice)
        place["image"][0] = self._background if image is None else image
        if choice.kind is Shown.FRAME:
            place["latent"][0] = self._frames.latent
            record["info"] = self._frames.info
        else:
            place["latent"][0] = np.nan
            record["info"] = _NOTHING
        record["info"]["stamps"][0, _FLIPPED] = flip
        self._ring.commit(1)


def _no_frame() -> NDArray[Any]:
    info = np.zeros(1, FRAME_DTYPE)
    info["first"] = info["last_sample"] = -1
    info["confidence"] = np.nan
    info["stamps"] = np.nan
    info["event"] = event_record(None)
    return info


#: The provenance of what is no frame.
_NOTHING = _no_frame()
