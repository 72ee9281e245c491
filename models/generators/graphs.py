"""Generators as ONNX graphs: any batch, weights in half the space. What a bundle holds: `models.generators.frozen`."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from models.export import export_generator
from models.generators.frozen import checked
from models.generators.interface import ImageGenerator
from models.generators.untransposed import untransposed

_HALVED_FROM = 1024  # numbers in a tensor from which storing it as float16 is worth a node


def round_to_half(network: nn.Module) -> None:
    """Round every weight to float16, in place, so that the shipped weights are the scored ones."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() >= _HALVED_FROM:
                parameter.copy_(parameter.half().float())


def draw_graph(generator: ImageGenerator, *, half: bool, for_card: bool = False) -> bytes:
    """Write a generator as a graph: ``latent`` (n, d) → ``image`` (n, 3, height, width), for any n.

    Parameters
    ----------
    generator : ImageGenerator
        In evaluation mode.
    half : bool
        Store large weights as float16, each with a cast to float32 that ONNX Runtime does once, at load; the
        weights are rounded accordingly.
    for_card : bool
        Write it without transposed convolutions (`models.generators.untransposed`).

    Raises
    ------
    ValueError
        If it holds a transposed convolution that cannot be written so.
    """
    network = generator.folded()
    if half:
        round_to_half(network)
    if for_card:
        network = untransposed(network)
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
    return checked(model)
