"""Export of readouts: ``brain`` (batch, voxels) → ``latent`` (batch, d), ``confidence`` and ``novelty`` (batch,).

Node by node, sizes frozen, no control flow. What is exported is what was fitted: standardise, multiply, scale back; the
confidence is the expected cosine with the truth, 0 where the novelty is above 1.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.export import GraphParts, floats
from models.readouts.fitted import FittedReadout
from models.readouts.maps import LOG_VARIANCES, Affine, Kernel, Map, Network
from models.readouts.novelty import FLOOR, Limits, Novelty
from models.readouts.size import LatentSize
from models.readouts.voxels import VoxelMask


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
    graph = GraphParts()
    name, width = "brain", len(readout.voxels.mean)
    if mask is not None:
        graph.constant("voxels", np.asarray(mask.index, np.int64))
        name, width = graph.node("Gather", ["brain", "voxels"], "masked", axis=1), mask.voxels
    graph.constant("voxel_mean", readout.voxels.mean[None])
    graph.constant("voxel_scale", readout.voxels.scale[None])
    name = graph.node("Sub", [name, "voxel_mean"], "centred")
    standardised = name = graph.node("Div", [name, "voxel_scale"], "standardised")
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
    _uncertain(graph, readout)
    power = graph.node("ReduceSumSquare", [name, "features"], "power", keepdims=0)
    total = graph.node("Add", [power, "uncertainty"], "total")
    sure = graph.node("Sqrt", [graph.node("Div", [power, total], "share")], "sure")
    given = ["latent", "confidence"]
    if readout.novelty is None:
        graph.node("Identity", [sure], "confidence")
    else:
        add_novelty(
            graph, add_statistics(graph, readout.novelty, standardised), readout.novelty.limits, sure, 0.0
        )
        given.append("novelty")
    d = len(readout.latents.mean)
    shapes = {"latent": [batch, d], "confidence": [batch], "novelty": [batch]}
    return graph.finish(
        "latent_readout", floats("brain", [batch, width]), [floats(name, shapes[name]) for name in given]
    )


def add_statistics(graph: GraphParts, novelty: Novelty, standardised: str) -> str:
    """Add T, and where there is one Q, and T/Q, of standardised values (batch, values); return their name."""
    k, p = len(novelty.variances), len(novelty.mean)
    graph.constant("usual", novelty.mean[None])
    graph.constant("axes", novelty.axes)
    about = graph.node("Sub", [standardised, "usual"], "about")
    along = graph.node("MatMul", [about, "axes"], "along")
    squares = graph.node("Mul", [along, along], "along_squares")
    if k == p:
        graph.constant("mean_of_axes", np.full((k, 1), 1 / k))
        return graph.node("MatMul", [squares, "mean_of_axes"], "statistics")
    # T and minus the power along the axes from one product; the power of all voxels makes Q of the second.
    graph.constant("sums", np.stack([np.full(k, 1 / k), -novelty.variances / p], axis=1))
    graph.constant("per_voxel", np.array([[0.0, 1 / p]]))
    graph.constant("voxels_axis", np.array([1]))
    whole = graph.node("ReduceSumSquare", [about, "voxels_axis"], "whole", keepdims=1)
    sums = graph.node("MatMul", [squares, "sums"], "along_sums")
    both = graph.node("Add", [sums, graph.node("Mul", [whole, "per_voxel"], "per")], "both")
    graph.constant("first", np.array([0]))
    graph.constant("second", np.array([1]))
    graph.constant("least_power", FLOOR)
    t = graph.node("Gather", [both, "first"], "t", axis=1)
    q = graph.node("Max", [graph.node("Gather", [both, "second"], "q", axis=1), "least_power"], "some_q")
    return graph.node("Concat", [both, graph.node("Div", [t, q], "shape")], "statistics", axis=1)


def add_novelty(
    graph: GraphParts, statistics: str, limits: Limits, sure: str = "", chance: float = 0.0
) -> None:
    """Add ``novelty`` (batch,), and ``confidence`` (batch,), which falls to chance where the novelty is above 1.

    Parameters
    ----------
    graph : GraphParts
    statistics : str
        Name of what was measured, (batch, s).
    limits : Limits
        Between which it lies in training.
    sure : str
        Name of the confidence in what is like training, (batch,); without it none is added.
    chance : float
        What a confidence falls to.
    """
    graph.constant("statistics_high", limits.high[None])
    graph.constant("statistics_low", limits.low[None])
    graph.constant("some", np.finfo(np.float32).tiny)
    graph.constant("statistics_axis", np.array([1]))
    above = graph.node("Div", [statistics, "statistics_high"], "above")
    positive = graph.node("Max", [statistics, "some"], "positive_statistics")
    below = graph.node("Div", ["statistics_low", positive], "below")
    either = graph.node("Max", [above, below], "either")
    graph.node("ReduceMax", [either, "statistics_axis"], "novelty", keepdims=0)
    if sure:
        graph.constant("limit", np.float32(1.0))
        graph.constant("chance", np.float32(chance))
        like = graph.node("LessOrEqual", ["novelty", "limit"], "like")
        graph.node("Where", [like, sure, "chance"], "confidence")


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


def _uncertain(graph: GraphParts, readout: FittedReadout) -> None:
    """Add ``uncertainty``: a number, or (batch,) where a network states its own of each trial."""
    network = readout.map if isinstance(readout.map, Network) and readout.claims else None
    if network is None or network.spread is None:
        # Never zero over zero: the smallest normal number stands for "nothing is unknown and nothing was said".
        graph.constant("uncertainty", max(readout.uncertainty, float(np.finfo(np.float32).tiny)))
        return
    graph.constant("spread_weights", network.spread.weights)
    graph.constant("spread_bias", network.spread.bias)
    for name, bound in zip(("least_log", "most_log"), LOG_VARIANCES, strict=True):
        graph.constant(name, np.float32(bound))
    hidden = _active(len(network.layers) - 1)
    logs = graph.node("Gemm", [hidden, "spread_weights", "spread_bias"], "log_variance")
    variance = graph.node(
        "Exp", [graph.node("Clip", [logs, "least_log", "most_log"], "some_log")], "variance"
    )
    graph.node("ReduceSum", [variance, "features"], "uncertainty", keepdims=0)


def _sized(graph: GraphParts, name: str, size: LatentSize, d: int) -> None:
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


def _active(number: int) -> str:
    """Return the name of what a network's layer of that number reads."""
    return f"active{number}"


def _body(graph: GraphParts, mapping: Map, name: str) -> str:
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
    if mapping.front is not None:
        graph.constant("front_weights", mapping.front.weights)
        graph.constant("front_offset", mapping.front.offset)
        name = graph.node("Gemm", [name, "front_weights", "front_offset"], "front")
    for number, (weights, bias) in enumerate(mapping.layers):
        if number:
            name = graph.node("Relu", [name], _active(number))
        graph.constant(f"weights{number}", weights)
        graph.constant(f"bias{number}", bias)
        last = number == len(mapping.layers) - 1
        name = graph.node(
            "Gemm", [name, f"weights{number}", f"bias{number}"], "standard" if last else f"hidden{number}"
        )
    return name
