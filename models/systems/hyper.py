"""HYPER in silico: latents of a generator read from a simulated participant who looked at what it drew.

The design of Dado et al. (2022, Scientific Reports 12:141): stimuli are drawn by a generator from known latents, so
the true latent of every trial is known; a readout maps the answers to latents; the same generator draws what was read.
Here the answers come from `bci.sim`, which sees pixels and never a latent, and the decoder is a bundle that runs live:
epochs around each stimulus' flip through the bundle's own pipeline, cut by the code that cuts live. Where the paper
averages 14 scanner trials, this decoder reads single trials of EEG, and says in its scores what that is worth.

Nothing that comes of it is a measurement of a brain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bci.decoder.bundle import require_place, save_bundle
from bci.decoder.spec import ConfidenceSpec
from bci.errors import ConfigError
from bci.signal.epochs import Epochs
from bci.signal.pipeline import Pipeline
from bci.signal.types import Marker, Signal, Window
from bci.sim.participant import Participant, make_participant, record
from models.generators.package import GeneratorPackage
from models.metrics.identification import identify
from models.metrics.latents import cosine, r_squared
from models.readouts.collapse import diagnose
from models.readouts.family import build_readout
from models.readouts.interface import Readout
from models.readouts.voxels import VoxelMask, choose_voxels
from models.systems.hyper_bundle import bundle_of, write_stimuli
from models.systems.hyper_settings import HyperConfig, load_hyper

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]

#: Level below which a confidence may be claimed: its rank correlation with the error must be negative so surely.
_LEVEL = 0.05

_CHUNK = 4096

#: Pictures over which the participant's responses are scaled; live sessions name the same, ``reference.npy``.
_REFERENCE = 32


@dataclass(frozen=True, eq=False)
class Set:
    """Trials of one session of the participant.

    Attributes
    ----------
    brain : (n, length * channels) or (n, channels) float32
        Epochs through the pipeline, as the decoder gets them, laid out in one row, or averaged over time.
    latents : (n, d) float32
        Of what was shown.
    runs : (n,) int64
        Of each trial.
    """

    brain: NDArray[np.float32]
    latents: NDArray[np.float32]
    runs: NDArray[np.int64]


def train_hyper(
    path: Path, out: Path, progress: Callable[[float, str], None] | None = None
) -> dict[str, Any]:
    """Show pictures to the participant, fit the readout, score it on other pictures, write the bundle.

    Parameters
    ----------
    path : Path
        A training file.
    out : Path
        Folder of the bundle; one that is there is replaced.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.

    Returns
    -------
    dict
        The scores on the held-out pictures, which also stand in the bundle.

    Raises
    ------
    ConfigError
        If the file cannot be used.
    BundleError
        If the generator's package is not whole, or `out` holds something else than a bundle.
    """
    say = progress or (lambda done, text: None)
    config = load_hyper(path)
    require_place(out)
    package = GeneratorPackage.load(config.generator)
    random = np.random.default_rng(config.seed)
    latents = random.standard_normal(
        (config.trials.train + config.trials.test, package.spec.latent), np.float32
    )
    say(0.02, "drawing stimuli")
    pictures = package.draw(latents)
    train, test = np.split(np.arange(len(latents)), [config.trials.train])
    shown = np.concatenate([random.permutation(test) for _ in range(config.trials.repeats)])
    say(0.05, "the participant looks at the training pictures")
    reference = pictures[train][:_REFERENCE]
    participant = _participant(config, reference, session=0)
    fitted = _answers(config, participant, pictures[train], latents[train])
    say(0.55, "the participant looks at other pictures")
    held = _answers(config, _participant(config, reference, session=1), pictures[shown], latents[shown])
    say(0.75, "fitting the readout")
    mask = _mask(config, fitted)
    readout = build_readout(config.readout.name, **config.readout.options)
    readout.fit(mask(fitted.brain) if mask else fitted.brain, fitted.latents, runs=fitted.runs)
    scores, claim = _score(config, readout, mask(held.brain) if mask else held.brain, held.latents, random)
    say(0.9, "exporting")
    write_stimuli(config.stimuli, pictures[test], latents[test], reference)
    spec, files = bundle_of(config, package, participant.signal, readout, mask, scores, claim)
    scores["hash"] = save_bundle(out, spec, files).hash
    return scores


def _participant(config: HyperConfig, reference: Pictures, session: int) -> Participant:
    who = config.participant
    return make_participant(
        who.modality,
        subject=who.subject,
        session=session,
        snr=who.snr,
        units=who.units,
        tr=who.tr,
        reference=reference,
    )


def _answers(config: HyperConfig, participant: Participant, pictures: Pictures, latents: Floats) -> Set:
    """Return what the participant answers to pictures, each followed by the empty screen."""
    trials = config.trials
    grey = np.full(pictures.shape[1:], 128, np.uint8)
    onsets = trials.lead_in_s + trials.every * (1 + np.arange(len(pictures)))
    changes: list[tuple[Pictures, float]] = [(grey, 0.0)]
    for picture, onset in zip(pictures, onsets, strict=True):
        changes += [(picture, float(onset)), (grey, float(onset + trials.stimulus_s))]
    rate = participant.signal.rate
    samples = record(participant, changes, int((onsets[-1] + trials.every + config.epoch.stop) * rate) + 1)
    windows = _epochs(config, participant.signal, samples, onsets)
    kept = [i for i, window in enumerate(windows) if window.settled]
    if len(kept) < 2:
        raise ConfigError(
            f"expected epochs after the filters have settled, came {len(kept)} of {len(windows)}. Give [trials] a "
            "longer lead_in_s, or [[pipeline]] a filter that settles sooner."
        )
    rows = [windows[i].samples for i in kept]
    brain = np.stack([row.mean(0) if config.epoch.mean else row.ravel() for row in rows])
    runs = np.arange(len(pictures)) * trials.runs // len(pictures)
    return Set(brain, np.asarray(latents, np.float32)[kept], runs[kept])


def _epochs(
    config: HyperConfig, signal: Signal, samples: NDArray[np.float32], onsets: Floats
) -> list[Window]:
    """Cut as the decoder cuts: the pipeline over everything, then the samples around each onset."""
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    cutter = Epochs(signal, pipeline, start=config.epoch.start, stop=config.epoch.stop)
    markers = [Marker(float(onset), "stimulus") for onset in onsets]
    found: list[Window] = []
    for first in range(0, len(samples), _CHUNK):
        part = samples[first : first + _CHUNK]
        times = np.arange(first, first + len(part)) / signal.rate
        bad = np.zeros(part.shape, bool)
        chunk = Window(signal, first, part, times, bad, first + len(part) - 1, reset="" if first else "start")
        found += [epoch.window for epoch in cutter.push(chunk, markers if first == 0 else ())]
    if len(found) < len(markers):
        raise ConfigError(
            f"{len(markers)} stimuli gave {len(found)} epochs: [epoch] does not fit into the trials' timing"
        )
    return found


def _mask(config: HyperConfig, fitted: Set) -> VoxelMask | None:
    """Choose the voxels, on training trials alone."""
    if config.voxels is None:
        return None
    return choose_voxels(
        fitted.brain,
        config.voxels.count,
        subject=f"in silico {config.participant.subject}",
        by=config.voxels.by,
        latents=fitted.latents,
    )


def _score(
    config: HyperConfig, readout: Readout, brain: Floats, latents: Floats, random: np.random.Generator
) -> tuple[dict[str, Any], ConfidenceSpec]:
    """Score single trials of pictures that were not trained on, beside chance and shuffled pairs."""
    predicted = readout.predict(brain)
    candidates, which = np.unique(latents, axis=0, return_inverse=True)
    # Trials of one picture are not independent: confidence and error are compared by picture.
    error, confidence = (
        np.bincount(which, values) / np.bincount(which)
        for values in (1.0 - cosine(latents, predicted), readout.confidence(brain))
    )
    falls = spearmanr(confidence, error, alternative="less")
    identified = identify(predicted, candidates, which, random)
    scores: dict[str, Any] = {
        "simulated": True,
        "snr": config.participant.snr,
        "trials": len(brain),
        "cosine": float(cosine(latents, predicted).mean()),
        "r_squared": float(r_squared(latents, predicted)),
        **identified,
        "readout": config.readout.name,
        "collapse": str(diagnose(latents, predicted)),
        "confidence_rho": float(falls.statistic),
        "confidence_p": float(falls.pvalue),
    }
    claim = ConfidenceSpec()
    if falls.pvalue < _LEVEL:
        claim = ConfidenceSpec(
            kind="gaussian",
            calibrated_on=f"{len(brain)} single trials of {len(candidates)} other pictures, in silico",
        )
    return scores, claim
