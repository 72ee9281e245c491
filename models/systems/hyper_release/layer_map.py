"""The searchlight of a bundle of HYPER's release: cubes of voxels occluded through its own readout and its generator.

A cube's voxels take their training mean, the bundle reads latents as it would live, the generator's layers are asked
for, and `models.systems.hyper_release.searchlight` assigns the cube's centre. The release does not hold the places of
its voxels: they come in a file. It costs the generator's layers of every test face for every voxel, so some cubes are a
unit (`models.systems.hyper_release.occlusion`): a run that was killed goes on.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.decoder.bundle import Bundle
from bci.errors import BundleError, DataError
from bci.io.files.cells import write_rows
from bci.io.files.npy import load_array
from models.generators.layers import Layers
from models.generators.package import GeneratorPackage, package_of
from models.provenance import digest, versions
from models.readouts.scaling import Standard
from models.systems.hyper_release.heldout import release_of
from models.systems.hyper_release.occlusion import Occlusion, occlude_unit, part_of
from models.systems.hyper_release.searchlight import LayerMap, cubes, exchanges, joined
from models.systems.saving import settings_of
from models.systems.system import Progress
from models.units import Unit, run_units

Floats = NDArray[np.floating[Any]]

#: Files that `write` leaves in a folder.
TABLE, PICTURE = "layer-map.csv", "layer-map.png"
#: Outside the mask, no layer, and a colour for each layer in turn.
_OUTSIDE, _NONE = (255, 255, 255), (225, 225, 225)
_COLOURS = ((38, 70, 83), (42, 157, 143), (233, 196, 106), (231, 111, 81), (120, 80, 160), (90, 60, 40))
_ZOOM, _ROW = 4, 8
#: Libraries that a unit's result may depend on beside data and settings.
_PACKAGES = ("numpy", "onnxruntime", "torch", "closed-loop-bci")


@dataclass(frozen=True, slots=True)
class Search:
    """A Search says what is asked: layers by number, the side of their centre, of a cube, and of the null.

    Attributes
    ----------
    layers : tuple of int
        From 1; the paper's are 4, 9, 14 and 19.
    crop : int, optional
        Side of the centre of their activations; all of them when left out.
    side : int
        Of a cube, voxels; odd.
    permutations, seed : int
        Exchanges of the test faces, and what they are drawn from.
    """

    layers: tuple[int, ...] = (4, 9, 14, 19)
    crop: int | None = None
    side: int = 7
    permutations: int = 200
    seed: int = 0


def map_layers(
    bundle: Bundle,
    places: Path,
    asked: Search,
    units: Path,
    *,
    data_root: Path | None,
    generator: Path | None,
    chunk: int = 16,
    jobs: int = 1,
    cluster: str | None = None,
    progress: Progress,
) -> tuple[NDArray[np.int64], LayerMap]:
    """Assign every voxel of a bundle to a layer of its generator, or to none.

    Parameters
    ----------
    bundle : Bundle
        Of kind ``hyper-release``.
    places : Path
        A .npy file, (voxels, 3): whole numbers, where on the grid each voxel lies.
    asked : Search
    units : Path
        Folder of a file for each unit; those that are there are not computed again.
    data_root : Path, optional
        Folder that the release's path starts from.
    generator : Path, optional
        The generator's package; looked for beside the bundle when left out.
    chunk : int
        Cubes of one unit. The map does not depend on it.
    jobs, cluster
        As of `models.units.run_units`.
    progress : callable

    Returns
    -------
    places : (voxels, 3) int64
    found : LayerMap

    Raises
    ------
    BundleError
        If the bundle is of another kind, or its generator is not at hand or holds no weights.
    DataError
        If places are not those of as many voxels, or workers of a unit died again and again.
    ConfigError
        If the generator has no such layer, or the cluster is not there.
    """
    settings_of(bundle, "hyper-release")
    package = _package(bundle, generator)
    layers = Layers(package)
    _, train, test = release_of(bundle, data_root)
    where = _places(places, train.brain.shape[1])
    lights = cubes(where, asked.side)
    progress(0.0, f"layers {', '.join(map(str, asked.layers))} of {len(train)} training faces")
    scales = [Standard.of(one) for one in layers.several(asked.layers, train.latents, asked.crop)]
    truth = layers.several(asked.layers, test.latents, asked.crop)
    brain, mean = test.brain.astype(np.float32), train.brain.mean(axis=0).astype(np.float32)
    occlusion = Occlusion(
        readout=bundle.read("readout.onnx"),
        generator=package.folder.resolve(),
        generator_hash=package.hash,
        layers=asked.layers,
        crop=asked.crop,
        brain=brain,
        mean=mean,
        scales=tuple(scales),
        truth=tuple(scale.forward(one) for scale, one in zip(scales, truth, strict=True)),
        lights=tuple(lights),
        orders=exchanges(len(test), asked.permutations, np.random.default_rng([asked.seed, 5])),
    )
    common = {
        "asked": asdict(asked),
        "data": {
            "trials": digest(brain, mean, where, train.latents, test.latents),
            "bundle": bundle.hash,
            "generator": package.hash,
        },
        "versions": versions(_PACKAGES),
    }
    work = [
        Unit(f"cubes from {first}", {"first": first, "count": min(chunk, len(lights) - first), **common})
        for first in range(0, len(lights), chunk)
    ]
    found = run_units(
        work,
        occlude_unit,
        units,
        given={"occlusion": occlusion},
        jobs=jobs,
        cluster=cluster,
        progress=lambda done, text: progress(done, f"{text}; {len(lights)} cubes in {len(work)} units"),
    )
    return where, joined([part_of(one) for one in found])


def _package(bundle: Bundle, generator: Path | None) -> GeneratorPackage:
    if generator is not None:
        package = GeneratorPackage.load(generator)
        trained = [
            digest for name, digest in bundle.spec.provenance.data.items() if name.startswith("generator ")
        ]
        if package.hash not in trained:
            raise BundleError(
                f"expected the generator that bundle {bundle.name!r} was trained with, hash {', '.join(trained)}, came "
                f"{package.spec.name!r} in {generator}, hash {package.hash}. Name its package."
            )
        return package
    found = package_of(bundle)
    if found is None:
        raise BundleError(
            f"expected the package of bundle {bundle.name!r}'s generator beside it or among those shipped, came none. "
            "Name it with --generator FOLDER."
        )
    return found


def _places(path: Path, voxels: int) -> NDArray[np.int64]:
    values = load_array(path, DataError)
    if values.shape != (voxels, 3) or not np.array_equal(values, np.round(values)):
        raise DataError(
            f"{path}: expected the place of each of {voxels} voxels, ({voxels}, 3) whole numbers, came "
            f"{values.dtype} of shape {values.shape}. Take the indices of the mask's voxels, in the release's order."
        )
    return values.astype(np.int64)


def write(out: Path, places: NDArray[np.int64], found: LayerMap, asked: Search) -> None:
    """Write the table of voxels, and the map slice by slice, into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    names = [f"layer {k}" for k in asked.layers]
    header = ["x", "y", "z", "layer", *(f"{n}: growth" for n in names), *(f"{n}: z" for n in names)]
    with (out / TABLE).open("w", encoding="utf-8", newline="") as file:
        write_rows(file, [header])
        write_rows(
            file,
            (
                [*map(int, place), asked.layers[k] if k >= 0 else "", *map(float, growth), *map(float, z)]
                for place, k, growth, z in zip(places, found.layer, found.growth, found.z, strict=True)
            ),
        )
    Image.fromarray(draw_slices(places, found.layer)).save(out / PICTURE)


def draw_slices(places: NDArray[np.int64], layer: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw slices along the third axis, eight in a row: a colour for each layer in turn, grey for none."""
    low = places.min(axis=0)
    width, height, depth = places.max(axis=0) - low + 1
    rows = -(-depth // _ROW)
    sheet = np.full((rows * (width + 1), min(depth, _ROW) * (height + 1), 3), _OUTSIDE, np.uint8)
    colours = np.array([_NONE, *_COLOURS], np.uint8)
    x, y, z = (places - low).T
    where = (z // _ROW * (width + 1) + x, z % _ROW * (height + 1) + y)
    sheet[where] = colours[np.where(layer < 0, 0, 1 + layer % len(_COLOURS))]
    return sheet.repeat(_ZOOM, axis=0).repeat(_ZOOM, axis=1)
