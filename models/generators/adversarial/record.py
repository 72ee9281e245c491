"""A Record writes a training run's scalars and sample grids, for TensorBoard and as PNG files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.io.files.folder import write_json

CHECKPOINT = "checkpoint.safetensors"


def grid(images: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    """Arrange (n, h, w, 3) pictures in rows: (rows · h, columns · w, 3); empty places of the last row are white."""
    n, h, w = images.shape[:3]
    rows = -(-n // columns)
    filled = np.full((rows * columns, h, w, 3), 255, np.uint8)
    filled[:n] = images
    return filled.reshape(rows, columns, h, w, 3).transpose(0, 2, 1, 3, 4).reshape(rows * h, columns * w, 3)


class Record:
    """A Record writes the measurements and pictures of each look into the run's folder.

    Parameters
    ----------
    folder : Path
        The run's folder; made if it does not exist.
    tensorboard : bool
        Also write event files, if the package is installed.
    """

    def __init__(self, folder: Path, *, tensorboard: bool = True) -> None:
        self.folder = folder
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        self._board = _open_board(folder) if tensorboard else None

    def look(self, history: list[dict[str, Any]], images: NDArray[np.uint8]) -> None:
        """Record the newest look and its pictures."""
        newest = history[-1]
        step = int(newest["step"])
        sheet = grid(images, 8)
        Image.fromarray(sheet).save(self.folder / "samples" / f"{step:07d}.png")
        write_json(self.folder / "curve.json", history)
        if self._board is not None:
            for name, value in newest.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, step)
            self._board.add_image("samples", sheet, step, dataformats="HWC")
            self._board.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._board is not None:
            self._board.close()


def _open_board(folder: Path) -> Any:
    """Return a writer of event files, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))


def plain_history(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a look with NaN left out, so that it reads the same from a checkpoint."""
    return {name: value for name, value in row.items() if not (isinstance(value, float) and np.isnan(value))}
