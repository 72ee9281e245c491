"""What a training file asks for: a decoder when it names no kind, else a generator or a system of that kind."""

import tomllib
from pathlib import Path

from bci.errors import ConfigError

#: The kind of a training file that names none, and all kinds.
DECODER, GENERATOR, HYPER = "decoder", "dcgan", "hyper-insilico"
KINDS = (DECODER, GENERATOR, HYPER)


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
    if kind not in KINDS:
        kinds = ", ".join(map(repr, KINDS[1:]))
        raise ConfigError(f"{path}: expected kind {kinds}, or none for a decoder, came {kind!r}. Correct it.")
    return str(kind)
