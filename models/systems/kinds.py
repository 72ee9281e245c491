"""What a training file asks for: a decoder when it names no kind, else a generator or a system of that kind."""

from pathlib import Path

from bci.config.toml import read_toml
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
    kind = read_toml(path, "training").get("kind", DECODER)
    if kind not in KINDS:
        kinds = ", ".join(map(repr, KINDS[1:]))
        raise ConfigError(f"{path}: expected kind {kinds}, or none for a decoder, came {kind!r}. Correct it.")
    return str(kind)
