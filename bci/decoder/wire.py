"""GraphFacts are facts about an ONNX file, read from its bytes without loading it.

A walk over the protocol-buffer wire format (protobuf.dev, "Encoding"), following only the few messages of
onnx.proto3 that can hold a node or a tensor. It needs no ``onnx`` package, allocates nothing that the file asks
for, and finds external data and control flow wherever they are nested.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from bci.errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}

#: Which fields of which message lead to which other message: message -> field number -> message.
MESSAGES: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "ModelProto": {
            7: "GraphProto",
            8: "OperatorSetIdProto",
            20: "TrainingInfoProto",
            25: "FunctionProto",
        },
        "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
        "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
        "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
        "NodeProto": {5: "AttributeProto"},
        "AttributeProto": {
            5: "TensorProto",
            6: "GraphProto",
            10: "TensorProto",
            11: "GraphProto",
            22: "SparseTensorProto",
            23: "SparseTensorProto",
        },
        "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
        "TensorProto": {},
        "OperatorSetIdProto": {},
    }
)

#: The fields whose values are read: (message, field) -> number.
FIELDS: Mapping[tuple[str, str], int] = MappingProxyType(
    {
        ("NodeProto", "op_type"): 4,
        ("NodeProto", "domain"): 7,
        ("TensorProto", "data_type"): 2,
        ("TensorProto", "float_data"): 4,
        ("TensorProto", "name"): 8,
        ("TensorProto", "raw_data"): 9,
        ("TensorProto", "external_data"): 13,
        ("TensorProto", "data_location"): 14,
        ("OperatorSetIdProto", "domain"): 1,
        ("OperatorSetIdProto", "version"): 2,
    }
)

#: How the weights of each type of floating-point numbers lie in a file, by ONNX's numbers of types.
_FLOATS: Mapping[int | memoryview, str] = MappingProxyType({1: "<f4", 10: "<f2", 11: "<f8"})

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """GraphFacts holds the operators of an ONNX graph and where its tensors lie.

    Attributes
    ----------
    nodes : mapping of str to int
        Number of nodes of each operator, subgraphs and functions included; ``domain::operator`` outside ONNX's own.
    opsets : mapping of str to int
        Version of each operator set; ``""`` is ONNX's own.
    external : bool
        Whether any tensor claims to live in another file.
    """

    nodes: Mapping[str, int]
    opsets: Mapping[str, int]
    external: bool

    @property
    def control_flow(self) -> tuple[str, ...]:
        """The control-flow operators it uses, sorted; a CUDA graph can hold none."""
        return tuple(sorted(_CONTROL_FLOW & set(self.nodes)))

    def plain(self) -> dict[str, Any]:
        """Return the facts as one process can tell them to another."""
        return {"nodes": dict(self.nodes), "opsets": dict(self.opsets), "external": self.external}

    @classmethod
    def from_plain(cls, facts: Mapping[str, Any]) -> Self:
        """Return what `plain` has told."""
        return cls(MappingProxyType(facts["nodes"]), MappingProxyType(facts["opsets"]), facts["external"])


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError("a varint of more than ten bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Yield (field number, wire type, value) of one message; fixed-size values as bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < tag < 2**32 or not number:
            raise IndexError(f"field number {number}")
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise IndexError(f"wire type {kind}")
        if size > end - at:
            raise IndexError(f"{size} bytes announced, {end - at} there")
        yield number, kind, data[at : at + size]
        at += size


def read_facts(model: bytes, where: str) -> GraphFacts:
    """Read the facts about an ONNX model.

    Raises
    ------
    BundleError
        If the bytes are no protocol buffer or hold no graph.
    """
    nodes: Counter[str] = Counter()
    opsets: dict[str, int] = {}
    external = graph = False
    todo: list[tuple[str, memoryview]] = [("ModelProto", memoryview(model))]
    try:
        while todo:
            message, data = todo.pop()
            children = MESSAGES[message]
            own: dict[int, int | memoryview] = {}
            for number, kind, value in _fields(data):
                if number in children and isinstance(value, memoryview):
                    todo.append((children[number], value))
                elif message in ("NodeProto", "TensorProto", "OperatorSetIdProto"):
                    own[number] = value
                    external |= message == "TensorProto" and _is_external(number, kind, value)
            graph |= message == "GraphProto"
            if message == "NodeProto":
                domain = _text(own.get(FIELDS["NodeProto", "domain"]))
                name = _text(own.get(FIELDS["NodeProto", "op_type"]))
                nodes[name if domain in ("", "ai.onnx") else f"{domain}::{name}"] += 1
            elif message == "OperatorSetIdProto":
                version = own.get(FIELDS["OperatorSetIdProto", "version"], 0)
                opsets[_text(own.get(FIELDS["OperatorSetIdProto", "domain"]))] = (
                    version if isinstance(version, int) else 0
                )
    except IndexError as error:
        raise BundleError(
            f"{where}: expected an ONNX model, came damaged bytes ({error}). Export it again."
        ) from None
    if not graph:
        raise BundleError(f"{where}: expected an ONNX model, came a file without a graph. Export it again.")
    return GraphFacts(MappingProxyType(dict(nodes)), MappingProxyType(opsets), external)


def nan_weights(model: bytes) -> str:
    """Return the name of the first tensor of weights that holds a NaN; empty where none does.

    Raises
    ------
    BundleError
        As `read_facts`.
    """
    todo: list[memoryview] = []
    try:
        for number, _, value in _fields(memoryview(model)):
            if MESSAGES["ModelProto"].get(number) == "GraphProto" and isinstance(value, memoryview):
                todo += [
                    tensor
                    for field, _, tensor in _fields(value)
                    if MESSAGES["GraphProto"].get(field) == "TensorProto" and isinstance(tensor, memoryview)
                ]
        for tensor in todo:
            own = {field: value for field, _, value in _fields(tensor)}
            values = own.get(FIELDS["TensorProto", "raw_data"], own.get(FIELDS["TensorProto", "float_data"]))
            dtype = _FLOATS.get(own.get(FIELDS["TensorProto", "data_type"], 0))
            if dtype and isinstance(values, memoryview) and len(values) % np.dtype(dtype).itemsize == 0:
                if np.isnan(np.frombuffer(values, dtype)).any():
                    return _text(own.get(FIELDS["TensorProto", "name"])) or "a tensor without a name"
    except IndexError as error:
        raise BundleError(f"expected an ONNX model, came damaged bytes ({error}). Export it again.") from None
    return ""


def _is_external(number: int, kind: int, value: int | memoryview) -> bool:
    if number == FIELDS["TensorProto", "external_data"]:
        return True
    return number == FIELDS["TensorProto", "data_location"] and kind == _VARINT and value != 0


def _text(value: int | memoryview | None) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, memoryview) else ""
