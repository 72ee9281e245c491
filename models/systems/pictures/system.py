"""Pictures of known latents, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from models.reports.decoded import Decoded
from models.systems.system import FoundData, Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Fit a readout to the answers to pictures; score it on pictures that it did not see."""
    from models.systems.pictures.train import train_pictures

    return train_pictures(path, out, data_root, progress, even_at_chance)


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Read each trial again by a readout that never saw its picture."""
    from models.systems.pictures.heldout import cross_predicted

    return cross_predicted(bundle, data_root)


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Open the sessions and the generator's package, and cut the epochs."""
    find_data(path, data_root=data_root)
    return []


def find_data(path: Path, *, data_root: Path | None) -> FoundData:
    """Say what the sessions hold, as training will use it."""
    from models.systems.pictures.found import find_pictures

    return find_pictures(path, data_root)


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.pictures.settings import PicturesConfig

    return PicturesConfig


SYSTEM = System(
    kind="pictures",
    about="pictures, read from sessions in which pictures of known latents were shown, drawn by their generator",
    train=train,
    held_out=held_out,
    check=check,
    settings=settings,
    find_data=find_data,
)
