"""Export of readouts of latents: ``brain`` (batch, voxels) → ``latent`` (batch, d), ``confidence`` (batch,).

Node by node, sizes frozen, no control flow. What is exported is what was fitted: standardise, multiply, scale back; the
confidence is the expected cosine with the truth.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from models.export import OPSET, finish
from models.readouts.fitted import FittedReadout
from models.readouts.maps import Affine, Kernel, Map, Network
from models.readouts.size import LatentSize
from models.readouts.voxels import VoxelMask


class _Graph:
    """A _Graph collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def constant(self, name: str, value: object, dtype: type = np.float32) -> str:
        """Keep a constant: integers as int64, all else in single precision unless told."""
        array = np.asarray(value)
        self.constants[name] = array.astype(np.int64 if array.dtype.kind == "i" else dtype)
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """Add a node with one output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def export_readout(
    readout: FittedReadout, *, batch: int = 1, mask: VoxelMask | None = None, size: LatentSize | None = None
) -> bytes:
    """Write a fitted readout as a graph.

    Parameters
    ----------
    readout : FittedReadout
        From a fitted readout's ``frozen(...)``; the inverted encoder's for the repeats that sessions will have.
    batch : int
        Trials at once.
    mask : VoxelMask, optional
        With it the graph takes all voxels of the subject and cuts the mask out itself.
    size : LatentSize, optional
        What is done to the latent before the generator; the confidence is that of the latent as it was read.
    """
    graph = _Graph()
    name, width = "brain", len(readout.voxels.mean)
    if mask is not None:
        graph.constant("voxels", np.asarray(mask.index, np.int64))
        name, width = graph.node("Gather", ["brain", "voxels"], "masked", axis=1), mask.voxels
    graph.constant("voxel_mean", readout.voxels.mean[None])
    graph.constant("voxel_scale", readout.voxels.scale[None])
    name = graph.node("Sub", [name, "voxel_mean"], "centred")
    name = graph.node("Div", [name, "voxel_scale"], "standardised")
    name = _body(graph, readout.map, name)
    graph.constant("latent_scale", readout.latents.scale[None])
    graph.constant("latent_mean", readout.latents.mean[None])
    scaled = graph.node("Mul", [name, "latent_scale"], "scaled")
    _sized(
        graph,
        graph.node("Add", [scaled, "latent_mean"], "read"),
        size or LatentSize(),
        len(readout.latents.mean),
    )
    graph.constant("features", np.array([1]))
    # Never zero over zero: the smallest normal number stands for "nothing is unknown and nothing was said".
    graph.constant("uncertainty", max(readout.uncertainty, float(np.finfo(np.float32).tiny)))
    power = graph.node("ReduceSumSquare", [name, "features"], "power", keepdims=0)
    total = graph.node("Add", [power, "uncertainty"], "total")
    graph.node("Sqrt", [graph.node("Div", [power, total], "share")], "confidence")
    d = len(readout.latents.mean)
    proto = helper.make_graph(
        graph.nodes,
        "latent_readout",
        [helper.make_tensor_value_info("brain", TensorProto.FLOAT, [batch, width])],
        [
            helper.make_tensor_value_info("latent", TensorProto.FLOAT, [batch, d]),
            helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [batch]),
        ],
        [numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    return finish(helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)]))


def from_window(graph: bytes, shape: tuple[int, ...], *, mean: bool = False, claims: bool = False) -> bytes:
    """Put nodes in front of a readout's graph that make ``brain`` (1, features) of ``window`` (1, length, channels).

    Parameters
    ----------
    graph : bytes
        As `export_readout` wrote it, for one trial at a time.
    shape : tuple of int
        Of a window: length, channels.
    mean : bool
        Whether a window's samples are averaged, channel by channel, instead of laid out in one row.
    claims : bool
        Whether the graph still gives a confidence.
    """
    model = onnx.load_from_string(graph)
    window = helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, *shape])
    if mean:
        front, given = (
            helper.make_node("ReduceMean", ["window", "time"], ["brain"], keepdims=0),
            ("time", [1]),
        )
    else:
        front = helper.make_node("Reshape", ["window", "row"], ["brain"])
        given = ("row", [1, int(np.prod(shape))])
    outputs = [o for o in model.graph.output if claims or o.name != "confidence"]
    constants = [*model.graph.initializer, numpy_helper.from_array(np.array(given[1], np.int64), given[0])]
    made = helper.make_graph([front, *model.graph.node], model.graph.name, [window], outputs, constants)
    joined = helper.make_model(made, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    onnx.checker.check_model(joined, full_check=True)
    return bytes(joined.SerializeToString(deterministic=True))


def _sized(graph: _Graph, name: str, size: LatentSize, d: int) -> None:
    """Add what is done to the latent's length; the result is ``latent``."""
    if size.kind == "rescale":
        graph.constant("axis", np.array([1]))
        graph.constant("root", np.sqrt(d))
        graph.constant("least", np.finfo(np.float32).tiny)
        length = graph.node("ReduceL2", [name, "axis"], "length", keepdims=1)
        length = graph.node("Max", [length, "least"], "some_length")
        graph.node("Mul", [graph.node("Div", [name, length], "unit"), "root"], "latent")
    elif size.kind == "truncate":
        graph.constant("low", -size.bound)
        graph.constant("high", size.bound)
        graph.node("Clip", [name, "low", "high"], "latent")
    else:
        graph.node("Identity", [name], "latent")


def _body(graph: _Graph, mapping: Map, name: str) -> str:
    """Add what lies between standardised voxels and standardised latents."""
    if isinstance(mapping, Affine):
        graph.constant("weights", mapping.weights)
        graph.constant("offset", mapping.offset)
        return graph.node("Gemm", [name, "weights", "offset"], "standard")
    if isinstance(mapping, Kernel):
        # ‖x − c‖² = ‖x‖² + ‖c‖² − 2 x·c, in double precision: wide kernels are nearly alike and their duals cancel.
        for key, value in {
            "centres": -2.0 * mapping.centres.T,
            "sizes": (mapping.centres**2).sum(1),
            "minus_gamma": -mapping.gamma,
            "duals": mapping.duals,
            "offset": mapping.offset,
        }.items():
            graph.constant(key, value, np.float64)
        graph.constant("rows", np.array([1]))
        name = graph.node("Cast", [name], "double", to=TensorProto.DOUBLE)
        cross = graph.node("Gemm", [name, "centres", "sizes"], "cross")
        own = graph.node("ReduceSum", [graph.node("Mul", [name, name], "squares"), "rows"], "own", keepdims=1)
        distance = graph.node("Add", [cross, own], "distance")
        kernel = graph.node("Exp", [graph.node("Mul", [distance, "minus_gamma"], "exponent")], "kernel")
        double = graph.node("Gemm", [kernel, "duals", "offset"], "standard_double")
        return graph.node("Cast", [double], "standard", to=TensorProto.FLOAT)
    if not isinstance(mapping, Network):
        raise TypeError(f"expected a map of models.readouts.maps, came {type(mapping).__name__}")
    for number, (weights, bias) in enumerate(mapping.layers):
        if number:
            name = graph.node("Relu", [name], f"active{number}")
        graph.constant(f"weights{number}", weights)
        graph.constant(f"bias{number}", bias)
        last = number == len(mapping.layers) - 1
        name = graph.node(
            "Gemm", [name, f"weights{number}", f"bias{number}"], "standard" if last else f"hidden{number}"
        )
    return name
