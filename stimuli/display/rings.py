"""The rings of a display: the stimuli it reads, and the changes of picture it writes; its frames are beside."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.config.phosphenes import PhospheneSettings
from bci.errors import Overrun, RingError
from bci.memory.ring import Ring
from bci.memory.trial_parts import Phase
from bci.signal.types import FRAME_DTYPE, PHOSPHENES, SHOWN_DTYPE, STAGES, Shown, cut_text, event_record
from stimuli.display.frames import Frames
from stimuli.display.presenter import Choice, TrialPart
from stimuli.trials import Text

_FLIPPED = STAGES.index("flipped")


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
        self._changes: deque[tuple[float, float]] = deque()
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

    def target_changed(self, now: float) -> bool:
        """Return whether the fixation target is to be changed now."""
        while self._changes and self._changes[0][1] <= now:
            self._changes.popleft()
        return bool(self._changes) and self._changes[0][0] <= now

    def _take_note(self, phase: Phase, record: Any) -> None:
        if phase is Phase.TARGET:
            self._changes.append((float(record["start"]), float(record["stop"])))
        else:
            self._waiting.clear()
            self._changes.clear()

    def _take(self) -> None:
        while self._next < self._ring.count:
            try:
                copy = self._ring.read(self._next, self._next + 1)
            except Overrun as overrun:
                self.lost += overrun.lost
                self._next = overrun.first + overrun.lost
                continue
            record = copy["part"][0]
            phase = Phase(int(record["phase"]))
            if phase in (Phase.CLEAR, Phase.TARGET):
                self._next += 1
                self._take_note(phase, record)
                continue
            if phase is Phase.UPDATE:
                # The one before will not be seen again.
                self._waiting = deque(one for one in self._waiting if one[0].phase is not Phase.UPDATE)
            name = bytes(record["name"]).decode(errors="replace")
            words = bytes(record["text"]).decode(errors="replace")
            text = Text(words, float(record["text_deg"])) if words else None
            image = copy["image"][0]
            if text is not None and self.prepare_text is not None:
                image = self.prepare_text(text)
            part = TrialPart(
                phase,
                int(record["trial"]),
                int(record["stimulus"]),
                name,
                float(record["since"]),
                text,
                int(record["feed"]),
            )
            self._waiting.append((part, float(record["start"]), float(record["stop"]), image))
            self._next += 1


class Pictures:
    """Pictures gives the pixels of choices: the newest frame, or the stimulus that is due.

    Parameters
    ----------
    frames : Frames
        Of each decoder that feeds the display.
    stimuli : StimulusReader, optional
        In an experiment.
    phosphenes : PhospheneSettings, optional
        What is shown as phosphenes.
    image_deg : float
        The longer side of a picture on the screen, degrees.
    """

    def __init__(
        self,
        frames: Frames,
        stimuli: StimulusReader | None = None,
        phosphenes: PhospheneSettings | None = None,
        image_deg: float = 8.0,
    ) -> None:
        self.frames = frames
        self.stimuli = stimuli
        self._phosphenes = phosphenes
        self._view = None if phosphenes is None else phosphenes.open(frames.image_shape, image_deg)
        self._seen: tuple[Choice | None, NDArray[np.uint8] | None] = (None, None)

    def mode(self, choice: Choice) -> str:
        """Return how a choice is shown: `PHOSPHENES`, or empty for as it is."""
        shown_so = self._phosphenes is not None and choice.text is None and self._phosphenes.show(choice.kind)
        return PHOSPHENES if shown_so else ""

    def of(self, choice: Choice) -> NDArray[np.uint8] | None:
        """Return what is seen of a choice, (height, width, 3), until the next one; None where only fixation is drawn.

        As phosphenes it has the size of the decoder's pictures, whatever that of the screen.
        """
        image = self.original(choice)
        if image is None or self._view is None or not self.mode(choice):
            return image
        if self._seen[0] is not choice:
            self._seen = choice, self._view(image, self.frames.image_shape)
        return self._seen[1]

    def original(self, choice: Choice) -> NDArray[np.uint8] | None:
        """Return the pixels of a choice before they are shown as phosphenes."""
        if choice.kind is Shown.FRAME:
            return self.frames.image
        if choice.kind in (Shown.STIMULUS, Shown.UPDATE) and self.stimuli is not None:
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
    decoders : sequence of int
        The place in the session of each decoder that feeds the display.

    Raises
    ------
    RingError
        If the ring does not take this frame ring's pictures.
    """

    def __init__(
        self, ring: Ring, pictures: Pictures, background: int, decoders: Sequence[int] = (0,)
    ) -> None:
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
        self._decoders = tuple(decoders)

    @property
    def count(self) -> int:
        """Changes of picture written so far, by this display or one before it."""
        return self._ring.count

    def write(self, choice: Choice, flip: float) -> None:
        """Write one change of picture that reached the screen at session time `flip`."""
        place = self._ring.claim(1)
        record = place["shown"]
        record["kind"], record["frame"], record["flip"] = choice.kind, choice.frame, flip
        record["trial"], record["decoder"] = choice.trial, self._decoders[self._frames.feed]
        record["reason"] = cut_text(choice.reason, 96)
        record["mode"] = self._pictures.mode(choice).encode()
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
