"""A measure, described as a system: the mean of some channels over an epoch or a window; nothing of it is fitted.

Of counts of spikes it is a firing rate, behind a `band_power` step a band's power, of voxels a region's mean. Evolving
pictures are selected by it (``[experiment] fitness = "value"``), drawn by another bundle (``drawn_by``).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, JsonValue, model_validator

from bci.config.run import RunSettings
from bci.config.toml import load_settings
from bci.decoder.bundle import Bundle, require_place
from bci.decoder.result import NumberResult
from bci.decoder.spec import BundleSpec, EpochSpec, GraphSpec, ImageSpec, Provenance, SignalSpec, WindowSpec
from bci.errors import BundleError, ConfigError
from bci.signal.pipeline import Pipeline
from bci.signal.run import Run
from bci.signal.types import Signal
from models.provenance import versions
from models.reports.decoded import Decoded
from models.settings import Section
from models.systems.saving import save_decoder
from models.systems.system import Progress, System


class MeasuredSignal(Section):
    """MeasuredSignal describes the signal that is measured."""

    name: str
    """What it is called."""
    rate: Annotated[float, Field(gt=0)]
    """Samples per second."""
    channels: tuple[str, ...] = ()
    """Labels of all its channels that the measure or its pipeline needs; of volumes, none."""
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


class MeasuredWindow(Section):
    """MeasuredWindow describes windows that are averaged one after the other, where no flip is cut around."""

    length: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How many samples of what the pipeline gives."""
    hop: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How many from one window to the next."""


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
    epoch: MeasuredEpoch | None = None
    """What is cut around a flip; this or `window`."""
    window: MeasuredWindow | None = None
    """What is cut all the time; this or `epoch`."""
    measure: Measured
    """What is read of it."""
    run: RunSettings = RunSettings()
    """Of volumes: the reference and the masks that steps name, as in a session's [run]. Volumes are of the reference's
    size, and a step that leaves `voxels` out is given the number and the hash of its mask."""

    @model_validator(mode="after")
    def _is_cut_in_one_way(self) -> Self:
        if (self.epoch is None) == (self.window is None):
            raise ValueError("expected [epoch] (around flips) or [window] (all the time), one of the two")
        return self

    def cut(self) -> EpochSpec | WindowSpec:
        """Return it as a bundle has it."""
        if self.epoch is not None:
            return EpochSpec(start=self.epoch.start, stop=self.epoch.stop, markers=self.epoch.markers)
        assert self.window is not None
        return WindowSpec(length=self.window.length, hop=self.window.hop)


def bundle_of(config: MeasureConfig, folder: Path) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle of a measure whose file lies in a folder, and write its graph.

    Raises
    ------
    ConfigError
        If the pipeline gives no channel of that name, or what it needs of ``[run]`` is missing or does not fit.
    """
    run = config.run.placed(folder).load()
    own = config.signal
    if not own.channels and run.reference is None:
        raise ConfigError(
            "[signal] channels: expected labels of channels, or of volumes a [run] reference, came neither. "
            "`bci volumes reference` writes one."
        )
    shape = (len(own.channels),) if run.reference is None or own.channels else run.reference.shape
    signal = Signal(own.name, own.rate, shape, own.channels, own.unit)
    pipeline = Pipeline.from_json([_with_mask(step, run) for step in config.pipeline])
    output = pipeline.for_run(run).output(signal)
    missing = sorted(set(config.measure.channels) - set(output.channels))
    if missing:
        raise ConfigError(
            f"[measure] channels: expected some of {', '.join(output.channels)}, came {', '.join(missing)}. "
            "Name channels that the pipeline gives."
        )
    cut = config.cut()
    weights = np.zeros(output.shape, np.float32)
    weights[[output.channels.index(name) for name in config.measure.channels]] = 1
    weights *= np.float32(config.measure.scale / weights.sum())
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(signal),
        pipeline=tuple(pipeline.to_json()),
        window=cut,
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
    return spec, {"readout.onnx": _graph((cut.samples(output.rate), *output.shape), weights)}


def _with_mask(step: Mapping[str, JsonValue], run: Run) -> dict[str, JsonValue]:
    """Return a step; where it names a mask and not how many voxels it has, with their number and the mask's hash."""
    name = step.get("mask")
    if not isinstance(name, str) or "voxels" in step:
        return dict(step)
    filled = {**step, "voxels": int(run.mask(name).sum())}
    # A step after the one that takes a mask's voxels counts them, and leaves the hash to that one.
    return filled if "regions" in step else {**filled, "sha256": run.hashes[f"masks.{name}"]}


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
    spec, files = bundle_of(config, path.parent)
    return {"measures": str(spec.result), "hash": save_decoder(out, spec, files).hash}


def check(path: Path, *, data_root: Path | None) -> list[str]:
    """Read the file and what it names, and make the bundle."""
    bundle_of(load_settings(path, MeasureConfig, "training"), path.parent)
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
