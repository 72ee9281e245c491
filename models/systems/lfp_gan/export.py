"""Graphs of LFP-GAN, node by node: the signal's encoder as a live readout, the image's decoder, and what makes windows.

``readout.onnx``    ``window`` (1, length, channels) → ``latent`` (1, 230), the image's code, by the encoder and ridge,
                    and ``novelty`` (1,), above 1 where the window is unlike those of training
``generator.onnx``  ``latent`` (1, 230) → ``image`` (1, 3, height, width)
``lfp.onnx``        ``noise`` (1, values), of a conditional one with the image's code behind it → ``samples``
                    (1, length, channels) in the signal's unit; `bci.sim.made` publishes them
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.export import GraphParts, floats
from models.readouts.export import add_novelty, add_statistics
from models.readouts.novelty import Novelty
from models.systems.lfp_gan.networks import (
    EPSILON,
    LEAST_DEVIATION,
    SLOPE,
    Generator,
    ImageDecoder,
    SampleNorm,
    SignalEncoder,
    Stack,
)
from models.systems.lfp_gan.progressive import ProgressiveGenerator, doubled


@dataclass(frozen=True, eq=False)
class Scale:
    """A Scale is between samples in the signal's unit and windows: their mean (channels, 1), and their deviation."""

    mean: NDArray[np.float32]
    deviation: float


def readout_graph(
    encoder: SignalEncoder,
    scale: Scale,
    weights: NDArray[np.float64],
    intercept: NDArray[np.float64],
    novelty: Novelty,
) -> bytes:
    """Write the encoder, ridge from its code to the image's, and what tells a window unlike those of training.

    Parameters
    ----------
    encoder : SignalEncoder
    scale : Scale
    weights, intercept : (1150, 230), (230,)
    novelty : Novelty
        Of windows in units of `scale`, as rows: (channels · length,).
    """
    table = encoder.stack.table
    graph, channels, length = GraphParts(), table.channels - 1, table.size[0]
    name = graph.node("Transpose", ["window"], "channels_first", perm=[0, 2, 1])
    name = graph.node("Sub", [name, graph.constant("mean", scale.mean[None])], "centred")
    name = graph.node("Div", [name, graph.constant("unit", np.array(scale.deviation))], "scaled")
    standard = graph.node("Reshape", [name, graph.constant("row", np.array([1, -1]))], "scaled_row")
    add_novelty(graph, add_statistics(graph, novelty, standard), novelty.limits)
    code = add_stack(graph, encoder.stack, _with_deviation(graph, name, length), "signal", "code")
    row = graph.node("Reshape", [code, "row"], "code_row")
    graph.node(
        "Gemm", [row, graph.constant("weights", weights), graph.constant("intercept", intercept)], "latent"
    )
    return graph.finish(
        "lfp_readout",
        floats("window", [1, length, channels]),
        [floats("latent", [1, weights.shape[1]]), floats("novelty", [1])],
    )


def image_graph(decoder: ImageDecoder) -> bytes:
    """Write the image's decoder, its one channel as three."""
    table, graph = decoder.stack.table, GraphParts()
    size = table.gives[1]
    graph.constant("places", np.array([1, table.channels, *table.size]))
    name = graph.node("Reshape", ["latent", "places"], "code")
    name = graph.node("Sigmoid", [add_stack(graph, decoder.stack, name, "image", "drawn")], "grey")
    graph.node("Concat", [name] * 3, "image", axis=1)
    latent = table.channels * math.prod(table.size)
    return graph.finish("lfp_image", floats("latent", [1, latent]), [floats("image", [1, 3, *size])])


def lfp_graph(generator: Generator, scale: Scale) -> tuple[bytes, int]:
    """Write what makes windows; return it with how many values of noise come before the image's code."""
    graph, (channels, length) = GraphParts(), generator.noise_shape
    size, code = channels * length, generator.decoder.table.channels - generator.noise.table.gives[0]
    places = generator.decoder.table.size[0]
    noise = _part(graph, "noise_part", 0, size, [1, channels, length])
    image = _part(graph, "image_part", size, size + code * places, [1, code, places])
    own = add_stack(graph, generator.noise, noise, "noise_net", "noise_code")
    joined = graph.node("Concat", [own, image], "joined", axis=1)
    decoded = add_stack(graph, generator.decoder, joined, "decoder", "decoded")
    pooled = graph.node("ReduceMean", [joined, graph.constant("along", np.array([2]))], "pooled", keepdims=0)
    weight, bias = (_array(part) for part in (generator.deviation.weight, generator.deviation.bias))
    size_of = graph.node(
        "Gemm",
        [pooled, graph.constant("size_weight", weight.T), graph.constant("size_bias", bias)],
        "log_size",
    )
    grown = graph.node("Exp", [size_of], "size")
    wide = graph.node("Reshape", [grown, graph.constant("one", np.array([1, 1, 1]))], "size_wide")
    add_scaled(graph, graph.node("Mul", [decoded, wide], "windows"), scale)
    table = generator.decoder.table.gives
    return (
        graph.finish(
            "lfp", floats("noise", [1, size + code * places]), [floats("samples", [1, table[1][0], table[0]])]
        ),
        size,
    )


def grown_graph(generator: ProgressiveGenerator, scale: Scale) -> bytes:
    """Write a generator of EEG-GAN, grown, that makes windows of noise alone."""
    graph = GraphParts()
    name = _pixel_norm(graph, "noise", "noise_norm")
    weight, bias = (_array(part) for part in (generator.dense.weight, generator.dense.bias))
    inputs = [name, graph.constant("dense_weight", weight.T), graph.constant("dense_bias", bias)]
    name = graph.node("LeakyRelu", [graph.node("Gemm", inputs, "dense")], "dense_leaky", alpha=SLOPE)
    places = graph.constant("places", np.array([1, generator.maps, generator.base]))
    name = graph.node("Reshape", [name, places], "first")
    length = generator.base
    for k, block in enumerate(generator.blocks):
        wide = graph.constant(f"double{k}", _doubling(length))
        name, length = graph.node("MatMul", [name, wide], f"doubled{k}"), 2 * length
        for part in ("first", "second"):
            name = _scaled(graph, getattr(block, part), name, f"block{k}_{part}")
            name = graph.node("LeakyRelu", [name], f"block{k}_{part}_leaky", alpha=SLOPE)
            name = _pixel_norm(graph, name, f"block{k}_{part}_norm")
    name = _scaled(graph, generator.outputs[-1], name, "windows_wide")
    before = (length - generator.length) // 2
    ends = {"trim_from": [before], "trim_to": [before + generator.length], "trim_axis": [2]}
    parts = [graph.constant(key, np.array(value)) for key, value in ends.items()]
    add_scaled(graph, graph.node("Slice", [name, *parts], "windows"), scale)
    channels = generator.outputs[-1].weight.shape[0]
    return graph.finish(
        "eeg_gan",
        floats("noise", [1, generator.latent]),
        [floats("samples", [1, generator.length, channels])],
    )


def add_scaled(graph: GraphParts, windows: str, scale: Scale) -> None:
    """Add the way from windows (1, channels, length) to ``samples`` (1, length, channels) in the signal's unit."""
    name = graph.node("Mul", [windows, graph.constant("unit", np.array(scale.deviation))], "sized")
    name = graph.node("Add", [name, graph.constant("mean", scale.mean[None])], "placed")
    graph.node("Transpose", [name], "samples", perm=[0, 2, 1])


def add_stack(graph: GraphParts, stack: Stack, name: str, prefix: str, output: str) -> str:
    """Add a stack of convolutions; return what its last gives, called `output`."""
    layers = stack.table.layers
    for k, (layer, module, norm) in enumerate(zip(layers, stack.convolutions, stack.norms, strict=True), 1):
        last = k == len(layers)
        flat = len(layer.kernel)
        more: dict[str, object] = (
            {"output_padding": [layer.output_padding] * flat} if layer.transposed else {}
        )
        weight, bias = (_array(getattr(module, part)) for part in ("weight", "bias"))
        name = graph.node(
            "ConvTranspose" if layer.transposed else "Conv",
            [name, graph.constant(f"{prefix}_w{k}", weight), graph.constant(f"{prefix}_b{k}", bias)],
            output if last and stack.open_end else f"{prefix}_c{k}",
            kernel_shape=list(layer.kernel), strides=[layer.stride] * flat, pads=[layer.padding] * 2 * flat, **more,
        )  # fmt: skip
        if isinstance(norm, SampleNorm):
            name = _norm(graph, norm, name, f"{prefix}_n{k}", flat + 2)
        if not (last and stack.open_end):
            name = graph.node("LeakyRelu", [name], output if last else f"{prefix}_r{k}", alpha=SLOPE)
    return name


def _part(graph: GraphParts, name: str, start: int, stop: int, shape: list[int]) -> str:
    ends = [
        graph.constant(f"{name}_{key}", np.array([value]))
        for key, value in (("from", start), ("to", stop), ("axis", 1))
    ]
    flat = graph.node("Slice", ["noise", *ends], f"{name}_flat")
    return graph.node("Reshape", [flat, graph.constant(f"{name}_shape", np.array(shape))], name)


def _norm(graph: GraphParts, norm: SampleNorm, name: str, prefix: str, dims: int) -> str:
    wide = (1, -1) + (1,) * (dims - 2)
    scaled = _standardised(graph, name, prefix, dims, EPSILON)[0]
    scaled = graph.node(
        "Mul", [scaled, graph.constant(f"{prefix}_gain", _array(norm.gain).reshape(wide))], f"{prefix}_g"
    )
    return graph.node(
        "Add", [scaled, graph.constant(f"{prefix}_bias", _array(norm.bias).reshape(wide))], f"{prefix}_o"
    )


def _standardised(
    graph: GraphParts, name: str, prefix: str, dims: int, epsilon: float = 0.0
) -> tuple[str, str]:
    """Add values without their mean and by their deviation over all but the batch; return these, and the deviation."""
    axes = graph.constant(f"{prefix}_axes", np.arange(1, dims))
    centred = graph.node(
        "Sub", [name, graph.node("ReduceMean", [name, axes], f"{prefix}_mean")], f"{prefix}_about"
    )
    square = graph.node("Mul", [centred, centred], f"{prefix}_squares")
    power = graph.node("ReduceMean", [square, axes], f"{prefix}_power")
    if epsilon:
        power = graph.node("Add", [power, graph.constant("epsilon", np.array(epsilon))], f"{prefix}_some")
    else:
        power = graph.node(
            "Max", [power, graph.constant("least", np.array(LEAST_DEVIATION**2))], f"{prefix}_some"
        )
    deviation = graph.node("Sqrt", [power], f"{prefix}_deviation")
    return graph.node("Div", [centred, deviation], f"{prefix}_standard"), deviation


def _with_deviation(graph: GraphParts, name: str, length: int) -> str:
    shape, deviation = _standardised(graph, name, "sample", 3)
    size = graph.node("Log", [deviation], "log_deviation")
    size = graph.node(
        "Expand", [size, graph.constant("row_shape", np.array([1, 1, length]))], "deviation_row"
    )
    return graph.node("Concat", [shape, size], "with_deviation", axis=1)


def _doubling(length: int) -> NDArray[np.float32]:
    """Return the matrix that interpolates to twice the length, (length, 2 · length)."""
    return np.asarray(doubled(torch.eye(length)[None])[0].numpy(), np.float32)


def _scaled(graph: GraphParts, layer: Any, name: str, output: str) -> str:
    """Add a convolution that keeps the length."""
    weight = graph.constant(f"{output}_w", _array(layer.weight) * np.float32(layer.scale))
    bias, kernel = graph.constant(f"{output}_b", _array(layer.bias)), layer.weight.shape[2]
    return graph.node("Conv", [name, weight, bias], output, kernel_shape=[kernel], pads=[kernel // 2] * 2)


def _pixel_norm(graph: GraphParts, name: str, output: str) -> str:
    axis = graph.constant("channel_axis", np.array([1]))
    power = graph.node(
        "ReduceMean", [graph.node("Mul", [name, name], f"{output}_squares"), axis], f"{output}_power"
    )
    some = graph.node("Add", [power, graph.constant("pixel_epsilon", np.array(1e-8))], f"{output}_some")
    return graph.node("Div", [name, graph.node("Sqrt", [some], f"{output}_root")], output)


def _array(part: Tensor | nn.Parameter) -> NDArray[np.float32]:
    return np.asarray(part.detach().cpu().numpy(), np.float32)
