"""A folder of ours is replaced whole or not at all: written beside its place, then exchanged with what was there."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bci.errors import ConfigError


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` when the block ends without an error.

    Until then, and for ever where it ends with one, what was in the place stays there. A link is followed: the folder
    that it leads to is replaced.

    Parameters
    ----------
    folder : Path
        The place; folders above it are made.

    Raises
    ------
    ConfigError
        If the place cannot be written.
    """
    place = folder.resolve()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        workshop = tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent)
    except OSError as error:
        raise _unwritable(folder, error) from None
    with workshop:
        new, old = Path(workshop.name) / place.name, Path(workshop.name) / "replaced"
        new.mkdir()
        yield new
        try:
            if place.exists():
                os.replace(place, old)
            os.replace(new, place)
        except OSError as error:
            if old.exists():
                os.replace(old, place)
            raise _unwritable(folder, error) from None


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot write the folder {folder}: {error.strerror or error}. What was there stays. Choose another place."
    )
