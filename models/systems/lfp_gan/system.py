"""LFP-GAN and EEG-GAN, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from models.reports.decoded import Decoded
from models.systems.system import Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train autoencoders, generator and critic; compare what is made with windows of images left out."""
    from models.systems.lfp_gan.train import train_lfp_gan

    return train_lfp_gan(path, out, data_root, progress, even_at_chance)


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Decode the windows of tested images."""
    from models.systems.lfp_gan.heldout import data_of, decode_windows

    return decode_windows(bundle, data_of(bundle, data_root))


def own_report(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Report on pictures read, and on what is made."""
    from models.systems.lfp_gan.report import evaluate_lfp_gan

    return evaluate_lfp_gan(bundle, out, data_root=data_root, weights=weights, progress=progress)


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the file, look for what it names, build its networks, and open the recording once all is there."""
    from models.settings import find_data_root
    from models.systems.lfp_gan.data import open_windows
    from models.systems.lfp_gan.settings import AllenData, SurrogateData, load_lfp_gan
    from models.systems.lfp_gan.tables import signal_encoder

    config = load_lfp_gan(path)
    signal_encoder(layers=config.networks.layers, width=config.networks.width)
    if isinstance(config.data, SurrogateData):
        return []
    root = find_data_root(data_root, needed=False)
    names = [config.data.path, config.data.images]
    names += [config.data.session] if isinstance(config.data, AllenData) else []
    missing = [f"{name} below {root}" for name in names if not (root / name).is_file()]
    if not missing:
        open_windows(config, root)
    return missing


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.lfp_gan.settings import LfpGanConfig

    return LfpGanConfig


SYSTEM = System(
    kind="lfp-gan",
    about="local field potentials made for a picture, and pictures read of them (Asprusten 2020)",
    train=train,
    held_out=held_out,
    own_report=own_report,
    check=check,
    settings=settings,
    compares_pictures=True,
)
