"""The held-out trials of a bundle of HYPER in silico, made again from what the bundle says of itself.

Configuration and seed stand in its provenance, and the participant is a function of them, so the same pictures are
shown to the same participant in the same order, by the code that trained it. Pictures need the generator's package;
where the very package is not found, the bundle's own generator draws them, which may round a few pixels otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import models
from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.decoder.renderer import Artist
from bci.errors import BundleError, ConfigError
from bci.memory.lsl_clock import LslClock
from bci.signal.types import Window
from models.generators.package import GeneratorPackage
from models.generators.spec import DESCRIPTION
from models.insilico.trials import HELD_OUT, Design, design, epochs, participant_of
from models.reports.decoded import Decoded
from models.systems.hyper.settings import HyperConfig, parse_hyper

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The held-out trials of a bundle.

    Attributes
    ----------
    config : HyperConfig
    plan : Design
    pictures : (train + test, height, width, 3) uint8
    windows : list of Window
        The epochs that had settled, as the decoder gets them.
    which : (n,) int64
        The test picture of each, from 0.
    drawn_by : str
        What drew the pictures, in words.
    """

    config: HyperConfig
    plan: Design
    pictures: Pictures
    windows: list[Window]
    which: NDArray[np.int64]
    drawn_by: str


def is_hyper(bundle: Bundle) -> bool:
    """Say whether a bundle was trained by `models.systems.hyper.train`."""
    return bundle.spec.provenance.config.get("kind") == "hyper-insilico"


def config_of(bundle: Bundle) -> HyperConfig:
    """Return the training configuration that a bundle carries.

    Raises
    ------
    BundleError
        If this release does not know it.
    """
    try:
        return parse_hyper(bundle.spec.provenance.config, f"the configuration in bundle {bundle.name!r}")
    except ConfigError as error:
        raise BundleError(f"{error} Train the bundle again with this release.") from None


def package_of(bundle: Bundle) -> GeneratorPackage | None:
    """Return the generator's package that a bundle was trained with, from beside it or from those shipped."""
    wanted = {digest for name, digest in bundle.spec.provenance.data.items() if name.startswith("generator ")}
    shipped = Path(models.__path__[0]) / "bundles"
    for place in dict.fromkeys((bundle.folder.resolve().parent, shipped)):
        for folder in sorted(place.iterdir()) if place.is_dir() else ():
            if (folder / DESCRIPTION).is_file():
                try:
                    package = GeneratorPackage.load(folder)
                except BundleError:
                    continue  # a damaged neighbour is none of ours
                if package.hash in wanted:
                    return package
    return None


def make_again(bundle: Bundle, progress: Callable[[float, str], None] | None = None) -> HeldOut:
    """Show the held-out pictures to the participant again.

    Parameters
    ----------
    bundle : Bundle
        Of `models.systems.hyper.train`.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Raises
    ------
    BundleError
        If the bundle's configuration is not known, or no test picture has an epoch.
    """
    say = progress or (lambda done, text: None)
    config = config_of(bundle)
    plan = design(config, bundle.spec.latent, np.random.default_rng(config.seed))
    package = package_of(bundle)
    say(0.05, "drawing stimuli")
    if package is not None:
        pictures, drawn_by = package.draw(plan.latents), f"generator {package.spec.name}, the very package"
    else:
        pictures = Artist(bundle)(plan.latents)
        drawn_by = "the bundle's own generator; the package that it was trained with was not found"
    say(0.2, "the participant looks at the held-out pictures")
    participant = participant_of(config, pictures[plan.reference], HELD_OUT)
    windows = epochs(config, participant, pictures[plan.shown])
    kept = [i for i, window in enumerate(windows) if window.settled]
    which = plan.shown[kept] - plan.test[0]
    return HeldOut(config, plan, pictures, [windows[i] for i in kept], which, drawn_by)


def decode_held_out(bundle: Bundle, found: HeldOut) -> Decoded:
    """Decode the held-out trials as a session would, one by one, and the mean epoch of each picture's trials."""
    decoder = OnnxDecoder(bundle, clock=LslClock())
    frames = [decoder.decode(window) for window in found.windows]
    valid = np.array([frame.valid for frame in frames])
    if not valid.all():
        raise BundleError(
            f"expected valid reconstructions of {len(frames)} held-out trials, came {np.count_nonzero(valid)}: "
            f"{frames[int(np.argmin(valid))].reason}. Train the bundle again."
        )
    test = found.plan.test
    counts = np.bincount(found.which, minlength=len(test))
    samples = np.stack([window.samples for window in found.windows])
    averaged = None
    if counts.min() > 1:
        means = [samples[found.which == k].mean(0, dtype=np.float64) for k in range(len(test))]
        averaged = np.stack([decoder.raw(mean.astype(np.float32))["latent"].ravel() for mean in means])
    repeats = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    mean = found.pictures[found.plan.train].astype(np.float64).mean(0) / 255.0
    return Decoded(
        names=tuple(f"{number:03d}" for number in range(len(test))),
        latents=found.plan.latents[test],
        seen=found.pictures[test],
        predicted=np.stack([frame.latent for frame in frames]),
        which=found.which,
        confidence=np.array([frame.confidence for frame in frames], np.float64),
        averaged=averaged,
        how=f"mean of {repeats} trials",
        mean_picture=mean,
        mean_of=f"the {len(found.plan.train)} training pictures",
        brain=_brain(found, samples),
    )


def _brain(found: HeldOut, samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return what the readout is given of each trial: (n, features)."""
    rows = samples.mean(1) if found.config.epoch.mean else samples.reshape(len(samples), -1)
    return np.asarray(rows, np.float32)
