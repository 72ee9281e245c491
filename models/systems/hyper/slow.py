"""Slow readings of a bundle's held-out trials, by an encoding model of its training trials, beside what it read."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.datasets.trials import Trials
from models.encoding.features import BANKS, features_of
from models.encoding.likeness import DreamLikeness
from models.encoding.quick_and_slow import QuickAndSlow
from models.encoding.slow import SlowReading
from models.encoding.white import WhiteEncoding
from models.generators.package import GeneratorPackage
from models.insilico.heldout import HeldOut
from models.readouts.scaling import Standard
from models.readouts.voxels import choose_voxels
from models.reports.decoded import Decoded
from models.systems.hyper.settings import HyperConfig

#: The least deviation of samples about what was read, of latents whose own is 1.
_LEAST = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class SlowReference:
    """A SlowReference is what an encoding model of the training trials says of held-out ones.

    Attributes
    ----------
    compared : QuickAndSlow
        Of the first trial of each picture.
    rows : list of dict
        Its scores, by way.
    likeness : DreamLikeness
        How far all held-out trials lie from dreamed ones.
    """

    compared: QuickAndSlow
    rows: list[dict[str, Any]]
    likeness: DreamLikeness


def slow_readings(
    config: HyperConfig,
    package: GeneratorPackage,
    trials: Trials,
    pictures: NDArray[np.uint8],
    held: HeldOut,
    decoded: Decoded,
) -> SlowReference:
    """Read the first trial of each held-out picture slowly, and see how far all lie from dreamed ones.

    Parameters
    ----------
    config : HyperConfig
        Of the bundle.
    package : GeneratorPackage
    trials : Trials
        Of the training.
    pictures : (n, height, width, 3) uint8
        Of these trials.
    held : HeldOut
    decoded : Decoded
        What the bundle read of it.
    """
    first = np.array([np.flatnonzero(decoded.which == k)[0] for k in range(len(decoded.names))])
    rows = [window.samples for window in held.windows]
    brain, shown = trials.brain, np.stack([row.mean(0) if config.epoch.mean else row.ravel() for row in rows])
    if config.voxels is not None:
        latents = trials.stimuli.latents[trials.shown]
        mask = choose_voxels(brain, config.voxels.count, subject="", by=config.voxels.by, latents=latents)
        brain, shown = mask(brain), mask(shown)
    standard = Standard.of(brain)
    banks = config.readout.options.get("banks", tuple(BANKS))
    banks = tuple(BANKS) if isinstance(banks, str) else tuple(banks)
    runs = np.unique(trials.runs, return_inverse=True)[1]
    encoding = WhiteEncoding.fit(
        standard.forward(np.asarray(brain, np.float64)), features_of(pictures, banks), runs
    )
    quick = np.asarray(decoded.predicted[first], np.float64)
    # Of a standard normal latent as much is left uncertain as what was read falls short of its variance.
    sd = np.full(quick.shape[1], max(np.sqrt(max(1 - float((quick**2).mean()), 0.0)), _LEAST))
    answers = encoding.answers(standard.forward(np.asarray(shown, np.float64)))
    errors = answers - encoding.predict(features_of(decoded.seen, banks))[decoded.which]
    compared = QuickAndSlow.of(SlowReading(encoding, package, banks), answers[first], quick, sd)
    rows_of_ways = compared.score(decoded.latents, decoded.which[first])
    return SlowReference(compared, rows_of_ways, DreamLikeness.of([errors]))
