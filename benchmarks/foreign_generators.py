"""Generators as other programs write them, and files that must be refused: ONNX graphs made here, whose truth is known.

A generator is a small convolutional network of random weights: a latent, a dense layer, two transposed convolutions.
What it draws of a latent is computed here by NumPy, without ONNX Runtime.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float64]
Nodes = list[onnx.NodeProto]

#: Numbers in a latent; classes; planes of the first layer and of the second; the truncation that is stated.
LATENT, CLASSES, WIDE, NARROW, PSI = 12, 4, 8, 6, 0.7
_NODE = helper.make_node


@dataclass(frozen=True, slots=True)
class Foreign:
    """A Foreign is a generator as another program writes it.

    Attributes
    ----------
    content : bytes
        Of the file.
    asked : mapping
        What its user states of it: fields of `models.generators.imported.reading.Asked`.
    pictures : callable
        Takes latents, (n, d), and returns what is drawn, as shares of full brightness: (n, height, width, 3).
    """

    content: bytes
    asked: Mapping[str, Any]
    pictures: Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Hostile:
    """A Hostile is a file that must be refused, and a word that the refusal says."""

    content: bytes
    says: str


@dataclass(frozen=True, slots=True)
class _Net:
    """A _Net holds the weights of one network that draws `side` × `side` pixels."""

    side: int
    weights: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def of(cls, side: int) -> "_Net":
        random = np.random.default_rng(side)
        small = side // 4
        return cls(
            side,
            {
                "dense": (random.standard_normal((LATENT, WIDE * small * small)) / np.sqrt(LATENT)).astype(
                    np.float32
                ),
                "first": (random.standard_normal((WIDE, NARROW, 2, 2)) / np.sqrt(WIDE)).astype(np.float32),
                "second": (random.standard_normal((NARROW, 3, 2, 2)) / np.sqrt(NARROW)).astype(np.float32),
                "moves": random.standard_normal((CLASSES, LATENT)).astype(np.float32),
            },
        )

    def nodes(self, latent: str, out: str) -> Nodes:
        """Return the nodes from a latent, (n, d), to planes of any size, (n, 3, side, side)."""
        return [
            _NODE("MatMul", [latent, "dense"], ["flat"]),
            _NODE("Reshape", ["flat", "small"], ["planes"]),
            _NODE("Relu", ["planes"], ["active"]),
            _NODE("ConvTranspose", ["active", "first"], ["grown"], strides=[2, 2]),
            _NODE("Relu", ["grown"], ["active2"]),
            _NODE("ConvTranspose", ["active2", "second"], [out], strides=[2, 2]),
        ]

    def constants(self) -> dict[str, NDArray[Any]]:
        """Return the weights, and the shape of the first planes."""
        return self.weights | {"small": np.array([-1, WIDE, self.side // 4, self.side // 4])}

    def draw(self, latents: Floats) -> Floats:
        """Return the planes of latents, (n, d), computed without a graph: (n, 3, side, side)."""
        small = self.side // 4
        planes = (latents @ self.weights["dense"].astype(np.float64)).reshape(-1, WIDE, small, small)
        for name in ("first", "second"):
            planes = _grown(np.maximum(planes, 0), self.weights[name].astype(np.float64))
        return planes


def _grown(planes: Floats, kernel: Floats) -> Floats:
    """Return planes twice as large by a transposed convolution whose kernel of 2 × 2 does not overlap itself."""
    n, _, height, width = planes.shape
    blocks = np.einsum("nchw,coij->nohiwj", planes, kernel)
    return blocks.reshape(n, kernel.shape[1], 2 * height, 2 * width)


def foreign() -> dict[str, Foreign]:
    """Return generators as other programs write them, by what is unlike ours."""
    return {
        "NHWC, 0 to 255, BGR": _of_another_layout(),
        "class as a number, truncation": _of_a_class(one_hot=False),
        "class as one of several inputs (one-hot)": _of_a_class(one_hot=True),
        "256 × 256 pixels": _planar(256),
    }


def _planar(side: int) -> Foreign:
    net = _Net.of(side)
    nodes = [*net.nodes("z", "raw"), _NODE("Tanh", ["raw"], ["image"])]
    content = model(
        nodes, [_floats("z", ["n", LATENT])], [_floats("image", ["n", 3, side, side])], net.constants()
    )
    return Foreign(content, {}, lambda z: (np.tanh(net.draw(z)).transpose(0, 2, 3, 1) + 1) / 2)


def _of_another_layout() -> Foreign:
    net = _Net.of(32)
    nodes = [
        *net.nodes("noise", "raw"), _NODE("Sigmoid", ["raw"], ["share"]), _NODE("Mul", ["share", "most"], ["levels"]),
        _NODE("Transpose", ["levels"], ["bgr"], perm=[0, 2, 3, 1]),
    ]  # fmt: skip
    given = net.constants() | {"most": np.float32(255)}
    content = model(nodes, [_floats("noise", ["N", LATENT])], [_floats("bgr", ["N", 32, 32, 3])], given)

    def pictures(z: Floats) -> Floats:
        shares: Floats = 1 / (1 + np.exp(-net.draw(z)))
        return shares.transpose(0, 2, 3, 1)[..., ::-1]

    return Foreign(content, {"colour": "BGR"}, pictures)


def _of_a_class(*, one_hot: bool) -> Foreign:
    net = _Net.of(32)
    look_up = _NODE("Gather", ["moves", "label"], ["moved"], axis=0)
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])
    if one_hot:
        look_up, label = _NODE("MatMul", ["label", "moves"], ["moved"]), _floats("label", ["n", CLASSES])
    nodes = [
        look_up, _NODE("Mul", ["z", "psi"], ["short"]), _NODE("Add", ["short", "moved"], ["z2"]),
        *net.nodes("z2", "raw"), _NODE("Tanh", ["raw"], ["image"]),
    ]  # fmt: skip
    inputs = [_floats("z", ["n", LATENT]), label, _floats("psi", [1])]
    content = model(nodes, inputs, [_floats("image", ["n", 3, 32, 32])], net.constants())
    asked = {"class_input": "label", "class_number": 2, "constants": {"psi": PSI}}
    moved = net.weights["moves"][2].astype(np.float64)
    return Foreign(
        content, asked, lambda z: (np.tanh(net.draw(PSI * z + moved)).transpose(0, 2, 3, 1) + 1) / 2
    )


def hostile() -> dict[str, Hostile]:
    """Return files that must be refused, by what is wrong with them."""
    return {
        "control flow": Hostile(_changed(_branched), "control flow"),
        "random inside": Hostile(_changed(_noisy), "same picture"),
        "weights of NaN": Hostile(_changed(weights={"dense": np.nan}), "NaN"),
        "asks for 64 GiB": Hostile(_changed(_greedy, {"size": np.array([2**34])}), "allocate"),
        "weights in another file": Hostile(_elsewhere(), "external data"),
        "pictures of 96,000 × 96,000": Hostile(
            _changed(_huge, {"times": np.array([1, 1, 3000, 3000])}, says=(3, 96_000, 96_000)), "one picture"
        ),
        "draws another size than it says": Hostile(_changed(says=(3, 16, 16)), "of a stated size"),
        "ignores its latent": Hostile(_changed(weights={"dense": 0.0}), "another picture"),
        "an operator of its own": Hostile(_changed(_own_operator), "Sharpen"),
        "a range that is none": Hostile(_changed(_far, {"far": np.float32(1000)}), "--range"),
        "cut short": Hostile(_planar(32).content[:-5000], "damaged"),
        "no graph": Hostile(b"\x00" * 4096, "expected"),
    }


def _branched(nodes: Nodes) -> Nodes:
    yes = helper.make_graph(
        [_NODE("Identity", ["raw"], ["chosen"])], "yes", [], [_floats("chosen", ["n", 3, 32, 32])]
    )
    return [*nodes, _NODE("If", ["always"], ["raw2"], then_branch=yes, else_branch=yes)]


def _noisy(nodes: Nodes) -> Nodes:
    return [*nodes, _NODE("RandomNormalLike", ["raw"], ["noise"]), _NODE("Add", ["raw", "noise"], ["raw2"])]


def _greedy(nodes: Nodes) -> Nodes:
    return [
        *nodes, _NODE("ConstantOfShape", ["size"], ["zeros"]), _NODE("ReduceSum", ["zeros"], ["none"], keepdims=0),
        _NODE("Add", ["raw", "none"], ["raw2"]),
    ]  # fmt: skip


def _huge(nodes: Nodes) -> Nodes:
    return [*nodes, _NODE("Tile", ["raw", "times"], ["raw2"])]


def _own_operator(nodes: Nodes) -> Nodes:
    return [*nodes, _NODE("Sharpen", ["raw"], ["raw2"], domain="com.example")]


def _far(nodes: Nodes) -> Nodes:
    return [*nodes, _NODE("Mul", ["raw", "far"], ["raw2"])]


def _changed(
    more: Callable[[Nodes], Nodes] | None = None,
    constants: Mapping[str, Any] | None = None,
    *,
    weights: Mapping[str, float] | None = None,
    says: tuple[int, int, int] = (3, 32, 32),
) -> bytes:
    """Return a generator with more nodes between its planes and its picture, other weights, or another stated size."""
    net = _Net.of(32)
    nodes = net.nodes("z", "raw")
    nodes = more(nodes) if more else nodes
    last = "raw2" if more else "raw"
    # A range that is none is one without a last tanh.
    squash = _NODE("Identity" if more is _far else "Tanh", [last], ["image"])
    given = net.constants() | {"always": np.array(True)} | dict(constants or {})
    for name, value in (weights or {}).items():
        given[name] = np.full_like(given[name], value)
    return model([*nodes, squash], [_floats("z", ["n", LATENT])], [_floats("image", ["n", *says])], given)


def _elsewhere() -> bytes:
    made = onnx.load_from_string(_planar(32).content)
    weight = next(tensor for tensor in made.graph.initializer if tensor.name == "dense")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/hostname")
    return bytes(made.SerializeToString())


def model(
    nodes: Nodes,
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: Mapping[str, Any],
) -> bytes:
    """Return a graph as bytes; constants that no node takes are left out."""
    used = {name for node in nodes for name in node.input}
    held = [
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in used
    ]
    graph = helper.make_graph(nodes, "generator", inputs, outputs, held)
    domains = {node.domain for node in nodes}
    opsets = [
        helper.make_opsetid("" if not domain else domain, 18 if not domain else 1)
        for domain in sorted(domains)
    ]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def _floats(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
