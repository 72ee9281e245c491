"""Images: the pictures of a folder, each shown as often, in a random order that a seed fixes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from bci.errors import ConfigError
from stimuli.trials import Protocol, Trial

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})


def protocol(spec: Mapping[str, Any], size: tuple[int, int]) -> Protocol:
    """Yield the trials.

    Spec: ``folder``, ``repeats``, ``order`` (``"random"`` or ``"sorted"``), ``seed``, ``stimulus_s``, ``feedback_s``,
    ``blank_s``.

    Raises
    ------
    ConfigError
        If the folder holds no picture, or one that cannot be read; all are read before the first trial.
    """
    names, images = load_images(Path(spec["folder"]), size)
    return _trials(spec, names, images)


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be, without reading the pictures."""
    return len(_paths(Path(spec["folder"]))) * int(spec["repeats"])


def _trials(spec: Mapping[str, Any], names: list[str], images: NDArray[np.uint8]) -> Protocol:
    for stimulus in order(len(images), spec["repeats"], spec["order"], spec["seed"]):
        yield Trial(
            stimulus,
            names[stimulus],
            images[stimulus],
            stimulus_s=spec["stimulus_s"],
            feedback_s=spec["feedback_s"],
            blank_s=spec["blank_s"],
        )


def order(n: int, repeats: int, kind: str, seed: int) -> Iterator[int]:
    """Yield which of `n` stimuli comes next; each block of `n` holds every one of them.

    >>> sorted(list(order(3, 2, "random", seed=1))[:3]), list(order(2, 2, "sorted", seed=0))
    ([0, 1, 2], [0, 1, 0, 1])
    """
    random = np.random.default_rng(seed)
    for _ in range(repeats):
        block = random.permutation(n) if kind == "random" else np.arange(n)
        yield from (int(i) for i in block)


def load_images(folder: Path, size: tuple[int, int]) -> tuple[list[str], NDArray[np.uint8]]:
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
        File names without their suffix.
    images : (n, height, width, 3) uint8
        The pictures, grey ones as RGB.

    Raises
    ------
    ConfigError
        If there is none, or one cannot be read.
    """
    paths = _paths(folder)
    if not paths:
        raise ConfigError(
            f"[experiment] folder {folder}: expected pictures ({', '.join(sorted(SUFFIXES))}), found none"
        )
    images = np.empty((len(paths), *size, 3), np.uint8)
    for place, path in enumerate(paths):
        try:
            with Image.open(path) as opened:
                images[place] = _fit(opened.convert("RGB"), size)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise ConfigError(f"{path} cannot be read as a picture: {error}. Repair or remove it.") from None
    return [path.stem for path in paths], images


def _paths(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES) if folder.is_dir() else []


def _fit(image: Image.Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = size
    scale = max(width / image.width, height / image.height)
    box = (width / scale, height / scale)
    left, top = (image.width - box[0]) / 2, (image.height - box[1]) / 2
    cut = (left, top, left + box[0], top + box[1])
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, box=cut))
