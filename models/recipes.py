"""What a training file asks for: a decoder when it names no kind, else a generator of that kind."""

import tomllib
from pathlib import Path

from bci.errors import ConfigError

#: The kind of a training file that names none.
DECODER = "decoder"


def read_kind(path: Path) -> str:
    """Return the kind of thing that a training file describes.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or of a kind that nobody trains here.
    """
    try:
        kind = tomllib.loads(path.read_text(encoding="utf-8")).get("kind", DECODER)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the training file {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    if kind not in (DECODER, "dcgan"):
        raise ConfigError(f"{path}: expected kind 'dcgan', or none for a decoder, came {kind!r}. Correct it.")
    return str(kind)
