"""A StoredScreen reads the pictures that a headless display left in ``frames/``, and can draw them again."""

from functools import cached_property
from pathlib import Path

from bci.config.display import DisplaySettings
from bci.errors import RecordingError
from bci.io.files.picture import read_pixels
from bci.signal.types import Shown
from stimuli.display.canvas import Canvas, Pixels


class StoredScreen:
    """A StoredScreen gives the stored pictures of a headless display.

    Parameters
    ----------
    folder : Path
        The session's folder.
    settings : DisplaySettings
        The display's settings.
    image_shape : (int, int)
        Height and width of the decoder's pictures.

    Attributes
    ----------
    changes : frozenset of int
        The changes of picture that are stored.
    """

    def __init__(self, folder: Path, settings: DisplaySettings, image_shape: tuple[int, int]) -> None:
        self._settings, self._image_shape = settings, image_shape
        files = sorted((folder / "frames").glob("*.png")) if settings.kind == "headless" else []
        self._files = {int(path.stem): path for path in files if path.stem.isdecimal()}
        self.changes = frozenset(self._files)

    @cached_property
    def _canvas(self) -> Canvas:
        # Made where there is something to draw: a window's true size is not in its settings.
        settings = self._settings
        pixels_per_cm = settings.size_px[0] / settings.screen_width_cm
        return Canvas(settings, settings.size_px, pixels_per_cm, self._image_shape)

    def stored(self, change: int) -> Pixels:
        """Return the pixels of the picture's place on the screen after a change of picture.

        Raises
        ------
        RecordingError
            If they are no picture of this screen.
        """
        path = self._files[change]
        whole = read_pixels(path, RecordingError)
        if whole.shape != self._canvas.pixels.shape:
            raise RecordingError(
                f"{path} has {whole.shape[1]} × {whole.shape[0]} pixels; the session's [display] size_px says "
                f"{self._canvas.pixels.shape[1]} × {self._canvas.pixels.shape[0]}"
            )
        return self._canvas.image_area.of(whole)

    def drawn(self, image: Pixels) -> Pixels:
        """Return the pixels that stand in that place when `image`, a reconstruction, is shown."""
        phosphenes = self._settings.phosphenes
        as_phosphenes = phosphenes is not None and phosphenes.show(Shown.FRAME)
        self._canvas.draw(image, white=False, phosphenes=as_phosphenes)
        return self._canvas.image_area.of(self._canvas.pixels).copy()
