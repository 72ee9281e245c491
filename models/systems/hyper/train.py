"""HYPER in silico: training of a decoder of a generator's latents, from a simulated participant who sees its pictures.

The design of Dado et al. (2022, Scientific Reports 12:141): stimuli are drawn by a generator from known latents, so
the true latent of every trial is known; a readout maps the answers to latents; the same generator draws what was read.
Here the answers come from `bci.sim`, which sees pixels and never a latent, and the decoder is a bundle that runs live:
epochs around each stimulus' flip through the bundle's own pipeline, cut by the code that cuts live. Where the paper
averages 14 scanner trials, this decoder reads single trials of EEG, and says in its scores what that is worth.

Nothing that comes of it is a measurement of a brain.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import require_place
from bci.decoder.spec import ConfidenceSpec, NoveltySpec
from bci.errors import ConfigError
from bci.io.files.replacing import replaced
from bci.signal.run import NO_RUN
from models.encoding.expecting import encoding_of, foretold
from models.generators.package import GeneratorPackage
from models.insilico.learned import learned
from models.insilico.scans import run_of
from models.insilico.trials import HELD_OUT, TRAINING, Set, answers, design, participant_of, positions_of
from models.insilico.whole_run import Betas
from models.metrics.calibration import falls_with_confidence
from models.metrics.identification import headline, identify
from models.metrics.latents import cosine, r_squared
from models.readouts.collapse import diagnose
from models.readouts.dreamed import Dreamed
from models.readouts.family import build_readout
from models.readouts.interface import Readout
from models.readouts.size import LatentSize, size_by_pictures
from models.readouts.voxels import VoxelMask, choose_voxels
from models.systems.hyper.betas import beta_scores
from models.systems.hyper.bundle import (
    bundle_of,
    require_scan_place,
    require_stimuli_place,
    with_mask,
    write_scan,
    write_stimuli,
)
from models.systems.hyper.settings import HyperConfig, load_hyper
from models.systems.hyper.training_record import training_record
from models.systems.saving import save_decoder
from models.systems.system import check_worth

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]

#: Level below which a confidence may be claimed: its rank correlation with the error must be negative so surely.
_LEVEL = 0.05


def train_hyper(
    path: Path,
    out: Path,
    progress: Callable[[float, str], None] | None = None,
    *,
    even_at_chance: bool = False,
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
    even_at_chance : bool
        Whether a bundle is written of a decoder that is no better than chance, too.

    Returns
    -------
    dict
        The scores on the held-out pictures, which also stand in the bundle.

    Raises
    ------
    ConfigError
        If the file cannot be used, or the place of the stimuli holds something else.
    BundleError
        If the generator's package is not whole, or `out` holds something else than a bundle.
    AtChance
        If the decoder is no better than chance, and that is not `even_at_chance`.
    """
    say = progress or (lambda done, text: None)
    config = load_hyper(path)
    require_place(out)
    require_stimuli_place(config.stimuli)
    if config.scan is not None:
        require_scan_place(config.scan)
    package = GeneratorPackage.load(config.generator)
    random = np.random.default_rng(config.seed)
    plan = design(config, package.spec.latent, random)
    say(0.02, "drawing stimuli")
    latents, pictures = plan.latents, package.draw(plan.latents)
    say(0.05, "the participant looks at the training pictures")
    reference = pictures[plan.reference]
    participant = participant_of(config, reference, TRAINING)
    run, whole, held_whole = NO_RUN, Betas(), Betas()
    if config.participant.scanner is not None:
        scanned: Any = participant
        run = run_of(scanned)
        config = config.model_copy(update={"pipeline": with_mask(config.pipeline, run)})
    config, fitted = learned(
        config, participant, pictures[plan.train], latents[plan.train], whole, positions_of(config)
    )
    say(0.55, "the participant looks at other pictures")
    other = participant_of(config, reference, HELD_OUT)
    held = answers(config, other, pictures[plan.shown], latents[plan.shown], held_whole)
    say(0.75, "fitting the readout")
    mask, readout = fit_readout(config, fitted, package)
    brain = mask(held.brain) if mask else held.brain
    size, sizes = size_of(config, readout, package)
    scores, claim = score_trials(config, readout, size, brain, held.latents, random)
    scores |= {"size": size.kind} | ({"sizes": sizes} if sizes else {})
    if whole:
        scores["betas"] = beta_scores(config, fitted, held, whole[0], held_whole[0])
    if isinstance(readout, Dreamed):
        scores["choice"] = str(readout.choice_)
    worth = headline(scores)
    scores |= check_worth(worth["informed"], worth["headline"], even_at_chance)
    novelty = NoveltySpec(
        calibrated_on=f"held-out runs of the {len(fitted.brain)} training trials",
        flagged=float(readout.frozen(1).unlike(brain).mean()),
    )
    encoding = None
    if isinstance(readout, Dreamed):
        reads = _predictor(None, readout, size)
        encoding = encoding_of(readout, fitted.latents, reads)
        if encoding is not None:
            scores["foretold"] = foretold(
                encoding, package.draw(held.latents.astype(np.float32)), reads(brain)
            )
    say(0.9, "exporting")
    spec, files = bundle_of(config, package, participant.signal, readout, mask, size, scores, claim, novelty)
    files["training.json"] = training_record(
        config,
        fitted,
        held,
        lambda part: _predictor(
            *((mask, readout) if part is fitted else fit_readout(config, part, package)), size
        ),
    )
    # Stimuli, reference and mask take their places only once the bundle that goes with them has.
    with ExitStack() as places:
        write_stimuli(
            places.enter_context(replaced(config.stimuli)), pictures[plan.test], latents[plan.test], reference
        )
        if config.scan is not None:
            write_scan(places.enter_context(replaced(config.scan)), run, config.participant.tr)
        scores["hash"] = save_decoder(out, spec, files, held.brain, encoding=encoding).hash
    return scores


def fit_readout(
    config: HyperConfig, fitted: Set, package: GeneratorPackage
) -> tuple[VoxelMask | None, Readout]:
    """Choose voxels and fit the readout, on the trials given alone."""
    mask = _mask(config, fitted)
    readout = build_readout(config.readout.name, generator=package, **config.readout.options)
    readout.fit(mask(fitted.brain) if mask else fitted.brain, fitted.latents, runs=fitted.runs)
    return mask, readout


def size_of(
    config: HyperConfig, readout: Readout, package: GeneratorPackage
) -> tuple[LatentSize, dict[str, float]]:
    """Return the rule for the length of latents, and where it was chosen what each reaches on validation."""
    if config.size != "chosen":
        return LatentSize(config.size), {}
    held_out = readout.frozen().held_out
    if held_out is None:
        raise ConfigError(
            f"size = 'chosen' is chosen on held-out trials of the training, and the readout {config.readout.name!r} "
            "holds none out. Say size = 'keep' or 'rescale'."
        )
    return size_by_pictures(package, held_out)


def _predictor(mask: VoxelMask | None, readout: Readout, size: LatentSize) -> Callable[[Floats], Floats]:
    return lambda brain: size(readout.predict(mask(brain) if mask else brain))


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


def score_trials(
    config: HyperConfig,
    readout: Readout,
    size: LatentSize,
    brain: Floats,
    latents: Floats,
    random: np.random.Generator,
) -> tuple[dict[str, Any], ConfidenceSpec]:
    """Score single trials of pictures that were not trained on, beside chance and shuffled pairs."""
    predicted = size(readout.predict(brain))
    candidates, which = np.unique(latents, axis=0, return_inverse=True)
    # Trials of one picture are not independent: confidence and error are compared by picture.
    error, confidence = (
        np.bincount(which, values) / np.bincount(which)
        for values in (1.0 - cosine(latents, predicted), readout.confidence(brain))
    )
    rho, p = falls_with_confidence(error, confidence)
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
        "confidence_rho": rho,
        "confidence_p": p,
    }
    claim = ConfidenceSpec()
    if p is not None and p < _LEVEL:
        claim = ConfidenceSpec(
            kind="gaussian",
            calibrated_on=f"{len(brain)} single trials of {len(candidates)} other pictures, in silico",
        )
    return scores, claim
