"""Responses to random pictures and to figures, planted or out of files."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError
from bci.io.files.npy import load_array
from models.systems.miyawaki.planted import figures, plant, random_pictures
from models.systems.miyawaki.settings import FileData, MiyawakiConfig, PlantedData

Floats = NDArray[np.float64]
_RUNS = 20


@dataclass(frozen=True, eq=False)
class ContrastData:
    """A ContrastData holds what decoders are fitted to and scored on; the two are never mixed.

    Attributes
    ----------
    voxels, pictures, runs : (samples, voxels), (samples, side²), (samples,)
        To fit to.
    test_voxels, which : (n, voxels), (n,)
        To score: responses, and the picture of each.
    names, shown : tuple of str, (k, side²)
        The pictures that are scored.
    origin : mapping of str to str
        What it was made from, with hashes.
    simulated : bool
        Whether no brain was measured.
    """

    voxels: Floats
    pictures: Floats
    runs: NDArray[np.int64]
    test_voxels: Floats
    which: NDArray[np.int64]
    names: tuple[str, ...]
    shown: Floats
    origin: dict[str, str]
    simulated: bool

    @property
    def side(self) -> int:
        """Height and width of a picture."""
        return math.isqrt(self.pictures.shape[1])


def open_data(config: MiyawakiConfig, root: Path) -> ContrastData:
    """Plant or read what a training file names; paths start from `root`.

    Raises
    ------
    DataError
        If arrays do not fit each other, or pictures are no squares of 0 and 1.
    """
    if isinstance(config.data, PlantedData):
        return _planted(config.data, config.seed)
    return _read(config.data, root)


def _planted(data: PlantedData, seed: int) -> ContrastData:
    random = np.random.default_rng([seed, 1])
    cortex = plant(data.voxels, data.snr, seed)
    pictures = random_pictures(data.samples, random)
    names, shown = figures()
    which = np.repeat(np.arange(len(names)), data.repeats)
    return ContrastData(
        cortex.answer(pictures, random),
        pictures,
        np.arange(data.samples) * _RUNS // data.samples,
        cortex.answer(shown[which], random),
        which,
        names,
        shown,
        {f"planted cortex, seed {seed}": hashlib.sha256(cortex.fields.tobytes()).hexdigest()},
        simulated=True,
    )


def _read(data: FileData, root: Path) -> ContrastData:
    paths = {
        name: root / getattr(data, name)
        for name in ("voxels", "pictures", "runs", "test_voxels", "test_pictures")
    }
    arrays = {name: np.asarray(load_array(path, DataError)) for name, path in paths.items()}
    n, m = len(arrays["voxels"]), len(arrays["test_voxels"])
    side = math.isqrt(arrays["pictures"].shape[-1])
    wanted = {
        "voxels": (n, arrays["voxels"].shape[-1]), "pictures": (n, side * side), "runs": (n,),
        "test_voxels": (m, arrays["voxels"].shape[-1]), "test_pictures": (m, side * side),
    }  # fmt: skip
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise DataError(f"{paths[name]}: expected {name} of shape {shape}, came {arrays[name].shape}.")
        if not np.isfinite(arrays[name].astype(np.float64)).all():
            raise DataError(f"{paths[name]}: expected finite numbers, came others.")
    for name in ("pictures", "test_pictures"):
        if not np.isin(arrays[name], (0, 1)).all():
            raise DataError(f"{paths[name]}: expected contrasts of 0 and 1, came others.")
    shown, which = np.unique(arrays["test_pictures"].astype(np.float64), axis=0, return_inverse=True)
    _refuse_shared(arrays["pictures"], shown, paths["test_pictures"])
    return ContrastData(
        arrays["voxels"].astype(np.float64),
        arrays["pictures"].astype(np.float64),
        arrays["runs"].astype(np.int64),
        arrays["test_voxels"].astype(np.float64),
        which.astype(np.int64).ravel(),
        tuple(f"{k:03d}" for k in range(len(shown))),
        shown,
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()},
        simulated=False,
    )


def _refuse_shared(pictures: NDArray[np.generic], shown: Floats, path: Path) -> None:
    """Refuse pictures that are fitted to and scored."""
    known = {row.tobytes() for row in pictures.astype(np.uint8)}
    if shared := sum(row.tobytes() in known for row in shown.astype(np.uint8)):
        raise DataError(
            f"{path}: expected pictures that no decoder is fitted to, came {shared} that are among the training's. "
            f"Leave "
            "them out of one of the two."
        )
