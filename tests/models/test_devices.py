"""Networks learn where they are told to: a card that is not there is refused before anything is spent on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from blobs import LATENT, save_blobs

from bci.errors import ConfigError
from bci.io.shipped import SHIPPED
from models.devices import device_of, mixed, repeatable
from models.drawings.eye_pictures import Pictures
from models.drawings.leaves import draw_leaves
from models.encoding.driving import drive
from models.encoding.neurons import NeuronFit, fit_neurons
from models.generators.adversarial.replicas import Replicas
from models.generators.package import GeneratorPackage
from models.generators.regression import regress
from models.generators.vaegan import VaeGanSchedule, train_vaegan
from models.networks.architectures import ARCHITECTURES
from models.networks.convnet import Convnet
from models.networks.dreaming import Octaves, dream_picture, synthesise_texture, transfer_style
from models.networks.learning import learn_faces
from models.networks.matching import Descent, FeatureSpace, match_pixels
from models.networks.weights import identity
from models.readouts.distilled import Distilled
from models.readouts.dream_schedule import DreamSchedule
from models.readouts.dream_training import networks
from models.readouts.dream_trials import DreamedTrials
from models.readouts.gradient import LatentLoss, Schedule, layers, train

ROWS = np.zeros((4, 3), np.float32)
IMAGES = np.zeros((4, 8, 8, 3), np.uint8)


def never(done: float, text: str) -> None:
    raise AssertionError("something was begun")


def generator() -> None:
    pictures = Pictures(ROWS, IMAGES)
    regress(
        torch.nn.Linear(3, 3), pictures, pictures, steps=1, batch=1, rate=1e-3, seed=0, threads=1, device="cuda",
        progress=never,
    )  # fmt: skip


def readout() -> None:
    train(layers((3, 3), bias=True, seed=0), ROWS, ROWS, LatentLoss(), Schedule(device="cuda"))


def dreams() -> None:
    trials = DreamedTrials.__new__(DreamedTrials)
    for name in ("answers", "latents"):
        object.__setattr__(trials, name, ROWS)
    next(iter(networks(trials, ROWS, ROWS, DreamSchedule(device="cuda"), 0)))


def distilled() -> None:
    package = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    random = np.random.default_rng(0)
    brain, latents = random.standard_normal((20, 3)), random.standard_normal((20, package.spec.latent))
    Distilled(package, device="cuda").fit(brain, latents)


TRAINERS: dict[str, Callable[[], object]] = {
    "generator by regression": generator,
    "readout": readout,
    "readout in dreams": dreams,
    "variational autoencoder": lambda: train_vaegan(IMAGES, VaeGanSchedule(device="cuda")),
    "convolutional network": lambda: learn_faces(8, 1, 0, never, device="cuda"),
    "distilled readout": distilled,
    "adversarial game": lambda: Replicas.join("float32", "cuda"),
}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """Return a device that computes nothing but refuses what lies on the processor, as a card does."""

    def copied(value: torch.Tensor, *_: object) -> torch.Tensor:
        return (255 * torch.rand(value.shape)).to(value.dtype) if value.is_meta else value

    place = torch.device("meta")
    monkeypatch.setattr(torch.Tensor, "cpu", copied)
    monkeypatch.setattr("models.readouts.distilled.device_of", lambda name: place)
    return place


def test_pictures_and_neurons_are_computed_where_their_network_is(elsewhere: torch.device) -> None:
    network = Convnet(ARCHITECTURES["small"], seed=1, pooling="mean").requires_grad_(False).to(elsewhere)
    pictures, how = draw_leaves(24, size=32, seed=0), Descent(2)
    dream_picture(network, pictures[0], "pool2", octaves=Octaves(count=2, steps=1))
    synthesise_texture(network, pictures[0], ["pool1"], descent=how)
    transfer_style(network, *pictures[:2], content_layer="pool2", style_layers=["pool1"], descent=how)
    space = FeatureSpace(network, ["pool2"], pictures, most=50)
    assert match_pixels(space, space.of(pictures[:2]), (32, 32), how).device == elsewhere
    counts = np.random.default_rng(0).poisson(2.0, (24, 3)).astype(np.float64)
    model = fit_neurons(network, ["pool1"], pictures, counts, NeuronFit(steps=2))
    assert model.channels.device == elsewhere
    assert drive(model, pictures, [0, 2], "one-hot", descent=how).pictures.shape == (2, 32, 32, 3)


def test_a_network_is_distilled_where_it_is_told_to_and_read_on_the_processor(
    elsewhere: torch.device, tmp_path: Path
) -> None:
    save_blobs(tmp_path / "blobs")
    readout = Distilled(
        GeneratorPackage.load(tmp_path / "blobs"), layers=["pool2"], units=30, voxels=8, steps=2, device="cuda",
        pictures=40, first=2, updates=2, batch=8, hidden=8,
    )  # fmt: skip
    random = np.random.default_rng(3)
    brain, latents = random.standard_normal((40, 12)), random.standard_normal((40, LATENT)).astype(np.float32)
    readout.fit(brain, latents)
    assert readout.network.device == elsewhere
    assert readout.predict(brain[:3]).shape == readout.slow(brain[:3]).shape == (3, LATENT)
    assert len(identity(readout.network)) == 64


@pytest.mark.parametrize("trainer", TRAINERS.values(), ids=TRAINERS)
def test_a_card_that_is_not_there_is_refused(
    trainer: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="expected an NVIDIA card that torch can use, came none"):
        trainer()


def test_a_processor_is_used_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert Replicas.join("float32", "cpu").device.type == "cpu"
    with pytest.raises(ConfigError, match="expected 'cpu' or 'cuda', came 'tpu'"):
        device_of("tpu")
    with pytest.raises(ConfigError, match="expected an NVIDIA GPU for precision bfloat16"):
        mixed(torch.device("cpu"), "bfloat16")


def test_a_card_is_asked_for_kernels_that_repeat_and_a_processor_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)

    def state() -> tuple[bool, bool, bool]:
        cudnn = torch.backends.cudnn
        return torch.are_deterministic_algorithms_enabled(), cudnn.benchmark, cudnn.allow_tf32

    before = state()
    with repeatable(torch.device("cpu")):
        assert state() == before
    with repeatable(torch.device("cuda")):
        assert state() == (True, False, False)
    assert state() == before


def test_a_checkpoint_does_not_say_where_it_was_learned(tmp_path: Path) -> None:
    from models.generators.dcgan_settings import DcganConfig

    given = {"kind": "dcgan", "name": "a", "pictures": {"source": "faces"}}
    assert (
        DcganConfig.model_validate(given).digest
        == DcganConfig.model_validate({**given, "run": {"device": "cpu"}}).digest
    )
