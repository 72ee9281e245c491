"""Export of the readout of two states to ONNX, node by node."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.export import OPSET, finish
from models.systems.alpha.readout import FLOOR, StateReadout


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
    return finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))
