"""The tangent space readout: its graph gives what pyriemann gives, and a choice is made inside the training data."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

pytest.importorskip("pyriemann", reason="the tangent space needs the extra eeg")

from planted_trials import event_trials

from bci.errors import ConfigError, RecordingError
from models.matrix_functions import logarithm
from models.readouts.novelty import Novelty
from models.systems.events.choice import settle
from models.systems.events.readout import export, fit, softmax
from models.systems.events.settings import (
    BlockMeansSettings,
    CanonicalCorrelationSettings,
    ChosenSettings,
    TangentSpaceSettings,
)
from models.systems.events.tangent import TangentSpace
from models.systems.events.trials import EventTrials

LENGTH, CHANNELS, N = 40, 4, 120


def planted(together: bool, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return epochs whose classes differ in how two channels vary together, or in their mean response."""
    random = np.random.default_rng(seed)
    classes = np.arange(N) % 2
    epochs = random.standard_normal((N, LENGTH, CHANNELS))
    shared = random.standard_normal((N, LENGTH))
    response = np.sin(np.linspace(0, np.pi, LENGTH))
    if together:
        epochs[:, :, 1] += np.where(classes[:, None] == 0, 0.9, -0.9) * shared
        epochs[:, :, 2] += 0.9 * shared
    else:
        epochs[classes == 0, :, 1] += response
    return epochs.astype(np.float32), classes


def as_trials(epochs: NDArray[np.float32], classes: NDArray[np.int64]) -> EventTrials:
    return event_trials(epochs, classes, ("a", "b"))


@pytest.mark.parametrize("together", [False, True])
def test_features_are_pyriemanns(together: bool) -> None:
    from pyriemann.estimation import XdawnCovariances
    from pyriemann.tangentspace import TangentSpace as Theirs

    epochs, classes = planted(together)
    ours = TangentSpace.fit(epochs, classes, 2)
    turned = epochs.astype(np.float64).transpose(0, 2, 1)
    covariances = XdawnCovariances(nfilter=2, estimator="oas", xdawn_estimator="lwf").fit(turned, classes)
    theirs = Theirs("riemann").fit(covariances.transform(turned))
    np.testing.assert_allclose(ours.covariances(epochs), covariances.transform(turned), atol=1e-8)
    np.testing.assert_allclose(ours(epochs), theirs.transform(covariances.transform(turned)), atol=1e-5)


@pytest.mark.parametrize(
    "settings", [BlockMeansSettings(block=4), TangentSpaceSettings(name="tangent_space", filters=2)]
)
def test_the_graph_gives_what_was_fitted(settings: BlockMeansSettings | TangentSpaceSettings) -> None:
    epochs, classes = planted(together=False)
    readout = fit(as_trials(epochs, classes), np.arange(N), settings)
    halves = [(np.arange(N) < 60, np.arange(N) >= 60), (np.arange(N) >= 60, np.arange(N) < 60)]
    novelty = Novelty.fit(readout.standardised(epochs), halves)
    session = onnxruntime.InferenceSession(
        export(readout, novelty, epochs.shape[1:]), providers=["CPUExecutionProvider"]
    )
    wild = np.concatenate([epochs, epochs[:8] * 30, epochs[:8] * 0.02])
    given = [session.run(None, {"window": epoch[None]}) for epoch in wild]
    probabilities = np.concatenate([one[0] for one in given])
    np.testing.assert_allclose(probabilities, softmax(readout.scores(wild)), atol=1e-5)
    np.testing.assert_allclose(
        np.concatenate([one[2] for one in given]), novelty(readout.standardised(wild)), rtol=1e-3
    )


def test_without_filters_the_channels_themselves_vary_together() -> None:
    epochs, classes = planted(together=True)
    settings = TangentSpaceSettings(name="tangent_space", filters=0)
    readout = fit(as_trials(epochs, classes), np.arange(80), settings)
    assert readout.weights.shape == (2, CHANNELS * (CHANNELS + 1) // 2)
    assert (readout.scores(epochs[80:]).argmax(axis=1) == classes[80:]).mean() > 0.9


def flickering(n: int = 60, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return epochs of 2 s at 50 Hz that follow 5, 8 or 11 Hz, at phases and electrodes of their own."""
    random = np.random.default_rng(seed)
    classes, seconds = np.arange(n) % 3, np.arange(100) / 50
    phase = 2 * np.pi * np.array([5.0, 8.0, 11.0])[classes][:, None] * seconds + random.uniform(0, 6, (n, 1))
    epochs = random.standard_normal((n, 100, 4)) + np.sin(phase)[..., None] * random.standard_normal(
        (n, 1, 4)
    )
    # An average reference: one electrode is the sum of the others.
    epochs[:, :, 3] = -epochs[:, :, :3].sum(axis=2)
    return epochs.astype(np.float32), classes


FLICKER = CanonicalCorrelationSettings(
    name="canonical_correlation", frequencies={"slow": 5.0, "middle": 8.0, "fast": 11.0}
)


def test_flicker_is_told_without_training_and_by_its_label_not_its_place() -> None:
    epochs, classes = flickering()
    trials = event_trials(epochs, classes, ("slow", "middle", "fast"))
    untrained = fit(trials, np.arange(3), FLICKER).scores(epochs)
    assert (untrained.argmax(axis=1) == classes).mean() > 0.9
    turned = event_trials(epochs, 2 - classes, ("fast", "middle", "slow"))
    assert (fit(turned, np.arange(3), FLICKER).scores(epochs).argmax(axis=1) == 2 - classes).mean() > 0.9


def test_correlations_are_those_of_the_definition() -> None:
    epochs, classes = flickering(6)
    readout = fit(event_trials(epochs, classes, ("slow", "middle", "fast")), np.arange(6), FLICKER)
    waves = np.concatenate(
        [f(2 * np.pi * 5.0 * h * np.arange(100)[:, None] / 50) for h in (1, 2) for f in (np.sin, np.cos)], 1
    )
    for epoch, given in zip(epochs, readout.features(epochs), strict=True):
        # Of three electrodes: the fourth is their sum, and adds nothing.
        bases = [np.linalg.qr(side - side.mean(axis=0))[0] for side in (epoch[:, :3].astype(float), waves)]
        exact = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)[0]
        assert given[0] == pytest.approx(exact, abs=1e-5)


def test_the_graph_of_flicker_gives_what_was_computed_a_dead_amplifier_included() -> None:
    epochs, classes = flickering()
    readout = fit(event_trials(epochs, classes, ("slow", "middle", "fast")), np.arange(60), FLICKER)
    halves = [(np.arange(60) < 30, np.arange(60) >= 30), (np.arange(60) >= 30, np.arange(60) < 30)]
    novelty = Novelty.fit(readout.standardised(epochs), halves)
    session = onnxruntime.InferenceSession(
        export(readout, novelty, epochs.shape[1:]), providers=["CPUExecutionProvider"]
    )
    for epoch in (*epochs, epochs[0] * 1e4):
        probabilities, _, unlike = session.run(None, {"window": epoch[None]})
        np.testing.assert_allclose(probabilities, softmax(readout.scores(epoch[None])), atol=1e-5)
        np.testing.assert_allclose(unlike, novelty(readout.standardised(epoch[None])), rtol=1e-3)
    probabilities, _, unlike = session.run(None, {"window": np.zeros_like(epochs[:1])})
    assert np.isfinite(probabilities).all()
    assert unlike > 1


def test_logarithms_of_matrices_in_a_graph_are_those_of_eigenvalues() -> None:
    from onnx import TensorProto, helper, numpy_helper

    from models.export import GraphParts, finish
    from models.matrix_functions import add_logarithm

    parts, p, least = GraphParts(), 6, 1e-5
    parts.node("Identity", ["given"], "matrix")
    parts.node("Identity", [add_logarithm(parts, "matrix", p, least)], "out")
    double = TensorProto.DOUBLE
    graph = helper.make_graph(
        parts.nodes,
        "logarithm",
        [helper.make_tensor_value_info("given", double, [p, p])],
        [helper.make_tensor_value_info("out", double, [p, p])],
        [numpy_helper.from_array(value, name) for name, value in parts.constants.items()],
    )
    model = finish(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    for scale in (1e-6, 1.0, 1e6):
        axes, _ = np.linalg.qr(random.standard_normal((p, p)))
        values = scale * np.geomspace(2 * least, 0.9, p)
        matrix = (axes * values) @ axes.T
        matrix = (matrix + matrix.T) / 2
        np.testing.assert_allclose(
            session.run(None, {"given": matrix})[0], logarithm(matrix[None])[0], atol=1e-8
        )


@pytest.mark.parametrize(("together", "wins"), [(False, "block_means"), (True, "tangent_space")])
def test_the_readout_that_suits_the_planted_classes_is_chosen(together: bool, wins: str) -> None:
    epochs, classes = planted(together)
    among = (BlockMeansSettings(block=4), TangentSpaceSettings(name="tangent_space", filters=2))
    settings = ChosenSettings(name="chosen", among=among)
    choice = settle(settings, as_trials(epochs, classes), np.arange(N))
    assert choice.readout.name == wins, choice.areas
    assert len(choice.areas) == 2


def test_a_choice_never_looks_at_other_trials() -> None:
    epochs, classes = planted(together=True)
    rows = np.arange(80)
    among = (BlockMeansSettings(block=4), TangentSpaceSettings(name="tangent_space", filters=2))
    settings = ChosenSettings(name="chosen", among=among)
    before = settle(settings, as_trials(epochs, classes), rows)
    changed = epochs.copy()
    changed[80:] = 1e3
    assert settle(settings, as_trials(changed, classes), rows) == before


def test_too_few_trials_or_channels_are_refused_in_words() -> None:
    epochs, classes = planted(together=True)
    with pytest.raises(ConfigError, match=r"readout\.filters = 9"):
        TangentSpace.fit(epochs, classes, 9)
    settings = ChosenSettings(
        name="chosen", among=(BlockMeansSettings(block=4), BlockMeansSettings(block=8)), parts=4
    )
    with pytest.raises(RecordingError, match=r"readout\.parts"):
        settle(settings, as_trials(epochs, classes), np.arange(4))


def test_a_training_file_without_a_readouts_name_means_block_means(tmp_path: Path) -> None:
    from models.systems.events.settings import parse_events

    values: dict[str, Any] = {
        "kind": "events",
        "name": "n",
        "recordings": [{"path": "a.npz"}],
        "signal": {"channels": ["C3"]},
        "epoch": {"stop": 0.5},
        "classes": {"a": "1", "b": "2"},
        "readout": {"block": 6},
    }
    assert parse_events(values, "x").readout == BlockMeansSettings(block=6)
    with pytest.raises(ConfigError, match="tangent_space"):
        parse_events(values | {"readout": {"name": "tangent"}}, "x")
