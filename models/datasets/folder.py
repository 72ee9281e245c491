"""A folder of pictures is read here: each is cut square and resized; one error names all unreadable files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.errors import ConfigError
from bci.io.files.regular import require_regular

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_NAMED = 10  # broken files named in an error before the rest is only counted
_SMALLEST = 8  # pixels


def read_folder(
    folder: Path, size: int, progress: Callable[[float, str], None] = lambda done, text: None
) -> NDArray[np.uint8]:
    """Read every picture in a folder and the folders below it, in the order of their paths.

    Parameters
    ----------
    folder : Path
        The folder; files that are no pictures are ignored.
    size : int
        Height and width that each picture's central square is resized to.
    progress : callable
        Takes the share done and a line of text.

    Returns
    -------
    (n, size, size, 3) uint8
        sRGB.

    Raises
    ------
    ConfigError
        If there is no such folder, it holds no picture, or pictures in it are unreadable; the error names those.
    """
    if not folder.is_dir():
        raise ConfigError(f"expected a folder of pictures, came {folder}, which is none. Correct the path.")
    paths = picture_files(folder)
    if not paths:
        raise ConfigError(
            f"expected pictures ({', '.join(sorted(SUFFIXES))}) in {folder}, came none. Correct the path."
        )
    images = np.empty((len(paths), size, size, 3), np.uint8)
    broken: list[str] = []
    for i, path in enumerate(paths):
        try:
            images[i] = read_picture(path, size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            # Pillow raises SyntaxError for some damaged PNG files.
            reason = str(error).replace(str(path), "it").splitlines() or [type(error).__name__]
            broken.append(f"  {path.relative_to(folder)}: {reason[0]}")
        if (i + 1) % 100 == 0 or i + 1 == len(paths):
            progress((i + 1) / len(paths), f"reading {len(paths)} pictures")
    if broken:
        more = f"\n  and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
        raise ConfigError(
            f"expected {len(paths)} readable pictures in {folder}, came {len(broken)} that cannot be read:\n"
            + "\n".join(broken[:_NAMED])
            + f"{more}\nRepair them or move them elsewhere; nothing is left out silently."
        )
    return images


def picture_files(folder: Path) -> list[Path]:
    """Return the pictures in a folder and the folders below it, sorted, by their suffixes."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def read_picture(path: Path, size: int) -> NDArray[np.uint8]:
    """Read one picture, cut its central square and resize it: (size, size, 3) uint8.

    Raises
    ------
    OSError, ValueError
        If the file is no picture, is truncated, or is smaller than 8 pixels.
    """
    with Image.open(path) as opened:
        opened.load()
        picture = opened.convert("RGB")
    if min(picture.size) < _SMALLEST:
        raise ValueError(
            f"it has {picture.width} × {picture.height} pixels, expected {_SMALLEST} × {_SMALLEST} or more"
        )
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS), np.uint8)


def open_picture(path: Path, size: int) -> NDArray[np.uint8]:
    """Read one picture as `read_picture` does.

    Raises
    ------
    ConfigError
        If there is no such file, or it is no picture.
    """
    require_regular(path, ConfigError)
    try:
        return read_picture(path, size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = (str(error).replace(str(path), "it").splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"{path}: expected a picture ({', '.join(sorted(SUFFIXES))}), came: {reason}. Name another file."
        ) from None
