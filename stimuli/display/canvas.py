"""A Canvas holds the pixels of one screen: background, picture or text, fixation target, photodiode patch.

Both displays show its pixels as they are, so a window and its headless twin cannot draw differently.
"""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.config.display import DisplaySettings
from bci.errors import DisplayError
from bci.io.lettering import lettering_within
from bci.signal.phosphenes.view import PhospheneView
from stimuli.display.visual_angle import pixels
from stimuli.trials import Text

Pixels = NDArray[np.uint8]

#: Texts that are kept drawn.
_KEPT_TEXTS = 256

log = logging.getLogger("bci.display")


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of the screen, pixels from its top left corner."""

    left: int
    top: int
    width: int
    height: int

    def of(self, screen: Pixels) -> Pixels:
        """Return the view of `screen` (height, width, 3) inside this rectangle."""
        return screen[self.top : self.top + self.height, self.left : self.left + self.width]

    def overlaps(self, other: "Area") -> bool:
        """Whether the two share a pixel."""
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.top < other.top + other.height
            and other.top < self.top + self.height
        )


def gamma_table(gamma: float | tuple[int, ...] | None) -> Pixels | None:
    """Return the 256 levels to send for the 256 levels wanted, or None when they are the same.

    For an exponent g, ``255 · (level / 255) ** (1 / g)``: a screen that answers level v with light
    ``(v / 255) ** g`` then gives light in proportion to the level wanted.

    >>> gamma_table(2.0)[[0, 64, 255]].tolist()
    [0, 128, 255]
    """
    if gamma is None:
        return None
    if isinstance(gamma, tuple):
        return np.array(gamma, np.uint8)
    return np.rint(255.0 * (np.arange(256) / 255.0) ** (1.0 / gamma)).astype(np.uint8)


def nearest(source: int, target: int) -> NDArray[np.intp]:
    """Return which of `source` pixels each of `target` pixels shows: the one under its centre.

    >>> nearest(2, 4).tolist(), nearest(4, 2).tolist()
    ([0, 0, 1, 1], [1, 3])
    """
    return ((2 * np.arange(target) + 1) * source // (2 * target)).astype(np.intp)


#: The cross of the fixation target, red, green, blue: as it is, and as a fixation task changes it.
CROSS = {"white": (255, 255, 255), "dim": (96, 96, 96), "red": (255, 0, 0)}


def fixation_target(diameter: int, cross_color: str = "white") -> tuple[Pixels, NDArray[np.bool_]]:
    """Return the pixels (d, d, 3) of a fixation target and where it covers the picture (d, d).

    A black disc, a white cross through it and a black point in the middle: of the shapes compared by Thaler,
    Schütz, Goodale & Gegenfurtner (2013, Vision Research 76, 31-42) the one that the eye wanders from least.
    The point and the arms of the cross are a third of the diameter wide, as 0.2 is of 0.6 degrees there.
    """
    across = np.arange(diameter) - (diameter - 1) / 2.0
    distance = np.hypot(across[:, None], across[None, :])
    arm = diameter / 6.0
    cross = (np.abs(across)[:, None] <= arm) | (np.abs(across)[None, :] <= arm)
    covers = distance <= diameter / 2.0
    light = (covers & cross & (distance > arm))[:, :, None]
    return np.where(light, np.array(CROSS[cross_color], np.uint8), np.uint8(0)), covers


class Canvas:
    """The pixels of a screen.

    Parameters
    ----------
    settings : DisplaySettings
        Sizes and colours.
    size : (int, int)
        The screen's width and height, pixels.
    pixels_per_cm : float
        The screen's pixels per centimetre.
    image_shape : (int, int)
        Height and width of the pictures that will be drawn.
    fixation_change : str
        What the fixation target's cross becomes when it is changed; one of `CROSS`.

    Attributes
    ----------
    pixels : (height, width, 3) uint8
        What the screen shows, red, green, blue; the same array from the start to the end.
    image_area : Area
        Where the picture stands: in the middle.
    patch_area : Area or None
        Where the photodiode patch stands.
    changed : tuple of Area
        What the last `draw` may have changed.
    phosphenes : PhospheneView or None
        How pictures are seen where the settings show them as phosphenes.

    Raises
    ------
    DisplayError
        If the picture and the patch do not fit on the screen side by side.
    """

    def __init__(
        self,
        settings: DisplaySettings,
        size: tuple[int, int],
        pixels_per_cm: float,
        image_shape: tuple[int, int],
        fixation_change: str = "dim",
    ) -> None:
        width, height = size
        distance = settings.viewing_distance_cm
        longer = pixels(settings.image_deg, distance, pixels_per_cm)
        rows, columns = (max(1, round(longer * side / max(image_shape))) for side in image_shape)
        if columns > width or rows > height:
            raise DisplayError(
                f"a picture of {settings.image_deg:g}° is {columns} × {rows} pixels here, the screen {width} × "
                f"{height}. Choose a smaller image_deg, or correct viewing_distance_cm and screen_width_cm."
            )
        self._pixels_per_cm, self._distance = pixels_per_cm, distance
        self._table = gamma_table(settings.gamma)
        self._paper = settings.background
        self._background = self._corrected(np.uint8(settings.background))
        self.pixels: Pixels = np.full((height, width, 3), self._background, np.uint8)
        self.image_area = Area((width - columns) // 2, (height - rows) // 2, columns, rows)
        self.patch_area = self._place_patch(
            settings, size, pixels(settings.photodiode_deg, distance, pixels_per_cm)
        )
        self._picture = self.image_area.of(self.pixels)
        self._rows, self._columns = nearest(image_shape[0], rows), nearest(image_shape[1], columns)
        self._graded = np.empty((*image_shape, 3), np.uint8)
        self._wide = np.empty((image_shape[0], columns, 3), np.uint8)
        self._scaled = np.empty((rows, columns, 3), np.uint8)
        self._image_shape = image_shape
        self.phosphenes: PhospheneView | None = None
        if settings.phosphenes is not None:
            self.phosphenes = settings.phosphenes.open(image_shape, settings.image_deg)
            # Its matrix is made now, not at the first flip.
            self.phosphenes(np.zeros((*image_shape, 3), np.uint8), (rows, columns))
        self._texts: dict[Text, tuple[Area, Pixels]] = {}
        self._text_area: Area | None = None
        self.changed: tuple[Area, ...] = ()
        self._fixation: tuple[Pixels, tuple[Pixels, Pixels], NDArray[np.bool_]] | None = None
        if settings.fixation:
            diameter = min(pixels(settings.fixation_deg, distance, pixels_per_cm), width, height)
            target, covers = fixation_target(diameter)
            other, _ = fixation_target(diameter, fixation_change)
            targets = self._corrected(target), self._corrected(other)
            middle = Area((width - diameter) // 2, (height - diameter) // 2, diameter, diameter)
            self._fixation = middle.of(self.pixels), targets, covers[:, :, None]
        self.draw(None, white=False)

    def prepare(self, text: Text) -> Pixels:
        """Draw a text ahead of time, in the middle of the screen; one that is too large for it is made smaller.

        Returns
        -------
        (height, width, 3) uint8
            What of it stands where pictures stand, at the size of the pictures: what is recorded of it.
        """
        screen = (self.pixels.shape[0], self.pixels.shape[1])
        line = pixels(text.size_deg, self._distance, self._pixels_per_cm)
        letters, line_px = lettering_within(text.words, line, screen)
        if line_px != line:
            log.warning(
                "text %r does not fit on the screen with lines of %g degrees: they are %.0f%% of that",
                text.words, text.size_deg, 100 * line_px / line,
            )  # fmt: skip
        height, width = letters.shape
        area = Area((screen[1] - width) // 2, (screen[0] - height) // 2, width, height)
        ink = 0 if self._paper >= 128 else 255
        levels = np.rint(self._paper + (ink - self._paper) * (letters / 255.0)).astype(np.uint8)
        grey = np.repeat(levels[:, :, None], 3, axis=2)
        self._texts.pop(text, None)
        self._texts[text] = area, self._corrected(grey)
        if len(self._texts) > _KEPT_TEXTS:
            del self._texts[next(iter(self._texts))]
        return self._reduced(area, grey)

    def _reduced(self, area: Area, grey: Pixels) -> Pixels:
        """Return what of an area of the screen stands in the picture's place, at the size of a picture."""
        picture = np.full((*self._image_shape, 3), self._paper, np.uint8)
        rows = nearest(self.image_area.height, self._image_shape[0]) + self.image_area.top - area.top
        columns = nearest(self.image_area.width, self._image_shape[1]) + self.image_area.left - area.left
        inside = np.ix_((rows >= 0) & (rows < area.height), (columns >= 0) & (columns < area.width))
        picture[inside] = grey[np.ix_(rows[inside[0].ravel()], columns[inside[1].ravel()])]
        return picture

    def draw(
        self,
        image: Pixels | None,
        *,
        white: bool,
        text: Text | None = None,
        changed: bool = False,
        phosphenes: bool = False,
    ) -> None:
        """Draw one picture, or one text, into `pixels`.

        Parameters
        ----------
        image : (height, width, 3) uint8, or None
            The picture, scaled to its size on the screen by `nearest`; None draws the neutral picture, which
            is the background alone.
        white : bool
            Whether the photodiode patch is white or black.
        text : Text, optional
            Drawn instead of the picture, without the fixation target, which would cover its middle.
        changed : bool
            Whether the fixation target is drawn as a fixation task changes it.
        phosphenes : bool
            Whether the picture is drawn as it is seen through `phosphenes`.
        """
        before = self._text_area
        if before is not None:
            before.of(self.pixels)[:] = self._background
        self._text_area = None
        if image is None or text is not None:
            self._picture[:] = self._background
        elif phosphenes and self.phosphenes is not None:
            seen = self.phosphenes(image, (self.image_area.height, self.image_area.width))
            self._picture[:] = self._corrected(seen)
        else:
            if self._table is not None:
                image = np.take(self._table, image, out=self._graded, mode="clip")
            np.take(image, self._columns, axis=1, out=self._wide, mode="clip")
            np.take(self._wide, self._rows, axis=0, out=self._scaled, mode="clip")
            self._picture[:] = self._scaled
        if self._fixation is not None:
            place, targets, covers = self._fixation
            if text is None:
                np.copyto(place, targets[changed], where=covers)
            else:
                place[:] = self._background
        if text is not None:
            if text not in self._texts:
                self.prepare(text)
            self._text_area, letters = self._texts[text]
            self._text_area.of(self.pixels)[:] = letters
        if self.patch_area is not None:
            self.patch_area.of(self.pixels)[:] = self._corrected(np.uint8(255 if white else 0))
        areas = (self.image_area, self.patch_area, before, self._text_area)
        self.changed = tuple(area for area in areas if area is not None)

    def _corrected(self, levels: Pixels | np.uint8) -> Pixels:
        return np.asarray(levels if self._table is None else self._table[levels], np.uint8)

    def _place_patch(self, settings: DisplaySettings, size: tuple[int, int], side: int) -> Area | None:
        if not settings.photodiode:
            return None
        width, height = size
        vertical, horizontal = settings.photodiode_corner.split("-")
        patch = Area(
            0 if horizontal == "left" else width - side, 0 if vertical == "top" else height - side, side, side
        )
        if side > min(size) or patch.overlaps(self.image_area):
            raise DisplayError(
                f"a photodiode patch of {settings.photodiode_deg:g}° is {side} pixels wide here and would reach into "
                f"the picture on a screen of {width} × {height}. Choose a smaller photodiode_deg or image_deg."
            )
        return patch
