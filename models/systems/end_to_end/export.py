"""The bundle of an end-to-end network: dense layers as its readout, what draws as its generator."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.spec import BundleSpec, GraphSpec, ImageSpec, NoveltySpec, Provenance, SignalSpec
from models.export import GraphParts, floats
from models.provenance import versions
from models.readouts.export import add_novelty, add_statistics, from_window
from models.readouts.novelty import Novelty
from models.systems.end_to_end.architecture import SLOPE
from models.systems.end_to_end.data import PictureResponses
from models.systems.end_to_end.learning import EndToEnd
from models.systems.end_to_end.settings import EndToEndConfig, portable

_PACKAGES = ("numpy", "scipy", "torch", "onnx", "onnxruntime")


def bundle_of(
    config: EndToEndConfig, data: PictureResponses, fitted: EndToEnd, novelty: Novelty, scores: dict[str, Any]
) -> tuple[BundleSpec, dict[str, bytes | str | Path]]:
    """Describe the bundle and write its graphs."""
    live, plan, kept = data.live, fitted.generator.drawing.plan, data.only(config.regions)
    origin = dict(data.origin)
    unlike = novelty(fitted.voxels.forward(data.test_voxels[:, kept])) > 1
    spec = BundleSpec(
        name=config.name,
        title=config.title,
        signal=SignalSpec.of(live.signal),
        pipeline=live.pipeline,
        window=live.window,
        latent=plan.latent,
        image=ImageSpec(height=plan.side, width=plan.side),
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
        novelty=NoveltySpec(
            calibrated_on=f"fifths held out of {len(data.voxels)} training trials",
            flagged=float(unlike.mean()),
        ),
        provenance=Provenance(
            data=origin,
            config=portable(config),
            seeds={"all": config.seed},
            versions=versions(_PACKAGES),
        ),
        scores=scores,
    )
    graph = readout_graph(fitted, kept, novelty)
    return spec, {
        "readout.onnx": from_window(graph, live.shape, mean=live.mean),
        "generator.onnx": drawing_graph(fitted),
    }


def readout_graph(fitted: EndToEnd, kept: NDArray[np.bool_], novelty: Novelty) -> bytes:
    """Write the dense layers as a graph.

    ``brain`` (1, voxels), all of them, → ``latent`` (1, latent), and ``novelty`` (1,), above 1 where a trial is unlike
    those of training.
    """
    graph, name = GraphParts(), "brain"
    if not kept.all():
        name = graph.node("Gather", [name, graph.constant("voxels", np.flatnonzero(kept))], "regions", axis=1)
    graph.constant("mean", fitted.voxels.mean[None])
    graph.constant("scale", fitted.voxels.scale[None])
    name = graph.node("Div", [graph.node("Sub", [name, "mean"], "centred"), "scale"], "standardised")
    add_novelty(graph, add_statistics(graph, novelty, name), novelty.limits)
    layers: Any = fitted.generator.dense.layers
    for k, layer in enumerate(layers, 1):
        weight, bias = (part.detach().cpu().numpy() for part in (layer.weight, layer.bias))
        inputs = [name, graph.constant(f"weight{k}", weight.T), graph.constant(f"bias{k}", bias)]
        name = graph.node("Gemm", inputs, f"dense{k}")
        name = graph.node("LeakyRelu", [name], "latent" if k == len(layers) else f"leaky{k}", alpha=SLOPE)
    given = [floats("latent", [1, layers[-1].out_features]), floats("novelty", [1])]
    return graph.finish("end_to_end", floats("brain", [1, len(kept)]), given)


def drawing_graph(fitted: EndToEnd) -> bytes:
    """Write the transposed convolutions as a graph: ``latent`` (1, latent) → ``image`` (1, 3, side, side)."""
    graph, plan = GraphParts(), fitted.generator.drawing.plan
    graph.constant("maps", np.array([1, plan.maps, plan.first, plan.first]))
    name = graph.node("Reshape", ["latent", "maps"], "first")
    layers: Any = fitted.generator.drawing.convolutions
    for k, layer in enumerate(layers, 1):
        weight, bias = (part.detach().cpu().numpy() for part in (layer.weight, layer.bias))
        name = graph.node(
            "ConvTranspose",
            [name, graph.constant(f"weight{k}", weight), graph.constant(f"bias{k}", bias)],
            f"drawn{k}",
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            pads=[1, 1, 1, 1],
        )
        if k < len(layers):
            name = graph.node("LeakyRelu", [name], f"leaky{k}", alpha=SLOPE)
    before = (plan.drawn - plan.side) // 2
    ends = {"starts": [before] * 2, "ends": [before + plan.side] * 2, "axes": [2, 3]}
    graph.node(
        "Slice", [name, *(graph.constant(key, np.array(value)) for key, value in ends.items())], "image"
    )
    return graph.finish(
        "end_to_end_drawing",
        floats("latent", [1, plan.latent]),
        [floats("image", [1, 3, plan.side, plan.side])],
    )
