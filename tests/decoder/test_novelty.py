"""Input unlike the training data has no reconstruction; a bundle of an older release, which does not tell it, has."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_bundle import readout
from typer.testing import CliRunner

from bci.cli.app import app
from bci.decoder.bundle import Bundle
from bci.decoder.card import guard
from bci.decoder.onnx import UNLIKE, OnnxDecoder
from bci.decoder.spec import NoveltySpec, Provenance
from bci.errors import BundleError
from bci.signal.clock import ManualClock
from bci.signal.types import Window

Make = Callable[..., Bundle]

TOLD = NoveltySpec(calibrated_on="planted runs", flagged=0.01)


def guarded(shape: tuple[int, ...], *, chance: float = 0.0) -> bytes:
    """Return the tiny readout with a novelty, the largest value of the window, and a confidence that falls with it."""
    model = onnx.load_from_string(readout(shape, confidence=True))
    graph = model.graph
    graph.node[-1].output[0] = "sure"
    graph.node.extend(
        [
            helper.make_node("ReduceMax", ["window"], ["largest"], axes=[1, 2], keepdims=0),
            helper.make_node("Identity", ["largest"], ["novelty"]),
            helper.make_node("LessOrEqual", ["novelty", "limit"], ["like"]),
            helper.make_node("Where", ["like", "sure", "chance"], ["confidence"]),
        ]
    )
    for name, value in {"limit": np.float32(1), "chance": np.float32(chance)}.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    graph.output.append(helper.make_tensor_value_info("novelty", TensorProto.FLOAT, [1]))
    return bytes(model.SerializeToString())


def window(bundle: Bundle, value: float) -> Window:
    shape = bundle.window_shape
    return Window(
        bundle.output,
        0,
        np.full(shape, value, np.float32),
        np.arange(len(np.zeros(shape))) / 100,
        np.zeros(shape, bool),
        last_sample=shape[0] - 1,
    )


@pytest.fixture
def told(make_bundle: Make) -> Bundle:
    return make_bundle(confidence="gaussian", novelty=TOLD, replace={"readout.onnx": guarded((20, 3))})


def test_a_window_unlike_training_is_invalid_with_a_reason_and_no_latent(told: Bundle) -> None:
    decoder = OnnxDecoder(told, clock=ManualClock())
    like, unlike = decoder.decode(window(told, 0.5)), decoder.decode(window(told, 1.5))
    assert (like.valid, like.reason) == (True, "")
    assert like.confidence > 0.5
    assert (unlike.valid, unlike.reason) == (False, UNLIKE)
    assert math.isnan(unlike.confidence)
    assert np.isnan(unlike.latent).all()
    assert not unlike.image.any()
    # The edge itself is still like training.
    assert decoder.decode(window(told, 1.0)).valid


def test_kept_it_is_decoded_at_a_confidence_of_chance(told: Bundle) -> None:
    decoder = OnnxDecoder(told, clock=ManualClock(), unlike="keep")
    kept = decoder.decode(window(told, 1.5))
    assert kept.valid
    assert kept.confidence == 0.0
    assert np.isfinite(kept.latent).all()


def test_a_bundle_without_a_claim_of_confidence_is_guarded_too(make_bundle: Make) -> None:
    bundle = make_bundle(novelty=TOLD, replace={"readout.onnx": guarded((20, 3))})
    assert OnnxDecoder(bundle, clock=ManualClock()).decode(window(bundle, 1.5)).reason == UNLIKE


def test_a_bundle_that_says_it_tells_novelty_and_does_not_is_refused(make_bundle: Make) -> None:
    with pytest.raises(BundleError, match="float32 outputs latent, novelty"):
        make_bundle(novelty=TOLD)


def test_an_older_bundle_runs_as_before_and_says_that_it_is_not_guarded(make_bundle: Make) -> None:
    bundle = make_bundle(confidence="gaussian")
    described = json.loads((bundle.folder / "bundle.json").read_text())
    assert "novelty" not in described
    assert OnnxDecoder(bundle, clock=ManualClock()).decode(window(bundle, 1.5)).confidence == 1.0
    assert guard(bundle.spec).startswith("Not guarded")
    assert "Not guarded" in (bundle.folder / "card.md").read_text()


def test_a_bundle_that_was_fitted_to_nothing_is_not_told_to_be_trained_again(make_bundle: Make) -> None:
    spec = make_bundle(confidence="gaussian").spec
    trained = spec.model_copy(update={"provenance": Provenance(data={"recording.edf": "0" * 64})})
    assert "train the bundle again" in guard(trained)
    measures = spec.model_copy(update={"provenance": Provenance(config={"kind": "measure"})})
    assert guard(measures).startswith("Not guarded: it names no data")


@pytest.mark.parametrize("guards", [True, False])
def test_info_says_whether_the_confidence_is_guarded(make_bundle: Make, guards: bool, tmp_path: Path) -> None:
    more: dict[str, Any] = {"novelty": TOLD, "replace": {"readout.onnx": guarded((20, 3))}} if guards else {}
    bundle = make_bundle(confidence="gaussian", **more)
    said = CliRunner().invoke(app, ["info", str(bundle.folder)])
    assert said.exit_code == 0
    words = " ".join(said.output.split())
    assert ("limits drawn on planted runs; 1.0% of the scored trials" in words) == guards
    assert ("Not guarded" in words) != guards
