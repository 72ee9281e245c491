"""End-to-end reconstruction, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from models.reports.decoded import Decoded
from models.systems.reader import PictureReader
from models.systems.system import Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train generator and discriminator; score pictures that neither saw."""
    from models.systems.end_to_end.train import train_end_to_end

    return train_end_to_end(path, out, data_root, progress, even_at_chance)


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Decode the test pictures."""
    from models.systems.end_to_end.heldout import decode_pictures

    return decode_pictures(bundle, data_root)


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the file; look for its arrays, its generator and its weights, and open arrays once all are there."""
    from models.settings import find_data_root
    from models.systems.end_to_end.data import open_data
    from models.systems.end_to_end.settings import FileData, InsilicoData, load_end_to_end

    config, missing = load_end_to_end(path), []
    if config.comparator.weights is not None and not config.comparator.weights.exists():
        missing.append(f"the comparator's weights {config.comparator.weights}")
    if isinstance(config.data, InsilicoData) and not config.data.generator.is_dir():
        missing.append(f"the generator's package {config.data.generator}")
    if (
        isinstance(config.data, InsilicoData)
        and config.data.reference
        and not config.data.reference.is_file()
    ):
        missing.append(f"the reference pictures {config.data.reference}")
    if isinstance(config.data, FileData):
        root = find_data_root(data_root, needed=False)
        names = [config.data.voxels, config.data.pictures, config.data.test_voxels, config.data.test_pictures]
        names += config.data.regions.values()
        missing += [f"the array {name} below {root}" for name in names if not (root / name).is_file()]
        if not missing:
            open_data(config, root).only(config.regions)
    return missing


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.end_to_end.settings import EndToEndConfig

    return EndToEndConfig


def readers() -> tuple[PictureReader, ...]:
    """Return its row of the table of all brain readers."""
    from models.systems.end_to_end.readers import readers as own

    return own()


SYSTEM = System(
    kind="end-to-end",
    about="pictures, drawn from voxels by one network that learns against a discriminator (Shen et al. 2019)",
    train=train,
    held_out=held_out,
    check=check,
    settings=settings,
    compares_pictures=True,
    readers=readers,
)
