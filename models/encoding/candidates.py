"""Features of a folder's pictures, for the protocol that chooses the next picture by them.

::

    python -m models.encoding.candidates FOLDER [--components 64]

Writes ``features.json`` into the folder: for each picture the first principal components, over the folder, of its
standardised features (`models.encoding.features`).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import BciError
from bci.io.files.folder import write_json
from models.datasets.folder import picture_files, read_folder
from models.encoding.features import BANKS, features_of
from models.readouts.scaling import Standard

#: What the protocol looks for beside the pictures.
FEATURES = "features.json"

#: Height and width that pictures are looked at in, pixels.
_SIZE = 64


def components_of(pictures: NDArray[np.uint8], most: int) -> NDArray[np.float32]:
    """Return the first principal components of pictures' features: (n, height, width, 3) uint8 to (n, at most `most`).

    Raises
    ------
    ConfigError
        If a side of the pictures is no multiple of 8.
    """
    features = features_of(pictures, list(BANKS)).astype(np.float64)
    rows = Standard.of(features).forward(features)
    left, sizes, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    kept = sizes > 1e-9 * max(float(sizes[0]), 1e-300)
    return np.asarray((left * sizes)[:, kept][:, :most], np.float32)


def write_features(folder: Path, most: int = 64) -> Path:
    """Write the features of a folder's pictures; return the file.

    Raises
    ------
    BciError
        If there are no pictures, or the disk does not take the file.
    """
    images = read_folder(folder, _SIZE)
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in picture_files(folder)]
    rows = components_of(images, most)
    path = folder / FEATURES
    write_json(path, {name: [float(x) for x in row] for name, row in zip(names, rows, strict=True)})
    return path


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line; 2 where it cannot be done."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the pictures")
    parser.add_argument(
        "--components", type=int, default=64, help="how many numbers each picture gets at most"
    )
    asked = parser.parse_args(words)
    try:
        path = write_features(asked.folder, max(1, asked.components))
    except BciError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
