"""Steering: latents by name, between which what is read leads a generator, and the graph that draws it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.io.files.regular import read_json
from bci.io.shipped import locate
from models.generators.frozen import for_decoder
from models.generators.package import GeneratorPackage

Latents = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Steering:
    """A Steering is a generator that what is read leads.

    Attributes
    ----------
    package : GeneratorPackage
        That draws.
    graph : bytes
        As a bundle holds it: latent (1, d) → image, the generator's rule applied.
    """

    package: GeneratorPackage
    graph: bytes

    @property
    def data(self) -> dict[str, str]:
        """Return what a bundle's provenance says of it: the package's hash, by its name."""
        return {f"generator {self.package.spec.name}": self.package.hash}

    def checked(self, latents: Latents, where: str) -> Latents:
        """Return latents, (d,) each, that this generator draws.

        Raises
        ------
        ConfigError
            If one is of another size, or not finite.
        """
        size = self.package.spec.latent
        for name, row in latents.items():
            if row.shape != (size,) or not np.isfinite(row).all():
                raise ConfigError(
                    f"draw: expected latents of {size} finite values, as generator {self.package.spec.name} draws, "
                    f"came others of {name!r} in {where}. Name the generator that they are of."
                )
        return latents


def open_steering(generator: str, folder: Path) -> Steering:
    """Open a generator by its folder, from `folder`, or the name of a shipped one.

    Raises
    ------
    BundleError
        If its package is not there or not whole.
    """
    package = GeneratorPackage.load(locate(Path(generator), folder, "bundles"))
    return Steering(package, for_decoder(package.graph, package.spec.rule, package.spec.limit))


def read_latents(path: Path) -> Latents:
    """Return the latents of a JSON file by their names, (d,) float32 each.

    Raises
    ------
    ConfigError
        If it is not there, or holds something else.
    """
    rows: Any = read_json(path, ConfigError)
    try:
        return {str(name): np.array(row, np.float32) for name, row in rows.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: expected latents by their names, as JSON, came {error}.") from None


def place_of(name: str, root: Path) -> Path:
    """Return where a file of [draw] lies: below the data root, else below the folder in which the command runs."""
    return next((base / name for base in (root, Path()) if (base / name).is_file()), Path(name))
