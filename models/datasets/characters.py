"""Handwritten characters of many alphabets: the Omniglot archives, read from their zip files.

Lake, Salakhutdinov & Tenenbaum (2015), Science 350:1332; 105 × 105 pixels, one bit, 20 writers per character.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.errors import ConfigError

#: Drawings of one archive, and bytes of one; the published ones have 20,000, of 300 bytes.
_MOST, _LARGEST_DRAWING = 100_000, 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Characters:
    """Characters holds drawings of characters, with the alphabet and number of each.

    Attributes
    ----------
    images : (n, size, size, 3) uint8
        Dark ink on white paper.
    alphabets : tuple of str
        Alphabet of each picture.
    characters : tuple of str
        Alphabet and number of each picture's character, as ``Greek/character05``.
    """

    images: NDArray[np.uint8]
    alphabets: tuple[str, ...]
    characters: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def read_characters(
    folder: Path, size: int = 64, progress: Callable[[float, str], None] = lambda done, text: None
) -> Characters:
    """Read every archive in a folder; a drawing that two archives hold is read once.

    Parameters
    ----------
    folder : Path
        Holds ``images_background*.zip`` or ``images_evaluation.zip`` with paths
        ``<set>/<alphabet>/<character>/<drawing>.png``.
    size : int
        Height and width to resize to, by averaging the covered pixels, so that strokes keep their weight.
    progress : callable
        Takes the share done and a line of text.

    Raises
    ------
    ConfigError
        If there is no archive, or one is damaged or has other content.
    """
    archives = sorted(folder.glob("images_*.zip")) if folder.is_dir() else []
    if not archives:
        raise ConfigError(
            f"expected Omniglot's archives images_*.zip in {folder}, came none. Name their folder under the data root."
        )
    digests: set[bytes] = set()
    images: list[NDArray[np.uint8]] = []
    labels: list[tuple[str, str]] = []
    for k, archive in enumerate(archives):
        for name, content in _drawings(archive):
            digest = hashlib.sha256(content).digest()
            if digest in digests:
                continue
            digests.add(digest)
            parts = Path(name).parts
            if len(parts) < 3:
                raise ConfigError(
                    f"{archive}: expected drawings at <alphabet>/<character>/<drawing>.png, came {name}. "
                    "Use the archives as they were published."
                )
            images.append(_resize(content, size, f"{archive}: {name}"))
            labels.append((parts[-3], f"{parts[-3]}/{parts[-2]}"))
        progress((k + 1) / len(archives), f"reading {archive.name}")
    return Characters(np.stack(images), tuple(a for a, _ in labels), tuple(c for _, c in labels))


def _drawings(archive: Path) -> list[tuple[str, bytes]]:
    """Return (name, bytes) of every PNG in the archive, sorted by name."""
    try:
        with zipfile.ZipFile(archive) as opened:
            drawings = sorted(
                (info for info in opened.infolist() if info.filename.endswith(".png")),
                key=lambda i: i.filename,
            )
            if (
                max((info.file_size for info in drawings), default=0) > _LARGEST_DRAWING
                or len(drawings) > _MOST
            ):
                raise ConfigError(
                    f"{archive}: expected at most {_MOST} drawings of {_LARGEST_DRAWING} bytes, came more. Use the "
                    "archive as it was published."
                )
            members = [(info.filename, opened.read(info)) for info in drawings]
    # The last two are zipfile's: a member that is encrypted, or compressed in a way that it does not know.
    except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise ConfigError(
            f"{archive}: expected a sound zip archive, came: {error}. Copy it again from where it was published."
        ) from None
    if not members:
        raise ConfigError(
            f"{archive}: expected drawings (.png), came none. Use the archive as it was published."
        )
    return members


def _resize(content: bytes, size: int, where: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(content)) as opened:
            paper = opened.convert("L")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{where}: expected a picture, came: {error}. Copy the archive again.") from None
    small = np.asarray(paper.resize((size, size), Image.Resampling.BOX), np.uint8)
    return np.repeat(small[:, :, None], 3, axis=2)
