"""An Album keeps pictures of a headless display in bounded memory: the first changes, and looks at even intervals.

Nothing is written while the display runs: a PNG takes longer than a refresh, and a writer thread would compete
with the flip loop for the interpreter. The pictures are kept as the decoder made them (a few kilobytes, where
a screen has megabytes) and drawn again at the end.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Shown
from stimuli.display.presenter import Choice
from stimuli.display.rings import Pictures
from stimuli.display.trial_album import TrialAlbum

#: A look keeps no more pixels along a side than this: the contact sheet's tiles are smaller.
LOOK_SIDE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A Page is one picture as it was on the screen.

    Attributes
    ----------
    number : int
        Count of this change of picture in the shown ring.
    time : float
        Session seconds: of the flip that brought it (a change), or of the look.
    choice : Choice
        The display's choice: frame, stimulus or neutral.
    confidence : float
        The decoder's confidence, NaN for none.
    white : bool
        Whether the photodiode patch was white.
    image : (height, width, 3) uint8
        The frame's or stimulus's pixels, of a look as they were seen; meaningless where neither was on the screen.
    latent : (d,) float32
        The frame's latent; meaningless for anything else.
    """

    number: int
    time: float
    choice: Choice
    confidence: float
    white: bool
    image: NDArray[np.uint8]
    latent: NDArray[np.float32]


class Album:
    """An Album keeps the pictures of a headless display.

    Looks are taken on a grid in time that starts with one per refresh; whenever there are too many, every
    second one is dropped and the grid becomes half as fine. So at any time they are spread evenly over the run.

    Parameters
    ----------
    pictures : Pictures
        Source of the pictures.
    refresh_hz : float
        Flips per second.
    changes : int
        Number of changes of picture to keep, from the first on.
    looks : int
        Smallest number of looks once the run is long enough; up to four times as many are kept.

    Attributes
    ----------
    trials : TrialAlbum or None
        Of an experiment, its trials; None where no stimuli are shown, or no looks are wanted.
    """

    def __init__(self, pictures: Pictures, refresh_hz: float, *, changes: int, looks: int) -> None:
        frames = pictures.frames
        height, width = frames.image_shape
        self._stride = max(1, -(-max(height, width) // LOOK_SIDE))
        self._pictures, self._frames = pictures, frames
        self._room = 4 * looks
        self._change_store = _Store(changes, height, width, frames.latent_size)
        self._look_store = _Store(
            self._room, -(-height // self._stride), -(-width // self._stride), frames.latent_size
        )
        self._free = list(range(self._room))
        self._looks: list[tuple[int, int, Page]] = []  # place on the grid, place in the store, page
        self._refresh = 1.0 / refresh_hz
        self._every = self._refresh
        self.start = math.nan
        self._due = 0
        self._current: Page | None = None
        self._nothing = np.zeros((height, width, 3), np.uint8)
        self.changes: list[Page] = []
        experiment = pictures.stimuli is not None and looks > 0
        self.trials = TrialAlbum(pictures, 2 * looks, self._stride) if experiment else None

    def change(self, choice: Choice, number: int, flip: float, white: bool) -> None:
        """Remember that change `number` brought `choice` to the screen at session time `flip`."""
        if self.trials is not None:
            self.trials.change(choice, flip)
        framed = choice.kind is Shown.FRAME
        page = Page(
            number=number,
            time=flip,
            choice=choice,
            confidence=float(self._frames.info["confidence"][0]) if framed else math.nan,
            white=white,
            image=self._nothing if (image := self._pictures.of(choice)) is None else image,
            latent=self._frames.latent,
        )
        self._current = page
        if (at := len(self.changes)) < self._change_store.room:
            # What a screen shows of it is drawn again at the end, in the screen's own pixels.
            if (original := self._pictures.original(choice)) is not None:
                self._change_store.put(at, original, page.latent)
            image, latent = self._change_store.get(at)
            self.changes.append(replace(page, image=image, latent=latent))

    def as_phosphenes(self, page: Page) -> bool:
        """Whether a change is shown as phosphenes; its pixels are those of the picture before that."""
        return bool(self._pictures.mode(page.choice))

    def flip(self, flip: float) -> None:
        """Remember what is on the screen at session time `flip` if a look is due.

        While a frame is on the screen it is the newest one, so its pixels are the reader's.
        """
        if self.trials is not None:
            self.trials.look()
        if self._current is None or not self._room:
            return
        if math.isnan(self.start):
            self.start = flip
        # Half a refresh early is this refresh: the grid is met by rounding, not by luck.
        if flip < self.start + self._due * self._every - 0.5 * self._refresh:
            return
        grid = round((flip - self.start) / self._every)
        while not self._free:
            self._thin_out()
            if grid % 2:
                return
            grid //= 2
        at = self._free.pop()
        showing = self._pictures.of(self._current.choice)
        if showing is not None:
            step = self._stride
            self._look_store.put(at, showing[::step, ::step], self._frames.latent)
        image, latent = self._look_store.get(at)
        self._looks.append((grid, at, replace(self._current, time=flip, image=image, latent=latent)))
        self._due = grid + 1

    def looks(self, wanted: int) -> list[Page]:
        """Return at most `wanted` looks, evenly spread over the run."""
        kept = len(self._looks)
        places = np.unique(np.linspace(0, kept - 1, min(wanted, kept)).round().astype(int))
        return [self._looks[place][2] for place in places]

    def _thin_out(self) -> None:
        self._free += [at for grid, at, _ in self._looks if grid % 2]
        self._looks = [(grid // 2, at, page) for grid, at, page in self._looks if grid % 2 == 0]
        self._every *= 2.0
        self._due = self._looks[-1][0] + 1


class _Store:
    """A _Store holds pictures and latents in arrays that are allocated once."""

    def __init__(self, room: int, height: int, width: int, latent_size: int) -> None:
        self.room = room
        self._images = np.empty((room, height, width, 3), np.uint8)
        self._latents = np.empty((room, latent_size), np.float32)

    def put(self, at: int, image: NDArray[np.uint8], latent: NDArray[np.float32]) -> None:
        self._images[at], self._latents[at] = image, latent

    def get(self, at: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return self._images[at], self._latents[at]
