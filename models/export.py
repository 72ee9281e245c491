"""Export to ONNX: any graph finished alike, readouts node by node, a generator through torch; fixed sizes and opset.

Opset 18 and IR version 10 are read by every ONNX Runtime that this project accepts.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from bci.decoder.spec import ImageSpec

OPSET = 18
_IR_VERSION = 10

#: The first sets of operators with QuantizeLinear, and with the axes of ReduceSum as an input.
_QUANTIZES, _AXES_GIVEN = 10, 13


class GraphParts:
    """A GraphParts collects the nodes and constants of a graph."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def constant(self, name: str, value: object, dtype: type = np.float32) -> str:
        """Keep a constant: integers as int64, all else in single precision unless told.

        Raises
        ------
        ValueError
            If another constant has this name: one would silently take the place of the other.
        """
        array = np.asarray(value)
        array = array.astype(np.int64 if array.dtype.kind == "i" else dtype)
        kept = self.constants.setdefault(name, array)
        if kept.dtype != array.dtype or not np.array_equal(kept, array):
            raise ValueError(f"two constants of a graph are called {name!r}: give one of them another name")
        return name

    def node(self, operator: str, inputs: "Sequence[str]", output: str, **attributes: object) -> str:
        """Add a node with one output."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def finish(self, name: str, taken: ValueInfoProto, given: "Sequence[ValueInfoProto]") -> bytes:
        """Return the graph from one input to some outputs, checked and serialised."""
        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, name, [taken], list(given), constants)
        return finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))


def floats(name: str, shape: "Sequence[int]") -> ValueInfoProto:
    """Return the description of a float32 input or output."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def export_generator(generator: "nn.Module", latent: int, *, any_batch: bool = False) -> bytes:
    """Write a generator as a graph: ``latent`` (1, d) → ``image`` (1, 3, height, width).

    Parameters
    ----------
    generator : nn.Module
        Maps (1, d) to (1, 3, height, width); in evaluation mode.
    latent : int
        d.
    any_batch : bool
        Leave the number of latents free instead of freezing it at one.
    """
    import torch  # a readout is exported without it

    generator.eval()
    free = ({0: torch.export.Dim("n", min=1)},) if any_batch else None
    with _quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(
            generator,
            # An example of one would freeze a free batch at one.
            (torch.full((2 if any_batch else 1, latent), 0.5),),
            dynamic_shapes=free,
            dynamo=True,
            opset_version=OPSET,
            input_names=["latent"],
            output_names=["image"],
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return finish(program.model_proto)


def with_pixels(graph: bytes, image: "ImageSpec") -> bytes | None:
    """Return a graph that makes the bytes of its picture itself, by the rule of `bci.decoder.quantiser`.

    Parameters
    ----------
    graph : bytes
        With an output ``image``, (1, 3, height, width); one that has ``pixels`` is returned as it is.
    image : ImageSpec
        The size, and the values that mean black and full brightness.

    Returns
    -------
    bytes or None
        With two more outputs: ``pixels``, (1, height, width, 3) uint8, and ``finite``, (1,), which is 0, or no number
        where a value of the image is not finite (or all of them add up to more levels than float32 counts). None of a
        graph that was imported with an older set of operators than has them.

    Raises
    ------
    ValueError
        If the graph gives no image, or a tensor of its own has one of the names.
    """
    model = onnx.load_from_string(graph)
    outputs = {output.name for output in model.graph.output}
    if "pixels" in outputs:
        return graph
    opset = next(used.version for used in model.opset_import if used.domain in ("", "ai.onnx"))
    if opset < _QUANTIZES:
        return None
    names = {name for node in model.graph.node for name in node.output}
    names |= {weight.name for weight in model.graph.initializer}
    if "image" not in outputs or (ours := {n for n in names if n.split(".")[0] in ("pixels", "finite")}):
        taken = ", ".join(sorted(ours)) if "image" in outputs else "no image"
        raise ValueError(f"expected a graph with an image and no pixels, came one with {taken}")
    added = GraphParts()
    levels = "image"
    # The decoder's own rule, operation by operation; those that change nothing are left out.
    if image.low != 0.0:
        levels = added.node(
            "Sub", [levels, added.constant("pixels.low", np.float32(image.low))], "pixels.above"
        )
    gain = np.float32(255.0 / (image.high - image.low))
    if gain != 1.0:
        levels = added.node("Mul", [levels, added.constant("pixels.gain", gain)], "pixels.levels")
    # Rounds half to even and holds in 0 to 255, in one pass.
    scale = [
        added.constant("pixels.one", np.float32(1.0)),
        added.constant("pixels.zero", np.uint8(0), np.uint8),
    ]
    planes = added.node("QuantizeLinear", [levels, *scale], "pixels.planes")
    added.node("Transpose", [planes], "pixels", perm=[0, 2, 3, 1])
    # Only of finite numbers is the sum finite, and its difference with itself 0.
    if opset < _AXES_GIVEN:
        total = added.node("ReduceSum", [levels], "finite.sum", axes=[1, 2, 3], keepdims=0)
    else:
        axes = added.constant("finite.axes", np.array([1, 2, 3]))
        total = added.node("ReduceSum", [levels, axes], "finite.sum", keepdims=0)
    added.node("Sub", [total, total], "finite")
    model.graph.node.extend(added.nodes)
    model.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in added.constants.items()
    )
    model.graph.output.extend(
        [
            helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, image.height, image.width, 3]),
            floats("finite", [1]),
        ]
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def finish(model: onnx.ModelProto) -> bytes:
    """Pin the version, take out what the exporter notes about this machine, check, and serialise."""
    model.ir_version = _IR_VERSION
    model.producer_name, model.producer_version = "models.export", ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    # The exporter writes the source line of every node, with the paths of the machine it ran on.
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Leave out what the exporter says about packages that it would like and about its own internals."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # torch 2.13's own code: "isinstance(treespec, LeafSpec) is deprecated".
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(torch|copyreg)")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        log.setLevel(level)
