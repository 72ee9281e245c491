"""The pictures of a folder, as stimuli of one size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.io.files.picture import fit_picture, read_picture
from bci.io.files.regular import read_json
from stimuli.trials import Picture, Trial, timed

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


#: Beside the pictures of a folder: the latent of each, by its name.
LATENTS = "latents.json"
#: The same of features that early vision answers to; `models.encoding.candidates` writes them.
FEATURES = "features.json"


def load_pictures(folder: Path, size: tuple[int, int]) -> tuple[list[str], NDArray[np.uint8]]:
    """Read every picture of a folder, in the order of their names, scaled to one size.

    Parameters
    ----------
    folder : Path
        Where they are.
    size : (int, int)
        Height and width; other proportions are cut to it around the middle.

    Returns
    -------
    names : list of str
        File names without their suffix; of a picture in a folder below, that folder's name and a slash before it.
    images : (n, height, width, 3) uint8
        The pictures, grey ones as RGB.

    Raises
    ------
    ConfigError
        If there is none, or one cannot be read.
    """
    paths = picture_paths(folder)
    if not paths:
        raise ConfigError(
            f"[experiment] folder {folder}: expected pictures ({', '.join(sorted(SUFFIXES))}), found none"
        )
    images = np.empty((len(paths), *size, 3), np.uint8)
    for place, path in enumerate(paths):
        images[place] = fit_picture(read_picture(path, ConfigError), size)
    return [name_in(folder, path) for path in paths], images


@dataclass(frozen=True, slots=True, eq=False)
class PictureSet:
    """The pictures of a folder: names without suffix, (n, height, width, 3) uint8 pixels, and files."""

    names: list[str]
    images: NDArray[np.uint8]
    files: list[str]

    @classmethod
    def load(cls, folder: Path, size: tuple[int, int]) -> Self:
        """Read every picture of a folder, as `load_pictures`."""
        names, images = load_pictures(folder, size)
        # The folder's own name: the path to it may hold that of a person.
        files = [f"{folder.name}/{path.relative_to(folder).as_posix()}" for path in picture_paths(folder)]
        return cls(names, images, files)

    def trial(self, spec: Mapping[str, Any], number: int, **changes: Any) -> Trial:
        """Return the trial that shows one of them, with the times of ``[experiment]``; see `stimuli.trials.timed`."""
        return timed(
            spec, number, self.names[number], Picture(self.images[number]), file=self.files[number], **changes
        )


def load_latents(folder: Path, names: Sequence[str], d: int) -> NDArray[np.float32]:
    """Read the latent of each picture of a folder.

    Parameters
    ----------
    folder : Path
        Where they are, and ``latents.json``: for each name a list of numbers.
    names : sequence of str
        Of the pictures.
    d : int
        How many numbers a latent has.

    Returns
    -------
    (n, d) float32

    Raises
    ------
    ConfigError
        If the file is not there, or does not give as many numbers for each picture.
    """
    latents = load_numbers(folder, names)
    if latents.shape[1] != d:
        raise ConfigError(
            f"{folder / LATENTS}: expected {d} numbers for each picture, as many as the bundle reads, came an array of "
            f"shape {latents.shape}. Choose the pictures of the bundle's own generator."
        )
    return latents


def load_numbers(folder: Path, names: Sequence[str], file: str = LATENTS) -> NDArray[np.float32]:
    """Read the numbers of each picture of a folder, (n, as many as there are) float32: latents, or features.

    Raises
    ------
    ConfigError
        If the file is not there, or does not give equally many finite numbers for each picture.
    """
    what, from_ = {
        LATENTS: ("latent", "Choose a folder of pictures that a generator drew."),
        FEATURES: ("features", f"Write them with `python -m models.encoding.candidates {folder}`."),
    }[file]
    try:
        rows = read_json(folder / file, ConfigError)
        numbers = np.array([rows[name] for name in names], np.float32)
        if numbers.ndim != 2 or not numbers.shape[1] or not np.isfinite(numbers).all():
            raise ValueError(f"an array of shape {numbers.shape}, or numbers that are not finite")
    except (ConfigError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"[experiment] folder {folder}: expected the {what} of every picture in {file}, came: {error}. {from_}"
        ) from None
    return numbers


def picture_paths(folder: Path) -> list[Path]:
    """Return the files that are pictures by their names, sorted: of a folder, and of the folders in it, its classes.

    There are none where there is no folder. What begins with a dot is hidden.
    """
    if not folder.is_dir():
        return []
    below = [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    files = [p for place in (folder, *below) for p in place.iterdir() if p.suffix.lower() in SUFFIXES]
    return sorted(p for p in files if not p.name.startswith("."))


def name_in(folder: Path, path: Path) -> str:
    """Return what a picture of a folder is called.

    >>> name_in(Path("pictures"), Path("pictures/cats/01.png")), name_in(Path("pictures"), Path("pictures/01.png"))
    ('cats/01', '01')
    """
    return path.relative_to(folder).with_suffix("").as_posix()
