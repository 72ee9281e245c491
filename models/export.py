"""Export to ONNX: a readout node by node, a generator through torch; one file each, sizes frozen, opset pinned.

Opset 18 and IR version 10 are read by every ONNX Runtime that this project accepts.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.systems.alpha.readout import FLOOR, StateReadout

if TYPE_CHECKING:
    from torch import nn

OPSET = 18
_IR_VERSION = 10


def export_state_readout(readout: StateReadout, window: Sequence[int]) -> bytes:
    """Write a readout as a graph: ``window`` (1, length, channels, bands) → ``latent`` (1, 1), ``confidence`` (1,).

    Parameters
    ----------
    readout : StateReadout
        What was fitted.
    window : sequence of int
        Shape of one window: length, channels, bands.
    """
    length, channels, bands = window
    # log-power (1, channels, bands) times this (bands, features): plus one for the band, minus one for the reference.
    contrast = np.zeros((bands, len(readout.features.bands)), np.float32)
    for column, band in enumerate(readout.features.bands):
        contrast[band, column] += 1.0
        contrast[readout.features.reference, column] -= 1.0
    score, calibrate = readout.score, readout.calibrate
    constants: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "time": np.array([1], np.int64),
        "floor": np.array(FLOOR, np.float32),
        "contrast": contrast,
        "mean": score.mean.astype(np.float32)[None],
        "scale": score.scale.astype(np.float32)[None],
        "weights": score.weights.astype(np.float32)[:, None],
        "bias": np.array([score.bias], np.float32),
        "slope": np.array(calibrate.slope, np.float32),
        "offset": np.array(calibrate.offset, np.float32),
        "one": np.array(1.0, np.float32),
        "flat": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", ["window", "time"], ["power"], keepdims=0),
        helper.make_node("Max", ["power", "floor"], ["positive"]),
        helper.make_node("Log", ["positive"], ["log_power"]),
        helper.make_node("MatMul", ["log_power", "contrast"], ["relative"]),
        helper.make_node("Flatten", ["relative"], ["features"], axis=1),
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standardised"]),
        helper.make_node("Gemm", ["standardised", "weights", "bias"], ["score"]),
        helper.make_node("Mul", ["score", "slope"], ["sloped"]),
        helper.make_node("Add", ["sloped", "offset"], ["log_odds"]),
        helper.make_node("Sigmoid", ["log_odds"], ["latent"]),
        helper.make_node("Sub", ["one", "latent"], ["other"]),
        helper.make_node("Max", ["latent", "other"], ["larger"]),
        helper.make_node("Reshape", ["larger", "flat"], ["confidence"]),
    ]
    graph = helper.make_graph(
        nodes,
        "state_readout",
        [helper.make_tensor_value_info("window", TensorProto.FLOAT, [1, length, channels, bands])],
        [
            helper.make_tensor_value_info("latent", TensorProto.FLOAT, [1, 1]),
            helper.make_tensor_value_info("confidence", TensorProto.FLOAT, [1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return _finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))


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
    return _finish(program.model_proto)


def _finish(model: onnx.ModelProto) -> bytes:
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
