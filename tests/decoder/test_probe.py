"""Graphs that nobody knows are tried where they can do no harm."""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper
from tiny_bundle import generator, model, readout, tensor, whole

from bci.decoder.probe import TIME_LIMIT, probe, time_limit
from bci.decoder.sandbox import Chain
from bci.errors import BundleError, ProviderError

WINDOW, LATENT, IMAGE = (4, 2), 1, (2, 2)

Write = Callable[..., Chain]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Give a function that writes graphs, by role, and returns their chain."""

    def chain(*, confidence: bool = False, **graphs: bytes) -> Chain:
        entries = []
        for role, content in graphs.items():
            (tmp_path / f"{role}.onnx").write_bytes(content)
            entries.append((role, f"{role}.onnx", hashlib.sha256(content).hexdigest()))
        return Chain(entries, WINDOW, LATENT, IMAGE, confidence)

    return chain


def as_readout(nodes: Sequence[onnx.NodeProto], **constants: Any) -> bytes:
    return model(nodes, [tensor("window", [1, *WINDOW])], [tensor("latent", [1, LATENT])], **constants)


def node(kind: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    """Make a node whose last name is its output."""
    return helper.make_node(kind, list(names[:-1]), [names[-1]], **attributes)


GENERATOR = generator(LATENT, *IMAGE)


def test_sound_graphs_pass_and_say_what_they_are_made_of(tmp_path: Path, write: Write) -> None:
    facts = probe(tmp_path, [write(readout=readout(WINDOW, LATENT), generator=GENERATOR)])
    assert facts["readout.onnx"].nodes == {"Reshape": 1, "ReduceMean": 1, "MatMul": 1}
    assert facts["generator.onnx"].opsets == {"": 17}
    assert facts.keys() == {"readout.onnx", "generator.onnx"}
    assert probe(tmp_path, [write(whole=whole(WINDOW, LATENT, *IMAGE, confidence=True), confidence=True)])


def refusal(folder: Path, chain: Chain, **limits: Any) -> str:
    with pytest.raises(BundleError) as caught:
        probe(folder, [chain], **limits)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_hundred_bytes_that_ask_for_64_gib_are_refused(tmp_path: Path, write: Write) -> None:
    bomb = as_readout([node("ConstantOfShape", "size", "latent")], size=np.array([2**34]))
    assert len(bomb) < 150
    said = refusal(tmp_path, write(readout=bomb, generator=GENERATOR))
    assert "readout.onnx" in said
    assert "alloc" in said


def test_memory_asked_for_while_running_is_refused(tmp_path: Path, write: Write) -> None:
    nodes = [
        node("Shape", "window", "shape"),
        node("Mul", "shape", "many", "size"),
        node("ConstantOfShape", "size", "zeros"),
        node("ReduceSum", "zeros", "sum", keepdims=0),
        node("Reshape", "sum", "one", "latent"),
    ]
    bomb = as_readout(nodes, many=np.array([2**30, 1, 1]), one=np.array([1, 1]))
    assert "alloc" in refusal(tmp_path, write(readout=bomb, generator=GENERATOR))


def test_a_graph_that_never_ends_is_stopped(tmp_path: Path, write: Write) -> None:
    body = helper.make_graph(
        [node("Identity", "go", "still"), node("Identity", "x", "y")],
        "body",
        [tensor("i", [], TensorProto.INT64), tensor("go", [], TensorProto.BOOL), tensor("x", [1, LATENT])],
        [tensor("still", [], TensorProto.BOOL), tensor("y", [1, LATENT])],
    )
    loop = as_readout(
        [helper.make_node("Loop", ["", "yes", "start"], ["latent"], body=body)],
        yes=np.array(True),
        start=np.zeros((1, LATENT), np.float32),
    )
    before = {child.pid for child in psutil.Process().children()}
    began = time.monotonic()
    said = refusal(tmp_path, write(readout=loop, generator=GENERATOR), time_limit_s=2.0)
    assert "within 2 s" in said
    assert time.monotonic() - began < 60
    assert {child.pid for child in psutil.Process().children()} == before


def test_large_graphs_have_longer_and_the_environment_may_say_how_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(TIME_LIMIT, raising=False)
    assert (time_limit(0), time_limit(10**9)) == (60.0, 560.0)
    monkeypatch.setenv(TIME_LIMIT, "900")
    assert time_limit(10**9) == 900.0
    monkeypatch.setenv(TIME_LIMIT, "soon")
    with pytest.raises(ProviderError, match="BCI_TRIAL_SECONDS: expected seconds above 0, came 'soon'"):
        time_limit(0)


def test_external_data_is_refused(tmp_path: Path, write: Write) -> None:
    (tmp_path.parent / "outside.bin").write_bytes(bytes(64))
    reaching = onnx.load_from_string(readout(WINDOW, LATENT))
    for held in reaching.graph.initializer:
        if held.name == "weights":
            held.ClearField("raw_data")
            held.data_location = TensorProto.EXTERNAL
            held.external_data.add(key="location", value="../outside.bin")
    chain = write(readout=reaching.SerializeToString(), generator=GENERATOR)
    assert "external data" in refusal(tmp_path, chain)


def test_an_operator_that_does_not_exist_is_refused(tmp_path: Path, write: Write) -> None:
    evil = as_readout([helper.make_node("Evil\x1b[31m", ["window"], ["latent"], domain="elsewhere")])
    said = refusal(tmp_path, write(readout=evil, generator=GENERATOR))
    assert "readout.onnx: expected a graph that ONNX Runtime" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("graphs", "expected"),
    [
        (
            {"readout": readout((5, 2), LATENT), "generator": GENERATOR},
            r"\[1, 4, 2\], came window.*\[1, 5, 2\]",
        ),
        (
            {"readout": readout(WINDOW, 3), "generator": GENERATOR},
            r"'latent' of shape \[1, 1\], came \[1, 3\]",
        ),
        (
            {"readout": readout(WINDOW, LATENT), "generator": generator(2, *IMAGE)},
            r"latent.*\[1, 1\], came latent",
        ),
        (
            {"readout": readout(WINDOW, LATENT), "generator": generator(1, 3, 3)},
            r"'image' of shape \[1, 3, 2, 2\]",
        ),
        ({"readout": GENERATOR, "generator": GENERATOR}, r"expected as readout the input window"),
        ({"whole": readout(WINDOW, LATENT)}, r"the float32 outputs latent, image, came latent"),
    ],
)
def test_sizes_and_names_must_be_those_stated(
    tmp_path: Path, write: Write, graphs: dict[str, bytes], expected: str
) -> None:
    with pytest.raises(BundleError, match=expected):
        probe(tmp_path, [write(**graphs)])


def test_a_claimed_confidence_must_be_an_output(tmp_path: Path, write: Write) -> None:
    chain = write(readout=readout(WINDOW, LATENT), generator=GENERATOR, confidence=True)
    assert "float32 outputs latent, confidence, came latent" in refusal(tmp_path, chain)


def test_sizes_left_open_are_refused(tmp_path: Path, write: Write) -> None:
    loose = onnx.load_from_string(readout(WINDOW, LATENT))
    loose.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    said = refusal(tmp_path, write(readout=loose.SerializeToString(), generator=GENERATOR))
    assert "'batch', 4, 2" in said


def test_a_graph_that_rolls_dice_is_refused(tmp_path: Path, write: Write) -> None:
    dice = as_readout([helper.make_node("RandomNormal", [], ["latent"], shape=[1, LATENT])])
    assert "'latent' differs the second time" in refusal(tmp_path, write(readout=dice, generator=GENERATOR))


def test_a_file_swapped_after_hashing_is_refused(tmp_path: Path, write: Write) -> None:
    chain = write(readout=readout(WINDOW, LATENT), generator=GENERATOR)
    (tmp_path / "readout.onnx").write_bytes(readout(WINDOW, LATENT, confidence=True))
    assert "changed while it was read" in refusal(tmp_path, chain)
