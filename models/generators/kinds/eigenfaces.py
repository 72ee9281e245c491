"""Eigenfaces, as a kind of generator: fitted to pictures by what compares systems, not by a training file."""

from typing import Any

from models.generators.kind import GeneratorKind


def network() -> Any:
    """Return the class of the network."""
    from models.generators.eigenfaces import Eigenfaces

    return Eigenfaces


KIND = GeneratorKind(
    kind="eigenfaces",
    about="sums of principal components of pictures",
    network=network,
)
