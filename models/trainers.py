"""Trainers of `bci train`: systems and kinds of generators, by the kind that a training file names."""

from pathlib import Path

from bci.config.toml import read_toml
from bci.errors import ConfigError, nearest
from models.generators.kind import GeneratorKind
from models.generators.registry import trained_kinds
from models.systems.registry import systems
from models.systems.system import UNNAMED, System


def trainer_of(path: Path) -> System | GeneratorKind:
    """Return the trainer of a file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or of a kind that is not trained here.
    """
    kind = read_toml(path, "training").get("kind", UNNAMED)
    known: dict[str, System | GeneratorKind] = {**systems(), **trained_kinds()}
    if kind not in known:
        kinds = ", ".join(map(repr, sorted(set(known) - {UNNAMED})))
        raise ConfigError(
            f"{path}: expected kind {kinds}, or none for a decoder, came {kind!r}"
            f"{nearest(str(kind), known)}. Correct it."
        )
    return known[kind]
