"""An adapted graph is an unknown generator's between nodes that make of it ``latent`` (n, d) → ``image`` (n, 3, …)."""

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from bci.errors import BundleError
from bci.io.files.capped import printable
from models.generators.imported.reading import Reading

_ELEMENT = {"float": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "double": TensorProto.DOUBLE}
_PREFIX = "imported/"


def adapt(graph: bytes, reading: Reading, *, single: bool) -> bytes:
    """Return the graph with the house's names, axes and planes; as it came, where it has them already.

    Parameters
    ----------
    graph : bytes
        As it came.
    reading : Reading
        How it is understood.
    single : bool
        Whether it draws one latent at a time; else any number.

    Raises
    ------
    BundleError
        If the nodes around it cannot be joined to it.
    """
    if _is_ours(reading, single=single):
        return graph
    try:
        model = onnx.compose.add_prefix(onnx.load_from_string(graph), _PREFIX)
        _surround(model, reading, single=single)
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # parsing, composing and checking raise kinds without a common base
        raise BundleError(
            f"expected a graph that the house's names and axes can be put around, came: {printable(error)}. Export it "
            "again, with ONNX's own operators of version 13 or later."
        ) from error
    return bytes(model.SerializeToString(deterministic=True))


def _is_ours(reading: Reading, *, single: bool) -> bool:
    """Return whether a graph takes and gives just what a package's graph does."""
    return (
        (reading.latent.name, reading.latent.kind, len(reading.latent.shape)) == ("latent", "float", 2)
        and (reading.image.name, reading.image.kind) == ("image", "float")
        and (reading.layout, reading.colour, reading.planes) == ("NCHW", "RGB", 3)
        and not reading.constants
        and (reading.latent.shape[0] is None) != single
    )


def _surround(model: onnx.ModelProto, reading: Reading, *, single: bool) -> None:
    """Put nodes before and after, in place."""
    graph, batch = model.graph, 1 if single else "n"
    before, constants = _before(reading)
    after, more = _after(reading)
    old = list(graph.node)
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend([*before, *old, *after])
    graph.input.append(helper.make_tensor_value_info("latent", TensorProto.FLOAT, [batch, reading.size]))
    picture = [batch, 3, reading.height, reading.width]
    graph.output.append(helper.make_tensor_value_info("image", TensorProto.FLOAT, picture))
    given = {**constants, **more}
    graph.initializer.extend(numpy_helper.from_array(np.asarray(v), name) for name, v in given.items())


def _before(reading: Reading) -> tuple[list[NodeProto], dict[str, object]]:
    """Return what stands between ``latent`` and the graph's inputs, and the constants that it needs."""
    constants: dict[str, object] = {}
    nodes, value, target = [], "latent", _PREFIX + reading.latent.name
    if reading.latent.kind != "float":
        nodes.append(helper.make_node("Cast", [value], ["latent.cast"], to=_ELEMENT[reading.latent.kind]))
        value = "latent.cast"
    constants["latent.axes"] = np.array([-1, *(n or 1 for n in reading.latent.shape[1:])], np.int64)
    nodes.append(helper.make_node("Reshape", [value, "latent.axes"], [target]))
    if reading.repeated:
        constants["latent.first"] = np.array([0], np.int64)
        nodes += [
            helper.make_node("Shape", ["latent"], ["latent.shape"]),
            helper.make_node("Gather", ["latent.shape", "latent.first"], ["latent.n"], axis=0),
        ]
    for name, one in reading.constants.items():
        if name not in reading.repeated:
            constants[_PREFIX + name] = one
            continue
        constants[f"one/{name}"] = one
        constants[f"rest/{name}"] = np.array(one.shape[1:], np.int64)
        nodes += [
            helper.make_node("Concat", ["latent.n", f"rest/{name}"], [f"shape/{name}"], axis=0),
            helper.make_node("Expand", [f"one/{name}", f"shape/{name}"], [_PREFIX + name]),
        ]
    return nodes, constants


def _after(reading: Reading) -> tuple[list[NodeProto], dict[str, object]]:
    """Return what stands between the graph's output and ``image``, and the constants that it needs."""
    nodes: list[NodeProto] = []
    value = _PREFIX + reading.image.name
    if reading.image.kind != "float":
        nodes.append(helper.make_node("Cast", [value], ["image.cast"], to=TensorProto.FLOAT))
        value = "image.cast"
    if reading.layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [value], ["image.planes"], perm=[0, 3, 1, 2]))
        value = "image.planes"
    nodes.append(helper.make_node("Gather", [value, "image.order"], ["image"], axis=1))
    return nodes, {"image.order": np.array(reading.order, np.int64)}
