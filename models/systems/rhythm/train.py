"""Training of a readout of a rhythm: one file in, one bundle out.

Every window is predicted by a readout that never saw its fold; these predictions are what is scored, beside the rhythm
shifted in time. The bundle's own readout is fitted to all of them.
"""

from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import require_place
from bci.decoder.result import RhythmResult
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
from bci.errors import RecordingError
from bci.signal.pipeline import Pipeline
from models.progress import warn
from models.provenance import versions
from models.readouts.novelty import Novelty
from models.settings import find_data_root
from models.systems.numbers.train import fit_novelty
from models.systems.numbers.trials import contiguous_folds
from models.systems.rhythm.readout import RhythmReadout, export_rhythm, fit_rhythm
from models.systems.rhythm.scoring import score_rhythm
from models.systems.rhythm.settings import RhythmConfig, load_rhythm
from models.systems.rhythm.trials import RhythmTrials, cut_rhythm
from models.systems.saving import save_trained
from models.systems.system import Progress, check_worth

_PACKAGES = ("numpy", "scipy", "mne", "onnx", "onnxruntime")


def train_rhythm(
    path: Path, out: Path, data_root: Path | None, progress: Progress, even_at_chance: bool = False
) -> dict[str, Any]:
    """Train a readout and write its bundle.

    Parameters
    ----------
    path : Path
        A training file; see `models.systems.rhythm.settings.RhythmConfig`.
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
        What `models.systems.rhythm.scoring.score_rhythm` returns, and ``bundle``, ``hash``.

    Raises
    ------
    ConfigError
        If the file or the data root cannot be used.
    AtChance
        If the phase that is read is no better than chance, and that is not `even_at_chance`.
    RecordingError
        If a recording is missing or cannot be used, or there are too few windows.
    BundleError
        If `out` holds something else than a bundle.
    """
    config = load_rhythm(path)
    require_place(out)
    progress(0.0, "cutting windows")
    trials = cut_rhythm(config, find_data_root(data_root))
    warn(progress, 0.2, trials.cut.defects)
    if not np.abs(trials.analytic).max() > 0:
        raise RecordingError(
            f"expected a rhythm in {config.target.channel}, came a channel that does not vary. Name another in "
            "target.channel."
        )
    folds = contiguous_folds(trials.cut, np.arange(len(trials)), config.folds)
    progress(0.2, "scoring, beside the rhythm shifted in time")
    scores, _ = score_rhythm(config, trials, folds)
    low, _, high = scores["shifted"]
    scores |= check_worth(
        scores["phase_locking"] > high,
        f"the phase locking value is {scores['phase_locking']:.3f}; with the rhythm shifted in time it is {low:.3f} to "
        f"{high:.3f}",
        even_at_chance,
    )
    progress(0.9, "fitting, exporting")
    readout = fit_rhythm(trials, np.arange(len(trials)), config.readout)
    spec, files = bundle_of_rhythm(config, trials, readout, fit_novelty(readout, trials.cut, folds), scores)
    saved = save_trained(out, spec, files, scores, trials.cut.windows)
    progress(1.0, "done")
    return saved


def bundle_of_rhythm(
    config: RhythmConfig,
    trials: RhythmTrials,
    readout: RhythmReadout,
    novelty: Novelty,
    scores: dict[str, Any],
) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle of a fitted readout, and write its graph; `scores` are those of `score_rhythm`."""
    target, cut = config.target, trials.cut
    height, width = config.picture
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(cut.signal),
        pipeline=tuple(Pipeline.from_json([dict(step) for step in config.pipeline]).to_json()),
        window=WindowSpec(length=config.window.length, hop=config.window.hop),
        latent=2,
        image=ImageSpec(height=height, width=width, low=0.0, high=1.0),
        result=RhythmResult(
            kind="rhythm",
            name=target.name,
            low=target.low,
            high=target.high,
            unit=f"{cut.signal.unit}²" if cut.signal.unit else "",
            full=float(np.quantile(np.abs(trials.analytic) ** 2, 0.98)),
        ),
        graphs=(GraphSpec(file="readout.onnx", role="readout"),),
        confidence=ConfidenceSpec(
            kind="gaussian",
            calibrated_on=f"windows of {len(cut.data)} recording(s), each predicted without its fold",
        ),
        novelty=NoveltySpec(
            calibrated_on="the same windows, each without its fold",
            flagged=float((novelty(readout.standardised(cut.windows)) > 1).mean()),
        ),
        provenance=Provenance(
            data=dict(cut.data), config=config.model_dump(mode="json"), versions=versions(_PACKAGES)
        ),
        scores={key: value for key, value in scores.items() if key not in ("left_out", "windows")},
    )
    graph = export_rhythm(
        readout, novelty, scores["unknown"], max(0.0, scores["explained"]), cut.windows.shape[1:]
    )
    return spec, {"readout.onnx": graph}
