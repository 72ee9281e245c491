"""Training on HYPER's release: a readout from voxels to latents, scored on the test faces; one bundle out."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import require_place
from bci.decoder.spec import (
    BundleSpec,
    ConfidenceSpec,
    GraphSpec,
    NoveltySpec,
    Provenance,
    SignalSpec,
    WindowSpec,
)
from bci.signal.types import Signal
from models.datasets.hyper import load_hyper
from models.datasets.trials import Trials
from models.generators.frozen import for_decoder
from models.generators.package import GeneratorPackage
from models.metrics.calibration import falls_with_confidence
from models.metrics.identification import headline, identify
from models.metrics.latents import cosine, r_squared
from models.provenance import versions
from models.readouts.collapse import diagnose
from models.readouts.export import export_readout, from_window
from models.readouts.interface import Readout
from models.readouts.size import LatentSize
from models.settings import find_data_root
from models.systems.hyper_release.model import check_package, readout_of, similarity_rows
from models.systems.hyper_release.settings import HyperReleaseConfig, load_release
from models.systems.saving import save_trained
from models.systems.system import Progress, check_worth

_PACKAGES = ("numpy", "scipy", "onnx", "onnxruntime")
_LEVEL = 0.05


def train_release(
    path: Path, out: Path, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train a file and write its bundle; see `models.systems.system.Train`."""
    config = load_release(path)
    require_place(out)
    folder = find_data_root(data_root) / config.data
    train, test = load_hyper(folder, config.subject)
    package = GeneratorPackage.load(config.generator)
    check_package(config, package)
    train.check_generator(train.stimuli.generator, package.spec.latent)
    progress(0.1, f"fitting {config.readout.name} to {len(train)} trials, to get the {config.model} right")
    readout = readout_of(config, package).fit(train.brain, train.latents, repeats=train.repeats)
    progress(0.85, f"scoring {len(test)} test faces")
    scores, claim = score(config, readout, train, test)
    worth = headline(scores)
    scores |= check_worth(worth["informed"], worth["headline"], even_at_chance)
    # A session plays the test's responses, means of many presentations: they vary less than one does, and would all be
    # unlike training.
    live = readout.frozen(int(test.repeats.min()))
    novelty = NoveltySpec(
        calibrated_on=f"held-out runs of the {len(train)} training trials",
        flagged=float(live.unlike(test.brain).mean()),
    )
    progress(0.9, "exporting")
    digest = hashlib.sha256((folder / f"data_{config.subject}.dat").read_bytes()).hexdigest()
    spec = spec_of(config, package, train, scores, claim, novelty, digest)
    graph = export_readout(live, size=LatentSize(config.size))
    files: dict[str, bytes | str | Path] = {
        "readout.onnx": from_window(graph, (1, train.brain.shape[1]), claims=claim.kind != "none"),
        "generator.onnx": for_decoder(package.graph, package.spec.rule, package.spec.limit),
    }
    saved = save_trained(out, spec, files, scores, test.brain)
    progress(1.0, "done")
    return saved


def score(
    config: HyperReleaseConfig, readout: Readout, train: Trials, test: Trials
) -> tuple[dict[str, Any], ConfidenceSpec]:
    """Score test faces, the mean of their presentations, beside what knows nothing.

    Returns
    -------
    scores : dict
        As JSON holds them; ``baselines`` as of `models.systems.hyper_release.model.similarity_rows`.
    claim : ConfidenceSpec
        A confidence only where the error falls as it rises.
    """
    predicted, latents = np.asarray(readout.predict(test.brain)), test.latents
    random = np.random.default_rng(config.seed)
    rho, p = falls_with_confidence(1.0 - cosine(latents, predicted), readout.confidence(test.brain))
    scores: dict[str, Any] = {
        "simulated": config.simulated,
        "model": str(config.model),
        "readout": config.readout.name,
        "trials": len(test),
        "repeats": int(test.repeats.min()),
        "cosine": float(cosine(latents, predicted).mean()),
        "r_squared": float(r_squared(latents, predicted)),
        **identify(predicted, latents, np.arange(len(test)), random),
        "baselines": similarity_rows(latents, predicted, train.latents.mean(0), config.seed),
        "collapse": str(diagnose(latents, predicted)),
        "confidence_rho": rho,
        "confidence_p": p,
    }
    claim = ConfidenceSpec()
    if p is not None and p < _LEVEL:
        claim = ConfidenceSpec(kind="gaussian", calibrated_on=f"{len(test)} test faces of the release")
    return scores, claim


def spec_of(
    config: HyperReleaseConfig,
    package: GeneratorPackage,
    train: Trials,
    scores: dict[str, Any],
    claim: ConfidenceSpec,
    novelty: NoveltySpec,
    digest: str,
) -> BundleSpec:
    """Describe the bundle: one row of betas is a window."""
    signal = Signal("BOLD", 1 / config.tr, (train.brain.shape[1],), (), "z")
    return BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(signal),
        pipeline=(),
        window=WindowSpec(length=1, hop=1),
        latent=package.spec.latent,
        image=package.spec.image,
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
        confidence=claim,
        novelty=novelty,
        provenance=Provenance(
            data={
                f"generator {package.spec.name}": package.hash,
                f"HYPER data_{config.subject}.dat": digest,
            },
            config=config.model_dump(mode="json", exclude={"generator"}),
            seeds={"all": config.seed},
            versions=versions(_PACKAGES),
        ),
        scores={key: value for key, value in scores.items() if key != "baselines"},
    )
