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

OPSET = 18
_IR_VERSION = 10


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
