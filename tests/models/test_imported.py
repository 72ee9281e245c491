"""Generators from elsewhere: what they draw is what the package draws; what is unclear or hostile is refused."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commands import call
from onnx import TensorProto, helper
from tiny_bundle import model, tensor

from bci.errors import BundleError
from benchmarks.foreign_generators import foreign
from benchmarks.import_generator import of_another
from models.generators.imported.importing import Imported, Wish, import_generator
from models.generators.imported.reading import Asked
from models.generators.package import GeneratorPackage

SHIPPED = Path(__file__).parents[2] / "models" / "bundles"
D, SIDE = 5, 8
NODE = helper.make_node


def weights(outputs: int, seed: int = 3) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((D, outputs)) / 2).astype(np.float32)


def written(
    folder: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    **given: Any,
) -> Path:
    path = folder / "theirs.onnx"
    path.write_bytes(model(nodes, inputs, outputs, **given))
    return path


def imported(path: Path, **asked: Any) -> Imported:
    return import_generator(path, path.parent / "package", Asked(**asked), Wish())


def latents(n: int = 4) -> np.ndarray:
    return np.random.default_rng(9).standard_normal((n, D), np.float32)


def levels(share: np.ndarray) -> np.ndarray:
    """Pictures of shares of full brightness, (n, height, width, 3)."""
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def planar(batch: int | str = "n", name: str = "z", side: int = SIDE) -> dict[str, Any]:
    """A generator as torch writes them: (n, d) → tanh → (n, 3, side, side)."""
    return {
        "nodes": [
            NODE("MatMul", [name, "w"], ["flat"]), NODE("Tanh", ["flat"], ["t"]),
            NODE("Reshape", ["t", "axes"], ["out"]),
        ],
        "inputs": [tensor(name, [batch, D])],
        "outputs": [tensor("out", [batch, 3, side, side])],
        "w": weights(3 * side * side),
        "axes": np.array([-1, 3, side, side]),
    }  # fmt: skip


def planar_pictures(z: np.ndarray, side: int = SIDE) -> np.ndarray:
    drawn = np.tanh(z @ weights(3 * side * side)).reshape(-1, 3, side, side).transpose(0, 2, 3, 1)
    return levels((drawn + 1) / 2)


def nearly(came: np.ndarray, expected: np.ndarray) -> bool:
    """Whether all are within the level that the order of a sum may move."""
    return bool((np.abs(came.astype(int) - expected) <= 1).all())


@pytest.mark.parametrize("shipped", ["dcgan-faces", "dcgan-characters"])
def test_our_own_generators_come_back_bit_for_bit(shipped: str, tmp_path: Path) -> None:
    ours = GeneratorPackage.load(SHIPPED / shipped)
    made = import_generator(SHIPPED / shipped / "generator.onnx", tmp_path / "again", Asked(), Wish())
    assert made.unchanged
    assert made.alike == 1
    assert made.package.graph == ours.graph
    z = np.random.default_rng(1).standard_normal((3, ours.spec.latent), np.float32)
    assert np.array_equal(made.package.draw(z), ours.draw(z, rule="keep"))


def test_another_frameworks_layout_range_and_colours(tmp_path: Path) -> None:
    nodes = [
        NODE("MatMul", ["noise", "w"], ["flat"]), NODE("Sigmoid", ["flat"], ["s"]), NODE("Mul", ["s", "most"], ["m"]),
        NODE("Reshape", ["m", "axes"], ["bgr"]),
    ]  # fmt: skip
    path = written(
        tmp_path, nodes, [tensor("noise", ["N", D])], [tensor("bgr", ["N", SIDE, SIDE, 3])],
        w=weights(3 * SIDE * SIDE), most=np.float32(255), axes=np.array([-1, SIDE, SIDE, 3]),
    )  # fmt: skip
    made = imported(path, colour="BGR")
    assert (made.reading.layout, made.package.spec.image.low, made.package.spec.image.high) == (
        "NHWC",
        0,
        255,
    )
    expected = sigmoid(latents() @ weights(3 * SIDE * SIDE)).reshape(-1, SIDE, SIDE, 3)[..., ::-1]
    assert nearly(made.package.draw(latents()), levels(expected))
    assert made.alike == 1
    assert not made.unchanged


@pytest.mark.parametrize("kind", ["number", "one-hot"])
def test_a_class_and_a_truncation_are_held(kind: str, tmp_path: Path) -> None:
    moves = np.random.default_rng(4).standard_normal((4, D)).astype(np.float32)
    look_up = NODE("Gather", ["moves", "label"], ["moved"], axis=0)
    taken = tensor("label", ["n"], TensorProto.INT64)
    if kind == "one-hot":
        look_up, taken = NODE("MatMul", ["label", "moves"], ["moved"]), tensor("label", ["n", 4])
    parts = planar(name="z")
    parts["nodes"] = [
        look_up, NODE("Mul", ["z", "psi"], ["short"]), NODE("Add", ["short", "moved"], ["z2"]),
        NODE("MatMul", ["z2", "w"], ["flat"]), *parts["nodes"][1:],
    ]  # fmt: skip
    parts["inputs"] = [*parts["inputs"], taken, tensor("psi", [1])]
    path = written(tmp_path, moves=moves, **parts)
    with pytest.raises(BundleError, match=r"label.*(--class|--latent-input)"):
        imported(path)
    asked = {"class_number": 2, "constants": {"psi": 0.5}}
    made = imported(path, **asked, **({"class_input": "label"} if kind == "one-hot" else {}))
    assert nearly(made.package.draw(latents()), planar_pictures(0.5 * latents() + moves[2]))


def test_large_pictures_and_latents_with_four_axes(tmp_path: Path) -> None:
    parts = planar(side=256)
    parts["nodes"] = [
        NODE("Flatten", ["z"], ["rows"]),
        NODE("MatMul", ["rows", "w"], ["flat"]),
        *parts["nodes"][1:],
    ]
    parts["inputs"] = [tensor("z", ["n", D, 1, 1])]
    made = imported(written(tmp_path, **parts))
    assert (made.package.spec.image.height, made.package.spec.image.width) == (256, 256)
    assert nearly(made.package.draw(latents(2)), planar_pictures(latents(2), 256))


@pytest.mark.parametrize("declared", ["1", "n"])
def test_a_graph_that_draws_one_at_a_time_is_given_one_at_a_time(declared: str, tmp_path: Path) -> None:
    parts = planar(1 if declared == "1" else "n")
    parts["axes"] = np.array([1, 3, SIDE, SIDE])  # what was traced with one latent, whatever it declares
    made = imported(written(tmp_path, **parts))
    assert made.package.spec.batch == 1
    assert nearly(made.package.draw(latents()), planar_pictures(latents()))


def test_one_plane_is_grey_and_bytes_are_levels(tmp_path: Path) -> None:
    nodes = [
        NODE("MatMul", ["z", "w"], ["flat"]), NODE("Sigmoid", ["flat"], ["s"]), NODE("Mul", ["s", "most"], ["m"]),
        NODE("Cast", ["m"], ["b"], to=TensorProto.UINT8), NODE("Reshape", ["b", "axes"], ["out"]),
    ]  # fmt: skip
    path = written(
        tmp_path, nodes, [tensor("z", ["n", D])], [tensor("out", ["n", 1, SIDE, SIDE], TensorProto.UINT8)],
        w=weights(SIDE * SIDE), most=np.float32(255), axes=np.array([-1, 1, SIDE, SIDE]),
    )  # fmt: skip
    drawn = imported(path).package.draw(latents())
    expected = (255 * sigmoid(latents() @ weights(SIDE * SIDE))).reshape(-1, SIDE, SIDE)
    assert (drawn[..., 0] == drawn[..., 1]).all()
    assert (drawn[..., 0] == drawn[..., 2]).all()
    assert nearly(drawn[..., 0], expected.astype(np.uint8))


def with_loop() -> bytes:
    true = helper.make_graph(
        [NODE("Identity", ["t"], ["chosen"])], "yes", [], [tensor("chosen", ["n", 3 * SIDE * SIDE])]
    )
    parts = planar()
    parts["nodes"] = [*parts["nodes"][:2], NODE("If", ["always"], ["u"], then_branch=true, else_branch=true),
                      NODE("Reshape", ["u", "axes"], ["out"])]  # fmt: skip
    return model(**parts, always=np.array(True))


def with_noise() -> bytes:
    parts = planar()
    parts["nodes"] = [
        *parts["nodes"][:2], NODE("RandomNormalLike", ["t"], ["noise"]), NODE("Add", ["t", "noise"], ["u"]),
        NODE("Reshape", ["u", "axes"], ["out"]),
    ]  # fmt: skip
    return model(**parts)


def with_nan() -> bytes:
    return model(**{**planar(), "w": np.full((D, 3 * SIDE * SIDE), np.nan, np.float32)})


def that_allocates() -> bytes:
    parts = planar()
    parts["nodes"] = [
        NODE("ConstantOfShape", ["size"], ["zeros"]), NODE("ReduceSum", ["zeros"], ["none"], keepdims=0),
        NODE("Add", ["z", "none"], ["z2"]), NODE("MatMul", ["z2", "w"], ["flat"]), *parts["nodes"][1:],
    ]  # fmt: skip
    return model(**parts, size=np.array([2**34]))


def with_tensors_elsewhere() -> bytes:
    made = onnx.load_from_string(model(**planar()))
    weight = next(w for w in made.graph.initializer if w.name == "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    return bytes(made.SerializeToString())


def of_two_latents() -> bytes:
    parts = planar()
    parts["nodes"] = [
        NODE("Add", ["z", "y"], ["x"]),
        NODE("MatMul", ["x", "w"], ["flat"]),
        *parts["nodes"][1:],
    ]
    return model(**{**parts, "inputs": [tensor("z", ["n", D]), tensor("y", ["n", D])]})


def of_another_range() -> bytes:
    parts = planar()
    parts["nodes"] = [
        *parts["nodes"][:2],
        NODE("Mul", ["t", "far"], ["u"]),
        NODE("Reshape", ["u", "axes"], ["out"]),
    ]
    return model(**parts, far=np.float32(1000))


def that_ignores_its_latent() -> bytes:
    parts = planar()
    parts["nodes"] = [
        NODE("Mul", ["z", "nothing"], ["x"]),
        NODE("MatMul", ["x", "w"], ["flat"]),
        *parts["nodes"][1:],
    ]
    return model(**parts, nothing=np.float32(0))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (with_loop, "without control flow, came If"),
        (with_noise, "same picture for the same latent"),
        (with_nan, "NaN in 'w'"),
        (that_allocates, "Failed to allocate|GiB"),
        (with_tensors_elsewhere, "external data"),
        (of_two_latents, "--latent-input"),
        (of_another_range, "--range LOW HIGH"),
        (that_ignores_its_latent, "another picture for another latent"),
        (lambda: b"no graph at all", "expected|damaged"),
    ],
    ids=lambda given: getattr(given, "__name__", "words"),
)  # fmt: skip
def test_what_is_hostile_or_unclear_is_refused_and_nothing_is_written(
    content: Any, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.onnx"
    path.write_bytes(content())
    with pytest.raises(BundleError, match=words):
        imported(path)
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize(("colour", "met"), [("BGR", True), ("RGB", False)])
def test_the_benchmark_tells_colours_that_were_exchanged(colour: str, met: bool, tmp_path: Path) -> None:
    theirs = replace(foreign()["NHWC, 0 to 255, BGR"], asked={"colour": colour})
    assert of_another(theirs, tmp_path)[2] is met


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "theirs.onnx")
    with pytest.raises(BundleError, match="named pipe"):
        imported(tmp_path / "theirs.onnx")


def test_an_earlier_package_outlives_a_failure(tmp_path: Path) -> None:
    made = imported(written(tmp_path, **planar()))
    (tmp_path / "theirs.onnx").write_bytes(with_noise())
    with pytest.raises(BundleError):
        imported(tmp_path / "theirs.onnx")
    assert GeneratorPackage.load(tmp_path / "package").hash == made.package.hash


def test_weights_of_a_stated_architecture(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    from models.generators.imported.weights import import_weights
    from models.generators.interface import build, pictures

    architecture = {"kind": "dcgan", "latent": 6, "width": 2, "size": 16}
    torch.manual_seed(2)
    theirs = build(architecture).eval()
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    (tmp_path / "network.json").write_text(json.dumps(architecture))
    made = import_weights(
        tmp_path / "theirs.safetensors", tmp_path / "network.json", tmp_path / "package", Wish()
    )
    z = theirs.sample(3, np.random.default_rng(5))
    assert nearly(made.package.draw(z), pictures(theirs, z, theirs.output_range))
    assert made.package.spec.architecture == architecture
    assert list(made.package.spec.provenance.data) == ["theirs.safetensors"]
    (tmp_path / "network.json").write_text(json.dumps({**architecture, "width": 3}))
    with pytest.raises(BundleError, match="came others"):
        import_weights(tmp_path / "theirs.safetensors", tmp_path / "network.json", tmp_path / "other", Wish())


def test_the_command_says_how_the_file_was_read(tmp_path: Path) -> None:
    path = written(tmp_path, **planar())
    done = call("import-generator", str(path), "--out", str(tmp_path / "out"), "--name", "theirs", "--json")
    assert done.status == 0
    said = done.result
    assert (said["range"], said["graph"], said["pixels equal to the file's own"]) == ([-1, 1], "adapted", 1)
    assert (tmp_path / "out" / "reading.png").is_file()
    assert "theirs" in (tmp_path / "out" / "card.md").read_text()


@pytest.mark.parametrize(
    ("words", "named"),
    [(["--set", "psi"], "NAME=VALUE"), (["--colour", "purple"], "--colour"), (["--rule", "bend"], "--rule")],
)
def test_options_that_mean_nothing(words: list[str], named: str, tmp_path: Path) -> None:
    path = written(tmp_path, **planar())
    done = call("import-generator", str(path), "--out", str(tmp_path / "out"), *words)
    assert done.status == 2
    assert named in done.words


def test_weights_need_their_architecture(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"")
    done = call("import-generator", str(tmp_path / "w.safetensors"), "--out", str(tmp_path / "out"))
    assert done.status == 2
    assert "--architecture" in done.words


def test_pggan_in_interfacegan_s_layout_draws_what_its_own_arithmetic_gives(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file
    from torch.nn import functional

    from models.generators.imported.weights import import_weights

    channels, latent = (24, 20, 16), 32
    torch.manual_seed(2)
    shapes = [(channels[0], latent, 4, 4), (channels[0], channels[0], 3, 3)]
    for before, width in pairwise(channels):
        shapes += [(width, before, 3, 3), (width, width, 3, 3)]
    layers = [(torch.randn(shape), torch.randn(shape[0]) / 5) for shape in shapes]
    colours = torch.randn(3, channels[-1], 1, 1), torch.randn(3) / 5
    held = {f"layer{k}.conv.weight": weight for k, (weight, _) in enumerate(layers, 1)}
    held |= {f"layer{k}.wscale.bias": bias for k, (_, bias) in enumerate(layers, 1)}
    held |= {"output_16x16.conv.weight": colours[0], "output_16x16.wscale.bias": colours[1]}
    save_file(held, tmp_path / "pggan.safetensors")
    stated = {"kind": "progressive", "latent": latent, "channels": channels, "convolutions": 2}
    (tmp_path / "pggan.json").write_text(json.dumps(stated))

    def even(value: Any) -> Any:
        return value / torch.sqrt(value.square().mean(1, keepdim=True) + 1e-8)

    z = torch.randn(3, latent)
    value = z[:, :, None, None]
    for k, (weight, bias) in enumerate(layers):
        value = even(value)
        if k >= 2 and k % 2 == 0:
            value = value.repeat_interleave(2, 2).repeat_interleave(2, 3)
        around = 3 if k == 0 else 1
        scale = (2 / weight[0].numel()) ** 0.5
        value = functional.conv2d(value, weight, padding=around) * scale + bias[:, None, None]
        value = functional.leaky_relu(value, 0.2)
    picture = functional.conv2d(even(value), colours[0]) / channels[-1] ** 0.5 + colours[1][:, None, None]
    expected = levels((picture.numpy().transpose(0, 2, 3, 1) + 1) / 2)
    made = import_weights(
        tmp_path / "pggan.safetensors", tmp_path / "pggan.json", tmp_path / "package", Wish()
    )
    drawn = made.package.draw(z.numpy())
    assert drawn.shape == (3, 16, 16, 3)
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    save_file(
        {name: value for name, value in held.items() if "layer4" not in name}, tmp_path / "short.safetensors"
    )
    with pytest.raises(BundleError, match=r"convolved\.2\.weight"):
        import_weights(tmp_path / "short.safetensors", tmp_path / "pggan.json", tmp_path / "other", Wish())
