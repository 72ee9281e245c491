"""The frames of a display: what the decoders that feed it made last, of which it takes the newest."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import Overrun, RingError
from bci.memory.ring import Ring
from bci.signal.clock import Clock
from bci.signal.types import FRAME_DTYPE, STAGES
from stimuli.display.presenter import Frame

_ARRIVED, _TAKEN = (STAGES.index(stage) for stage in ("arrived", "taken"))
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
        Frames never taken because a newer one was there; those from before this reader, or from before it was
        resumed, are not counted.

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

    def resume(self) -> None:
        """Go on with the newest frame there is: those before it were not for this display."""
        self._next = max(self._next, self._ring.count - 1)

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


class Frames:
    """Frames are the newest reconstructions of the decoders that feed a display, one of which feeds it now.

    Parameters
    ----------
    readers : sequence of FrameReader
        One a decoder; the first one feeds the display until `choose` says otherwise. None where nothing is decoded.
    picture_px : (int, int), optional
        Width and height of the pictures of a display that no decoder feeds.

    Attributes
    ----------
    feed : int
        Which of them feeds the display.

    Raises
    ------
    RingError
        If their pictures or latents differ in size: one screen shows them; or if nothing says it.
    """

    def __init__(self, readers: Sequence[FrameReader], picture_px: tuple[int, int] | None = None) -> None:
        sizes = {(reader.image_shape, reader.latent_size) for reader in readers}
        if len(sizes) > 1:
            raise RingError(
                f"decoders that feed one display make pictures and latents of one size; these: {sorted(sizes)}"
            )
        self._readers = tuple(readers)
        self.feed = 0
        if sizes:
            ((self.image_shape, self.latent_size),) = sizes
        elif picture_px is not None:
            self.image_shape, self.latent_size = picture_px[::-1], 0
        else:
            raise RingError(
                "no decoder feeds this display, and picture_px does not say the size of its pictures"
            )
        # What is shown of frames that there never are: dark, of no values.
        height, width = self.image_shape
        self._nothing: dict[str, NDArray[Any]] = {
            "image": np.zeros((height, width, 3), np.uint8),
            "latent": np.zeros(self.latent_size, np.float32),
            "info": np.zeros(1, FRAME_DTYPE),
        }

    @property
    def fed(self) -> bool:
        """Whether there is a decoder at all."""
        return bool(self._readers)

    @property
    def _reader(self) -> FrameReader | None:
        return self._readers[self.feed] if self._readers else None

    def choose(self, feed: int) -> None:
        """Let another decoder feed the display."""
        self.feed = feed
        self._readers[feed].resume()

    def take(self, clock: Clock) -> Frame | None:
        """Take the newest frame of the decoder that feeds the display; see `FrameReader.take`."""
        return None if self._reader is None else self._reader.take(clock)

    @property
    def newest(self) -> Frame | None:
        """The frame last taken from the decoder that feeds the display."""
        return None if self._reader is None else self._reader.newest

    @property
    def image(self) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of its newest frame; valid until the next one is taken."""
        return self._nothing["image"] if self._reader is None else self._reader.image

    @property
    def latent(self) -> NDArray[np.float32]:
        """Latent (d,) of its newest frame; valid until the next one is taken."""
        return self._nothing["latent"] if self._reader is None else self._reader.latent

    @property
    def info(self) -> NDArray[Any]:
        """Provenance (1,) of its newest frame; valid until the next one is taken."""
        return self._nothing["info"] if self._reader is None else self._reader.info

    @property
    def taken(self) -> int:
        """Frames taken so far, of all decoders."""
        return sum(reader.taken for reader in self._readers)

    @property
    def superseded(self) -> int:
        """Frames never taken because a newer one was there, of all decoders."""
        return sum(reader.superseded for reader in self._readers)
