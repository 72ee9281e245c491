"""A measure, described as a system: the mean of some channels over an epoch, times a scale; nothing of it is fitted.

Of counts of spikes it is a firing rate, behind a `band_power` step a band's power, of voxels a region's mean. Evolving
pictures are selected by it (``[experiment] fitness = "value"``), drawn by another bundle (``drawn_by``).
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, JsonValue

from bci.config.toml import load_settings
from bci.decoder.bundle import Bundle, require_place, save_bundle
from bci.decoder.result import NumberResult
from bci.decoder.spec import BundleSpec, EpochSpec, GraphSpec, ImageSpec, Provenance, SignalSpec
from bci.errors import BundleError, ConfigError
from bci.signal.pipeline import Pipeline
from bci.signal.types import Signal
from models.provenance import versions
from models.reports.decoded import Decoded
from models.settings import Section
from models.systems.system import Progress, System


class MeasuredSignal(Section):
    """MeasuredSignal describes the signal that is measured."""

    name: str
    """What it is called."""
    rate: Annotated[float, Field(gt=0)]
    """Samples per second."""
    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    """Labels of all its channels that the measure or its pipeline needs."""
    unit: str = ""
    """Unit of its values."""


class Measured(Section):
    """Measured says what is measured."""

    name: str
    """What it is: a firing rate."""
    unit: str = ""
    """Its unit."""
    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    """Channels of what the pipeline gives that are averaged."""
    scale: float = 1.0
    """What the mean is multiplied by: bins in a second make a rate of counts."""
    low: float = 0.0
    """The value that is drawn as nothing."""
    high: float = 1.0
    """The value that is drawn as a full bar."""


class MeasuredEpoch(Section):
    """MeasuredEpoch describes the part of a trial that is averaged, seconds from the flip."""

    start: Annotated[float, Field(ge=-600, le=600)]
    """Begin of the epoch."""
    stop: Annotated[float, Field(ge=-600, le=600)]
    """Its end."""
    markers: str = "stimulus .*"
    """Around which events, as a regular expression."""


class MeasureConfig(Section):
    """A training file of kind ``measure``."""

    kind: Literal["measure"]
    name: str
    """What the bundle is called."""
    title: str = ""
    """One sentence about it."""
    picture: tuple[int, int] = (64, 64)
    """Height and width of the bar that shows it: those of the pictures that are shown beside it."""
    signal: MeasuredSignal
    """What comes in."""
    pipeline: tuple[dict[str, JsonValue], ...] = ()
    """Steps from signal to epoch, as a bundle holds them."""
    epoch: MeasuredEpoch
    """What is cut around a flip."""
    measure: Measured
    """What is read of it."""


def bundle_of(config: MeasureConfig) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle of a measure, and write its graph.

    Raises
    ------
    ConfigError
        If the pipeline gives no channel of that name.
    """
    own = config.signal
    signal = Signal(own.name, own.rate, (len(own.channels),), own.channels, own.unit)
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    output = pipeline.output(signal)
    missing = sorted(set(config.measure.channels) - set(output.channels))
    if missing:
        raise ConfigError(
            f"[measure] channels: expected some of {', '.join(output.channels)}, came {', '.join(missing)}. "
            "Name channels that the pipeline gives."
        )
    length = EpochSpec(start=config.epoch.start, stop=config.epoch.stop, markers=config.epoch.markers)
    weights = np.zeros(output.shape, np.float32)
    weights[[output.channels.index(name) for name in config.measure.channels]] = 1
    weights *= np.float32(config.measure.scale / weights.sum())
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(signal),
        pipeline=tuple(pipeline.to_json()),
        window=length,
        latent=1,
        image=ImageSpec(height=config.picture[0], width=config.picture[1], low=0.0, high=1.0),
        result=NumberResult(
            kind="number",
            name=config.measure.name,
            unit=config.measure.unit,
            low=config.measure.low,
            high=config.measure.high,
        ),
        graphs=(GraphSpec(file="readout.onnx", role="readout"),),
        provenance=Provenance(config=config.model_dump(mode="json"), versions=versions(("numpy", "onnx"))),
    )
    samples = round((config.epoch.stop - config.epoch.start) * output.rate)
    return spec, {"readout.onnx": _graph((samples, *output.shape), weights)}


def _graph(window: tuple[int, ...], weights: np.ndarray) -> bytes:
    """Return the graph: the mean of an epoch over its samples, weighted over its features."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("ReduceMean", ["window"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Reshape", ["mean", "row"], ["features"]),
        helper.make_node("MatMul", ["features", "weights"], ["measured"]),
        helper.make_node("Reshape", ["measured", "one"], ["value"]),
    ]
    constants = {"row": np.array([1, weights.size]), "weights": weights.reshape(-1, 1), "one": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "measure",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, *window])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def train(
    path: Path, out: Path, *, data_root: Path | None, progress: Progress, even_at_chance: bool
) -> dict[str, Any]:
    """Write the bundle; there is nothing to fit."""
    config = load_settings(path, MeasureConfig, "training")
    require_place(out)
    spec, files = bundle_of(config)
    return {"measures": str(spec.result), "hash": save_bundle(out, spec, files).hash}


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the file and make the bundle; it names no other file."""
    bundle_of(load_settings(path, MeasureConfig, "training"))
    return []


def held_out(bundle: Bundle, *, data_root: Path | None, progress: Progress) -> Decoded:
    """Refuse: where nothing was fitted, nothing was held out."""
    raise BundleError(
        f"bundle {bundle.name!r} measures {bundle.spec.result}, and nothing of it was fitted: expected a decoder with "
        "held-out trials. Evaluate a session that it ran in instead: bci evaluate SESSION."
    )


def settings() -> Any:
    """Return the model of its training file."""
    return MeasureConfig


SYSTEM = System(
    kind="measure",
    about="a firing rate, a band's power or a region's mean around each stimulus, without fitting",
    train=train,
    held_out=held_out,
    check=check,
    settings=settings,
)
