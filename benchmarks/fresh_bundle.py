"""An untrained bundle of a chosen size: the same work per window as a trained one, and no training.

Readout: a linear map of the window and a sigmoid. Generator: a linear map to an 8 × 8 map, then convolutions that
double it until the picture's size is reached.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bci.decoder.bundle import Bundle, save_bundle
from bci.decoder.spec import BundleSpec, GraphSpec, ImageSpec, SignalSpec, WindowSpec
from models.systems.saving import save_decoder

_START = 8  # pixels along an edge of the generator's first map


class _Builder:
    """A _Builder collects a graph's nodes and constants; one seeded generator draws every constant."""

    def __init__(self, dtype: Any) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._dtype = dtype
        self._random = np.random.default_rng(0)

    def draw(self, name: str, *shape: int) -> str:
        """Add a constant with a spread that keeps activations near one."""
        fan_in = int(np.prod(shape[1:])) if len(shape) == 4 else shape[0]
        return self.constant(name, self._random.normal(0, fan_in**-0.5, shape).astype(self._dtype))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **settings: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **settings))
        return output

    def model(self, taken: tuple[str, list[int]], given: tuple[str, list[int]]) -> bytes:
        first, last = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)] for name, shape in (taken, given)
        )
        graph = helper.make_graph(self.nodes, "fresh", first, last, self.constants)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return bytes(made.SerializeToString())


def readout_graph(length: int, channels: int, latent: int) -> bytes:
    """Return a readout of windows (1, length, channels)."""
    build = _Builder(np.float32)
    flat = build.node("Flatten", ["window"], "flat")
    logit = build.node("MatMul", [flat, build.draw("weights", length * channels, latent)], "logit")
    build.node("Sigmoid", [logit], "latent")
    return build.model(("window", [1, length, channels]), ("latent", [1, latent]))


def _generator(latent: int, size: int, width: int, dtype: Any) -> bytes:
    build = _Builder(dtype)
    half = dtype == np.float16
    point = build.node("Cast", ["latent"], "point", to=TensorProto.FLOAT16) if half else "latent"
    maps = build.node("MatMul", [point, build.draw("start", latent, width * _START**2)], "flat")
    maps = build.node(
        "Reshape", [maps, build.constant("square", np.array([1, width, _START, _START]))], "maps"
    )
    edge = _START
    while edge < size:
        narrower = max(width // 2, 16)
        maps = build.node(
            "ConvTranspose",
            [maps, build.draw(f"up{edge}", width, narrower, 4, 4)],
            f"grown{edge}",
            kernel_shape=[4, 4],
            strides=[2, 2],
            pads=[1, 1, 1, 1],
        )
        maps = build.node("LeakyRelu", [maps], f"active{edge}", alpha=0.2)
        width, edge = narrower, edge * 2
    colour = build.node(
        "Conv", [maps, build.draw("colour", 3, width, 3, 3)], "planes", kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    )
    picture = build.node("Tanh", [colour], "picture" if half else "image")
    if half:
        build.node("Cast", [picture], "image", to=TensorProto.FLOAT)
    return build.model(("latent", [1, latent]), ("image", [1, 3, size, size]))


def fresh_bundle(
    folder: Path,
    *,
    channels: int = 8,
    length: int = 160,
    latent: int = 1,
    size: int = 64,
    width: int = 64,
    float16: bool = False,
    generator: bytes | None = None,
    pixels: bool = True,
    hop: int | None = None,
    signal: SignalSpec | None = None,
) -> Bundle:
    """Save an untrained bundle and return it loaded.

    Parameters
    ----------
    folder : Path
        Where to.
    channels, length : int
        Size of a window.
    latent : int
        Size of the latent space.
    size : int
        Edge of the square picture, 8 times a power of two.
    width : int
        Feature maps of the generator's first layer; halved at each doubling, never under 16.
    float16 : bool
        Whether to add a float16 twin of the generator.
    generator : bytes, optional
        A trained generator's graph to use instead of one drawn here; `latent` and `size` are its own.
    pixels : bool
        Whether the generator makes the bytes of its pictures itself, as those of trained bundles do.
    hop : int, optional
        Samples from window to window; a sixteenth of a window when left out.
    signal : SignalSpec, optional
        What it decodes, in place of `channels` at 160 Hz.
    """
    signal = signal or SignalSpec(rate=160.0, shape=(channels,), unit="uV")
    graphs = [
        GraphSpec(file="readout.onnx", role="readout"),
        GraphSpec(file="generator.onnx", role="generator"),
    ]
    files: dict[str, bytes | str | Path] = {
        "readout.onnx": readout_graph(length, signal.shape[0], latent),
        "generator.onnx": generator or _generator(latent, size, width, np.float32),
    }
    if float16:
        graphs.append(GraphSpec(file="generator16.onnx", role="generator", precision="float16"))
        files["generator16.onnx"] = _generator(latent, size, width, np.float16)
    spec = BundleSpec(
        name=f"fresh-{size}",
        title="Untrained: its pictures mean nothing.",
        signal=signal,
        window=WindowSpec(length=length, hop=hop or max(1, length // 16)),
        latent=latent,
        image=ImageSpec(height=size, width=size),
        graphs=tuple(graphs),
    )
    return (save_decoder if pixels else save_bundle)(folder, spec, files)
