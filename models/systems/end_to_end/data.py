"""Responses with the picture that each was given to: planted, out of files, or of the participant in silico."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.spec import EpochSpec, WindowSpec
from bci.errors import ConfigError, DataError, nearest
from bci.io.files.npy import load_array
from bci.signal.pipeline import Pipeline
from bci.signal.types import Signal
from models.provenance import digest
from models.systems.end_to_end.planted import draw_pictures, plant
from models.systems.end_to_end.settings import EndToEndConfig, FileData, InsilicoData, PlantedData

Pictures = NDArray[np.uint8]
Responses = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Live:
    """Live is what a bundle cuts of a signal: the signal, steps, a window or an epoch, and whether it is averaged."""

    signal: Signal
    pipeline: tuple[dict[str, Any], ...] = ()
    window: WindowSpec | EpochSpec = field(default_factory=lambda: WindowSpec(length=1, hop=1))
    mean: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is cut: samples, then the shape of one."""
        output = Pipeline.from_json([dict(step) for step in self.pipeline]).output(self.signal)
        return (self.window.samples(output.rate), *output.shape)


@dataclass(frozen=True, eq=False)
class PictureResponses:
    """PictureResponses are responses to pictures, to fit to and to score; no picture is in both.

    Attributes
    ----------
    voxels, pictures : (n, voxels) float32, (n, side, side, 3) uint8
        To fit to.
    test_voxels, which : (m, voxels) float32, (m,) int64
        To score: responses, and the picture of each.
    names, shown : tuple of str, (k, side, side, 3) uint8
        The pictures that are scored.
    regions : mapping of str to (voxels,) bool
        Which voxels each has.
    live : Live
    origin : mapping of str to str
        What it was made from, with hashes.
    simulated : bool
        Whether no brain was measured.
    """

    voxels: Responses
    pictures: Pictures
    test_voxels: Responses
    which: NDArray[np.int64]
    names: tuple[str, ...]
    shown: Pictures
    regions: Mapping[str, NDArray[np.bool_]]
    live: Live
    origin: dict[str, str]
    simulated: bool

    @property
    def side(self) -> int:
        """Height and width of a picture."""
        return self.pictures.shape[1]

    @property
    def averaged(self) -> Responses:
        """The mean response to each test picture: (k, voxels)."""
        return np.stack([self.test_voxels[self.which == k].mean(0) for k in range(len(self.names))])

    def only(self, regions: tuple[str, ...]) -> NDArray[np.bool_]:
        """Return which voxels some regions have, (voxels,) bool; all of them without names.

        Raises
        ------
        ConfigError
            If there is no such region.
        """
        if not regions:
            return np.ones(self.voxels.shape[1], bool)
        if unknown := [name for name in regions if name not in self.regions]:
            raise ConfigError(
                f"regions: expected {', '.join(self.regions) or 'none, for the data name none'}, came {unknown[0]!r}"
                f"{nearest(unknown[0], self.regions)}."
            )
        return np.any([self.regions[name] for name in regions], axis=0)


def open_data(config: EndToEndConfig, root: Path) -> PictureResponses:
    """Plant, read or record in silico what a training file names; paths of files start from `root`.

    Raises
    ------
    DataError
        If arrays do not fit each other, regions overlap, or a test picture is among the training's.
    ConfigError
        If hardly an epoch comes after filters have settled, in silico.
    """
    if isinstance(config.data, PlantedData):
        return _planted(config.data, config.seed)
    if isinstance(config.data, InsilicoData):
        return _in_silico(config.data, config.seed)
    return _read(config.data, root)


def _planted(data: PlantedData, seed: int) -> PictureResponses:
    random = np.random.default_rng([seed, 1])
    pictures, _ = draw_pictures(data.samples + data.test, data.side, random)
    fitted, shown = pictures[: data.samples], pictures[data.samples :]
    cortex = plant(fitted, data.early, data.higher, data.snr, random)
    which = np.repeat(np.arange(data.test), data.repeats)
    return PictureResponses(
        cortex.answer(fitted, random), fitted, cortex.answer(shown[which], random), which, _numbers(data.test), shown,
        cortex.regions, Live(_volumes(data.early + data.higher, 2.0)),
        {f"planted cortex, seed {seed}": digest(cortex.weights)}, simulated=True,
    )  # fmt: skip


def _volumes(voxels: int, tr: float) -> Signal:
    return Signal("BOLD", 1 / tr, (voxels,), (), "percent")


def _numbers(n: int) -> tuple[str, ...]:
    return tuple(f"{k:03d}" for k in range(n))


def _in_silico(data: InsilicoData, seed: int) -> PictureResponses:
    from models.generators.package import GeneratorPackage
    from models.insilico.trials import HELD_OUT, TRAINING, answers, design, participant_of

    package = GeneratorPackage.load(data.generator)
    plan = design(data, package.spec.latent, np.random.default_rng([seed, 1]))
    pictures = package.draw(plan.latents)
    reference = (
        pictures[plan.reference] if data.reference is None else load_array(data.reference, ConfigError)
    )
    # In place of a latent, the number of its picture: trials that had not settled are left out.
    number = np.arange(len(pictures), dtype=np.float32)[:, None]
    looked = participant_of(data, reference, TRAINING)
    fitted = answers(data, looked, pictures[plan.train], number[plan.train])
    held = answers(data, participant_of(data, reference, HELD_OUT), pictures[plan.shown], number[plan.shown])
    places, which = np.unique(held.latents.ravel().astype(int), return_inverse=True)
    live = Live(
        looked.signal,
        tuple(Pipeline.from_json([dict(step) for step in data.pipeline]).to_json()),
        EpochSpec(start=data.epoch.start, stop=data.epoch.stop, markers="stimulus .*"),
        data.epoch.mean,
    )
    return PictureResponses(
        fitted.brain, pictures[fitted.latents.ravel().astype(int)], held.brain, which.astype(np.int64),
        _numbers(len(places)), pictures[places], {}, live,
        {f"generator {package.spec.name}": package.hash}, simulated=True,
    )  # fmt: skip


def _read(data: FileData, root: Path) -> PictureResponses:
    names = ("voxels", "pictures", "test_voxels", "test_pictures")
    paths = {name: root / getattr(data, name) for name in names}
    arrays = {name: np.asarray(load_array(path, DataError)) for name, path in paths.items()}
    side = arrays["pictures"].shape[1] if arrays["pictures"].ndim == 4 else 0
    count = arrays["voxels"].shape[-1]
    wanted = {
        "voxels": (len(arrays["voxels"]), count), "pictures": (len(arrays["voxels"]), side, side, 3),
        "test_voxels": (len(arrays["test_voxels"]), count),
        "test_pictures": (len(arrays["test_voxels"]), side, side, 3),
    }  # fmt: skip
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise DataError(f"{paths[name]}: expected {name} of shape {shape}, came {arrays[name].shape}.")
        if name.endswith("pictures") and arrays[name].dtype != np.uint8:
            raise DataError(
                f"{paths[name]}: expected pictures as uint8, 0 to 255, came {arrays[name].dtype}."
            )
        if not name.endswith("pictures") and not np.isfinite(arrays[name]).all():
            raise DataError(f"{paths[name]}: expected finite numbers, came others.")
    shown, which = np.unique(arrays["test_pictures"], axis=0, return_inverse=True)
    known = {one.tobytes() for one in arrays["pictures"]}
    if shared := sum(one.tobytes() in known for one in shown):
        raise DataError(
            f"{paths['test_pictures']}: expected pictures that nothing is fitted to, came {shared} that are among the "
            "training's. Leave them out of one of the two."
        )
    return PictureResponses(
        arrays["voxels"].astype(np.float32), arrays["pictures"], arrays["test_voxels"].astype(np.float32),
        which.astype(np.int64).ravel(), _numbers(len(shown)), shown, _regions(data, root, count),
        Live(_volumes(count, data.tr)),
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()}, simulated=False,
    )  # fmt: skip


def _regions(data: FileData, root: Path, voxels: int) -> dict[str, NDArray[np.bool_]]:
    found: dict[str, NDArray[np.bool_]] = {}
    for name, path in data.regions.items():
        mask = np.asarray(load_array(root / path, DataError))
        if mask.shape != (voxels,) or mask.dtype != bool or not mask.any():
            raise DataError(
                f"{root / path}: expected region {name} as {voxels} truth values, one a voxel, some of them true, came "
                f"{mask.dtype} of shape {mask.shape}."
            )
        for other, its in found.items():
            if shared := int((mask & its).sum()):
                raise DataError(
                    f"regions {other} and {name} ({root / path}) share {shared} voxels: expected each voxel in one "
                    "region. Give the shared ones to one of them, or to a region of their own."
                )
        found[name] = mask
    return found


def exchanged(data: PictureResponses, random: np.random.Generator) -> PictureResponses:
    """Return the same with responses exchanged among training pictures: nothing can be learned from them."""
    return replace(data, voxels=data.voxels[random.permutation(len(data.voxels))])


def random_input(data: PictureResponses, random: np.random.Generator) -> PictureResponses:
    """Return the same with noise in place of every response."""
    noise = [
        random.standard_normal(part.shape).astype(np.float32) for part in (data.voxels, data.test_voxels)
    ]
    return replace(data, voxels=noise[0], test_voxels=noise[1])
