"""The registry of generators: by the kind that a training file, a checkpoint or a package names."""

from collections.abc import Mapping
from pathlib import Path

import models.generators.kinds
from bci.config.toml import read_toml
from bci.errors import ConfigError, nearest
from models.generators.kind import GeneratorKind
from models.generators.settings import GeneratorFile
from models.registry import Registry

_kinds: Registry[GeneratorKind] = Registry(models.generators.kinds, "KIND")
add_folder, remove_folder = _kinds.add_folder, _kinds.remove_folder


def generator_kinds() -> Mapping[str, GeneratorKind]:
    """Return every kind of generator by its name."""
    return _kinds.kinds()


def trained_kinds() -> Mapping[str, GeneratorKind]:
    """Return the kinds that have a training file of their own."""
    return {name: kind for name, kind in generator_kinds().items() if kind.settings and kind.learn}


def generator_kind(kind: object) -> GeneratorKind:
    """Return a kind of generator by its name.

    Raises
    ------
    ConfigError
        If there is none of that name.
    """
    known = generator_kinds()
    if kind not in known:
        raise ConfigError(
            f"expected a generator of kind {', '.join(sorted(known))}, came {kind!r}"
            f"{nearest(str(kind), known)}. Correct the kind, or add the folder of the module that describes it."
        )
    return known[str(kind)]


def load_generator_config(path: Path) -> GeneratorFile:
    """Read a generator's training file, of whatever kind it names.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, of a kind that is not trained by a file, or has a wrong or unknown key.
    """
    kind = read_toml(path, "training").get("kind")
    known = trained_kinds()
    if kind not in known:
        raise ConfigError(
            f"{path}: expected the training file of a generator, of kind {', '.join(sorted(known))}, came kind "
            f"{kind!r}{nearest(str(kind), known)}. Name another file."
        )
    return known[kind].read(path)
