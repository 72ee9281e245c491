"""Settings files in TOML: one loader, and one way to say what is wrong with a file."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bci.config.faults import describe_errors
from bci.errors import ConfigError

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
        If the file is missing, cannot be read as UTF-8 text, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the {kind} file {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


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
