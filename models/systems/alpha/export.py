"""Export of the readout of two states to ONNX, node by node."""

from collections.abc import Sequence

import numpy as np

from models.export import GraphParts, floats
from models.systems.alpha.novelty import StateNovelty
from models.systems.alpha.readout import FLOOR, StateReadout


def export_state_readout(
    readout: StateReadout, window: Sequence[int], novelty: StateNovelty | None = None
) -> bytes:
    """Write a readout as a graph from ``window`` (1, length, channels, bands · channels).

    It gives ``latent`` (1, 1), ``confidence`` (1,), which is one half where the window is unlike those of training, and
    ``novelty`` (1,), which is above 1 there.

    Parameters
    ----------
    readout : StateReadout
        What was fitted.
    window : sequence of int
        Shape of one window: length, channels, bands · channels.
    novelty : StateNovelty, optional
        What tells windows unlike those of training; without it no window is looked at.
    """
    length, channels, columns = window
    bands = columns // channels
    # log-power (1, channels, bands) times this (bands, features): plus one for the band, minus one for the reference.
    contrast = np.zeros((bands, len(readout.features.bands)), np.float32)
    for column, band in enumerate(readout.features.bands):
        contrast[band, column] += 1.0
        contrast[readout.features.reference, column] -= 1.0
    score, calibrate = readout.score, readout.calibrate
    graph = GraphParts()
    for name, value in {
        "time": np.array([1]),
        "by_band": np.array([1, channels, bands, channels]),
        "diagonal": np.eye(channels)[None, :, None],
        "other_channel": np.array([3]),
        "floor": FLOOR,
        "contrast": contrast,
        "mean": score.mean[None],
        "scale": score.scale[None],
        "weights": score.weights[:, None],
        "bias": np.array([score.bias]),
        "slope": calibrate.slope,
        "offset": calibrate.offset,
        "one": 1.0,
        "flat": np.array([1]),
    }.items():
        graph.constant(name, value)
    for operator, inputs, output, settings in (
        ("ReduceMean", ["window", "time"], "covariance", {"keepdims": 0}),
        ("Reshape", ["covariance", "by_band"], "covariance_by_band", {}),
        ("Mul", ["covariance_by_band", "diagonal"], "channels_alone", {}),
        ("ReduceSum", ["channels_alone", "other_channel"], "power", {"keepdims": 0}),
        ("Max", ["power", "floor"], "positive", {}),
        ("Log", ["positive"], "log_power", {}),
        ("MatMul", ["log_power", "contrast"], "relative", {}),
        ("Flatten", ["relative"], "features", {"axis": 1}),
        ("Sub", ["features", "mean"], "centred", {}),
        ("Div", ["centred", "scale"], "standardised", {}),
        ("Gemm", ["standardised", "weights", "bias"], "score", {}),
        ("Mul", ["score", "slope"], "sloped", {}),
        ("Add", ["sloped", "offset"], "log_odds", {}),
        ("Sigmoid", ["log_odds"], "latent", {}),
        ("Sub", ["one", "latent"], "other", {}),
        ("Max", ["latent", "other"], "larger", {}),
        ("Reshape", ["larger", "flat"], "sure", {}),
    ):
        graph.node(operator, inputs, output, **settings)
    given = [floats("latent", [1, 1]), floats("confidence", [1])]
    if novelty is None:
        graph.node("Identity", ["sure"], "confidence")
    else:
        novelty.add(graph, "sure", tuple(window))
        given.append(floats("novelty", [1]))
    return graph.finish("state_readout", floats("window", [1, length, channels, columns]), given)
