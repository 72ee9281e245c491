"""A CueScreen shows a participant what to do: the picture of each cue, or its words where it has no picture."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bci.config.display import DisplaySettings
from bci.errors import ConfigError
from bci.io.files.picture import fit_picture, read_picture
from bci.signal.clock import Clock
from stimuli.display.canvas import Canvas, Pixels
from stimuli.display.settings import DisplaySpec
from stimuli.display.window import WindowDisplay
from stimuli.trials import Text

#: Height and width of pictures, pixels, where the settings do not say.
_SIZE = (512, 512)

log = logging.getLogger("bci.display")


@dataclass(frozen=True, slots=True)
class Cued:
    """A Cued is what a participant sees of a cue.

    Attributes
    ----------
    words : str
    picture : Path, optional
        A file, shown in place of the words; other proportions are cut around the middle.
    """

    words: str
    picture: Path | None = None


class CueScreen:
    """A CueScreen is a window on the participant's monitor; it is a context manager, and blank before the first cue.

    It lives in the program that gives the cues, which calls `closed` often enough for the window to answer.

    Parameters
    ----------
    settings : DisplaySettings
        Which monitor, how large, pictures' size in degrees.
    cues : mapping of str to Cued
        By label.
    clock : Clock
        What stamps flips.

    Raises
    ------
    ConfigError
        If a picture cannot be read.
    DisplayError
        If there is no screen, or a picture of that size does not fit on it.
    """

    def __init__(self, settings: DisplaySettings, cues: Mapping[str, Cued], clock: Clock) -> None:
        columns, rows = settings.picture_px or _SIZE
        self._pictures: dict[str, Pixels] = {
            label: fit_picture(read_picture(cue.picture, ConfigError), (rows, columns))
            for label, cue in cues.items()
            if cue.picture is not None
        }
        self._texts = {label: Text(cue.words) for label, cue in cues.items()}
        # Nothing is decoded: no picture grows stale.
        spec = DisplaySpec.of(settings.model_dump() | {"feeds": [{"hop_seconds": 0.0}]})
        self._window = WindowDisplay(spec, clock, lambda: True, log)
        try:
            self._canvas = Canvas(spec, self._window.size, self._window.pixels_per_cm, (rows, columns))
            self._white = False
            self._flip(None, None)
        except BaseException:
            self.close()
            raise

    def show(self, label: str) -> float:
        """Show a cue from the next flip on; return the time at which the buffer swap returned.

        Raises
        ------
        KeyError
            If there is no such cue.
        """
        self._white = not self._white
        picture = self._pictures.get(label)
        return self._flip(picture, self._texts[label] if picture is None else None)

    def closed(self) -> bool:
        """Let the window answer its events; return whether it was closed, or Escape was pressed."""
        self._window.pressed()
        return self._window.closed()

    def close(self) -> None:
        """Close the window."""
        self._window.__exit__(None, None, None)

    def _flip(self, picture: Pixels | None, text: Text | None) -> float:
        self._canvas.draw(picture, white=self._white, text=text)
        self._window.wait()
        return self._window.show(self._canvas, changed=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
