"""Training of a first decoder: one file in, one bundle out.

Reads the training part of every recording, fits the readout, decides by cross-prediction whether a confidence may
be claimed, draws pictures, fits the generator, exports both, and writes what evaluation on the held-out part
found into the bundle. The same file, data and library versions give the same bundle on the same machine.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bci.decoder.bundle import require_place
from bci.decoder.card import write_card
from bci.decoder.onnx import UNLIKE
from bci.decoder.spec import (
    CARD,
    BundleSpec,
    GraphSpec,
    ImageSpec,
    NoveltySpec,
    Provenance,
    SignalSpec,
    WindowSpec,
)
from bci.errors import ConfigError, RecordingError
from bci.io.files.scratch import scratch_folder
from bci.signal.pipeline import Pick, Pipeline, RunningPipeline
from bci.signal.types import Signal
from bci.signal.units import unit_key
from models.drawings.eye import FACTORS
from models.drawings.eye_pictures import draw_eyes
from models.export import export_generator
from models.generators.interface import ImageGenerator, build, parameter_count
from models.generators.regression import Curve, predict, regress
from models.progress import warn
from models.provenance import versions
from models.settings import find_data_root
from models.systems.alpha.evaluate import blocks_of, evaluate
from models.systems.alpha.export import export_state_readout
from models.systems.alpha.fitting import StateEstimator, Trials
from models.systems.alpha.judging import Judged, judge
from models.systems.alpha.path import PathGenerator
from models.systems.alpha.readout import RelativePower
from models.systems.alpha.recordings import StateRecording, expected_signal, open_states, source_span, stack
from models.systems.alpha.report import headline
from models.systems.alpha.settings import GeneratorSettings, TrainingConfig, load_training, window_shape
from models.systems.saving import save_decoder
from models.systems.system import check_worth

Progress = Callable[[float, str], None]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "mne", "torch", "onnx", "onnxscript", "onnxruntime", "pillow")


def train(
    config_path: Path,
    out: Path,
    data_root: Path | None = None,
    progress: Progress | None = None,
    *,
    even_at_chance: bool = False,
) -> dict[str, Any]:
    """Train a decoder and write its bundle.

    Parameters
    ----------
    config_path : Path
        A training file; see `models.systems.alpha.settings.TrainingConfig`.
    out : Path
        Folder of the bundle; one that is there is replaced.
    data_root : Path, optional
        Folder that the recordings' paths start from; see `models.settings.find_data_root`.
    progress : callable, optional
        Takes the share done, 0 to 1, and a line of text.
    even_at_chance : bool
        Whether a bundle is written of a decoder that is no better than chance, too.

    Returns
    -------
    dict
        What `models.systems.alpha.evaluate.evaluate` says about the bundle, and under ``training`` how it was made.

    Raises
    ------
    ConfigError
        If the file, the data root or the readout's bands cannot be used, or there are too few windows.
    RecordingError
        If a recording is missing or does not hold what the file says.
    BundleError
        If `out` holds something else than a bundle.
    AtChance
        If the decoder is no better than chance, and that is not `even_at_chance`.
    """
    say = progress or (lambda done, text: None)
    config = load_training(config_path)
    require_place(out)
    say(0.0, "reading recordings")
    recordings = open_states(config, find_data_root(data_root))
    warnings = [f"{r.settings.path}: {defect}" for r in recordings for defect in r.recording.defects]
    warn(say, 0.0, warnings)
    signal = expected_signal(config, recordings)
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    window = window_shape(config.readout, config.window, pipeline, signal)
    trials = _training_windows(config, recordings, pipeline, signal)
    say(0.03, "fitting the readout")
    estimator, judged = _fit_readout(config, trials, pipeline.start(signal), say)
    generator, curve, pictures = _fit_generator(config, lambda done, text: say(0.1 + 0.8 * done, text))
    made = {**judged.report, "generator": pictures, "trainable_parameters": parameter_count(generator)}
    made["warnings"] = warnings
    path = PathGenerator(generator, config.generator.start, config.generator.end).eval()
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(signal),
        pipeline=tuple(pipeline.to_json()),
        window=WindowSpec(length=config.window.length, hop=config.window.hop),
        latent=1,
        image=_image_of(generator),
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
        confidence=judged.claim,
        novelty=NoveltySpec(calibrated_on=judged.blocks, flagged=0.0),
        provenance=Provenance(
            data={recording.settings.path: recording.sha256 for recording in recordings},
            config=config.model_dump(mode="json"),
            seeds={"all": config.seed},
            versions=versions(_PACKAGES),
        ),
    )
    say(0.92, "exporting")
    files: dict[str, bytes | str | Path] = {
        "readout.onnx": export_state_readout(estimator.readout_, window, estimator.novelty_),
        "generator.onnx": export_generator(path, 1),
        "training.json": json.dumps({**made, "curve": asdict(curve)}, indent=1, ensure_ascii=False) + "\n",
    }
    say(0.94, "evaluating on the held-out part")
    # A bundle that cannot be evaluated replaces none that could.
    with scratch_folder("bci-train-") as workshop:
        unscored = save_decoder(workshop / "bundle", spec, files)
        report = evaluate(unscored.folder, data_root)
    found, informed = headline(report)
    check_worth(informed, found, even_at_chance)
    scores = {key: value for key, value in report.items() if key not in ("bundle", "hash")}
    flagged = report["test"]["invalid"].get(UNLIKE, 0) / max(report["test"]["windows"], 1)
    novelty = NoveltySpec(calibrated_on=judged.blocks, flagged=flagged)
    spec = spec.model_copy(update={"scores": scores, "novelty": novelty})
    files[CARD] = write_card(spec) + _limits(config, recordings)
    report["hash"] = save_decoder(out, spec, files, _test_windows(config, recordings, signal, pipeline)).hash
    say(1.0, "done")
    return {**report, "training": made}


def _test_windows(
    config: TrainingConfig, recordings: Sequence[StateRecording], signal: Signal, pipeline: Pipeline
) -> NDArray[np.float32]:
    """Cut the test part of every recording: (n, length, *output shape) of good windows."""
    picked = Pipeline((Pick(signal.channels), *pipeline.steps))
    return np.stack(
        [
            window.samples
            for recording in recordings
            for window in recording.cut(config.split.test, picked, config.window.length, config.window.hop)
            if window.settled and not window.bad.any()
        ]
    )


def _training_windows(
    config: TrainingConfig, recordings: Sequence[StateRecording], pipeline: Pipeline, signal: Signal
) -> Trials:
    """Cut the training part of every recording; windows that have not settled or hold a bad value are left out."""
    picked = Pipeline((Pick(signal.channels), *pipeline.steps))
    cut, states, runs, spans = [], [], [], []
    for run, recording in enumerate(recordings):
        unit = recording.recording.signal.unit
        if unit_key(unit) != unit_key(signal.unit):
            raise RecordingError(
                f"{recording.settings.path}: expected a recording in {signal.unit}, came {unit or 'no unit'}. "
                "State its unit under [signal]."
            )
        ratio = picked.ratio(recording.recording.signal)
        for window in recording.cut(config.split.train, picked, config.window.length, config.window.hop):
            if window.settled and not window.bad.any():
                cut.append(window)
                states.append(bool(recording.settings.state))
                runs.append(run)
                spans.append(source_span(window, ratio))
    least = 2 * config.readout.folds
    counts = [states.count(False), states.count(True)]
    if min(counts) < least:
        raise RecordingError(
            f"expected at least {least} usable windows of each state in the training part, came {counts[0]} of state 0 "
            f"and {counts[1]} of state 1. Train on a longer part, or shorten the window."
        )
    start, end = np.array(spans, np.int64).T
    return Trials(stack(cut), np.array(states), np.array(runs, np.int64), start, end)


def _fit_readout(
    config: TrainingConfig, trials: Trials, running: RunningPipeline, say: Progress
) -> tuple[StateEstimator, Judged]:
    """Fit, and judge the confidence on predictions for blocks that took no part in any choice."""
    settings = config.readout
    # A window away from a held-out block, or as far as a filter remembers, whichever is longer.
    margin = max(int(trials.end[0] - trials.start[0]), running.settle)
    features = RelativePower(settings.bands, settings.reference)
    estimator = StateEstimator(features, settings.shrinkage, settings.folds, margin).fit(trials)
    say(0.05, "judging the confidence by cross-prediction")
    a, b = config.split.train
    judged = judge(
        estimator,
        trials,
        blocks_of(trials.run, running.output.rate, config),
        seed=config.seed,
        calibrated_on=f"held-out blocks ({settings.folds}-fold, contiguous) of {a:.0%} to {b:.0%} of "
        + ", ".join(recording.path for recording in config.recordings),
    )
    return estimator, judged


def _fit_generator(config: TrainingConfig, say: Progress) -> tuple[ImageGenerator, Curve, dict[str, float]]:
    """Draw pictures and fit the generator to them; return it, its curve, and its error beside a baseline."""
    settings: GeneratorSettings = config.generator
    if len(settings.start) != len(FACTORS) or len(settings.end) != len(FACTORS):
        raise ConfigError(
            f"[generator] start and end hold one number for each of {', '.join(name for name, _, _ in FACTORS)}; "
            f"came {len(settings.start)} and {len(settings.end)}"
        )
    torch.manual_seed(config.seed)
    generator = build(
        {
            "kind": "upsampling",
            "ranges": [(low, high) for _, low, high in FACTORS],
            "channels": settings.channels,
            "hidden": settings.hidden,
        }
    )
    (size, _) = generator.image_size

    def draw(n: int, stream: int, share: tuple[float, float]) -> Any:
        return draw_eyes(
            n,
            settings.start,
            settings.end,
            size=size,
            rng=np.random.default_rng([config.seed, stream]),
            progress=lambda done, text: say(share[0] + (share[1] - share[0]) * done, text),
        )

    pictures = draw(settings.pictures, 2, (0.0, 0.15))
    held_out = draw(settings.held_out, 3, (0.15, 0.17))
    curve = regress(
        generator,
        pictures,
        held_out,
        steps=settings.steps,
        batch=settings.batch,
        rate=settings.rate,
        seed=config.seed,
        threads=settings.threads,
        device=settings.device,
        progress=lambda done, text: say(0.17 + 0.83 * done, text),
    )
    wanted = held_out.images / 255.0
    error = predict(generator, held_out.latents) - wanted
    mean = pictures.images.mean(0) / 255.0 - wanted
    return (
        generator,
        curve,
        {
            "held_out_pictures": len(held_out),
            "mean_absolute_error": float(np.abs(error).mean()),
            "of_the_mean_picture": float(np.abs(mean).mean()),
            "psnr_db": float(-10 * np.log10((error**2).mean())),
            "psnr_db_of_the_mean_picture": float(-10 * np.log10((mean**2).mean())),
        },
    )


def _image_of(generator: ImageGenerator) -> ImageSpec:
    (height, width), (low, high) = generator.image_size, generator.output_range
    return ImageSpec(height=height, width=width, low=low, high=high)


def _limits(config: TrainingConfig, recordings: Sequence[StateRecording]) -> str:
    """Return the part of the card that says what the scores do not show."""
    runs = ", ".join(f"{r.settings.label} in {r.settings.path}" for r in recordings)
    return (
        "\n## What it cannot do\n\n"
        f"- It was fitted on {len(recordings)} recordings of one person ({runs}). Each state is one run, so whatever "
        "else differs between the runs may help to tell them apart. Band power is taken relative to a broad band, "
        "so a difference of gain does not.\n"
        "- For another person it shows the direction of the rhythm, with a calibration that is not theirs: train "
        "on their own recording.\n"
        "- The picture is a drawing that stands for the state. It is not what the person sees.\n"
        + "".join(f"- {r.settings.path}: {defect}.\n" for r in recordings for defect in r.recording.defects)
    )
