"""Pictures made through a network: what excites it, textures, styles, and what drives neurons that are planted."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")  # before the modules that need it, hence the imports below it

from commands import call  # noqa: E402
from PIL import Image  # noqa: E402

from bci.errors import ConfigError, DataError  # noqa: E402
from models.drawings.leaves import draw_leaves  # noqa: E402
from models.encoding.driving import drive  # noqa: E402
from models.encoding.neurons import NeuronFit, NeuronModel, fit_neurons  # noqa: E402
from models.encoding.planted_neurons import PlantedNeurons, plant_neurons  # noqa: E402
from models.networks.architectures import ARCHITECTURES  # noqa: E402
from models.networks.convnet import Convnet, planes_of  # noqa: E402
from models.networks.dreaming import (  # noqa: E402
    Octaves,
    dream_picture,
    excitement,
    gram,
    synthesise_texture,
    transfer_style,
)
from models.networks.matching import Descent  # noqa: E402

SIDE = 32


@pytest.fixture(scope="module")
def network() -> Convnet:
    return Convnet(ARCHITECTURES["small"], seed=2, pooling="mean").eval().requires_grad_(False)


@pytest.fixture(scope="module")
def cells(network: Convnet) -> tuple[np.ndarray, PlantedNeurons, NeuronModel]:
    """Return pictures, planted cells that saw them, and a model of these."""
    pictures = draw_leaves(400, size=SIDE, seed=0)
    cells = plant_neurons(4, pictures, 0)
    counts = cells.spikes(pictures, 4, np.random.default_rng(1))
    return (
        pictures,
        cells,
        fit_neurons(network, ["pool1", "pool4"], pictures, counts, NeuronFit(steps=150, rate=0.02)),
    )


def test_a_dream_excites_the_layer_and_the_channels_that_were_named(network: Convnet) -> None:
    picture, how = draw_leaves(1, size=SIDE, seed=1)[0], Octaves(count=2, steps=6)
    for channels in (None, [3]):
        made = dream_picture(network, picture, "pool2", channels=channels, octaves=how)
        before, after = (
            float(excitement(network(planes_of(one[None]), ["pool2"])["pool2"], "pool2", channels))
            for one in (picture, made)
        )
        assert made.shape == picture.shape
        assert after > 1.2 * before
    with pytest.raises(ConfigError, match=r"channels of pool2, 0 to 31, came 32"):
        dream_picture(network, picture, "pool2", channels=[32], octaves=how)


def test_a_texture_has_the_products_of_channels_and_not_the_places(network: Convnet) -> None:
    texture = draw_leaves(1, size=SIDE, seed=4)[0]
    made = synthesise_texture(network, texture, ["pool1", "pool2"], descent=Descent(60, 0.05, 0.0))
    again = synthesise_texture(network, texture, ["pool1", "pool2"], descent=Descent(60, 0.05, 0.0), seed=1)
    assert np.abs(made.astype(int) - again).mean() > 1, "other noise gives another picture"
    noise = np.random.default_rng(0).integers(0, 256, texture.shape, np.uint8)
    wanted, found, other = (
        gram(network(planes_of(one[None]), ["pool2"])["pool2"]) for one in (texture, made, noise)
    )
    assert float((found - wanted).norm()) < 0.3 * float((other - wanted).norm())
    with pytest.raises(DataError, match="layers whose Gram matrices"):
        synthesise_texture(network, texture, [])


def test_a_style_nears_the_style_s_products_and_keeps_the_content(network: Convnet) -> None:
    content, style = draw_leaves(2, size=SIDE, seed=5)
    made = transfer_style(
        network, content, style, content_layer="pool2", style_layers=["pool1"], descent=Descent(30, 0.03, 0.0)
    )
    of = {"content": content, "style": style, "made": made}
    grams = {name: gram(network(planes_of(one[None]), ["pool1"])["pool1"]) for name, one in of.items()}
    kept = {name: network(planes_of(one[None]), ["pool2"])["pool2"] for name, one in of.items()}
    assert (grams["made"] - grams["style"]).norm() < 0.5 * (grams["content"] - grams["style"]).norm()
    assert (kept["made"] - kept["content"]).norm() < 0.7 * (kept["style"] - kept["content"]).norm()


def test_counts_of_pictures_that_were_held_out_are_predicted_from_the_layer_that_does_it_best(
    cells: tuple[np.ndarray, PlantedNeurons, NeuronModel],
) -> None:
    _, _, model = cells
    assert model.layer == "pool1", "small cells are read from a layer of small fields"
    assert model.correlation.mean() > 0.5
    assert model.tried["pool1"] > model.tried["pool4"]


def test_a_picture_that_is_made_drives_a_planted_cell_above_every_picture_it_saw(
    cells: tuple[np.ndarray, PlantedNeurons, NeuronModel],
) -> None:
    pictures, planted, model = cells
    made = drive(model, pictures, [0, 2], descent=Descent(60, 0.05, 5.0))
    rates, seen = planted.rates(made.pictures), planted.rates(pictures)
    own = rates[[0, 1], [0, 2]]
    assert (own > np.quantile(seen, 0.99, axis=0)[[0, 2]]).all()
    assert (made.expected[[0, 1], [0, 2]] > made.best[[0, 2]]).all()
    alone = drive(model, pictures, [0, 2], "one-hot", descent=Descent(60, 0.05, 5.0))
    share = [one.expected[[0, 1], [0, 2]] / one.expected.sum(1) for one in (made, alone)]
    assert (share[1] >= share[0] - 0.05).all(), "the others are held down"
    mean, contrast = pictures.mean() / 255, (pictures / 255).std((1, 2, 3)).mean()
    assert np.abs((alone.pictures / 255).mean((1, 2, 3)) - mean).max() < 0.1
    assert np.abs((alone.pictures / 255).std((1, 2, 3)) - contrast).max() < 0.1


def test_neurons_that_cannot_be_are_refused(
    network: Convnet, cells: tuple[np.ndarray, PlantedNeurons, NeuronModel]
) -> None:
    pictures, _, model = cells
    with pytest.raises(ConfigError, match="neurons 0 to 3, came 4"):
        drive(model, pictures, [4])
    for counts, said in (
        (np.ones((3, 2)), "at least 20 pictures"),
        (np.full((400, 2), -1.0), "0 or more"),
    ):
        with pytest.raises(DataError, match=said):
            fit_neurons(network, ["pool1"], pictures, counts)


def test_recorded_pictures_and_counts_make_a_sheet(tmp_path: Path) -> None:
    pictures = draw_leaves(30, size=SIDE, seed=0)
    (tmp_path / "shown").mkdir()
    for k, one in enumerate(pictures):
        Image.fromarray(one).save(tmp_path / "shown" / f"{k:02d}.png")
    counts = plant_neurons(2, pictures, 0).spikes(pictures, 2, np.random.default_rng(0))
    np.save(tmp_path / "counts.npy", counts)
    words = ["synthesise", "drive", "--pictures", tmp_path / "shown", "--counts", tmp_path / "counts.npy"]
    out = tmp_path / "sheet.png"
    done = call(*words, "--neurons", 1, "--layers", "pool1", "--size", SIDE, "--out", out, "--json")
    assert done.status == 0, done.words
    assert done.result["layer"] == "pool1"
    with Image.open(out) as sheet:
        assert sheet.size == (160, 352)
    assert call(*words, "--planted", 3, "--out", out, "--json").status == 2, "one or the other"
