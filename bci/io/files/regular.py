"""A regular file is what a reader expects: a named pipe would hang it, a device never ends, JSON nests without end."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bci.errors import BciError

#: Bytes of the largest text that is read whole: descriptions, settings, latents of pictures.
LARGEST_TEXT = 64 << 20

#: Makes the error to raise, of its words.
Refuse = Callable[[str], BciError]

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a disk"),
)


def require_regular(path: Path, refuse: Refuse, *, largest: int | None = None) -> int:
    """Refuse what is no regular file before anything opens it; return its size, bytes.

    Parameters
    ----------
    path : Path
        The file; links are followed.
    refuse : callable
        Makes the error: a class of `bci.errors`, or what adds to its words.
    largest : int, optional
        Bytes.

    Raises
    ------
    BciError
        What `refuse` makes, if the file is missing, out of reach, something else, or larger.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise refuse(f"there is no file {path}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise refuse(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(status.st_mode):
        came = next((words for holds, words in _KINDS if holds(status.st_mode)), "something else")
        raise refuse(f"{path}: expected a regular file, came {came}. Name a file on a disk.")
    if largest is not None and status.st_size > largest:
        raise refuse(
            f"{path}: expected at most {largest / 1e6:.0f} MB, came {status.st_size / 1e6:.0f} MB. Name another file."
        )
    return status.st_size


def read_text(path: Path, refuse: Refuse, *, largest: int = LARGEST_TEXT) -> str:
    """Return a text file, UTF-8 with or without a byte order mark.

    Raises
    ------
    BciError
        What `refuse` makes, as `require_regular`, or if it is no such text.
    """
    require_regular(path, refuse, largest=largest)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise refuse(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise refuse(f"{path} is no UTF-8 text: {error}. Save it as UTF-8.") from None


def parse_json(text: str | bytes, where: object, refuse: Refuse) -> Any:
    """Return what JSON says; `where` is what errors call its origin.

    Raises
    ------
    BciError
        What `refuse` makes, if it is no JSON, or nests deeper than can be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise refuse(f"{where}: its lists and objects nest too deep to be read. It is damaged.") from None
    except ValueError as error:
        raise refuse(f"{where} is no JSON: {error}. It is damaged.") from None


def read_json(path: Path, refuse: Refuse, *, largest: int = LARGEST_TEXT) -> Any:
    """Return what a JSON file says; raises as `read_text` and `parse_json`."""
    return parse_json(read_text(path, refuse, largest=largest), path, refuse)
