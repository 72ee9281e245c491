"""Small true bundles whose answers are known: the latent is a mean, the picture is a flat colour.

With `weights` W, (features, d), and a window w, (length, features)::

    latent     = mean over time of w @ W
    confidence = |latent[0]|, at most 1
    image      = planes of the colour latent @ C, C = `colours(d)`

A result that is no picture is made of the same latent::

    probabilities = softmax(latent), confidence the largest of them
    value         = latent, of which there is one
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bci.decoder.bundle import Bundle, save_bundle
from bci.decoder.result import PictureResult, Result
from bci.decoder.spec import (
    BundleSpec,
    ConfidenceSpec,
    CpuOptions,
    GraphSpec,
    ImageSpec,
    Options,
    SignalSpec,
    WindowSpec,
)
from bci.signal.pipeline import Pipeline

CHANNELS = ("O1", "Oz", "O2")


def weights(features: int, latent: int) -> NDArray[np.float32]:
    """Return W, (features, latent): quarters, so that float32 sums of small integers are exact."""
    return ((np.arange(features * latent).reshape(features, latent) % 5) / 4).astype(np.float32)


def colours(latent: int) -> NDArray[np.float32]:
    """Return C, (latent, 3)."""
    return ((np.arange(latent * 3).reshape(latent, 3) % 4) / 4).astype(np.float32)


def tensor(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    """Describe an input or output of a graph."""
    return helper.make_tensor_value_info(name, kind, list(shape))


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    **constants: Any,
) -> bytes:
    """Return an ONNX file with `constants` as its initialisers."""
    made = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(list(nodes), "tiny", list(inputs), list(outputs), made)
    return bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
        ).SerializeToString()
    )


def _readout_nodes(shape: tuple[int, ...], latent: int, confidence: bool) -> tuple[list[Any], dict[str, Any]]:
    features = int(np.prod(shape[1:]))
    nodes = [
        helper.make_node("Reshape", ["window", "flat"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["latent"]),
    ]
    constants = {"flat": np.array([1, shape[0], features]), "weights": weights(features, latent)}
    if confidence:
        nodes += [
            helper.make_node("Gather", ["latent", "which"], ["score"], axis=1),
            helper.make_node("Abs", ["score"], ["magnitude"]),
            helper.make_node("Min", ["magnitude", "one"], ["confidence"]),
        ]
        constants |= {"which": np.array(0), "one": np.float32(1)}
    return nodes, constants


def _generator_nodes(latent: int, height: int, width: int, dtype: Any) -> tuple[list[Any], dict[str, Any]]:
    half = dtype == np.float16
    nodes = [
        *([helper.make_node("Cast", ["latent"], ["point"], to=TensorProto.FLOAT16)] if half else []),
        helper.make_node("MatMul", ["point" if half else "latent", "colours"], ["colour"]),
        helper.make_node("Reshape", ["colour", "planes"], ["pixel"]),
        helper.make_node("Expand", ["pixel", "size"], ["picture" if half else "image"]),
        *([helper.make_node("Cast", ["picture"], ["image"], to=TensorProto.FLOAT)] if half else []),
    ]
    constants = {
        "colours": colours(latent).astype(dtype),
        "planes": np.array([1, 3, 1, 1]),
        "size": np.array([1, 3, height, width]),
    }
    return nodes, constants


def readout(shape: tuple[int, ...], latent: int = 2, *, confidence: bool = False) -> bytes:
    """Return a readout for windows of `shape`, (length, *features)."""
    nodes, constants = _readout_nodes(shape, latent, confidence)
    outputs = [tensor("latent", [1, latent])] + ([tensor("confidence", [1])] if confidence else [])
    return model(nodes, [tensor("window", [1, *shape])], outputs, **constants)


def result_readout(shape: tuple[int, ...], result: Result, latent: int, *, confidence: bool = False) -> bytes:
    """Return a readout whose output is a result that is no picture."""
    nodes, constants = _readout_nodes(shape, latent, confidence and result.output == "value")
    if result.output == "value":
        nodes.append(helper.make_node("Reshape", ["latent", "one_number"], ["value"]))
        constants["one_number"] = np.array([1])
    else:
        nodes.append(helper.make_node("Softmax", ["latent"], ["probabilities"], axis=1))
        if confidence:
            nodes.append(
                helper.make_node("ReduceMax", ["probabilities"], ["confidence"], axes=[1], keepdims=0)
            )
    outputs = [tensor(result.output, result.output_shape(latent))]
    return model(
        nodes,
        [tensor("window", [1, *shape])],
        outputs + ([tensor("confidence", [1])] if confidence else []),
        **constants,
    )


def generator(latent: int, height: int, width: int, dtype: Any = np.float32) -> bytes:
    """Return a generator of flat pictures."""
    nodes, constants = _generator_nodes(latent, height, width, dtype)
    return model(
        nodes, [tensor("latent", [1, latent])], [tensor("image", [1, 3, height, width])], **constants
    )


def whole(shape: tuple[int, ...], latent: int, height: int, width: int, *, confidence: bool = False) -> bytes:
    """Return readout and generator in one graph."""
    nodes, constants = _readout_nodes(shape, latent, confidence)
    more, others = _generator_nodes(latent, height, width, np.float32)
    outputs = [tensor("latent", [1, latent]), tensor("image", [1, 3, height, width])]
    if confidence:
        outputs.append(tensor("confidence", [1]))
    return model(nodes + more, [tensor("window", [1, *shape])], outputs, **constants, **others)


def tiny_bundle(
    folder: str | Path,
    *,
    rate: float = 100.0,
    channels: Sequence[str] = CHANNELS,
    unit: str = "uV",
    volume: tuple[int, ...] | None = None,
    pipeline: Sequence[dict[str, Any]] = (),
    length: int = 20,
    hop: int = 10,
    latent: int = 2,
    height: int = 6,
    width: int = 8,
    low: float = -1.0,
    high: float = 1.0,
    confidence: str = "none",
    one_graph: bool = False,
    float16: bool = False,
    threads: int = 1,
    masked_limit: float = 0.2,
    replace: dict[str, bytes] | None = None,
    result: Result | None = None,
    **spec: Any,
) -> Bundle:
    """Save a bundle in `folder` and return it loaded; one of volumes where their shape is given.

    `confidence` is a kind of `ConfidenceSpec`; `float16` adds a float16 twin of the generator; `replace` puts
    other bytes in place of the files it names; `result` is one that is no picture; `spec` overrides further keys of
    `BundleSpec`.
    """
    labels = () if volume else tuple(channels)
    signal = SignalSpec(name="tiny", rate=rate, shape=volume or (len(labels),), channels=labels, unit=unit)
    output = Pipeline.from_json(list(pipeline)).output(signal.signal())
    shape = (length, *output.shape)
    claims = confidence != "none"
    if result is not None:
        latent = result.size or latent
        graphs = [GraphSpec(file="readout.onnx", role="readout")]
        files = {"readout.onnx": result_readout(shape, result, latent, confidence=claims)}
    elif one_graph:
        graphs = [GraphSpec(file="whole.onnx", role="whole")]
        files = {"whole.onnx": whole(shape, latent, height, width, confidence=claims)}
    else:
        graphs = [
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ]
        files = {
            "readout.onnx": readout(shape, latent, confidence=claims),
            "generator.onnx": generator(latent, height, width),
        }
    if float16:
        graphs.append(GraphSpec(file="generator16.onnx", role="generator", precision="float16"))
        files["generator16.onnx"] = generator(latent, height, width, np.float16)
    settings: dict[str, Any] = {
        "name": "tiny",
        "signal": signal,
        "pipeline": tuple(dict(step) for step in pipeline),
        "window": WindowSpec(length=length, hop=hop),
        "latent": latent,
        "image": ImageSpec(height=height, width=width, low=low, high=high),
        "graphs": tuple(graphs),
        "result": result or PictureResult(),
        "options": Options(cpu=CpuOptions(threads=threads)),
        "confidence": ConfidenceSpec(kind=confidence, calibrated_on="planted" if claims else ""),
        "masked_limit": masked_limit,
    }
    return save_bundle(folder, BundleSpec(**(settings | spec)), files | (replace or {}))
