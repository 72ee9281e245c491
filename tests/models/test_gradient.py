"""Reconstruction by gradient: generators that let gradients through, features decoded, latents sought, distilled."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")  # before the modules that need it, hence the imports below it

import onnx  # noqa: E402
from blobs import LATENT, SIDE, save_blobs  # noqa: E402
from onnxruntime import InferenceSession  # noqa: E402

from bci.decoder.bundle import Bundle  # noqa: E402
from bci.errors import BundleError, ConfigError, DataError  # noqa: E402
from bci.io.shipped import SHIPPED  # noqa: E402
from models.datasets.reader_trials import Lesson  # noqa: E402
from models.export import GraphParts, floats  # noqa: E402
from models.generators.differentiable import Drawing, GraphNetwork  # noqa: E402
from models.generators.package import GeneratorPackage  # noqa: E402
from models.metrics.images import pixel_correlation  # noqa: E402
from models.metrics.latents import cosine  # noqa: E402
from models.networks.architectures import ARCHITECTURES  # noqa: E402
from models.networks.convnet import Convnet  # noqa: E402
from models.networks.matching import Descent, FeatureSpace, match_latents, match_pixels  # noqa: E402
from models.readouts.decoded_features import FeatureDecoder  # noqa: E402
from models.readouts.distilled import Distilled  # noqa: E402
from models.readouts.export import export_readout  # noqa: E402
from models.readouts.family import build_readout, options_of  # noqa: E402
from models.systems.gradient.settings import load_gradient  # noqa: E402
from models.systems.gradient.system import SYSTEM  # noqa: E402
from models.systems.gradient.ways import SLOW, read_slow  # noqa: E402
from models.systems.registry import system_of_bundle  # noqa: E402

QUICK: dict[str, Any] = {
    "layers": ["pool2", "pool3"], "units": 60, "voxels": 20, "alpha": 5.0, "steps": 30, "pictures": 200, "first": 100,
    "updates": 15, "batch": 16, "hidden": 32,
}  # fmt: skip

TRAINING = """
kind = "gradient"
name = "tiny"
seed = 1
generator = "generator"
stimuli = "stimuli"
[participant]
modality = "eeg"
snr = 8.0
units = 64
[trials]
train = 100
test = 10
repeats = 2
runs = 4
stimulus_s = 0.3
blank_s = 0.3
[epoch]
start = 0.04
stop = 0.44
[[pipeline]]
step = "band_pass"
low = 0.7
high = 20.0
order = 2
[[pipeline]]
step = "decimate"
factor = 5
order = 4
[readout]
name = "distilled"
options = { layers = ["pool2"], units = 60, voxels = 30, steps = 15, pictures = 150, first = 80, updates = 8 }
"""


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> GeneratorPackage:
    folder = tmp_path_factory.mktemp("blobs") / "generator"
    save_blobs(folder)
    return GeneratorPackage.load(folder)


@pytest.fixture(scope="module")
def space(blobs: GeneratorPackage) -> FeatureSpace:
    network = Convnet(ARCHITECTURES["small"], seed=1, pooling="mean").eval().requires_grad_(False)
    latents = np.random.default_rng(0).standard_normal((40, LATENT)).astype(np.float32)
    return FeatureSpace(network, ["pool2", "pool3"], blobs.draw(latents), most=300)


@pytest.fixture(scope="module")
def fitted(blobs: GeneratorPackage) -> tuple[Distilled, np.ndarray, np.ndarray]:
    """Return a distilled readout, and test responses of planted voxels with the latents behind them."""
    random = np.random.default_rng(5)
    latents = random.standard_normal((160, LATENT)).astype(np.float32)
    pixels = blobs.draw(latents)[:, ::8, ::8].reshape(160, -1) / 255.0
    brain = (pixels - pixels.mean(0)) @ random.standard_normal((pixels.shape[1], 40))
    brain += 0.2 * brain.std(0) * random.standard_normal(brain.shape)
    readout = build_readout("distilled", generator=blobs, **QUICK)
    assert isinstance(readout, Distilled)
    return readout.fit(brain[:120], latents[:120]), brain[120:], latents[120:]


@pytest.mark.parametrize("name", ["dcgan-faces", "dcgan-characters"])
def test_a_shipped_generator_draws_the_same_with_gradients(name: str) -> None:
    package = GeneratorPackage.load(SHIPPED["bundles"] / name)
    drawing = Drawing(package)
    latents = np.random.default_rng(1).standard_normal((3, package.spec.latent)).astype(np.float32)
    assert np.abs(drawing.draw(latents).astype(int) - package.draw(latents)).max() <= 1
    given = torch.from_numpy(latents).requires_grad_()
    drawing(given).sum().backward()
    assert given.grad is not None
    assert float(given.grad.abs().max()) > 0


def test_a_graph_by_torch_gives_what_onnx_runtime_gives() -> None:
    """Operators that shipped generators do not have: Gemm with its factors, paddings, a clip, a slope, a product."""
    random, graph = np.random.default_rng(0), GraphParts()
    graph.constant("w", random.standard_normal((8, 3)))
    graph.constant("b", random.standard_normal(8))
    graph.constant("shape", np.array([1, 2, 2, 2]))
    graph.constant("k", random.standard_normal((2, 1, 3, 3)))
    graph.constant("k2", random.standard_normal((2, 3, 2, 2)))
    graph.constant("low", np.float32(-0.5))
    graph.constant("high", np.float32(2.0))
    name = graph.node("Gemm", ["latent", "w", "b"], "g", alpha=0.5, beta=2.0, transB=1)
    name = graph.node("LeakyRelu", [graph.node("Reshape", [name, "shape"], "r")], "l", alpha=0.3)
    name = graph.node("Conv", [name, "k"], "c", pads=[1, 1, 1, 1], strides=[1, 1], group=2)
    name = graph.node("ConvTranspose", [name, "k2"], "t", strides=[2, 2])
    name = graph.node("Clip", [graph.node("Sigmoid", [name], "s"), "low", "high"], "p")
    graph.node("Sub", [graph.node("Mul", [name, name], "m"), graph.node("Div", [name, "high"], "d")], "image")
    made = graph.finish("test", floats("latent", [1, 3]), [floats("image", [1, 3, 4, 4])])
    network, session = GraphNetwork(made, "test"), InferenceSession(made)
    rows = random.standard_normal((4, 3)).astype(np.float32)
    expected = np.concatenate([session.run(None, {"latent": row[None]})[0] for row in rows])
    assert np.allclose(network(torch.from_numpy(rows)).numpy(), expected, atol=1e-6)


def test_a_graph_of_an_operator_that_is_not_known_is_refused_in_words() -> None:
    graph = GraphParts()
    graph.node("Erf", ["latent"], "image")
    with pytest.raises(BundleError, match=r"came Erf. Import its weights"):
        GraphNetwork(graph.finish("test", floats("latent", [1, 3]), [floats("image", [1, 3])]), "odd")


def test_latents_are_found_again_by_their_pictures_features_whatever_is_sought_beside_them(
    blobs: GeneratorPackage, space: FeatureSpace
) -> None:
    latents = 0.5 * np.random.default_rng(3).standard_normal((4, LATENT)).astype(np.float32)
    wanted, drawing, weights = (
        space.of(blobs.draw(latents)),
        Drawing(blobs),
        space.weights(space.standard.scale**2),
    )
    found = match_latents(drawing, space, wanted, LATENT, Descent(120, 0.1, 0.0), weights=weights)
    assert np.abs(found - latents).max() < 0.05
    alone = match_latents(drawing, space, wanted[2:3], LATENT, Descent(120, 0.1, 0.0), weights=weights)
    assert np.allclose(alone[0], found[2], atol=1e-3)
    heavy = match_latents(drawing, space, wanted[:1], LATENT, Descent(60, 0.1, 1000.0), weights=weights)
    assert np.abs(heavy).max() < 0.2, "the penalty holds latents near zero"


def test_pixels_are_found_by_features_of_all_layers(blobs: GeneratorPackage) -> None:
    network = Convnet(ARCHITECTURES["small"], seed=1, pooling="mean").eval().requires_grad_(False)
    latents = np.random.default_rng(4).standard_normal((12, LATENT)).astype(np.float32)
    pictures = blobs.draw(latents)
    every = FeatureSpace(network, network.architecture.pools, pictures)
    weights = every.weights(every.standard.scale**2)
    made = match_pixels(every, every.of(pictures[:2]), (SIDE, SIDE), Descent(80, 0.1, 0.0), weights=weights)
    r = [
        np.corrcoef(a.numpy().ravel(), b.transpose(2, 0, 1).ravel())[0, 1]
        for a, b in zip(made, pictures, strict=False)
    ]
    assert min(r) > 0.9


def test_every_layer_counts_alike_and_units_of_another_network_are_refused(space: FeatureSpace) -> None:
    assert len(space) == 600
    for weights in (space.weights(), space.weights(np.arange(600.0))):
        sums = np.bincount(space.layer, weights.numpy())
        assert sums == pytest.approx([1, 1], abs=1e-5)
    with pytest.raises(DataError, match="600 units of pool2, pool3"):
        match_pixels(space, np.zeros((1, 5)), (SIDE, SIDE), Descent(1))


def test_units_are_decoded_at_their_true_length_and_noise_is_worth_nothing() -> None:
    """Voxels of half signal: what is decoded is shrunk, and stretched again; units of pure noise count 0."""
    random = np.random.default_rng(0)
    latents = random.standard_normal((400, 3))
    units = np.concatenate(
        [latents @ random.standard_normal((3, 4)), random.standard_normal((400, 2))], axis=1
    )
    units /= units.std(0)
    brain = latents @ random.standard_normal((3, 30)) + 3 * random.standard_normal((400, 30))
    decoder = FeatureDecoder.fit(
        brain[:300], units[:300], latents[:300], np.arange(300) % 5, voxels=20, alpha=50.0
    )
    assert (decoder.worth[:4] > 0.2).all()
    assert (decoder.worth[4:] == 0).all()
    for unit in range(4):
        slope = np.polyfit(units[300:, unit], decoder(brain[300:])[:, unit], 1)[0]
        assert 0.7 < slope < 1.4


def test_the_distilled_network_answers_as_the_slow_way_does_and_reads_what_it_never_saw(
    fitted: tuple[Distilled, np.ndarray, np.ndarray],
) -> None:
    readout, brain, latents = fitted
    slow, answered = readout.slow(brain), readout.frozen(1).predict(brain)
    assert np.median(cosine(latents, slow)) > 0.7
    assert np.median(cosine(latents, answered)) > 0.7
    assert np.median(cosine(slow, answered)) > 0.7
    assert (readout.confidence(brain) > 0).any()
    with pytest.raises(DataError, match="another subject or mask"):
        readout.slow(brain[:, 1:])


def test_its_graph_gives_what_it_gives_without_control_flow(
    fitted: tuple[Distilled, np.ndarray, np.ndarray],
) -> None:
    readout, brain, _ = fitted
    graph = export_readout(readout.frozen(1))
    assert not {"If", "Loop", "Scan"} & {node.op_type for node in onnx.load_from_string(graph).graph.node}
    session = InferenceSession(graph)
    rows = brain[:8].astype(np.float32)
    came = np.concatenate([session.run(["latent"], {"brain": row[None]})[0] for row in rows])
    expected = readout.frozen(1).predict(rows)
    assert np.abs(came - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"alpha": -1.0}, "alpha = -1.0"),
        ({"batch": 1}, "batch = 1"),
        ({"layers": ["pool9"]}, "pool9"),
        ({"weights": "nowhere"}, "nowhere"),
        ({"architecture": "vgg16", "weights": "convnet-faces"}, "vgg16"),
    ],
)
def test_options_that_cannot_be_are_refused(
    blobs: GeneratorPackage, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        build_readout("distilled", generator=blobs, **(QUICK | options))
    assert {"layers", "voxels", "updates"} <= set(options_of("distilled"))


def test_a_training_file_becomes_a_bundle_with_both_ways_scored_and_a_report(
    tmp_path: Path, blobs: GeneratorPackage
) -> None:
    (tmp_path / "train.toml").write_text(TRAINING.replace('"generator"', json.dumps(str(blobs.folder))))
    scores = SYSTEM.train(
        tmp_path / "train.toml",
        tmp_path / "bundle",
        data_root=None,
        progress=lambda *_: None,
        even_at_chance=True,
    )
    bundle = Bundle.load(tmp_path / "bundle")
    assert system_of_bundle(bundle) is SYSTEM
    assert set(scores["ways"]) == {"single trials", "mean of a picture's trials"}
    assert {name: rows.shape for name, rows in read_slow(bundle).items()} == dict.fromkeys(
        scores["ways"], (10, LATENT)
    )
    assert bundle.spec.provenance.data["network small"]
    assert SLOW in bundle.spec.files
    report = SYSTEM.report(bundle, tmp_path / "report")
    assert report["ways"] == scores["ways"]
    page = Path(report["page"]).read_text("utf-8")
    assert "By gradient, and distilled" in page
    assert "convnet-faces" in page


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ('name = "distilled"', 'came .*"ridge"|ridge'),
        ("units = 60, voxels", "unknown"),
    ],
)
def test_another_readout_or_option_is_refused(
    tmp_path: Path, blobs: GeneratorPackage, wrong: str, said: str
) -> None:
    other = {'name = "distilled"': 'name = "ridge"', "units = 60, voxels": "unknown = 60, voxels"}[wrong]
    text = TRAINING.replace('"generator"', json.dumps(str(blobs.folder))).replace(wrong, other)
    (tmp_path / "train.toml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        SYSTEM.check(tmp_path / "train.toml", data_root=None)


def test_the_shipped_configuration_is_one(tmp_path: Path) -> None:
    config = load_gradient(SHIPPED["configs"] / "gradient-train.toml")
    assert config.readout.name == "distilled"
    assert SYSTEM.check(SHIPPED["configs"] / "gradient-train.toml", data_root=None) == []


def test_both_ways_are_rows_of_the_table_of_all_readers(blobs: GeneratorPackage) -> None:
    random = np.random.default_rng(6)
    latents = random.standard_normal((110, LATENT)).astype(np.float32)
    pictures = blobs.draw(latents)
    pixels = pictures[:, ::8, ::8].reshape(110, -1) / 255.0
    brain = (pixels - pixels.mean(0)) @ random.standard_normal((pixels.shape[1], 40))
    brain += 0.2 * brain.std(0) * random.standard_normal(brain.shape)
    lesson = Lesson(
        brain[:100], pictures[:100], latents[:100], np.repeat(np.arange(5), 20), pictures[:0], blobs.folder,
        effort=0.05,
    )  # fmt: skip
    assert SYSTEM.readers is not None
    mean = pixel_correlation(
        pictures[100:], np.repeat(pictures[:100].mean(0).astype(np.uint8)[None], 10, 0)
    ).mean()
    for reader in SYSTEM.readers():
        drawn = reader.read(lesson, brain[100:])
        assert drawn.shape == (10, SIDE, SIDE, 3), reader.title
        assert drawn.dtype == np.uint8
        assert pixel_correlation(pictures[100:], drawn).mean() > mean + 0.1, reader.title
