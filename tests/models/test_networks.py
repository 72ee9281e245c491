"""Convolutional networks that look at pictures: published ones as data, weights of the user's file, one of our own."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")  # before the modules that need it, hence the imports below it

import torch.nn.functional as F  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from bci.errors import ConfigError, DataError  # noqa: E402
from models.networks.architectures import ARCHITECTURES  # noqa: E402
from models.networks.convnet import Convnet, flat, planes_of  # noqa: E402
from models.networks.learning import card, learn  # noqa: E402
from models.networks.settings import NetworkSettings  # noqa: E402
from models.networks.weights import identity, open_network, weights_file  # noqa: E402


def noise(n: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "layer", "side", "shape"),
    [
        ("alexnet", "pool5", 224, (256, 6, 6)),
        ("caffenet", "pool5", 227, (256, 6, 6)),
        ("vgg16", "pool3", 64, (256, 8, 8)),
        ("vgg19", "conv3_4", 64, (256, 16, 16)),
        ("small", "pool4", 64, (128, 4, 4)),
    ],
)
def test_a_published_network_has_the_sizes_that_it_was_published_with(
    name: str, layer: str, side: int, shape: tuple[int, int, int]
) -> None:
    assert Convnet(ARCHITECTURES[name]).shapes(side, side, [layer]) == {layer: shape}


def test_weights_by_torchvision_s_names_give_what_its_own_layers_in_a_row_give(tmp_path: Path) -> None:
    """AlexNet as torchvision builds it, layer by layer, on the same weights; dense layers in the file are left out."""
    torch.manual_seed(0)
    plain = torch.nn.Sequential(
        torch.nn.Conv2d(3, 64, 11, 4, 2), torch.nn.ReLU(), torch.nn.MaxPool2d(3, 2),
        torch.nn.Conv2d(64, 192, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(3, 2),
        torch.nn.Conv2d(192, 384, 3, padding=1), torch.nn.ReLU(),
        torch.nn.Conv2d(384, 256, 3, padding=1), torch.nn.ReLU(),
        torch.nn.Conv2d(256, 256, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(3, 2),
    )  # fmt: skip
    held = {f"features.{name}": value for name, value in plain.state_dict().items()}
    save_file(held | {"classifier.1.weight": torch.zeros(2, 2)}, tmp_path / "alex.safetensors")
    network = open_network(
        NetworkSettings(architecture="alexnet", weights=Path("alex.safetensors")), tmp_path
    )
    pictures = planes_of(noise(2, 64))
    normalised = (pictures - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    with torch.no_grad():
        assert torch.equal(network(pictures, ["pool5"])["pool5"], plain(normalised))
    assert network.origin == "weights of alex.safetensors"


def test_caffe_s_network_sees_blue_first_in_levels_about_its_mean() -> None:
    network = Convnet(ARCHITECTURES["caffenet"])
    seen: list[torch.Tensor] = []
    network.convolutions["conv1"].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    picture = torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 67, 67)
    with torch.no_grad():
        network(picture, ["conv1"])
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([0 - 104, 127.5 - 117, 255 - 123], abs=1e-3)


@pytest.mark.parametrize("half", [False, True])
def test_a_file_of_weights_is_read_back_as_it_was_written(tmp_path: Path, half: bool) -> None:
    network = Convnet(ARCHITECTURES["small"], seed=3)
    (tmp_path / "weights.safetensors").write_bytes(weights_file(network, half=half))
    again = open_network(NetworkSettings(weights=tmp_path), tmp_path)
    assert (identity(again) == identity(network)) is not half
    for name, module in network.convolutions.items():
        assert torch.allclose(again.convolutions[name].weight, module.weight, rtol=1e-3, atol=1e-6)
    assert not any(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "none of that name"),
        (b"nonsense", "expected weights in safetensors, came"),
        ({"other.weight": torch.zeros(1)}, r"features.0.weight of shape \(16, 3, 3, 3\), came other.weight"),
        ({"features.0.weight": torch.zeros(64, 3, 11, 11)}, r"came \(64, 3, 11, 11\): they are another"),
        ({"features.0.weight": torch.full((16, 3, 3, 3), torch.nan)}, "came values that are no numbers"),
    ],
)
def test_weights_of_another_network_are_refused_with_both_sides_named(
    tmp_path: Path, content: object, said: str
) -> None:
    file = tmp_path / "w.safetensors"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif isinstance(content, dict):
        save_file(content, file)
    with pytest.raises(ConfigError, match=said):
        open_network(NetworkSettings(weights=Path("w.safetensors")), tmp_path)


def test_layers_and_pictures_that_do_not_fit_are_refused() -> None:
    network = Convnet(ARCHITECTURES["small"])
    with pytest.raises(ConfigError, match=r"pool4, came 'pool5'"):
        network(planes_of(noise(1, 64)), ["pool5"])
    with pytest.raises(DataError, match=r"layer pool4 of small, which needs 2 × 2 values, came 1 × 1"):
        network(planes_of(noise(1, 8)), ["pool4"])
    with pytest.raises(DataError, match="red, green, blue"):
        network(torch.zeros(1, 1, 64, 64), ["pool1"])
    resized = Convnet(ARCHITECTURES["small"], side=64)
    assert resized.shapes(8, 8, ["pool4"]) == {"pool4": (128, 4, 4)}


def test_features_of_many_pictures_are_those_of_each_and_gradients_reach_the_picture() -> None:
    network = Convnet(ARCHITECTURES["small"], pooling="mean")
    pictures = noise(70, 16)
    rows = network.features(pictures, ["pool1", "pool2"])
    assert rows.shape == (70, 16 * 64 + 32 * 16)
    alone = network.features(pictures[66:67], ["pool1", "pool2"])
    assert np.allclose(rows[66], alone[0], atol=1e-5)
    seen = planes_of(pictures[:1]).requires_grad_()
    flat(network(seen, ["pool2"])).sum().backward()
    assert seen.grad is not None
    assert bool(torch.isfinite(seen.grad).all())
    assert float(seen.grad.abs().max()) > 0
    assert torch.equal(
        network(seen, ["pool1"])["pool1"], F.avg_pool2d(network(seen, ["conv1_1"])["conv1_1"], 2)
    )


def test_a_network_learns_attributes_of_pictures_and_says_how_well_it_tells_others() -> None:
    """How red a picture is on its left, against its right, is planted; what is noise is told by nothing."""
    random = np.random.default_rng(0)
    attributes = random.uniform(-1, 1, (200, 2)).astype(np.float32)
    pictures = noise(200, 16) // 4 + 64
    tinted = (
        pictures + (60 * attributes[:, :1, None] * np.where(np.arange(16) < 8, 1, -1)).astype(int)[..., None]
    )
    learned = learn(tinted.astype(np.uint8), attributes, ("left", "noise"), 80, 0, lambda done, text: None)
    assert learned.explained["left"] > 0.8
    assert learned.explained["noise"] < 0.3
    assert "| left | 0." in card(learned)
    assert "learned from 180 pictures, 80 steps" in card(learned)
    assert not any(parameter.requires_grad for parameter in learned.network.parameters())
