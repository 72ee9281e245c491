"""Reconstruction by gradient, described as a system for commands and reports."""

from pathlib import Path
from typing import Any

from bci.decoder.bundle import Bundle
from models.datasets.comparable import ComparableTrials
from models.datasets.reader_trials import ReaderTrials
from models.reports.decoded import Decoded
from models.systems.reader import PictureReader
from models.systems.system import Progress, System


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train on a simulated participant; there are no recordings below `data_root`."""
    from models.systems.gradient.train import train_gradient

    return train_gradient(path, out, progress, even_at_chance)


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Show the held-out pictures again, and decode the answers."""
    from models.insilico.heldout import decode_held_out
    from models.systems.gradient.report import held_out_of

    return decode_held_out(bundle, held_out_of(bundle, progress))


def oracle(bundle: Bundle, *, snr: float | None = None) -> dict[str, dict[str, Any]]:
    """Identify the held-out trials by the exact likelihood of each picture."""
    from models.insilico.oracle import held_out_oracle
    from models.systems.gradient.report import held_out_of

    return held_out_oracle(held_out_of(bundle, snr=snr))


def own_report(
    bundle: Bundle, out: Path, *, data_root: Path | None, weights: Path | None, progress: Progress
) -> dict[str, Any]:
    """Report on the trials made again, and on both ways."""
    from models.systems.gradient.report import evaluate_gradient

    return evaluate_gradient(bundle, out, data_root=data_root, weights=weights, progress=progress)


def comparable(path: Path) -> ComparableTrials:
    """Show the training pictures to the participant."""
    from models.generators.package import GeneratorPackage
    from models.insilico.training_trials import training_trials
    from models.systems.gradient.settings import load_gradient

    config = load_gradient(path)
    return training_trials(config, config.seed, GeneratorPackage.load(config.generator), config.voxels)


def shown(path: Path, *, data_root: Path | None) -> ReaderTrials:
    """Show the training pictures and the held-out ones to the participant."""
    from models.generators.package import GeneratorPackage
    from models.insilico.reader_trials import shown_trials
    from models.systems.gradient.settings import load_gradient

    config = load_gradient(path)
    return shown_trials(config, config.seed, GeneratorPackage.load(config.generator))


def readers() -> tuple[PictureReader, ...]:
    """Return both ways as rows of the table of all brain readers."""
    from models.systems.gradient.readers import readers as own

    return own()


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Open the generator's package and the network's weights, and build pipeline and readout."""
    from bci.signal.pipeline import Pipeline
    from models.generators.package import GeneratorPackage
    from models.readouts.family import build_readout
    from models.systems.gradient.settings import load_gradient

    config = load_gradient(path)
    package = GeneratorPackage.load(config.generator)
    Pipeline.from_json([dict(step) for step in config.pipeline])
    build_readout(config.readout.name, generator=package, **dict(config.readout.options))
    return []


def settings() -> Any:
    """Return the model of its training file."""
    from models.systems.gradient.settings import GradientConfig

    return GradientConfig


SYSTEM = System(
    kind="gradient",
    about="pictures whose features are those decoded of a simulated participant, by a network distilled from gradients",
    train=train,
    held_out=held_out,
    check=check,
    oracle=oracle,
    own_report=own_report,
    settings=settings,
    comparable=comparable,
    shown=shown,
    readers=readers,
)
