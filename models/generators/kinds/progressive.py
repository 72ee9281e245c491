"""The architecture of PGGAN, as a kind of generator: its weights come from a file, ``bci import-generator``."""

from typing import Any

from models.generators.kind import GeneratorKind


def network() -> Any:
    """Return the class of the network."""
    from models.generators.progressive import ProgressiveGenerator

    return ProgressiveGenerator


KIND = GeneratorKind(
    kind="progressive",
    about="blocks of convolutions that double the picture, after PGGAN; not trained here",
    network=network,
)
