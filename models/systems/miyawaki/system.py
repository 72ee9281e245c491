"""Multiscale local decoders, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from models.reports.decoded import Decoded
from models.systems.reader import PictureReader
from models.systems.system import Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Fit local decoders to random pictures, coefficients to runs held out; score figures."""
    from models.systems.miyawaki.train import train_miyawaki

    return train_miyawaki(path, out, data_root, progress, even_at_chance)


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Decode the figures."""
    from models.systems.miyawaki.heldout import decode_figures

    return decode_figures(bundle, data_root)


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the file; open its arrays, once all are there."""
    from models.settings import find_data_root
    from models.systems.miyawaki.data import open_data
    from models.systems.miyawaki.settings import FileData, load_miyawaki

    config = load_miyawaki(path)
    if not isinstance(config.data, FileData):
        return []
    root = find_data_root(data_root, needed=False)
    names = [value for key, value in config.data.model_dump().items() if key != "source"]
    missing = [f"the array {name} below {root}" for name in names if not (root / name).is_file()]
    if not missing:
        open_data(config, root)
    return missing


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.miyawaki.settings import MiyawakiConfig

    return MiyawakiConfig


def readers() -> tuple[PictureReader, ...]:
    """Return its row of the table of all brain readers."""
    from models.systems.miyawaki.readers import readers as own

    return own()


SYSTEM = System(
    kind="miyawaki",
    about="contrast pictures of 10 x 10, read by local decoders of several scales (Miyawaki et al. 2008)",
    train=train,
    held_out=held_out,
    check=check,
    settings=settings,
    readers=readers,
)
