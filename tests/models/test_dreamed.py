"""Readouts that learn in dreams: better than ridge where pictures tell more than latents, ridge where they do not."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession

pytest.importorskip("sklearn", reason="training needs the extra train")

from bci.errors import ConfigError, DataError
from models.encoding.choice import choose_banks
from models.encoding.dreams import dream
from models.encoding.expecting import encoding_of, foretold
from models.encoding.features import BANKS, features_of
from models.encoding.model import EncodingModel
from models.encoding.white import WhiteEncoding
from models.generators.package import GeneratorPackage
from models.metrics.latents import cosine
from models.readouts.dream_schedule import DreamSchedule
from models.readouts.dream_trials import DreamedTrials
from models.readouts.dreamed import DIRECT, Dreamed
from models.readouts.dreamed_network import DreamedNetwork
from models.readouts.export import export_readout
from models.readouts.family import build_readout
from models.readouts.fitted import FittedReadout
from models.readouts.maps import Network
from models.readouts.scaling import Standard

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
    assert readout.choice_.dreamed
    assert ours > theirs + 0.03, (ours, theirs, readout.choice_)
    assert readout.choice_.cosines[DIRECT] < max(readout.choice_.cosines.values())
    low, high = readout.posterior(brain[N:]).interval(0.9)
    assert 0.84 < ((latents[N:] >= low) & (latents[N:] <= high)).mean() < 0.95
    encoding = encoding_of(readout, latents[:N], readout.predict)
    assert encoding is not None
    assert (encoding.banks, encoding.trials, encoding.latent) == (("brightness",), N, package.spec.latent)
    # What is read of other trials is foretold of their pictures, and the noise is what is left.
    pictures, read = package.draw(latents[N:]), readout.predict(brain[N:])
    assert 0.1 < foretold(encoding, pictures, read) < 0.9
    assert foretold(encoding, pictures[::-1], read) < 0
    left = float(((read - encoding.expected(pictures)) ** 2).sum() / len(read))
    assert float(np.trace(encoding.noise)) == pytest.approx(left, rel=0.25)


def test_two_runs_are_enough_and_one_is_not(
    package: GeneratorPackage, planted: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> None:
    brain, latents = planted
    readout = build_readout("dreamed", generator=package, **OPTIONS)
    assert isinstance(readout, Dreamed)
    # With either run left out, one is left: its blocks are held out in turn.
    readout.fit(brain[:N], latents[:N], runs=np.repeat([3, 8], N // 2))
    assert (readout.choice_.trials, readout.choice_.dreamed) == (N, True)
    assert cosine(latents[N:], readout.predict(brain[N:])).mean() > 0.1
    with pytest.raises(DataError, match="expected at least 2 runs to hold one out, came 1"):
        readout.fit(brain[:N], latents[:N], runs=np.zeros(N))


def test_a_network_reads_them_too_says_how_surely_and_is_exported_as_it_was_fitted(
    package: GeneratorPackage, planted: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> None:
    pytest.importorskip("torch", reason="networks need the extra train")
    brain, latents = planted
    options = OPTIONS | {"hidden": 64, "steps": 300, "batch": 64, "folds": 2, "tuning": 9}
    readout = build_readout("dreamed-network", generator=package, **options)
    assert isinstance(readout, DreamedNetwork)
    readout.fit(brain[:N], latents[:N], runs=RUNS)
    cosines = readout.choice_.cosines
    # Every stop on the way is a possibility: runs held out choose among them, and the linear readouts and ridge.
    stops = [f"network, {steps} steps" for steps in (100, 200, 300)]
    stops += [f"network, 300 steps and {steps} on real trials" for steps in (3, 6, 9)]
    assert [name for name in cosines if name.startswith("network")] == stops
    assert readout.choice_.trials == 90
    # Planted noise is Gaussian, so real trials are as dreamed ones are.
    assert readout.choice_.likeness.alike
    assert "further from their prediction" in str(readout.choice_)
    assert readout.choice_.taken == max(cosines, key=cosines.__getitem__)
    assert cosines[stops[2]] > cosines[DIRECT], readout.choice_
    ours = cosine(latents[N:], readout.predict(brain[N:])).mean()
    assert ours > 0.1
    low, high = readout.posterior(brain[N:]).interval(0.9)
    assert 0.84 < ((latents[N:] >= low) & (latents[N:] <= high)).mean() < 0.95


def test_a_network_of_answers_is_exported_as_one_of_voxels(
    package: GeneratorPackage, planted: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> None:
    pytest.importorskip("torch", reason="networks need the extra train")
    from models.readouts.dream_training import networks

    brain, latents = planted
    voxels, scale = Standard.of(brain[:N]), Standard.of(latents[:N].astype(np.float64))
    x, y = voxels.forward(brain), scale.forward(latents.astype(np.float64))
    features = features_of(package.draw(latents[:N]), ["brightness"])
    encoding = WhiteEncoding.fit(x[:N], features, RUNS, components=30, axes=20)
    trials = DreamedTrials.of(encoding, dream(package, 600, 3, ["brightness"]), scale)
    schedule = DreamSchedule(hidden=32, steps=120, batch=64, tuning=9)
    real = trials.real(x[:N]), (y[:N] - trials.mean).astype(np.float32)
    last = "network, 120 steps and 9 on real trials"
    ((name, layers, spread),) = networks(trials, *real, schedule, 0, only=last)
    assert name == last
    halved = spread.scaled(np.full(y.shape[1], 0.5))
    network = FittedReadout(voxels, scale, trials.network(layers, halved), np.eye(y.shape[1]))
    # What reads answers and what reads voxels say the same.
    hidden = trials.real(x[N:])
    for number, (weights, bias) in enumerate(layers):
        hidden = (np.maximum(hidden, 0) if number else hidden) @ weights + bias
    np.testing.assert_allclose(network.standard(brain[N:]), hidden + trials.mean, atol=1e-4)
    test = brain[N:].astype(np.float32)
    session = InferenceSession(export_readout(network, batch=len(test)))
    read, sure = session.run(["latent", "confidence"], {"brain": test})
    np.testing.assert_allclose(read, network.predict(test), atol=1e-5)
    # How sure it is comes of the variance that it states of each trial, in the graph as in the readout.
    np.testing.assert_allclose(sure, network.confidence(test), atol=1e-5)
    of_all = FittedReadout(voxels, scale, trials.network(layers), np.eye(y.shape[1])).confidence(test)
    assert np.abs(sure - of_all).max() > 0.01
    assert cosine(latents[N:], read).mean() > 0.1


def test_a_network_states_the_variance_that_each_trial_leaves() -> None:
    pytest.importorskip("torch", reason="networks need the extra train")
    from models.readouts.dream_training import networks

    # An answer that saturates tells much of small latents and little of large ones.
    random = np.random.default_rng(4)
    latents = random.standard_normal((4000, 1)).astype(np.float32)
    trials = DreamedTrials(
        MagicMock(WhiteEncoding), 5 * np.tanh(2 * latents), latents, np.zeros(1), np.zeros(1)
    )
    schedule = DreamSchedule(hidden=32, steps=600, batch=128, learning_rate=1e-2, tuning=0, checks=1)
    nothing = np.zeros((0, 1), np.float32)
    ((_, layers, spread),) = networks(trials, nothing, nothing, schedule, 0)
    network = Network(layers, spread=spread)
    answers = np.array([[-5.5], [0.0], [2.0], [5.5]], np.float32)
    stated = network.variance(answers)
    assert stated is not None
    z = np.linspace(-5, 5, 4001)
    belief = np.exp(-(z**2) / 2 - (answers - 5 * np.tanh(2 * z)) ** 2 / 2)
    belief /= belief.sum(axis=1, keepdims=True)
    mean = belief @ z
    variance = belief @ z**2 - mean**2
    assert variance[0] > 10 * variance[1]
    np.testing.assert_allclose(network(answers)[:, 0], mean, atol=0.15)
    # Where it is large it is stated as it is; where it is small, first weights decide by what factor it is overstated.
    np.testing.assert_allclose(stated[[0, 3], 0], variance[[0, 3]], rtol=0.6)
    assert stated[1, 0] < stated[[0, 3], 0].min() / 4


def test_pictures_are_identified_by_their_likelihood(
    package: GeneratorPackage, planted: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> None:
    brain, latents = planted
    readout = fitted(package, brain[:N], latents[:N])
    candidates = package.draw(latents[N : N + 24])
    logs = readout.log_likelihood(brain[N : N + 24], candidates)
    assert logs.shape == (24, 24)
    assert (logs.argmax(axis=1) == np.arange(24)).mean() > 0.5
    # More presentations, more sureness: the order stays, the differences grow.
    np.testing.assert_allclose(readout.log_likelihood(brain[N:][:24], candidates, repeats=3), 3 * logs)


def test_banks_are_chosen_by_what_they_tell_in_runs_held_out(
    package: GeneratorPackage, planted: tuple[NDArray[np.float64], NDArray[np.float32]]
) -> None:
    brain, latents = planted
    x = Standard.of(brain[:N]).forward(brain[:N])
    features = {"brightness": features_of(package.draw(latents[:N]), ["brightness"])}
    features["noise"] = np.random.default_rng(0).standard_normal((N, 300)).astype(np.float32)
    banks, told = choose_banks(x, features, RUNS, components=30, axes=20)
    assert banks == ("brightness",)
    assert list(told) == ["brightness + noise", "noise", "brightness"]
    assert told["brightness"] > told["brightness + noise"] > told["noise"]
    assert told["brightness"] > 0.5
    assert abs(told["noise"]) < 0.3
    with pytest.raises(ConfigError, match="or 'chosen', came 'all'"):
        build_readout("dreamed", generator=package, banks="all")


def test_the_family_names_the_network_without_torch() -> None:
    code = (
        "import sys; from models.readouts.family import options_of; import models.readouts.dreamed_network; "
        "assert 'steps' in options_of('dreamed-network') and 'schedule' not in options_of('dreamed-network'); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("option", "value"), [("steps", 0), ("batch", 1), ("folds", 6), ("temperature", -1.0)]
)
def test_an_impossible_schedule_is_refused_by_its_option(
    package: GeneratorPackage, option: str, value: float
) -> None:
    with pytest.raises(ConfigError, match=f"came {option} = {value}"):
        build_readout("dreamed-network", generator=package, **{option: value})


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
    assert encoding_of(readout, latents[:N], readout.predict) is None
    dreaming = fitted(package, brain, latents[:N], always=True)
    assert dreaming.choice_.dreamed
    assert dreaming.choice_.cosines == readout.choice_.cosines


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


def test_a_layer_of_a_network_is_a_bank_of_features(package: GeneratorPackage) -> None:
    pytest.importorskip("torch", reason="networks need the extra train")
    pictures = package.draw(np.random.default_rng(2).standard_normal((5, package.spec.latent), np.float32))
    both = features_of(pictures, ["brightness", "convnet-faces/conv3_1"])
    assert np.array_equal(both[:, :64], features_of(pictures, ["brightness"]))
    layer = both[:, 64:]
    assert layer.min() >= 0
    assert layer.std(axis=0).max() > 0.1
    # Cells lie where the picture does: what changes on the right does not change the left.
    half = pictures.copy()
    half[:, :, 48:] = 0
    moved = (
        np.abs(features_of(half, ["convnet-faces/conv3_1"]) - layer).reshape(5, -1, 4, 4).sum(axis=(0, 1, 2))
    )
    assert moved[0] < 0.05 * moved[3]
    with pytest.raises(ConfigError, match=r"'conv3_11' .did you mean 'conv3_1'"):
        features_of(pictures, ["convnet-faces/conv3_11"])
    with pytest.raises(ConfigError, match=r"no-such"):
        features_of(pictures, ["no-such/conv3"])


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
