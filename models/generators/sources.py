"""The pictures that a generator learns from: drawn, read from archives, or read from a folder.

Whatever the source, some are held out for scores by one seeded shuffle.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from models.datasets.characters import read_characters
from models.datasets.folder import read_folder
from models.drawings.face import NAMES, draw, sample_attributes
from models.generators.settings import GeneratorFile
from models.settings import find_data_root

Progress = Callable[[float, str], None]
Pixels = NDArray[np.uint8]

#: Attributes of pose, each 0 when the face looks at the camera from the usual distance.
_POSE = ("yaw", "pitch", "roll", "size")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A Source holds training pictures and held-out ones.

    Attributes
    ----------
    train, held_out : (n, size, size, 3) uint8
        sRGB.
    sha256 : str
        Of all pictures' pixels, in order.
    says : str
        In words, for the card.
    attributes, held_out_attributes : (n, 37) float32 or None
        Of faces; see `models.drawings.face.ATTRIBUTES`.
    """

    train: Pixels
    held_out: Pixels
    sha256: str
    says: str
    attributes: NDArray[np.float32] | None = None
    held_out_attributes: NDArray[np.float32] | None = None


def open_source(config: GeneratorFile, data_root: Path | None, cache: Path, progress: Progress) -> Source:
    """Draw or read the pictures.

    Parameters
    ----------
    config : GeneratorFile
        Its ``pictures`` section, the size to draw at, and how many are needed.
    data_root : Path, optional
        Where relative paths start; see `models.settings.find_data_root`.
    cache : Path
        Folder in which drawn faces are kept, so that a run which goes on does not draw them again.
    progress : callable
        Takes the share done and a line of text.

    Raises
    ------
    ConfigError
        If pictures cannot be read, or are too few to hold some out.
    """
    settings, size = config.pictures, config.size
    if settings.source == "faces":
        images = _faces(config, cache, progress)
        says = f"{len(images)} faces, drawn by models.drawings.face from seed {config.seed}"
    else:
        path = Path(settings.path)
        folder = path if path.is_absolute() else find_data_root(data_root) / path
        if settings.source == "characters":
            images = read_characters(folder, size, progress).images
            says = f"{len(images)} handwritten characters (Omniglot; Lake et al. 2015)"
        else:
            images = read_folder(folder, size, progress)
            says = f"{len(images)} pictures from the folder {folder.name}"
    least = settings.held_out + config.fewest
    if len(images) < least:
        raise ConfigError(
            f"expected at least {least} pictures ([pictures] held_out {settings.held_out} and {config.fewest} "
            f"to learn from), came {len(images)}. Hold out fewer, or add pictures."
        )
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    order = np.random.default_rng([config.seed, 7]).permutation(len(images))
    kept, learned = np.sort(order[: settings.held_out]), np.sort(order[settings.held_out :])
    if settings.source != "faces":
        return Source(images[learned], images[kept], digest, says)
    table = _attributes(config, len(images))
    return Source(images[learned], images[kept], digest, says, table[learned], table[kept])


def _attributes(config: GeneratorFile, n: int) -> NDArray[np.float32]:
    """Return the attributes that faces are drawn from: (n, 37)."""
    table = sample_attributes(n, np.random.default_rng(config.seed))
    table[:, [NAMES.index(name) for name in _POSE]] *= np.float32(config.pictures.pose)
    return table


def _faces(config: GeneratorFile, cache: Path, progress: Progress) -> Pixels:
    """Draw faces, or take those that an earlier run with the same settings has drawn."""
    number = config.pictures.number + config.pictures.held_out
    key = json.dumps([config.seed, number, config.size, config.pictures.pose])
    kept = cache / f"faces-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npy"
    if kept.is_file():
        try:
            images: Pixels = np.load(kept, allow_pickle=False)
        except (ValueError, EOFError, OSError):
            progress(0.0, f"{kept.name} is damaged and is drawn again")
        else:
            return images
    images = draw(_attributes(config, number), size=config.size, progress=progress)
    # Processes that train together may all be drawing.
    partial = kept.with_suffix(f".partial{os.getpid()}")
    with partial.open("wb") as file:
        np.save(file, images, allow_pickle=False)
    partial.replace(kept)
    return images
