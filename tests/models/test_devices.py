"""Networks learn where they are told to: a card that is not there is refused before anything is spent on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bci.errors import ConfigError
from models.devices import device_of, mixed, repeatable
from models.drawings.eye_pictures import Pictures
from models.generators.adversarial.replicas import Replicas
from models.generators.regression import regress
from models.generators.vaegan import VaeGanSchedule, train_vaegan
from models.networks.learning import learn_faces
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


TRAINERS: dict[str, Callable[[], object]] = {
    "generator by regression": generator,
    "readout": readout,
    "readout in dreams": dreams,
    "variational autoencoder": lambda: train_vaegan(IMAGES, VaeGanSchedule(device="cuda")),
    "convolutional network": lambda: learn_faces(8, 1, 0, never, device="cuda"),
    "adversarial game": lambda: Replicas.join("float32", "cuda"),
}


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
