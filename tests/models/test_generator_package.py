"""A generator's package from a stranger is tried where it can do no harm, and only then loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
from onnx import TensorProto, helper
from tiny_bundle import colours, model, tensor, tiny_bundle

from bci.decoder.spec import ImageSpec, Provenance
from bci.errors import BundleError
from models.generators import package as packages
from models.generators.package import GeneratorPackage, package_of, save_package
from models.generators.spec import GeneratorSpec

LATENT, SIDE = 2, 4
#: Latents to flat pictures, any number at once.
FLAT = (
    helper.make_node("MatMul", ["latent", "colours"], ["colour"]),
    helper.make_node("Reshape", ["colour", "planes"], ["pixel"]),
    helper.make_node("Mul", ["pixel", "ones"], ["image"]),
)


def graph(nodes: Sequence[onnx.NodeProto] = FLAT, *, batch: int | str = "n", **constants: Any) -> bytes:
    made = {
        "colours": colours(LATENT),
        "planes": np.array([-1, 3, 1, 1]),
        "ones": np.ones((1, 1, SIDE, SIDE), np.float32),
        **constants,
    }
    return model(
        nodes, [tensor("latent", [batch, LATENT])], [tensor("image", [batch, 3, SIDE, SIDE])], **made
    )


def save(folder: Path, content: bytes, **spec: Any) -> GeneratorPackage:
    image = ImageSpec(height=SIDE, width=SIDE, low=-1.0, high=1.0)
    settings = {"name": "flat", "architecture": {}, "latent": LATENT, "image": image, **spec}
    return save_package(
        folder, GeneratorSpec(**settings), {"generator.onnx": content, "card.md": "flat colours"}
    )


def allocating(count: int) -> bytes:
    """Return a graph that fills `count` numbers whatever it draws: the file is 400 bytes."""
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["none"], keepdims=0),
        helper.make_node("Add", ["latent", "none"], ["moved"]),
        helper.make_node("MatMul", ["moved", "colours"], ["colour"]),
        *FLAT[1:],
    ]
    return graph(nodes, size=np.array([count]))


def test_a_sound_package_draws_any_number_of_latents(tmp_path: Path) -> None:
    package = save(tmp_path / "flat", graph())
    latents = np.random.default_rng(0).standard_normal((40, LATENT), np.float32)
    drawn = package.draw(latents)
    flat = np.rint(np.clip(127.5 * (latents @ colours(LATENT) + 1), 0, 255))
    assert np.abs(drawn - flat[:, None, None, :]).max() <= 1


@pytest.mark.parametrize("gib", [64, 5])
def test_a_graph_that_asks_for_gigabytes_is_refused_and_costs_this_process_nothing(
    tmp_path: Path, gib: int
) -> None:
    before = psutil.Process().memory_info().rss
    with pytest.raises(BundleError, match=r"generator\.onnx|GiB"):
        save(tmp_path / "bomb", allocating(gib * 2**28))
    assert psutil.Process().memory_info().rss < before + (100 << 20)
    assert not list(tmp_path.iterdir()), "what does not load is not left there"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (graph(batch=1), "came"),
        (graph([helper.make_node("Evil\x1b[31m", ["latent"], ["image"], domain="elsewhere")]), "loads"),
        (graph([*FLAT[:2], helper.make_node("Concat", ["pixel", "pixel"], ["image"], axis=2)]), "shape"),
        (graph([helper.make_node("RandomNormal", [], ["image"], shape=[32, 3, SIDE, SIDE])]), "second time"),
    ],
    ids=["one at a time", "an operator of another house", "another size", "dice"],
)
def test_a_graph_that_is_no_generator_is_refused_in_words(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    with pytest.raises(BundleError, match=expected) as caught:
        save(tmp_path / "bomb", content)
    assert "\x1b" not in str(caught.value)


def test_control_flow_is_refused(tmp_path: Path) -> None:
    bodies = [
        helper.make_graph(list(FLAT), "body", [], [tensor("image", ["n", 3, SIDE, SIDE])]) for _ in range(2)
    ]
    either = helper.make_node("If", ["yes"], ["image"], then_branch=bodies[0], else_branch=bodies[1])
    with pytest.raises(BundleError, match="without control flow, came If"):
        save(tmp_path / "bomb", graph([either], yes=np.array(True)))


def test_latents_that_the_graph_does_not_run_with_are_an_error_in_words(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Slice", ["latent", "zero", "one", "axis"], ["first"]),
        helper.make_node("Mul", ["first", "many"], ["wanted"]),
        helper.make_node("ReduceMax", ["wanted"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Abs", ["whole"], ["size"]),
        helper.make_node("Reshape", ["size", "one"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["none"], keepdims=0),
        helper.make_node("Add", ["latent", "none"], ["moved"]),
        helper.make_node("MatMul", ["moved", "colours"], ["colour"]),
        *FLAT[1:],
    ]
    ends = {"zero": np.array([0]), "one": np.array([1]), "axis": np.array([1]), "many": np.float32(1e6)}
    package = save(tmp_path / "flat", graph(nodes, **ends))
    with pytest.raises(BundleError, match="expected a graph that runs with any latents, came"):
        package.draw(np.full((1, LATENT), 1e6, np.float32))


def test_a_stranger_beside_a_bundle_is_not_even_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "stranger", graph(), title="not the one")
    own = save(tmp_path / "own", graph())
    made_of = Provenance(data={"generator flat": own.hash})
    bundle = tiny_bundle(tmp_path / "bundle", provenance=made_of)
    packages._tried.clear()
    tried: list[Path] = []
    monkeypatch.setattr(packages, "_try_graph", lambda folder, spec: tried.append(folder))
    found = package_of(bundle)
    assert found is not None
    assert found.hash == own.hash
    assert tried == [(tmp_path / "own").resolve()]
