"""HYPER on its release, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from models.reports.decoded import Decoded
from models.systems.system import FoundData, Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Fit a readout to the training faces; score the test faces."""
    from models.systems.hyper_release.train import train_release

    return train_release(path, out, data_root, progress, even_at_chance)


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Decode the test faces."""
    from models.systems.hyper_release.heldout import decode_faces

    return decode_faces(bundle, data_root)


def own_report(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Report on the test faces, and on the attributes of the release."""
    from models.systems.hyper_release.report import evaluate_release

    return evaluate_release(bundle, out, data_root=data_root, weights=weights, progress=progress)


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the file; open release and generator, once both are there."""
    from models.datasets.hyper import load_hyper
    from models.generators.package import GeneratorPackage
    from models.settings import find_data_root
    from models.systems.hyper_release.model import check_package, readout_of
    from models.systems.hyper_release.settings import load_release

    config = load_release(path)
    folder = find_data_root(data_root, needed=False) / config.data
    data = folder / f"data_{config.subject}.dat"
    missing = [] if data.is_file() else [f"the release's {data}"]
    missing += [] if config.generator.is_dir() else [f"the generator's package {config.generator}"]
    if not missing:
        load_hyper(folder, config.subject)
        package = GeneratorPackage.load(config.generator)
        check_package(config, package)
        readout_of(config, package)
    return missing


def find_data(path: Path, *, data_root: Path | None) -> FoundData:
    """Say what the release holds."""
    from models.systems.hyper_release.found import find_release

    return find_release(path, data_root)


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.hyper_release.settings import HyperReleaseConfig

    return HyperReleaseConfig


SYSTEM = System(
    kind="hyper-release",
    about="latents of PGGAN, read from the responses that HYPER's authors released (Dado et al. 2022)",
    train=train,
    held_out=held_out,
    check=check,
    own_report=own_report,
    settings=settings,
    find_data=find_data,
)
