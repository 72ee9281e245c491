"""Training of a readout of a number: one file in, one bundle out.

Every window is predicted by a readout that never saw its fold; these predictions are what is scored, beside the number
shifted in time. The bundle's own readout is fitted to all of them.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import require_place
from bci.decoder.result import NumberResult
from bci.decoder.spec import (
    BundleSpec,
    ConfidenceSpec,
    GraphSpec,
    ImageSpec,
    NoveltySpec,
    Provenance,
    SignalSpec,
    WindowSpec,
)
from bci.signal.pipeline import Pipeline
from models.progress import warn
from models.provenance import versions
from models.readouts.novelty import Novelty
from models.systems.numbers.drawing import GRAPH, NumberDrawing, open_drawing
from models.systems.numbers.own_data import open_numbers
from models.systems.numbers.readout import NumberReadout, correlation, cross_predict, export, fit
from models.systems.numbers.settings import NumbersConfig
from models.systems.numbers.trials import Fold, NumberTrials, contiguous_folds, cut_windows
from models.systems.saving import save_trained
from models.systems.system import Progress, check_worth

Floats = NDArray[np.float64]

_PACKAGES = ("numpy", "scipy", "mne", "onnx", "onnxruntime")
#: Shifts that chance is estimated by, at most.
_MOST_SHIFTS = 200


def train_numbers(
    path: Path, out: Path, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train a readout and write its bundle.

    Parameters
    ----------
    path : Path
        A training file; see `models.systems.numbers.settings.NumbersConfig`.
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
        What `score` returns, and ``bundle``, ``hash``.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    AtChance
        If the readout is no better than chance, and that is not `even_at_chance`.
    RecordingError
        If a recording is missing or cannot be used, or there are too few windows.
    BundleError
        If `out` holds something else than a bundle.
    """
    config, root = open_numbers(path, data_root)
    require_place(out)
    drawing = open_drawing(config, root, path.resolve().parent)
    progress(0.0, "cutting windows")
    trials = cut_windows(config, root)
    warn(progress, 0.2, trials.defects)
    folds = contiguous_folds(trials, np.arange(len(trials)), config.folds)
    progress(0.2, "scoring, beside the number shifted in time")
    scores = score(config, trials, folds)
    low, high = scores["shifted"][0], scores["shifted"][2]
    scores |= check_worth(
        scores["r"] > high,
        f"the correlation is {scores['r']:.3f}; with the number shifted in time it is {low:.3f} to {high:.3f}",
        even_at_chance,
    )
    progress(0.9, "fitting, exporting")
    readout = fit(trials, np.arange(len(trials)), config.readout)
    novelty = fit_novelty(readout, trials, folds)
    spec, files = bundle_of(config, trials, readout, novelty, scores, drawing)
    saved = save_trained(out, spec, files, scores, trials.windows)
    progress(1.0, "done")
    return saved


def score(config: NumbersConfig, trials: NumberTrials, folds: list[Fold]) -> dict[str, Any]:
    """Score a readout by cross-prediction.

    Returns
    -------
    dict
        ``r`` (Pearson's correlation over all windows), ``r_folds``, ``r2`` (share of the variance that is read, of the
        mean of training; it may be below 0), ``shifted`` (low, mean, high of the middle 95 % with the number shifted in
        time by at least ``shortest_shift_s``, fitted and scored so), ``p``, ``penalties`` (of each fold), ``windows``,
        ``left_out``.
    """
    predicted = cross_predict(trials, folds, config.readout)
    observed = correlation(predicted, trials.values)
    null = np.array(
        [
            correlation(cross_predict(moved, folds, config.readout), moved.values)
            for moved in _shifted(config, trials)
        ]
    )
    residual = ((trials.values - predicted) ** 2).sum() / ((trials.values - trials.values.mean()) ** 2).sum()
    low, high = np.quantile(null, [0.025, 0.975])
    return {
        "r": observed,
        "r_folds": [correlation(predicted[fold.score], trials.values[fold.score]) for fold in folds],
        "r2": float(1 - residual),
        "shifted": [float(low), float(null.mean()), float(high)],
        "p": float((1 + (null >= observed).sum()) / (1 + len(null))),
        "penalties": [fit(trials, fold.fit, config.readout).penalty for fold in folds],
        "windows": len(trials),
        "left_out": dict(trials.left_out),
    }


def _shifted(config: NumbersConfig, trials: NumberTrials) -> list[NumberTrials]:
    """Return the same windows with their numbers shifted in time, round the end."""
    shortest = max(1, round(config.shortest_shift_s / trials.hop_s))
    shifts = np.arange(shortest, len(trials) - shortest)
    if len(shifts) > _MOST_SHIFTS:
        shifts = shifts[np.linspace(0, len(shifts) - 1, _MOST_SHIFTS).astype(int)]
    return [replace(trials, values=np.roll(trials.values, int(shift))) for shift in shifts]


class Standardising(Protocol):
    """A Standardising readout brings windows to mean 0 and variance 1 in its training."""

    def standardised(self, windows: NDArray[np.floating[Any]]) -> Floats:
        """Return windows, (n, length, *shape), as (n, features)."""
        ...


def fit_novelty(readout: Standardising, trials: NumberTrials, folds: list[Fold]) -> Novelty:
    """Fit what tells windows unlike those of training; its limits come from folds that it did not see."""
    masks = []
    for fold in folds:
        kept, out = np.zeros(len(trials), bool), np.zeros(len(trials), bool)
        kept[fold.fit], out[fold.score] = True, True
        masks.append((kept, out))
    standard = readout.standardised(trials.windows)
    return Novelty.fit(standard, masks, hold_fitted=True, overlap=trials.overlap)


def bundle_of(
    config: NumbersConfig,
    trials: NumberTrials,
    readout: NumberReadout,
    novelty: Novelty,
    scores: dict[str, Any],
    drawing: NumberDrawing | None,
) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle of a fitted readout, and write its graphs; without a `drawing` a bar is drawn."""
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    height, width = config.picture
    low, high = (float(value) for value in np.quantile(trials.values, [0.02, 0.98]))
    high = max(high, low + 1e-9)
    image = ImageSpec(height=height, width=width, low=0.0, high=1.0)
    files: dict[str, bytes | str | Path] = {}
    if drawing is not None:
        image, files[GRAPH] = drawing.steering.package.spec.image, drawing.graph(low, high)
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(trials.signal),
        pipeline=tuple(pipeline.to_json()),
        window=WindowSpec(
            length=trials.windows.shape[1],
            hop=config.window.hop if trials.signal.rate else trials.windows.shape[1],
        ),
        live=trials.signal.rate > 0,
        latent=1,
        image=image,
        result=NumberResult(
            kind="number",
            name=config.target.name,
            unit=config.target.unit,
            low=low,
            high=high,
        ),
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            *(GraphSpec(file=name, role="drawing") for name in files),
        ),
        confidence=ConfidenceSpec(
            kind="gaussian",
            calibrated_on=f"windows of {len(trials.runs)} recording(s), each predicted without its fold",
        ),
        novelty=NoveltySpec(
            calibrated_on="the same windows, each without its fold",
            flagged=float((novelty(readout.standardised(trials.windows)) > 1).mean()),
        ),
        provenance=Provenance(
            data={**trials.data, **(drawing.steering.data if drawing is not None else {})},
            config=config.model_dump(mode="json"),
            versions=versions(_PACKAGES),
        ),
        scores={key: value for key, value in scores.items() if key not in ("left_out", "windows")},
    )
    explained = max(0.0, float(scores.get("r2", 0.0)))
    return spec, {"readout.onnx": export(readout, novelty, explained, trials.windows.shape[1:]), **files}
