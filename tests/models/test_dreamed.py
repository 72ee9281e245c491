"""Readouts that learn in dreams: better than ridge where pictures tell more than latents, ridge where they do not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="training needs the extra train")

from bci.errors import ConfigError, DataError
from models.encoding.dreams import dream
from models.encoding.features import BANKS, features_of
from models.encoding.model import EncodingModel
from models.generators.package import GeneratorPackage
from models.metrics.latents import cosine
from models.readouts.dreamed import DIRECT, Dreamed
from models.readouts.family import build_readout

ROOT = Path(__file__).resolve().parents[2]
N, VOXELS = 180, 40
RUNS = np.repeat(np.arange(6), N // 6)
OPTIONS: dict[str, Any] = {"dreams": 600, "components": 30, "banks": ["brightness"], "seed": 3}


@pytest.fixture(scope="module")
def package() -> GeneratorPackage:
    return GeneratorPackage.load(ROOT / "models" / "bundles" / "dcgan-faces")


@pytest.fixture(scope="module")
def planted(package: GeneratorPackage) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return answers to the brightness of pictures, drowned in noise, and the latents of the pictures."""
    random = np.random.default_rng(11)
    latents = random.standard_normal((N + 60, package.spec.latent), np.float32)
    features = features_of(package.draw(latents), ["brightness"]).astype(np.float64)
    features = (features - features.mean(0)) / features.std(0)
    brain = features @ random.standard_normal((features.shape[1], VOXELS)) / 8
    return brain + 1.5 * random.standard_normal(brain.shape), latents


def fitted(package: GeneratorPackage, brain: NDArray[Any], latents: NDArray[Any], **options: Any) -> Dreamed:
    readout = build_readout("dreamed", generator=package, **(OPTIONS | options))
    assert isinstance(readout, Dreamed)
    return readout.fit(brain, latents, runs=RUNS)


def test_it_reads_trials_that_it_never_saw_better_than_ridge(
    package: GeneratorPackage, planted: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> None:
    brain, latents = planted
    readout = fitted(package, brain[:N], latents[:N])
    ridge = build_readout("ridge").fit(brain[:N], latents[:N], runs=RUNS)
    ours, theirs = (cosine(latents[N:], one.predict(brain[N:])).mean() for one in (readout, ridge))
    assert readout.choice_.taken == "dreamed"
    assert ours > theirs + 0.03, (ours, theirs, readout.choice_)
    assert readout.choice_.cosines[DIRECT] < max(readout.choice_.cosines.values())
    low, high = readout.posterior(brain[N:]).interval(0.9)
    assert 0.84 < ((latents[N:] >= low) & (latents[N:] <= high)).mean() < 0.95


def test_where_pictures_tell_nothing_ridge_is_taken(
    package: GeneratorPackage, planted: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> None:
    _, latents = planted
    random = np.random.default_rng(5)
    mixing = random.standard_normal((latents.shape[1], 60))
    brain = latents[:N] @ mixing + 0.1 * random.standard_normal((N, 60))
    readout = fitted(package, brain, latents[:N])
    assert readout.choice_.taken == DIRECT
    assert readout.choice_.cosines[DIRECT] > 0.8


def test_shuffled_answers_are_read_as_nothing(
    package: GeneratorPackage, planted: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> None:
    brain, latents = planted
    order = np.random.default_rng(2).permutation(N)
    readout = fitted(package, brain[:N][order], latents[:N])
    assert abs(cosine(latents[N:], readout.predict(brain[N:])).mean()) < 0.06
    assert np.abs(list(readout.choice_.cosines.values())).max() < 0.08


def test_the_same_seed_dreams_the_same_and_draws_once(package: GeneratorPackage) -> None:
    first = dream(package, 200, 9, ["brightness"])
    assert dream(package, 200, 9, ["brightness"]) is first
    other = dream(package, 200, 10, ["brightness"])
    assert not np.array_equal(first.latents, other.latents)
    np.testing.assert_array_equal(
        first.features[:5], features_of(package.draw(first.latents[:5]), ["brightness"])
    )


def test_an_encoding_model_finds_its_weights_and_the_noise_about_them() -> None:
    random = np.random.default_rng(0)
    features = random.standard_normal((400, 20)).astype(np.float32)
    noise = random.standard_normal((400, 3)) @ np.array([[1.0, 0.8, 0.0], [0.0, 0.6, 0.0], [0.0, 0.0, 0.5]])
    answers = features[:, :3] * 2.0 + 1.0 + noise
    model = EncodingModel.fit(features, answers, np.repeat(np.arange(4), 100))
    fresh = random.standard_normal((50, 20)).astype(np.float32)
    np.testing.assert_allclose(model(fresh), fresh[:, :3] * 2.0 + 1.0, atol=0.6)
    np.testing.assert_allclose(np.diag(model.noise), [1.0, 1.0, 0.25], rtol=0.25)
    assert model.noise[0, 1] / model.noise[0, 0] == pytest.approx(0.8, abs=0.15)
    assert (model.explained > 0.7).all()


def test_features_see_what_they_are_named_for() -> None:
    pictures = np.full((3, 64, 64, 3), 128, np.uint8)
    pictures[1, :, :, 0] = 200
    pictures[2, :, 32:] = 255
    brightness, colour, energy = (features_of(pictures, [name]) for name in BANKS)
    assert brightness[2, 4:8].mean() > brightness[2, :4].mean() + 0.4
    assert colour[1, :64].mean() > 0.2
    assert np.abs(colour[2]).max() < 1e-6
    assert energy[0].max() < 1e-3
    vertical_edge = energy[2].reshape(4, 6, 64).sum(axis=(0, 2))
    assert vertical_edge.argmax() == 0
    assert vertical_edge[0] > 3 * vertical_edge[3]


def test_what_does_not_fit_is_refused_with_both_sides(package: GeneratorPackage) -> None:
    with pytest.raises(ConfigError, match="needs the generator"):
        build_readout("dreamed")
    with pytest.raises(ConfigError, match="'colours'"):
        features_of(np.zeros((1, 64, 64, 3), np.uint8), ["colours"])
    with pytest.raises(ConfigError, match="multiples of 8"):
        features_of(np.zeros((1, 60, 64, 3), np.uint8), ["brightness"])
    random = np.random.default_rng(0)
    with pytest.raises(DataError, match=f"of size {package.spec.latent}, came latents of size 5"):
        fitted(package, random.standard_normal((N, 9)), random.standard_normal((N, 5)))
