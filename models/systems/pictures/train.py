"""Training of a readout of latents from sessions of one's own: one file in, one bundle with the generator out.

Every trial is predicted by a readout that never saw its picture; these predictions are what is scored. The bundle's own
readout is fitted to all of them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import require_place
from bci.decoder.spec import BundleSpec, ConfidenceSpec, NoveltySpec
from bci.errors import DataError, RecordingError
from bci.io.files.folder import plain
from models.encoding.expecting import encoding_of
from models.generators.package import GeneratorPackage
from models.metrics.calibration import falls_with_confidence
from models.metrics.identification import headline, identify
from models.metrics.latents import cosine, r_squared
from models.progress import warn
from models.readouts.dreamed import Dreamed
from models.readouts.family import build_readout
from models.readouts.folds import about_one_centre
from models.readouts.interface import Readout
from models.readouts.size import LatentSize, size_by_pictures
from models.settings import find_data_root
from models.systems.hyper.bundle import bundle_of
from models.systems.pictures.settings import PicturesConfig, load_pictures_file
from models.systems.pictures.trials import PictureTrials, cut_pictures, picture_folds, written_out
from models.systems.saving import save_decoder
from models.systems.system import Progress, check_worth

#: A confidence may be claimed if its rank correlation with the error is negative so surely.
_LEVEL = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class PredictedLatents:
    """PredictedLatents hold what was read of each trial without its picture: (n, d), its confidence, and if unlike."""

    latents: NDArray[np.float64]
    confidence: NDArray[np.float64]
    unlike: NDArray[np.bool_]


def train_pictures(
    path: Path, out: Path, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Fit the readout, score it on pictures that it did not see, write the bundle.

    Parameters
    ----------
    path : Path
        A training file; see `models.systems.pictures.settings.PicturesConfig`.
    out : Path
        Folder of the bundle; one that is there is replaced.
    data_root : Path or None
        Folder that sessions' paths start from.
    progress : callable
        Takes the share done, 0 to 1, and a line of text.
    even_at_chance : bool
        Whether to write a bundle that is no better than chance, and says so.

    Returns
    -------
    dict
        The scores, which also stand in the bundle; ``bundle``, ``hash``.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    RecordingError
        If a session cannot be used, or there are too few pictures.
    BundleError
        If the generator's package is not whole, or `out` holds something else than a bundle.
    AtChance
        If the readout is no better than chance, and that is not `even_at_chance`.
    """
    config = load_pictures_file(path)
    root = find_data_root(data_root, needed=data_root is not None)
    config = written_out(config, root)
    require_place(out)
    package = GeneratorPackage.load(config.generator)
    progress(0.0, "cutting epochs")
    trials = cut_pictures(config, root, package.spec.latent)
    warn(progress, 0.3, (*trials.defects, *trials.few))
    progress(0.3, "scoring on pictures that were not fitted on")
    predicted = predict(config, trials, package)
    scores, claim = score(config, trials, predicted)
    worth = headline(scores)
    scores |= check_worth(worth["informed"], worth["headline"], even_at_chance)
    progress(0.8, "fitting, exporting")
    readout = _fit(config, trials, np.ones(len(trials), bool), package)
    size = _size(config, readout, package)
    scores["size"] = size.kind
    novelty = NoveltySpec(
        calibrated_on="the same trials, each without its picture", flagged=float(predicted.unlike.mean())
    )
    spec, files = bundle_of(
        config,
        package,
        trials.signal,
        readout,
        None,
        size,
        scores,
        claim,
        novelty,
        trials.window,
    )
    data = {**spec.provenance.data, **trials.data}
    spec = spec.model_copy(update={"provenance": spec.provenance.model_copy(update={"data": data})})
    record = {**scores, "left_out": trials.left_out, "sessions": trials.data}
    files["training.json"] = json.dumps(plain(record), indent=1, ensure_ascii=False) + "\n"
    encoding = None
    if isinstance(readout, Dreamed):
        encoding = encoding_of(
            readout, trials.latents[trials.which], lambda brain: size(readout.predict(brain))
        )
    spec = BundleSpec.model_validate(spec.model_dump())
    bundle = save_decoder(out, spec, files, trials.brain, encoding=encoding)
    progress(1.0, "done")
    return {**scores, "left_out": dict(trials.left_out), "bundle": bundle.name, "hash": bundle.hash}


def _fit(
    config: PicturesConfig, trials: PictureTrials, rows: NDArray[np.bool_], package: GeneratorPackage
) -> Readout:
    readout = build_readout(config.readout.name, generator=package, **config.readout.options)
    try:
        # Pictures are the runs: what is chosen inside is chosen on pictures that were held out too.
        readout.fit(trials.brain[rows], trials.latents[trials.which[rows]], runs=trials.which[rows])
    except DataError as error:
        raise RecordingError(f"readout {config.readout.name!r} cannot be fitted: {error}") from None
    return readout


def _size(config: PicturesConfig, readout: Readout, package: GeneratorPackage) -> LatentSize:
    """Return the rule for the length of latents, chosen on trials that were held out of this readout's own training."""
    if config.size != "chosen":
        return LatentSize(config.size)
    held_out = readout.frozen().held_out
    return LatentSize() if held_out is None else size_by_pictures(package, held_out)[0]


def predict(config: PicturesConfig, trials: PictureTrials, package: GeneratorPackage) -> PredictedLatents:
    """Read each trial by a readout that never saw its picture, all about the mean of the latents shown."""
    centre = trials.latents[trials.which].mean(axis=0, dtype=np.float64)
    n, d = len(trials), trials.latents.shape[1]
    latents, confidence, unlike = np.empty((n, d)), np.empty(n), np.zeros(n, bool)
    for held in picture_folds(trials, config.folds, config.seed):
        readout = _fit(config, trials, ~held, package)
        size = _size(config, readout, package)
        read, fitted = (readout.predict(trials.brain[rows]) for rows in (held, ~held))
        latents[held] = size(about_one_centre(read, fitted, centre))
        confidence[held] = readout.confidence(trials.brain[held])
        unlike[held] = readout.frozen(1).unlike(trials.brain[held])
    return PredictedLatents(latents, confidence, unlike)


def score(
    config: PicturesConfig, trials: PictureTrials, predicted: PredictedLatents
) -> tuple[dict[str, Any], ConfidenceSpec]:
    """Score single trials, beside chance; return the claim of confidence that they allow."""
    true = trials.latents[trials.which].astype(np.float64)
    counts = np.bincount(trials.which)
    error, confidence = (
        np.bincount(trials.which, values) / counts
        for values in (1.0 - cosine(true, predicted.latents), predicted.confidence)
    )
    rho, p = falls_with_confidence(error, confidence)
    random = np.random.default_rng(config.seed)
    scores: dict[str, Any] = {
        "simulated": trials.simulated,
        "trials": len(trials),
        "cosine": float(cosine(true, predicted.latents).mean()),
        "r_squared": float(r_squared(true, predicted.latents)),
        **identify(predicted.latents, trials.latents.astype(np.float64), trials.which, random),
        "readout": config.readout.name,
        "confidence_rho": rho,
        "confidence_p": p,
    }
    if p is not None and p < _LEVEL:
        return scores, ConfidenceSpec(
            kind="gaussian",
            calibrated_on=f"{len(trials)} single trials, each read without its picture",
        )
    return scores, ConfidenceSpec()
