"""A picture file is read here: its size is looked at before its pixels; what is wrong with it is said in words."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.io.files.regular import Refuse, require_regular

#: A picture of more pixels is refused: of 8192 on each side, as large as a bundle may draw.
MOST_PIXELS = 8192 * 8192

#: What Pillow raises on damaged and hostile files, beside its own bomb.
_DAMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def read_picture(path: Path, refuse: Refuse) -> Image.Image:
    """Return a picture in colour, RGB, loaded.

    Raises
    ------
    BciError
        What `refuse` makes, if the file is missing, no regular file, no picture, damaged, or of too many pixels.
    """
    require_regular(path, refuse)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise refuse(
                        f"{path}: expected a picture of at most {MOST_PIXELS} pixels, came {opened.width} × "
                        f"{opened.height}. Make it smaller."
                    )
                return opened.convert("RGB")
    except _DAMAGE as error:
        raise refuse(f"{path} cannot be read as a picture: {error}. Repair or remove it.") from None


def read_pixels(path: Path, refuse: Refuse) -> NDArray[np.uint8]:
    """Return a picture's pixels, (height, width, 3) uint8; raises as `read_picture`."""
    return np.asarray(read_picture(path, refuse))


def fit_picture(picture: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture's pixels at another size, height and width; other proportions are cut around the middle."""
    height, width = size
    scale = max(width / picture.width, height / picture.height)
    box = (width / scale, height / scale)
    left, top = (picture.width - box[0]) / 2, (picture.height - box[1]) / 2
    cut = (left, top, left + box[0], top + box[1])
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS, box=cut))
