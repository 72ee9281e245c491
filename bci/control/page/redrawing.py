"""Pictures of a finished session are drawn again of what was read: its folder keeps latents and digests, not pixels."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import drawing_of
from bci.errors import BciError

Picture = NDArray[np.uint8]

#: The longest side of a picture that is shown of a file, pixels.
_LONGEST = 256


class Redrawing:
    """Draws what one decoder read.

    Parameters
    ----------
    bundle : Bundle or None
        The decoder's; None where it is gone.
    """

    def __init__(self, bundle: Bundle | None) -> None:
        self._bundle = bundle
        self._draw: Callable[[NDArray[np.float32]], Picture | None] | None = None
        self._tried = False

    @classmethod
    def of(cls, folder: str | Path, expected: str) -> Self:
        """Return what a bundle draws of latents; nothing where it is gone, or is not the one of that hash any more."""
        with contextlib.suppress(BciError):
            bundle = Bundle.load(folder)
            return cls(bundle if bundle.hash == expected else None)
        return cls(None)

    def picture(self, latent: NDArray[np.float32]) -> Picture | None:
        """Return the picture of a latent, (height, width, 3); None where it cannot be drawn alone."""
        if not self._tried:
            self._tried = True
            # A bundle that is one graph from window to picture draws no latent alone.
            with contextlib.suppress(BciError):
                self._draw = self._open()
        return None if self._draw is None or not np.isfinite(latent).all() else self._draw(latent)

    def _open(self) -> Callable[[NDArray[np.float32]], Picture | None] | None:
        return None if self._bundle is None else drawing_of(self._bundle)


def file_picture(path: Path) -> Picture | None:
    """Return the picture in a file, small; None where it is gone or no picture."""
    if not path.is_file():
        return None
    try:
        with Image.open(path) as image:
            image.thumbnail((_LONGEST, _LONGEST))
            return np.asarray(image.convert("RGB"), np.uint8)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
