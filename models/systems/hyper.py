"""HYPER in silico: latents of a generator read from a simulated participant who looked at what it drew.

The design of Dado et al. (2022, Scientific Reports 12:141): stimuli are drawn by a generator from known latents, so
the true latent of every trial is known; a readout maps the answers to latents; the same generator draws what was read.
Here the answers come from `bci.sim`, which sees pixels and never a latent, and the decoder is a bundle that runs live:
epochs around each stimulus' flip through the bundle's own pipeline, cut by the code that cuts live. Where the paper
averages 14 scanner trials, this decoder reads single trials of EEG, and says in its scores what that is worth.

Nothing that comes of it is a measurement of a brain.
"""

import json
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from scipy.stats import spearmanr

from bci.decoder.bundle import require_place, save_bundle
from bci.decoder.spec import (
    BundleSpec,
    ConfidenceSpec,
    EpochSpec,
    GraphSpec,
    Provenance,
    SignalSpec,
)
from bci.errors import ConfigError
from bci.io.session import describe_errors
from bci.signal.epochs import Epochs
from bci.signal.pipeline import Pipeline
from bci.signal.types import Marker, Window
from bci.sim.participant import make_participant, record
from models.export_readouts import export_readout
from models.generators.graphs import for_decoder
from models.generators.package import GeneratorPackage
from models.metrics.identification import identify
from models.metrics.latents import cosine, r_squared
from models.readouts.collapse import diagnose
from models.readouts.family import build_readout

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]

#: Level below which a confidence may be claimed: its rank correlation with the error must be negative so surely.
_LEVEL = 0.05

_CHUNK = 4096

#: Pictures over which the participant's responses are scaled; live sessions name the same, ``reference.npy``.
_REFERENCE = 32
_PACKAGES = ("numpy", "scipy", "onnx", "onnxruntime")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Participant(_Section):
    """Who looks; see ``[source]`` of a session file."""

    modality: Literal["eeg", "lfp"] = "eeg"
    subject: Annotated[int, Field(ge=0)] = 1
    snr: Annotated[float, Field(gt=0)]
    units: Annotated[int, Field(ge=16)] | None = None


class Timing(_Section):
    """How trials follow each other, seconds."""

    train: Annotated[int, Field(ge=100)]
    """Pictures shown once each, to fit the readout."""
    test: Annotated[int, Field(ge=10)]
    """Other pictures, to score it; these are also written out as the stimuli of live sessions."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """How often each test picture is shown, single trials all the same."""
    runs: Annotated[int, Field(ge=2)] = 6
    stimulus_s: Annotated[float, Field(gt=0)]
    blank_s: Annotated[float, Field(gt=0)]


class Cut(_Section):
    """What is decoded of a trial, seconds from the flip."""

    start: float
    stop: float


class ReadoutSettings(_Section):
    """Which readout of `models.readouts.family`, and its options."""

    name: str = "ridge"
    options: dict[str, JsonValue] = {}


class HyperConfig(_Section):
    """A training file of kind ``hyper-insilico``."""

    kind: Literal["hyper-insilico"]
    name: str
    title: str = ""
    seed: int
    generator: Path
    """Folder of the generator's package, from the file's own."""
    stimuli: Path
    """Where the test pictures are written, from the file's own folder."""
    participant: Participant
    trials: Timing
    pipeline: tuple[dict[str, JsonValue], ...]
    epoch: Cut
    readout: ReadoutSettings = ReadoutSettings()


def load_hyper(path: Path) -> HyperConfig:
    """Read a training file; its paths start from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    try:
        config = HyperConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ConfigError(f"{path} cannot be used:\n{describe_errors(error)}") from None
    folder = path.resolve().parent
    places = {"generator": folder / config.generator, "stimuli": folder / config.stimuli}
    return config.model_copy(update=places)


@dataclass(frozen=True, eq=False)
class Set:
    """Trials of one session of the participant.

    Attributes
    ----------
    brain : (n, length * channels) float32
        Epochs through the pipeline, as the decoder gets them, laid out in one row.
    latents : (n, d) float32
        Of what was shown.
    """

    brain: NDArray[np.float32]
    latents: NDArray[np.float32]


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
    fitted = _answers(config, reference, pictures[train], latents[train], session=0)
    say(0.55, "the participant looks at other pictures")
    held = _answers(config, reference, pictures[shown], latents[shown], session=1)
    say(0.75, "fitting the readout")
    runs = np.arange(len(train)) * config.trials.runs // len(train)
    readout: Any = build_readout(config.readout.name, **config.readout.options)
    readout.fit(fitted.brain, fitted.latents, runs=runs)
    scores, claim = _score(config, readout, held, random)
    say(0.9, "exporting")
    _write_stimuli(config.stimuli, pictures[test], latents[test], reference)
    spec, files = _bundle(config, package, readout, scores, claim)
    scores["hash"] = save_bundle(out, spec, files).hash
    return scores


def _answers(
    config: HyperConfig, reference: Pictures, pictures: Pictures, latents: Floats, session: int
) -> Set:
    """Return what the participant answers to pictures, each followed by the empty screen."""
    who, trials = config.participant, config.trials
    participant = make_participant(
        who.modality, subject=who.subject, session=session, snr=who.snr, units=who.units, reference=reference
    )
    grey = np.full(pictures.shape[1:], 128, np.uint8)
    every = trials.stimulus_s + trials.blank_s
    onsets = every * (1 + np.arange(len(pictures)))
    changes: list[tuple[Pictures, float]] = [(grey, 0.0)]
    for picture, onset in zip(pictures, onsets, strict=True):
        changes += [(picture, float(onset)), (grey, float(onset + trials.stimulus_s))]
    rate = participant.signal.rate
    samples = record(participant, changes, int((onsets[-1] + every + config.epoch.stop) * rate))
    return Set(_epochs(config, participant.signal, samples, onsets), np.asarray(latents, np.float32))


def _epochs(config: HyperConfig, signal: Any, samples: NDArray[np.float32], onsets: Floats) -> Any:
    """Cut as the decoder cuts: the pipeline over everything, then the samples around each onset."""
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    cutter = Epochs(signal, pipeline, start=config.epoch.start, stop=config.epoch.stop)
    markers = [Marker(float(onset), "stimulus") for onset in onsets]
    found = []
    for first in range(0, len(samples), _CHUNK):
        part = samples[first : first + _CHUNK]
        times = np.arange(first, first + len(part)) / signal.rate
        bad = np.zeros(part.shape, bool)
        chunk = Window(signal, first, part, times, bad, first + len(part) - 1, reset="" if first else "start")
        found += list(cutter.push(chunk, markers if first == 0 else ()))
    if len(found) < len(markers):
        raise ConfigError(
            f"{len(markers)} stimuli gave {len(found)} epochs: [epoch] does not fit into the trials' timing"
        )
    return np.stack([epoch.window.samples.ravel() for epoch in found])


def _score(
    config: HyperConfig, readout: Any, held: Set, random: np.random.Generator
) -> tuple[dict[str, Any], ConfidenceSpec]:
    """Score single trials of pictures that were not trained on, beside chance and shuffled pairs."""
    predicted = readout.predict(held.brain)
    candidates, which = np.unique(held.latents, axis=0, return_inverse=True)
    # Trials of one picture are not independent: confidence and error are compared by picture.
    error, confidence = (
        np.bincount(which, values) / np.bincount(which)
        for values in (1.0 - cosine(held.latents, predicted), readout.confidence(held.brain))
    )
    falls = spearmanr(confidence, error, alternative="less")
    identified = identify(predicted, candidates, which, random)
    scores: dict[str, Any] = {
        "simulated": True,
        "snr": config.participant.snr,
        "trials": len(held.brain),
        "cosine": float(cosine(held.latents, predicted).mean()),
        "r_squared": float(r_squared(held.latents, predicted)),
        **identified,
        "readout": config.readout.name,
        "collapse": str(diagnose(held.latents, predicted)),
        "confidence_rho": float(falls.statistic),
        "confidence_p": float(falls.pvalue),
    }
    claim = ConfidenceSpec()
    if falls.pvalue < _LEVEL:
        claim = ConfidenceSpec(
            kind="gaussian",
            calibrated_on=f"{len(held.brain)} single trials of {len(candidates)} other pictures, in silico",
        )
    return scores, claim


def _write_stimuli(folder: Path, pictures: Pictures, latents: Floats, reference: Pictures) -> None:
    """Write the test pictures as PNG, their latents beside them, and what responses were scaled over."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:03d}.png", optimize=True)
    rows = {f"{number:03d}": [round(float(v), 6) for v in latent] for number, latent in enumerate(latents)}
    np.save(folder / "reference.npy", reference)
    (folder / "latents.json").write_text(json.dumps(rows) + "\n", encoding="utf-8")


def _bundle(
    config: HyperConfig,
    package: GeneratorPackage,
    readout: Any,
    scores: dict[str, Any],
    claim: ConfidenceSpec,
) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    who = config.participant
    signal = make_participant(who.modality, subject=who.subject, snr=who.snr, units=who.units).signal
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    output = pipeline.output(signal)
    epoch = EpochSpec(start=config.epoch.start, stop=config.epoch.stop, markers="stimulus .*")
    shape = (epoch.samples(output.rate), *output.shape)
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec(
            name=signal.name, rate=signal.rate, shape=signal.shape, channels=signal.channels, unit=signal.unit
        ),
        pipeline=tuple(pipeline.to_json()),
        window=epoch,
        latent=package.spec.latent,
        image=package.spec.image,
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
        confidence=claim,
        provenance=Provenance(
            data={f"generator {package.spec.name}": package.hash},
            config=config.model_dump(mode="json", exclude={"generator", "stimuli"}),
            seeds={"all": config.seed},
            versions={"python": sys.version.split()[0]} | {name: version(name) for name in _PACKAGES},
        ),
        scores=scores,
    )
    graph = _from_window(export_readout(readout.frozen(1)), shape, claims=claim.kind != "none")
    generator = for_decoder(package.graph, package.spec.rule, package.spec.limit)
    return spec, {"readout.onnx": graph, "generator.onnx": generator}


def _from_window(graph: bytes, shape: tuple[int, ...], *, claims: bool) -> bytes:
    """Put a reshape in front of a readout: ``window`` (1, length, channels) becomes ``brain`` (1, features)."""
    model = onnx.load_from_string(graph)
    features = int(np.prod(shape))
    window = helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, *shape])
    nodes = [helper.make_node("Reshape", ["window", "window.row"], ["brain"]), *model.graph.node]
    outputs = [o for o in model.graph.output if claims or o.name != "confidence"]
    constants = [
        *model.graph.initializer,
        numpy_helper.from_array(np.array([1, features], np.int64), "window.row"),
    ]
    made = helper.make_graph(nodes, model.graph.name, [window], outputs, constants)
    joined = helper.make_model(made, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    onnx.checker.check_model(joined, full_check=True)
    return bytes(joined.SerializeToString(deterministic=True))
