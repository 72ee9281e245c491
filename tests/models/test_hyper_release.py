"""A release in the true layout is trained on and scored, by any of the paper's models; what does not fit is refused."""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import call
from PIL import Image

from bci.decoder.bundle import Bundle
from bci.errors import BundleError, ConfigError
from bci.io.files.cells import read_rows
from benchmarks.planted_release import NAME, TRAINING, Size, write_release
from models.datasets.hyper import load_hyper
from models.generators.layers import Layers, network_of
from models.generators.package import GeneratorPackage
from models.metrics.latents import cosine
from models.readouts.linear import LinearReadout, Solution
from models.readouts.scaling import Standard
from models.systems.hyper_release.heldout import decode_faces
from models.systems.hyper_release.model import readout_of, similarity_rows
from models.systems.hyper_release.occlusion import occlude_unit
from models.systems.hyper_release.report import attributes_of
from models.systems.hyper_release.settings import load_release
from models.systems.hyper_release.train import train_release

SIZE = Size(voxels=192, train=240, test=20, snr=4.0, channels=(16, 8), convolutions=2)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("release")
    write_release(folder, SIZE)
    return folder


def quiet(done: float, text: str) -> None:
    """Take no note of progress."""


def file_of(release: Path, name: str, *changes: tuple[str, str]) -> Path:
    """Write a training file beside the release's own, with another readout or model."""
    text = TRAINING.replace("epochs = 60, rate = 1e-3", "epochs = 6, rate = 3e-3")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (release / f"{name}.toml").write_text(text)
    return release / f"{name}.toml"


def test_faces_of_many_noisy_presentations_are_not_unlike_the_single_ones_of_training(tmp_path: Path) -> None:
    """A session plays the means of the test's faces; refused as unlike training, none would be shown."""
    write_release(tmp_path, replace(SIZE, snr=0.2))
    train_release(file_of(tmp_path, "plain"), tmp_path / "bundle", tmp_path, quiet, even_at_chance=True)
    novelty = Bundle.load(tmp_path / "bundle").spec.novelty
    assert novelty is not None
    assert novelty.flagged <= 0.1


def test_a_release_is_trained_on_and_its_test_faces_are_decoded_as_the_bundle_says(
    release: Path, tmp_path: Path
) -> None:
    scores = train_release(file_of(release, "plain"), tmp_path / "bundle", release, quiet)
    assert scores["two_way"] > 0.8 > scores["two_way_chance"][1]
    assert scores["baselines"]["read"]["cosine"] > 0.2 > scores["baselines"]["exchanged"]["cosine"]
    bundle = Bundle.load(tmp_path / "bundle")
    decoded = decode_faces(bundle, release)
    # The graph rescales what is read, which leaves its direction as it was scored.
    assert cosine(decoded.latents, decoded.predicted).mean() == pytest.approx(scores["cosine"], abs=1e-5)
    assert np.linalg.norm(decoded.predicted, axis=1) == pytest.approx(np.full(20, 512**0.5), rel=1e-5)
    package = GeneratorPackage.load(release / "generator")
    assert np.abs(decoded.seen.astype(int) - package.draw(decoded.latents)).max() <= 2
    rows = attributes_of(release, decoded, 0)
    assert [row["attribute"] for row in rows] == ["gender", "age", "eyeglasses", "pose", "smile"]
    content = (release / "data_1.dat").read_bytes()
    (release / "data_1.dat").write_bytes(content + b" ")
    try:
        with pytest.raises(BundleError, match="expected the file that bundle 'hyper-planted' was trained on"):
            decode_faces(bundle, release)
    finally:
        (release / "data_1.dat").write_bytes(content)


def test_what_a_release_holds_is_said(release: Path) -> None:
    done = call("data", file_of(release, "found"), "--data", release, "--json")
    assert done.status == 0, done.words
    assert done.result["rows"] == [["training", 240, 240, 192, 1], ["test", 20, 20, 192, 14]]
    assert "no runs are stated" in done.words


def test_a_model_of_one_layer_is_fitted_through_the_generator(release: Path) -> None:
    package = GeneratorPackage.load(release / "generator")
    train, _ = load_hyper(release, 1)
    layers = Layers(package)
    assert layers.names[1:4] == ("layer 2, 16 × 4 × 4", "layer 3, 8 × 8 × 8", "layer 4, 8 × 8 × 8")

    x, y = Standard.of(train.brain).forward(train.brain), train.latents

    def solution(model: str) -> Solution:
        config = load_release(file_of(release, "layer", ("latent = true", model)))
        readout = readout_of(config, package)
        assert isinstance(readout, LinearReadout)
        solved: Solution = readout.solver.solve(x, y, np.arange(len(x)))
        return solved

    models = {
        "latent": "latent = true",
        "layer": "latent = false\nlayer = 3\ncrop = 2",
        "both": "latent = true\nlayer = 3\ncrop = 2",
    }
    wanted, right, like = layers.activations(3, y, crop=2), {}, {}
    for name, model in models.items():
        found = solution(model)
        read = x @ found.weights + found.intercept
        right[name] = float(((wanted - layers.activations(3, read, crop=2)) ** 2).mean())
        like[name] = float(cosine(y, read).mean())
    # What counts is what becomes right: the layer, the latent, or some of each.
    assert max(right["layer"], right["both"]) < 0.8 * right["latent"]
    assert like["layer"] < 0.1 < like["both"] < like["latent"] - 0.3
    with pytest.raises(ConfigError, match=r"expected one of the generator's layers, 1 to 5 .*, came 6"):
        solution("latent = true\nlayer = 6")


def test_the_layers_of_a_package_are_those_of_its_graph(release: Path) -> None:
    package = GeneratorPackage.load(release / "generator")
    latents = np.random.default_rng(1).standard_normal((3, 512)).astype(np.float32)
    picture = Layers(package)(5)(torch.from_numpy(latents)).numpy()
    levels = np.round(255 * np.clip((picture + 2) / 4, 0, 1)).transpose(0, 2, 3, 1)
    assert np.abs(levels - package.draw(latents)).max() <= 1
    shipped = Path(__file__).resolve().parents[2] / "models/bundles/dcgan-faces"
    with pytest.raises(BundleError, match=r"with weights.safetensors, came .*generator.onnx"):
        network_of(GeneratorPackage.load(shipped))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([(f'"{NAME}"', '"pggan-celebahq-1024"')], f"'pggan-celebahq-1024'.* came '{NAME}'"),
        ([("latent = true", "latent = false")], "latent = true, a layer, or both"),
        ([("latent = true", "layer = 4"), ('"dense"', '"ridge"')], "name = 'dense'"),
        ([("latent = true", "crop = 4")], "crop is of a layer"),
    ],
)
def test_what_does_not_fit_is_refused(
    release: Path, tmp_path: Path, changes: list[tuple[str, str]], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        train_release(file_of(release, "bad", *changes), tmp_path / "bundle", release, quiet)
    assert not (tmp_path / "bundle").exists()


def test_the_similarity_of_the_released_code_is_beaten_by_zeros() -> None:
    random = np.random.default_rng(0)
    truth = random.standard_normal((50, 512))
    rows = similarity_rows(truth, 0.3 * truth + 0.9 * random.standard_normal((50, 512)), np.zeros(512), 0)
    assert rows["zero"]["similarity"] == pytest.approx(0.5, abs=0.01)
    assert rows["random"]["similarity"] == pytest.approx(1 / 3, abs=0.01)
    assert rows["read"]["similarity"] < rows["zero"]["similarity"]
    assert rows["read"]["cosine"] > 0.25 > rows["exchanged"]["cosine"]


def test_a_searchlight_through_readout_and_generator_leaves_noise_without_a_layer(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(release / "generator", tmp_path / "generator")
    parts = pickle.loads((release / "data_1.dat").read_bytes())
    places = np.stack(np.meshgrid(np.arange(6), np.arange(8), np.arange(4), indexing="ij"), -1).reshape(-1, 3)
    noise = places[:, 0] >= 3  # that half of the grid answers nothing
    for brain in parts[::2]:
        brain[:, noise] = np.random.default_rng(4).standard_normal((len(brain), noise.sum()))
    (tmp_path / "data_1.dat").write_bytes(pickle.dumps(parts, 3))
    dense = TRAINING[TRAINING.index('name = "dense"') :]
    (tmp_path / "ridge.toml").write_text(TRAINING.replace(dense, 'name = "ridge"\n'))
    train_release(tmp_path / "ridge.toml", tmp_path / "bundle", tmp_path, quiet)
    np.save(tmp_path / "places.npy", places)
    words = ["searchlight", str(tmp_path / "bundle"), "--data", str(tmp_path), "--layers", "1,3", "--json"]
    words += ["--side", "5", "--places", str(tmp_path / "places.npy"), "--out", str(tmp_path / "map")]
    done = call(*words)
    assert done.status == 0, done.words
    rows = read_rows((tmp_path / "map" / "layer-map.csv").read_text(encoding="utf-8"))
    assert [int(row["x"]) for row in rows] == places[:, 0].tolist()
    z = np.array([float(row["layer 1: z"]) for row in rows])
    given = np.array([row["layer"] != "" for row in rows])
    far = places[:, 0] == 5  # cubes before hold some of the other half
    assert z[places[:, 0] < 2].mean() > 1.5
    assert abs(z[far].mean()) < 1.0
    assert not given[far].any()
    assert given.any()
    assert done.result["no layer"] == (~given).sum()
    with Image.open(tmp_path / "map" / "layer-map.png") as sheet:
        assert sheet.size == (4 * 9 * 4, 7 * 4)
    # One unit was lost with its worker: it alone is computed again, from what is sent to workers.
    written = (tmp_path / "map" / "layer-map.csv").read_bytes()
    units = sorted((tmp_path / "map" / "units").glob("*.json"))
    assert len(units) == 12
    units[3].unlink()
    begun = []

    def elsewhere(**given: Any) -> dict[str, Any]:
        begun.append(given["first"])
        return occlude_unit(**pickle.loads(pickle.dumps(given)))

    monkeypatch.setattr("models.systems.hyper_release.layer_map.occlude_unit", elsewhere)
    assert call(*words).status == 0
    assert len(begun) == 1
    assert (tmp_path / "map" / "layer-map.csv").read_bytes() == written
    np.save(tmp_path / "places.npy", places[:70])
    assert "(192, 3) whole numbers" in call(*words).words
