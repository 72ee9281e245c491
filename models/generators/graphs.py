"""Generators as ONNX graphs: any batch, weights in half the space, a rule for latents in front, a batch frozen."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.export import export_generator
from models.generators.interface import ImageGenerator
from models.generators.rules import Rule

_HALVED_FROM = 1024  # numbers in a tensor from which storing it as float16 is worth a node


def round_to_half(network: nn.Module) -> None:
    """Round every weight to float16, in place, so that the shipped weights are the scored ones."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() >= _HALVED_FROM:
                parameter.copy_(parameter.half().float())


def draw_graph(generator: ImageGenerator, *, half: bool) -> bytes:
    """Write a generator as a graph: ``latent`` (n, d) → ``image`` (n, 3, height, width), for any n.

    Parameters
    ----------
    generator : ImageGenerator
        In evaluation mode.
    half : bool
        Store large weights as float16, each with a cast to float32 that ONNX Runtime does once, at load; the
        weights are rounded accordingly.
    """
    network = generator.folded()
    if half:
        round_to_half(network)
    # The exporter reads weights with channels last as strided views of themselves.
    network = network.to(memory_format=torch.contiguous_format)
    graph = export_generator(network, generator.latent_size, any_batch=True)
    return _halve(graph) if half else graph


def _halve(graph: bytes) -> bytes:
    """Store large float32 weights as float16."""
    model = onnx.load_from_string(graph)
    casts, kept = [], []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _HALVED_FROM:
            kept.append(weight)
            continue
        stored = values.astype(np.float16)
        if not np.array_equal(stored.astype(np.float32), values):
            raise ValueError(f"{weight.name} is not representable in float16; round the weights first")
        kept.append(numpy_helper.from_array(stored, f"{weight.name}.half"))
        casts.append(helper.make_node("Cast", [f"{weight.name}.half"], [weight.name], to=TensorProto.FLOAT))
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return _checked(model)


def for_decoder(graph: bytes, rule: Rule, limit: float = 2.0, batch: int = 1) -> bytes:
    """Return the graph that a decoder's bundle holds: latents pass `rule` first, and the batch is frozen.

    Parameters
    ----------
    graph : bytes
        As `draw_graph` wrote it.
    rule, limit : str, float
        As in `models.generators.interface.normaliser`.
    batch : int
        Number of latents at a time.
    """
    model = onnx.load_from_string(graph)
    size = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    for tensor in (model.graph.input[0], model.graph.output[0]):
        tensor.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]  # sizes of a batch that is no longer free
    nodes = {"keep": [], "truncate": _truncate(limit), "rescale": _rescale(size)}[rule]
    if nodes:
        for node in model.graph.node:
            for k, name in enumerate(node.input):
                if name == "latent":
                    node.input[k] = "latent.ruled"
    constants = {
        "truncate": {"rule.low": np.float32(-limit), "rule.high": np.float32(limit)},
        "rescale": {
            "rule.axes": np.array([1], np.int64),
            "rule.floor": np.float32(1e-12),
            "rule.norm": np.float32(size**0.5),
        },
        "keep": {},
    }[rule]
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()
    )
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    return _checked(model)


def _truncate(limit: float) -> list[onnx.NodeProto]:
    if not limit > 0:
        raise ValueError(f"latents are truncated at a limit above 0, got {limit}")
    return [helper.make_node("Clip", ["latent", "rule.low", "rule.high"], ["latent.ruled"])]


def _rescale(size: int) -> list[onnx.NodeProto]:
    return [
        helper.make_node("ReduceL2", ["latent", "rule.axes"], ["rule.length"], keepdims=1),
        helper.make_node("Max", ["rule.length", "rule.floor"], ["rule.positive"]),
        helper.make_node("Div", ["rule.norm", "rule.positive"], ["rule.factor"]),
        helper.make_node("Mul", ["latent", "rule.factor"], ["latent.ruled"]),
    ]


def _checked(model: onnx.ModelProto) -> bytes:
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
