"""The HYPER release: faces of a generator seen in a scanner (Dado et al. 2022, Scientific Reports 12:141).

For each of two subjects a file ``data_1.dat``, ``data_2.dat`` holds a pickled quadruple: brain answers and latents of
the training stimuli, brain answers and latents of the test stimuli, with 4096 voxels and 512 latents of the PGGAN
that was trained on CelebA-HQ. Training stimuli were shown once; test answers are means over 14 presentations. The
files do not state runs. Beside them may lie ``stimuli/0.png`` … with the test pictures and
``bounds/pggan_celebahq_<attribute>_boundary.npy`` with the normals of the semantic attributes.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.errors import DataError
from bci.io.files.npy import load_array
from bci.io.files.regular import require_regular
from models.datasets.plain_pickle import as_floats, load_plain
from models.datasets.trials import Stimuli, Trials

GENERATOR = "pggan-celebahq-1024"
LATENTS, REPEATS = 512, 14
ATTRIBUTES = ("gender", "age", "eyeglasses", "pose", "smile")

#: Largest file of a picture that is read; the release's are smaller.
_LARGEST_SIDE = 2048


def load_hyper(folder: Path, subject: int) -> tuple[Trials, Trials]:
    """Return the training and test trials of one subject.

    Parameters
    ----------
    folder : Path
        Folder that holds ``data_1.dat`` and ``data_2.dat``.
    subject : int
        1 or 2.

    Raises
    ------
    DataError
        If the file is missing, is no quadruple of plain arrays, or its parts do not fit each other.
    """
    path = folder / f"data_{subject}.dat"
    if not path.is_file():
        files = sorted(p.name for p in folder.glob("*.dat")) if folder.is_dir() else []
        raise DataError(f"expected {path.name} in {folder}, came {', '.join(files) or 'no .dat file'}.")
    parts = load_plain(path)
    if not isinstance(parts, list | tuple) or len(parts) != 4:
        count = f"{len(parts)} parts" if isinstance(parts, list | tuple) else type(parts).__name__
        raise DataError(
            f"{path}: expected four parts (training answers and latents, test answers and latents), came {count}."
        )
    names = ("training answers", "training latents", "test answers", "test latents")
    x_train, t_train, x_test, t_test = (
        as_floats(part, name, path) for part, name in zip(parts, names, strict=True)
    )
    shapes = [x_train.shape, t_train.shape, x_test.shape, t_test.shape]
    if any(len(shape) != 2 for shape in shapes) or t_train.shape[1] != t_test.shape[1]:
        raise DataError(f"{path}: expected four matrices with latents of one size, came shapes {shapes}.")
    if x_train.shape[1] != x_test.shape[1]:
        raise DataError(
            f"{path}: expected the same voxels in training and test, came {x_train.shape[1]} and {x_test.shape[1]}."
        )
    if t_train.shape[1] != LATENTS:
        raise DataError(
            f"{path}: expected latents of {LATENTS} dimensions ({GENERATOR}), came {t_train.shape[1]}."
        )
    for kind, x, t in (("training", x_train, t_train), ("test", x_test, t_test)):
        if len(x) != len(t):
            raise DataError(
                f"{path}: expected as many {kind} latents as answers, came {len(t)} and {len(x)}."
            )
    images = load_pictures(folder / "stimuli", len(t_test)) if (folder / "stimuli").is_dir() else None
    facts = {"file": path.name, "folder": str(folder), "citation": "Dado et al. 2022, Sci. Rep. 12:141"}
    name = f"hyper-{subject}"

    def trials(x: NDArray[np.float32], stimuli: Stimuli, repeats: int) -> Trials:
        shown = np.arange(len(x), dtype=np.int64)
        return Trials(x, shown, stimuli, name, repeats=np.full(len(x), repeats, np.int64), facts=facts)

    learn = Stimuli(tuple(f"train-{i}" for i in range(len(t_train))), t_train, generator=GENERATOR)
    test = Stimuli(tuple(f"test-{i}" for i in range(len(t_test))), t_test, images, GENERATOR)
    return trials(x_train, learn, 1), trials(x_test, test, REPEATS)


def load_pictures(folder: Path, n: int) -> NDArray[np.uint8]:
    """Return ``0.png`` to ``<n-1>.png`` of a folder: (n, h, w, 3) uint8.

    Raises
    ------
    DataError
        If one is missing, broken, too large, or of another size than the first.
    """
    pictures = []
    for i in range(n):
        path = folder / f"{i}.png"
        if path.exists():
            require_regular(path, DataError)
        try:
            with Image.open(path) as image:
                if max(image.size) > _LARGEST_SIDE:
                    raise DataError(
                        f"{path}: expected at most {_LARGEST_SIDE} pixels a side, came {image.size}."
                    )
                pictures.append(np.asarray(image.convert("RGB")))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: expected the picture of test stimulus {i}, came {error}.") from None
        if pictures[-1].shape != pictures[0].shape:
            raise DataError(
                f"{path}: expected {pictures[0].shape[1::-1]} pixels as in 0.png, came {pictures[-1].shape[1::-1]}."
            )
    return np.stack(pictures)


def load_boundaries(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Return the unit normals (512,) of the semantic attributes that ``bounds/`` holds.

    Raises
    ------
    DataError
        If one cannot be read or is no normal of this generator's space.
    """
    values = {}
    for attribute in ATTRIBUTES:
        path = folder / "bounds" / f"pggan_celebahq_{attribute}_boundary.npy"
        if not path.is_file():
            continue
        normal = load_array(path, DataError)
        if normal.size != LATENTS or normal.dtype.kind != "f" or not np.linalg.norm(normal) > 0:
            raise DataError(f"{path}: expected {LATENTS} numbers, not all zero, came shape {normal.shape}.")
        flat = normal.reshape(-1).astype(np.float32)
        values[attribute] = flat / np.linalg.norm(flat)
    return values
