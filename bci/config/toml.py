"""Settings files in TOML: one loader, and one way to say what is wrong with a file."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bci.config.faults import describe_errors
from bci.errors import ConfigError
from bci.io.files.regular import read_text

_LARGEST = 1 << 20
#: `tomllib` takes time and memory by the square of a dotted key's parts: a hundred thousand cost it 4 GB.
_MOST_PARTS = 64
#: What a file is made of, as far as keys go; every alternative takes all it looks at, so a scan is linear.
_TOKENS = re.compile(
    r""""{3}(?s:.*?)(?:"{3}|\Z)|'{3}(?s:.*?)(?:'{3}|\Z)|"(?:[^"\\\n]|\\.)*+"?|'[^'\n]*'?|#[^\n]*"""
    r"|(?P<part>[A-Za-z0-9_-]+)|(?P<dot>[ \t]*\.[ \t]*)|."
)

Settings = TypeVar("Settings", bound=BaseModel)


def read_toml(path: Path, kind: str) -> dict[str, Any]:
    """Return the values of a TOML file.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What the file is called in errors: ``"session"`` gives "cannot read the session file …".

    Raises
    ------
    ConfigError
        If the file is missing, no regular file, larger than 1 MiB, no UTF-8 text, or no TOML that a person would
        write: lists within lists without end, keys of more than 64 parts, numbers of thousands of digits.
    """
    text = read_text(
        path, lambda words: ConfigError(f"cannot read the {kind} file: {words}"), largest=_LARGEST
    )
    if (parts := _longest_key(text)) > _MOST_PARTS:
        raise ConfigError(
            f"{path}: expected keys of at most {_MOST_PARTS} parts, came one of {parts}. Shorten it."
        )
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(f"{path}: its lists and tables nest too deep to be read. Write it flat.") from None
    except ValueError as error:  # TOMLDecodeError is one; the other is a number of thousands of digits
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _longest_key(text: str) -> int:
    """Return how many parts the longest dotted key of a TOML text has, at most.

    >>> _longest_key("a.b.c = 'd.e.f.g'")
    3
    """
    longest = parts = 0
    after_dot = False
    for token in _TOKENS.finditer(text):
        if token["dot"]:
            after_dot = parts > 0
        elif token["part"] or token[0][0] in "\"'":
            parts = parts + 1 if after_dot else 1
            after_dot, longest = False, max(longest, parts)
        else:
            parts, after_dot = 0, False
    return longest


def load_settings(path: Path, settings: type[Settings], kind: str) -> Settings:
    """Read a TOML file into a settings model.

    Parameters
    ----------
    path : Path
        The file.
    settings : type of BaseModel
        What the file must hold.
    kind : str
        What the file is called in errors.

    Raises
    ------
    ConfigError
        As `read_toml` and `check_settings`.
    """
    return check_settings(read_toml(path, kind), settings, str(path))


def check_settings(values: Mapping[str, Any], settings: type[Settings], name: str) -> Settings:
    """Return `values` as a settings model; `name` is what errors call their origin.

    Raises
    ------
    ConfigError
        Naming every key that is unknown, missing or impossible, one to a line.
    """
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{name} cannot be used:\n{describe_errors(error, settings)}") from None
