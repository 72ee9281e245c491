"""A generator that lets gradients through: a package's network, or its graph run by torch, operator by operator.

A package of weights holds its network (`models.generators.layers`). One that holds a graph alone, as those that were
trained here do, is run by torch instead: the operators of convolutional generators, each as ONNX defines it. The
pictures of both are compared with ONNX Runtime's by the tests.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from torch import Tensor, nn

from bci.errors import BundleError
from models.generators.interface import normaliser
from models.generators.layers import network_of
from models.generators.package import GeneratorPackage
from models.generators.spec import WEIGHTS

#: Latents that are drawn together.
_AT_ONCE = 64
_TYPES = {onnx.TensorProto.FLOAT: torch.float32, onnx.TensorProto.DOUBLE: torch.float64}


class Drawing(nn.Module):
    """A Drawing is a package's generator with gradients: latents, through the package's rule, to pictures from 0 to 1.

    Parameters
    ----------
    package : GeneratorPackage

    Raises
    ------
    BundleError
        If the package holds no weights, and its graph an operator that is not known here.
    """

    def __init__(self, package: GeneratorPackage) -> None:
        super().__init__()
        spec = package.spec
        self.latent_size, self.height, self.width = spec.latent, spec.image.height, spec.image.width
        self._low, self._range = spec.image.low, spec.image.high - spec.image.low
        self._rule = normaliser(spec.rule, spec.limit)
        self._place: Tensor
        self.register_buffer("_place", torch.empty(0), persistent=False)  # tells where it is
        held = WEIGHTS in spec.files
        self.network: nn.Module = (
            network_of(package) if held else GraphNetwork(package.graph, package.spec.name)
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Draw: (n, d) to (n, 3, height, width), red, green, blue."""
        drawn: Tensor = self.network(self._rule(latents))
        return ((drawn - self._low) / self._range).clamp(0, 1)

    def draw(self, latents: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Draw many latents: (n, d) to (n, height, width, 3) uint8."""
        rows = torch.from_numpy(np.ascontiguousarray(latents, np.float32)).to(self._place.device)
        with torch.no_grad():
            return levels(torch.cat([self(rows[k : k + _AT_ONCE]) for k in range(0, len(rows), _AT_ONCE)]))


def levels(planes: Tensor) -> NDArray[np.uint8]:
    """Return pictures as levels: (n, 3, height, width) from 0 to 1, to (n, height, width, 3) uint8."""
    whole = (planes.detach().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(whole.cpu().numpy().transpose(0, 2, 3, 1))


class GraphNetwork(nn.Module):
    """A GraphNetwork runs an ONNX graph of one input and one output by torch; no weight learns.

    Parameters
    ----------
    graph : bytes
    name : str
        Whose it is, for words.

    Raises
    ------
    BundleError
        If the graph has an operator that is not known here.
    """

    def __init__(self, graph: bytes, name: str) -> None:
        super().__init__()
        model = onnx.load_from_string(graph)
        if unknown := sorted({node.op_type for node in model.graph.node} - set(OPERATORS)):
            raise BundleError(
                f"generator {name!r}: expected a graph whose gradients are known, of the operators "
                f"{', '.join(sorted(OPERATORS))}, came {', '.join(unknown)}. Import its weights with their "
                "architecture: bci import-generator WEIGHTS.safetensors --architecture FILE."
            )
        self._nodes = [(node, _attributes(node)) for node in model.graph.node]
        self._input, self._output = model.graph.input[0].name, model.graph.output[0].name
        self._constants: dict[str, Tensor] = {
            one.name: torch.from_numpy(np.array(numpy_helper.to_array(one)))
            for one in model.graph.initializer
        }

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move the constants too, whose names no buffer may bear; whole numbers, such as shapes, are read here."""
        self._constants = {
            name: fn(value) if value.is_floating_point() else value for name, value in self._constants.items()
        }
        return super()._apply(fn, recurse)

    def forward(self, value: Tensor) -> Tensor:
        """Run the graph."""
        values: dict[str, Tensor] = {**self._constants, self._input: value}
        for node, attributes in self._nodes:
            given = [values[name] if name else None for name in node.input]
            values[node.output[0]] = OPERATORS[node.op_type](given, attributes)
        return values[self._output]


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _two_sided(attributes: dict[str, Any]) -> int | tuple[int, ...]:
    """Return the padding of both sides, which must be alike."""
    pads = tuple(attributes.get("pads", (0, 0, 0, 0)))
    half = len(pads) // 2
    if pads[:half] != pads[half:] or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise BundleError(f"expected a convolution padded alike on both sides, came pads {pads}.")
    return pads[:half]


def _convolve(given: list[Any], attributes: dict[str, Any]) -> Tensor:
    bias = given[2] if len(given) > 2 else None
    return F.conv2d(
        given[0],
        given[1],
        bias,
        tuple(attributes.get("strides", (1, 1))),
        _two_sided(attributes),
        tuple(attributes.get("dilations", (1, 1))),
        attributes.get("group", 1),
    )


def _transposed(given: list[Any], attributes: dict[str, Any]) -> Tensor:
    bias = given[2] if len(given) > 2 else None
    return F.conv_transpose2d(
        given[0],
        given[1],
        bias,
        tuple(attributes.get("strides", (1, 1))),
        _two_sided(attributes),
        tuple(attributes.get("output_padding", (0, 0))),
        attributes.get("group", 1),
        tuple(attributes.get("dilations", (1, 1))),
    )


def _product(given: list[Any], attributes: dict[str, Any]) -> Tensor:
    """Return Gemm: α A B + β C."""
    a = given[0].T if attributes.get("transA") else given[0]
    b = given[1].T if attributes.get("transB") else given[1]
    product: Tensor = attributes.get("alpha", 1.0) * (a @ b)
    return product if len(given) < 3 else product + attributes.get("beta", 1.0) * given[2]


def _reshape(given: list[Any], attributes: dict[str, Any]) -> Tensor:
    sizes = [
        given[0].shape[k] if size == 0 and not attributes.get("allowzero") else size
        for k, size in enumerate(given[1].tolist())
    ]
    # A graph of one latent at a time says 1 where the number of latents stands.
    if sizes and sizes[0] == 1:
        sizes[0] = len(given[0])
    return given[0].reshape(sizes)


def _unsqueeze(given: list[Any], attributes: dict[str, Any]) -> Tensor:
    value = given[0]
    for axis in sorted(given[1].tolist()):
        value = value.unsqueeze(axis)
    return value


def _clip(given: list[Any], attributes: dict[str, Any]) -> Tensor:
    low, high = ((given[k] if len(given) > k else None) for k in (1, 2))
    return torch.clamp(given[0], low, high)


def _cast(given: list[Any], attributes: dict[str, Any]) -> Tensor:
    kind = _TYPES.get(attributes["to"])
    if kind is None:
        raise BundleError("expected a graph of floating-point numbers, came a cast to another type.")
    return given[0].to(kind)


#: Every operator that is known, from its inputs and attributes to its output.
OPERATORS: dict[str, Callable[[list[Any], dict[str, Any]], Tensor]] = {
    "Add": lambda given, _: given[0] + given[1],
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _convolve,
    "ConvTranspose": _transposed,
    "Div": lambda given, _: given[0] / given[1],
    "Gemm": _product,
    "Identity": lambda given, _: given[0],
    "LeakyRelu": lambda given, attributes: F.leaky_relu(given[0], attributes.get("alpha", 0.01)),
    "MatMul": lambda given, _: given[0] @ given[1],
    "Mul": lambda given, _: given[0] * given[1],
    "Relu": lambda given, _: F.relu(given[0]),
    "Reshape": _reshape,
    "Sigmoid": lambda given, _: torch.sigmoid(given[0]),
    "Sub": lambda given, _: given[0] - given[1],
    "Tanh": lambda given, _: torch.tanh(given[0]),
    "Unsqueeze": _unsqueeze,
}
