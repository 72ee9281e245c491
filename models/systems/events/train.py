"""Training of a readout of classes of events: one file in, one bundle out.

Every epoch is predicted by a readout that never saw its fold; these predictions are what is scored, and what the
probabilities are made likely on. The bundle's own readout is fitted to all of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import require_place
from bci.decoder.result import ClassesResult
from bci.decoder.spec import (
    BundleSpec,
    ConfidenceSpec,
    EpochSpec,
    GraphSpec,
    NoveltySpec,
    Provenance,
    SignalSpec,
    WindowSpec,
)
from bci.signal.pipeline import Pipeline
from models.progress import warn
from models.provenance import versions
from models.readouts.novelty import Novelty
from models.systems.events.choice import settle
from models.systems.events.drawing import GRAPH, PICTURES, ClassDrawing, open_drawing
from models.systems.events.folds import Fold, folds_of
from models.systems.events.own_data import open_events
from models.systems.events.readout import ClassReadout, export, fit, fit_novelty, fit_temperature
from models.systems.events.scoring import predict, score
from models.systems.events.settings import EventsConfig
from models.systems.events.tangent import TangentSpace
from models.systems.events.trials import EventTrials, cut_trials
from models.systems.saving import save_trained
from models.systems.system import check_worth

Progress = Callable[[float, str], None]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "mne", "onnx", "onnxruntime")


def train_events(
    path: Path, out: Path, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train a readout and write its bundle.

    Parameters
    ----------
    path : Path
        A training file; see `models.systems.events.settings.EventsConfig`.
    out : Path
        Folder of the bundle; one that is there is replaced.
    data_root : Path or None
        Folder that recordings' paths start from; see `models.settings.find_data_root`.
    progress : callable
        Takes the share done, 0 to 1, and a line of text.
    even_at_chance : bool
        Whether to write a bundle that is no better than chance, and says so.

    Returns
    -------
    dict
        What `models.systems.events.scoring.score` returns, and ``bundle``, ``hash``.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    AtChance
        If the readout is no better than chance, and that is not `even_at_chance`.
    RecordingError
        If a recording is missing or cannot be used, or there are too few trials.
    BundleError
        If `out` holds something else than a bundle.
    """
    config, root = open_events(path, data_root)
    require_place(out)
    drawing = open_drawing(config, root, path.resolve().parent)
    progress(0.0, "cutting epochs")
    trials = cut_trials(config, root)
    warn(progress, 0.2, trials.defects)
    folds = folds_of(config, trials)
    progress(0.2, "scoring, beside shuffled classes")
    scores = score(config, trials, folds)
    scores |= check_worth(*worth(scores), even_at_chance)
    progress(0.9, "fitting, exporting")
    readout = fit_all(config, trials, folds)
    novelty = fit_novelty(readout, trials.epochs, folds)
    spec, files = bundle_of(config, trials, readout, novelty, scores, drawing)
    saved = save_trained(out, spec, files, scores, trials.epochs)
    progress(1.0, "done")
    return saved


def worth(scores: dict[str, Any]) -> tuple[bool, str]:
    """Return whether classes are told apart better than by chance, and the score beside chance in words."""
    low, _, high = scores["shuffled"]
    return bool(scores["auc"] > high), (
        f"the area under the curve is {scores['auc']:.3f}; with shuffled classes it is {low:.3f} to {high:.3f}"
    )


def fit_all(config: EventsConfig, trials: EventTrials, folds: Sequence[Fold]) -> ClassReadout:
    """Fit the readout to all trials, with the temperature of predictions for trials that were not fitted on."""
    rows = np.arange(len(trials))
    fitted = fit(trials, rows, settle(config.readout, trials, rows).readout)
    predicted = predict(config, trials, folds)
    return replace(fitted, temperature=fit_temperature(predicted.scores, trials.classes))


def bundle_of(
    config: EventsConfig,
    trials: EventTrials,
    readout: ClassReadout,
    novelty: Novelty,
    scores: dict[str, Any],
    drawing: ClassDrawing,
) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle of a fitted readout, and write its graphs; `drawing` is what draws its classes."""
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(trials.signal),
        pipeline=tuple(pipeline.to_json()),
        window=_cut_of(config, trials),
        live=trials.signal.rate > 0,
        latent=len(config.labels),
        image=drawing.image,
        result=ClassesResult(
            kind="classes", labels=config.labels, pictures=PICTURES if PICTURES in drawing.files else None
        ),
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            *(GraphSpec(file=name, role="drawing") for name in drawing.files if name == GRAPH),
        ),
        confidence=ConfidenceSpec(
            kind="classifier",
            calibrated_on=f"epochs of {len(trials.runs)} recording(s), each predicted without its fold",
            classes=len(config.labels),
        ),
        novelty=NoveltySpec(
            calibrated_on="the same epochs, each without its fold",
            flagged=float((novelty(readout.standardised(trials.epochs)) > 1).mean()),
        ),
        provenance=Provenance(
            data={**trials.data, **drawing.data},
            config=config.model_dump(mode="json"),
            seeds={"all": config.seed},
            versions=versions(
                (*_PACKAGES, "pyriemann") if isinstance(readout.features, TangentSpace) else _PACKAGES
            ),
        ),
        scores={key: value for key, value in scores.items() if key not in ("left_out", "trials")},
    )
    return spec, {"readout.onnx": export(readout, novelty, trials.epochs.shape[1:]), **drawing.files}


def _cut_of(config: EventsConfig, trials: EventTrials) -> EpochSpec | WindowSpec:
    """Return how epochs are cut of a stream; of arrays without a rate, how many samples are read at once."""
    if not trials.signal.rate:
        length = trials.epochs.shape[1]
        return WindowSpec(length=length, hop=length)
    return EpochSpec(start=config.epoch.start, stop=config.epoch.stop, markers=config.any_class())
