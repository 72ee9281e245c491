"""Cubes of a bundle's searchlight as units (`models.units`): occluded here, on all cores or on a cluster."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.providers import open_cpu_session
from bci.errors import BundleError
from bci.sim.threads import one_thread
from models.generators.layers import Layers
from models.generators.package import GeneratorPackage
from models.readouts.scaling import Standard
from models.systems.hyper_release.searchlight import Floats, Indices, Part, occluded


@dataclass(frozen=True, slots=True, eq=False)
class Occlusion:
    """An Occlusion is what every unit of a searchlight is given.

    Attributes
    ----------
    readout : bytes
        The bundle's graph from responses to latents.
    generator, generator_hash : Path, str
        The package whose layers are asked for: a folder that workers of a cluster see too.
    layers, crop : tuple of int, int or None
        As of `models.systems.hyper_release.layer_map.Search`.
    brain : (n, voxels) float32
        Responses to the test faces.
    mean : (voxels,) float32
        Of training, which occluded voxels take.
    scales : tuple of Standard
        Of each layer's activations over training.
    truth : tuple of (n, values)
        True activations of each layer, standardised.
    lights : tuple of (k,) int
        Voxels of every cube.
    orders : (permutations, n) int
        As of `models.systems.hyper_release.searchlight.exchanges`.
    """

    readout: bytes
    generator: Path
    generator_hash: str
    layers: tuple[int, ...]
    crop: int | None
    brain: NDArray[np.float32]
    mean: NDArray[np.float32]
    scales: tuple[Standard, ...]
    truth: tuple[Floats, ...]
    lights: tuple[Indices, ...]
    orders: Indices

    def __call__(self, voxels: Indices) -> list[Floats]:
        """Return each layer's activations of the test faces, standardised, some voxels at their mean."""
        brain = self.brain.copy()
        brain[:, voxels] = self.mean[voxels]
        layers = _layers(self.generator, self.generator_hash)
        drawn = layers.several(self.layers, _read(self.readout, brain), self.crop)
        return [scale.forward(one) for scale, one in zip(self.scales, drawn, strict=True)]


def occlude_unit(
    *,
    first: int,
    count: int,
    asked: dict[str, Any],
    data: dict[str, str],
    versions: dict[str, str],
    occlusion: Occlusion,
) -> dict[str, Any]:
    """Occlude some cubes.

    Parameters
    ----------
    first, count : int
        Which cubes.
    asked, data, versions
        Values that the result depends on; they name the unit.
    occlusion : Occlusion

    Returns
    -------
    dict
        ``growth``, ``z`` and ``largest``, as of `models.systems.hyper_release.searchlight.Part`.
    """
    with one_thread():
        part = occluded(occlusion, occlusion.truth, occlusion.lights[first : first + count], occlusion.orders)
    return {"growth": part.growth.tolist(), "z": part.z.tolist(), "largest": part.largest.tolist()}


def part_of(result: dict[str, Any]) -> Part:
    """Return the part that a unit's result holds."""
    return Part(*(np.asarray(result[name], np.float64) for name in ("growth", "z", "largest")))


@lru_cache(maxsize=1)
def _layers(folder: Path, wanted: str) -> Layers:
    package = GeneratorPackage.load(folder)
    if package.hash != wanted:
        raise BundleError(
            f"{folder}: expected the generator that the searchlight began with, hash {wanted}, came one of hash "
            f"{package.hash}. Workers need the same folder."
        )
    return Layers(package)


@lru_cache(maxsize=1)
def _session(readout: bytes) -> Any:
    return open_cpu_session(readout, threads=1)


def _read(readout: bytes, brain: NDArray[np.float32]) -> NDArray[np.float32]:
    """Read latents, a trial at a time, as a session would: (n, voxels) to (n, latents)."""
    session = _session(readout)
    return np.stack([session.run(["latent"], {"window": row[None, None]})[0][0] for row in brain])
