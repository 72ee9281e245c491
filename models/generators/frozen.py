"""A generator's graph as a decoder's bundle holds it: a rule for latents in front, one latent at a time, or steered."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.generators.rules import Rule


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
    return checked(model)


def steered(graph: bytes, latents: NDArray[np.floating[Any]], values: str = "probabilities") -> bytes:
    r"""Return the graph that draws the values of a result with a generator, as a bundle's ``drawing``.

    Of k values with weights w and latents z it draws :math:`\sum_k w_k z_k`. Probabilities are their own weights: a
    class that is certain is drawn as its latent, what lies between two classes as a point on the line between them.

    Parameters
    ----------
    graph : bytes
        As `for_decoder` gives it, of one latent (1, d).
    latents : (k, d) float
        Of each value.
    values : str
        Name of the input: ``probabilities``, (1, k).

    Raises
    ------
    ValueError
        If the latents are not those of the generator.
    """
    model = onnx.load_from_string(graph)
    taken = model.graph.input[0]
    size = taken.type.tensor_type.shape.dim[1].dim_value
    if latents.ndim != 2 or latents.shape[1] != size or not np.isfinite(latents).all():
        raise ValueError(f"expected finite latents (k, {size}), came {latents.shape}")
    taken.name = values
    taken.type.tensor_type.shape.dim[1].dim_value = len(latents)
    model.graph.initializer.append(numpy_helper.from_array(latents.astype(np.float32), "steered.latents"))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([helper.make_node("MatMul", [values, "steered.latents"], ["latent"]), *rest])
    return checked(model)


def steered_by_number(
    graph: bytes, ends: NDArray[np.floating[Any]], low: float, high: float, value: str = "value"
) -> bytes:
    r"""Return the graph that draws a number with a generator, as a bundle's ``drawing``.

    Of a number v it draws :math:`z_0 + t\,(z_1 - z_0)` with :math:`t = (v - low) / (high - low)`, held in 0 to 1.

    Parameters
    ----------
    graph : bytes
        As `for_decoder` gives it, of one latent (1, d).
    ends : (2, d) float
        Latents of the lowest and of the highest number.
    low, high : float
        The numbers that these are.
    value : str
        Name of the input, (1,).

    Raises
    ------
    ValueError
        If the latents are not two of the generator, or `low` is not below `high`.
    """
    if len(ends) != 2 or not low < high:
        raise ValueError(f"expected two latents, and low below high, came {len(ends)} and {low:g}, {high:g}")
    model = onnx.load_from_string(steered(graph, ends, "steered.weights"))
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, [1]))
    constants = {"low": [low], "range": [high - low], "one": [1.0], "least": 0.0, "most": 1.0}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(given, np.float32), f"steered.{name}")
        for name, given in constants.items()
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 2], np.int64), "steered.pair"))
    nodes = [
        helper.make_node("Sub", [value, "steered.low"], ["steered.above"]),
        helper.make_node("Div", ["steered.above", "steered.range"], ["steered.share"]),
        helper.make_node("Clip", ["steered.share", "steered.least", "steered.most"], ["steered.second"]),
        helper.make_node("Sub", ["steered.one", "steered.second"], ["steered.first"]),
        helper.make_node("Concat", ["steered.first", "steered.second"], ["steered.both"], axis=0),
        helper.make_node("Reshape", ["steered.both", "steered.pair"], ["steered.weights"]),
    ]
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    return checked(model)


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


def checked(model: onnx.ModelProto) -> bytes:
    """Return a model as bytes, once it is known to be a whole graph."""
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
