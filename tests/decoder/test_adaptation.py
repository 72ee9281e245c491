"""A drift of what is read is followed, from trials that are over; its whole state can be put away and taken up."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import CHANNELS, tiny_bundle

from bci.decoder.adaptation import Drift, OnlineAdaptation, state_size
from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder, require_adaptable
from bci.decoder.spec import EpochSpec
from bci.errors import BundleMismatch, ConfigError, DataError
from bci.session.adapted import AdaptationPlan, read_plan, read_truth, write_plans
from bci.signal.clock import ManualClock
from bci.signal.types import Event, Window

D = 16


def readings(n: int, noise: float, gain: float, shift: float, mean: float = 0.0, seed: int = 0):
    """True latents about a mean, and what a calibrated readout with this noise reads through a gain and a shift."""
    random = np.random.default_rng(seed)
    true = mean + random.standard_normal((n, D))
    share = 1 / (1 + noise**2)
    read = share * (true + noise * random.standard_normal((n, D)))
    return true, gain * read + shift, read


@pytest.mark.parametrize("noise", [0.5, 3.0])
@pytest.mark.parametrize("common", [True, False])
def test_a_gain_and_a_shift_are_undone(noise: float, common: bool) -> None:
    true, came, clean = readings(600, noise, 0.4, 0.3)
    drift = Drift(D, memory=300, trust=5, common=common)
    for read, wanted in zip(came, true, strict=True):
        drift.learn(read, wanted)
    undone = drift(came[-100:])
    # A gain of each latent alone is uncertain where little is read.
    assert np.abs(undone - clean[-100:]).mean() < (0.1 if common else 0.25) * clean.std()
    assert drift.trials == 600


def test_a_steady_drift_is_followed_without_lagging_behind() -> None:
    n, memory, each = 400, 60, 0.02
    true, came, _ = readings(n, 1.0, 1.0, 0.0, seed=2)
    drift = Drift(D, memory=memory, trust=10)
    for trial in range(n):
        drift.learn(came[trial] + each * trial, true[trial])
    shift = -drift.offset / drift.scale
    # Without its slope the line would end a memory's worth of drift below; belief in no change leaves a sixth of it.
    assert abs(shift.mean() - each * n) < 0.25 * each * memory


def test_the_mean_of_the_stimuli_shown_is_not_read_in_every_trial() -> None:
    """A weak readout of stimuli that all lie to one side: nothing drifts, and nothing is to be added."""
    random = np.random.default_rng(1)
    few = random.standard_normal((4, D))  # four pictures, over and over
    drift = Drift(D, memory=60, trust=10)
    for trial in range(200):
        true = few[trial % 4]
        drift.learn(0.1 * true + 0.3 * random.standard_normal(D), true)
    assert np.abs(drift.offset).max() < 0.2 * np.abs(few.mean(0)).max()


def test_nothing_is_changed_before_anything_is_learned() -> None:
    adaptation = OnlineAdaptation(Drift(D), {})
    latent = np.ones((1, D), np.float32)
    assert adaptation.correct(latent) is latent
    assert not adaptation.learn("stimulus 3 unknown", latent[0])
    assert not adaptation.learn("button", latent[0])
    assert adaptation.correct(latent) is latent


@given(cut=st.integers(1, 40), common=st.booleans())
def test_a_state_goes_on_with_the_same_bits(cut: int, common: bool) -> None:
    true, came, _ = readings(41, 2.0, 0.7, -0.1)
    whole, first = Drift(D, common=common), Drift(D, common=common)
    for place, (read, wanted) in enumerate(zip(came, true, strict=True)):
        if place == cut:
            first = Drift(D, common=common).restore(first.state)
        whole.learn(read, wanted)
        first.learn(read, wanted)
    assert np.array_equal(whole.state, first.state)
    assert np.array_equal(whole(came), first(came))
    assert len(whole.state) == state_size(D)


def test_a_new_session_begins_with_the_correction_of_the_last() -> None:
    true, came, clean = readings(400, 1.0, 0.5, 0.2)
    drift = Drift(D, memory=200, trust=10)
    for read, wanted in zip(came, true, strict=True):
        drift.learn(read, wanted)
    again = Drift(D, memory=200, trust=10).restore(drift.state).renewed()
    assert again.trials == 0
    assert np.abs(again(came) - clean).mean() < 0.15 * clean.std()
    # And follows another drift soon: it is believed like ten trials.
    true, came, clean = readings(60, 1.0, 1.0, 0.0, seed=5)
    for read, wanted in zip(came, true, strict=True):
        again.learn(read, wanted)
    assert abs(again.scale[0] - 1.0) < 0.3


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: Drift(2, memory=1), "memory above 1"),
        (lambda: Drift(2).learn([1.0], [1.0]), "2 dimensions"),
        (lambda: Drift(2).learn([1.0, np.nan], [1.0, 1.0]), "finite latents"),
        (lambda: Drift(2).restore(np.zeros(3)), "adaptation of 2 latents, 20 numbers, came 3"),
    ],
)
def test_what_does_not_fit_is_refused(act, words: str) -> None:
    with pytest.raises(DataError, match=words):
        act()


def epochs(tmp_path: Path) -> Bundle:
    return tiny_bundle(
        tmp_path / "bundle",
        rate=100.0,
        length=20,
        window=EpochSpec(start=0.0, stop=0.2, markers="stimulus .*"),
    )


def test_a_decoder_draws_the_corrected_latent_and_learns_behind_it(tmp_path: Path) -> None:
    bundle = epochs(tmp_path)
    d = bundle.spec.latent
    truth = {"a": np.full(d, 2.0), "b": np.full(d, -1.0)}
    plain = OnnxDecoder(bundle, clock=ManualClock())
    decoder = OnnxDecoder(bundle, clock=ManualClock(), adaptation=OnlineAdaptation(Drift(d, trust=1), truth))
    random = np.random.default_rng(0)
    for trial in range(6):
        name = "ab"[trial % 2]
        samples = random.standard_normal((20, *bundle.output.shape)).astype(np.float32)
        bad = np.zeros((20, len(CHANNELS)), bool)
        event = Event(1.0, f"stimulus {trial} {name}")
        window = Window(bundle.output, 0, samples, np.arange(20) / 100, bad, 19, event=event)
        read, frame = plain.decode(window), decoder.decode(window)
        drift = decoder.adaptation.drift  # type: ignore[union-attr]
        wanted = drift(read.latent) if trial else read.latent
        np.testing.assert_array_equal(frame.latent, wanted.astype(np.float32))
        assert decoder.learn(frame)
        assert drift.trials == trial + 1
    # The picture is that of the corrected latent.
    assert not np.array_equal(frame.image, read.image)


def test_only_epochs_of_pictures_on_a_processor_can_be_adapted(tmp_path: Path) -> None:
    bundle = epochs(tmp_path)
    require_adaptable(bundle, "cpu")
    with pytest.raises(BundleMismatch, match="provider cpu"):
        require_adaptable(bundle, "cuda")
    with pytest.raises(BundleMismatch, match="sliding windows"):
        require_adaptable(tiny_bundle(tmp_path / "windows"), "cpu")


def test_truth_and_plan_are_kept_with_the_session(tmp_path: Path) -> None:
    (tmp_path / "latents.json").write_text('{"a": [1, 2], "b": [0, -1]}')
    truth = read_truth(tmp_path / "latents.json", 2)
    plan = AdaptationPlan(60.0, 10.0, True, truth, None)
    write_plans(tmp_path, {"": plan, "left": plan})
    for name in (None, "left"):
        again = read_plan(tmp_path, name)
        assert again is not None
        assert again == plan
        assert again.open().truth["b"].tolist() == [0.0, -1.0]
    assert read_plan(tmp_path, "right") is None
    for text, words in (("{}", "holds no names"), ('{"a": [1]}', r"\(1,\)"), ('{"a": "x"}', "no numbers")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ConfigError, match=words):
            read_truth(tmp_path / "bad.json", 2)
