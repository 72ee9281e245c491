"""Sessions in which pictures of known latents were shown train a decoder that draws what it reads."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted_collection import collected_session

from bci.decoder.bundle import Bundle
from bci.errors import ConfigError, RecordingError
from bci.io.shipped import SHIPPED
from bci.signal.types import Signal
from models.generators.package import GeneratorPackage
from models.progress import WARNING
from models.systems.pictures.settings import load_pictures_file, parse_pictures
from models.systems.pictures.train import predict, score
from models.systems.pictures.trials import (
    TELLING_PICTURES,
    PictureTrials,
    cut_pictures,
    picture_folds,
    written_out,
)
from models.systems.registry import system_of_file

D = 64  # of the shipped generator of faces
TRAINING = """
kind = "pictures"
name = "own"
generator = "dcgan-faces"
[data]
sessions = {sessions}
[signal]
channels = ["O1", "Oz", "O2"]
[[pipeline]]
step = "band_pass"
low = 1.0
high = 30.0
order = 2
[epoch]
start = 0.1
stop = 0.3
mean = true
"""


def known_pictures(folder: Path, n: int = 24, d: int = D) -> tuple[Path, dict[str, np.ndarray]]:
    """Write pictures whose latents vary along three directions, and their latents; return what answers them."""
    folder.mkdir()
    random = np.random.default_rng(1)
    directions = np.linalg.qr(random.standard_normal((d, 3)))[0].T
    places = 8 * random.standard_normal((n, 3))
    latents = {f"{i:02}": (places[i] @ directions / 2).tolist() for i in range(n)}
    for name in latents:
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{name}.png")
    (folder / "latents.json").write_text(json.dumps(latents))
    return folder, {f"{i:02}": places[i] for i in range(n)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    stimuli, answers = known_pictures(folder / "faces")
    for i in range(2):
        collected_session(folder / f"s{i}", stimuli, 48, seed=i, latents=answers, aborted=(5,))
    return folder


@pytest.fixture
def training(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes a training file."""

    def write(sessions: str = '["s*"]', more: str = "") -> Path:
        path = tmp_path / "train.toml"
        path.write_text(more + TRAINING.format(sessions=sessions))
        return path

    return write


def test_pictures_that_were_not_fitted_on_are_told_and_drawn_by_the_bundle(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    path = training(more='size = "keep"\n')
    system = system_of_file(path)
    scores = system.train(path, tmp_path / "bundle", data_root=root, progress=lambda done, text: None)
    assert scores["left_out"]["aborted"] == 2
    assert scores["two_way"] > 0.75 > scores["two_way_chance"][1]
    bundle = Bundle.load(tmp_path / "bundle")
    assert (bundle.latent_size, bundle.image_size) == (D, (64, 64))
    assert {"s0", "s1"} < set(bundle.spec.provenance.data)
    decoded = system.held_out(bundle, data_root=root, progress=lambda done, text: None)
    assert len(decoded) == scores["trials"]
    assert not decoded.simulated
    found = system.find_data(path, data_root=root)
    assert found.rows[-1] == ("all", scores["trials"], 24)


def test_few_different_pictures_are_said_before_anything_is_fitted(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    path, lines = training(more='size = "keep"\n'), []
    system = system_of_file(path)
    system.train(path, tmp_path / "bundle", data_root=root, progress=lambda done, text: lines.append(text))
    said = [text for text in lines if "24 different pictures are few for latents of 64 numbers" in text]
    assert len(said) == 1
    assert said[0].startswith(WARNING)
    assert said[0].removeprefix(WARNING) in system.find_data(path, data_root=root).defects


def test_of_enough_pictures_nothing_is_said(training: Callable[..., Path], root: Path) -> None:
    trials = cut_pictures(written_out(load_pictures_file(training()), root), root, D)
    shown = tuple(f"{i:03}" for i in range(TELLING_PICTURES))
    assert replace(trials, names=shown).few == ()
    assert len(replace(trials, names=shown[1:]).few) == 1


def test_no_picture_is_in_two_folds(training: Callable[..., Path], root: Path) -> None:
    config = written_out(load_pictures_file(training()), root)
    trials = cut_pictures(config, root, D)
    held = np.stack(picture_folds(trials, config.folds, config.seed))
    assert (held.sum(axis=0) == 1).all()
    for fold in held:
        assert not set(trials.which[fold]) & set(trials.which[~fold])


def test_a_generator_of_another_latent_size_is_refused_with_both_sizes(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    stimuli, answers = known_pictures(tmp_path / "others", n=10, d=8)
    collected_session(tmp_path / "s", stimuli, 20, latents=answers)
    config = written_out(load_pictures_file(training('["s"]')), tmp_path)
    with pytest.raises(RecordingError, match=r"latents of 64 values, as generator dcgan-faces draws, came 8"):
        cut_pictures(config, tmp_path, D)


def test_pictures_without_latents_and_too_few_pictures_are_refused(
    training: Callable[..., Path], root: Path, tmp_path: Path
) -> None:
    stimuli, answers = known_pictures(tmp_path / "few", n=4)
    collected_session(tmp_path / "s", stimuli, 12, latents=answers)
    config = written_out(load_pictures_file(training('["s"]')), tmp_path)
    with pytest.raises(RecordingError, match=r"at least 10 pictures for 5 folds, came 12 trials of 4"):
        cut_pictures(config, tmp_path, D)
    (stimuli / "latents.json").unlink()
    with pytest.raises(RecordingError, match=r"expected the latent of picture '0\d' in latents.json"):
        cut_pictures(config, tmp_path, D)


def test_a_data_set_has_no_latents(training: Callable[..., Path]) -> None:
    path = training()
    path.write_text(path.read_text().replace('sessions = ["s*"]', 'bids = { folder = "x" }'))
    with pytest.raises(ConfigError, match="sessions of ours; came bids"):
        load_pictures_file(path)


def test_a_readout_that_cannot_beat_the_mean_scores_as_guessing_does() -> None:
    random, pictures = np.random.default_rng(3), 60
    names = tuple(f"{i:02}" for i in range(pictures))
    silent = PictureTrials(
        random.standard_normal((pictures, 40)).astype(np.float32), np.arange(pictures), np.zeros(pictures, np.int64),
        names, random.standard_normal((pictures, D)).astype(np.float32), Signal("EEG", 250.0, (1,), ("Oz",)), {}, {},
        (), False,
    )  # fmt: skip
    config = parse_pictures(
        {
            "kind": "pictures", "name": "own", "data": {"sessions": ["s"]}, "size": "keep",
            "signal": {"channels": ["Oz"]}, "epoch": {"start": 0.1, "stop": 0.3}, "readout": {"name": "ridge"},
        },
        "here",
    )  # fmt: skip
    faces = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    scores, claim = score(config, silent, predict(config, silent, faces))
    low, high = scores["two_way_chance"]
    assert low - 1e-9 <= scores["two_way"] <= high + 1e-9
    assert scores["two_way"] == pytest.approx(0.5, abs=0.05)  # .31 where each fold had a centre of its own
    assert claim.kind == "none"
