"""The picture expected to tell most begins with a bundle's encoding model, as far as the session bears it out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stage import World
from numpy.typing import NDArray
from PIL import Image
from planted_encoding import encoding_bundle, planted_encoding
from protocol_settings import settings
from tiny_bundle import tiny_bundle

from bci.errors import BundleError, ConfigError
from stimuli.information import AnswerSums, LinearAnswers
from stimuli.part_table import read_parts
from stimuli.protocols import open_protocol
from stimuli.protocols.expected_information import Chooser
from stimuli.replay import propose_again
from stimuli.trials import Ending, Outcome, Palette

PALETTE = Palette((8, 8), latent=4, reading=4)


def pictures_of(folder: Path, n: int = 40) -> NDArray[np.uint8]:
    random = np.random.default_rng(5)
    pictures = random.integers(0, 256, (n, 8, 8, 3), np.uint8)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"p{number:02d}.png")
    return pictures


@pytest.fixture
def session(tmp_path: Path) -> dict[str, Any]:
    """Settings of a session that begins with the encoding model of a bundle."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    pictures_of(folder)
    bundle = encoding_bundle(tmp_path / "bundle")
    spec = settings(
        protocol="expected_information", folder=str(folder), encoding=str(bundle.folder), trials=25,
        stimulus_s=0.2, blank_s=0.1, lead_in_s=0.1,
    )  # fmt: skip
    return spec | {"encoding_hash": bundle.hash}


def told(before: AnswerSums | None, weights: NDArray[np.float64], n: int) -> LinearAnswers:
    """Return what is known after so many answers of a brain of these weights, to pictures as those of the training."""
    encoding, random = planted_encoding(), np.random.default_rng(9)
    known = LinearAnswers(*weights.shape, before)
    shown = encoding.components(random.integers(0, 256, (n, 8, 8, 3), np.uint8))
    for row in shown:
        known.learn(row, row @ weights + 0.2 * random.standard_normal(weights.shape[1]))
    return known


def test_what_was_learned_before_is_known_before_the_first_answer_and_helps_after_it() -> None:
    encoding = planted_encoding()
    begun = LinearAnswers(*encoding.weights.shape, AnswerSums.of(encoding))
    assert ((begun.weights - encoding.weights) ** 2).sum() < 0.02 * (encoding.weights**2).sum()
    assert np.trace(begun.noise) == pytest.approx(np.trace(encoding.noise), rel=0.3)
    after, anew = told(AnswerSums.of(encoding), encoding.weights, 15), told(None, encoding.weights, 15)
    errors = [float(((known.weights - encoding.weights) ** 2).sum()) for known in (after, anew)]
    assert after.share >= 0.3
    assert errors[0] < 0.2 * errors[1]


def test_a_brain_that_answers_otherwise_than_then_is_learned_anew() -> None:
    encoding = planted_encoding()
    other = planted_encoding(seed=1).weights
    after, anew = told(AnswerSums.of(encoding), other, 60), told(None, other, 60)
    errors = [float(((known.weights - other) ** 2).sum()) for known in (after, anew)]
    assert after.share <= 0.03
    assert errors[0] < 1.5 * errors[1]


def test_a_brain_that_changes_is_learned_anew_though_what_was_known_led_for_long() -> None:
    encoding, random = planted_encoding(), np.random.default_rng(9)
    weights = [encoding.weights] * 40 + [planted_encoding(seed=1).weights] * 10
    known = LinearAnswers(*encoding.weights.shape, AnswerSums.of(encoding))
    shares = []
    shown = encoding.components(random.integers(0, 256, (len(weights), 8, 8, 3), np.uint8))
    for row, answers in zip(shown, weights, strict=True):
        known.learn(row, row @ answers + 0.2 * random.standard_normal(answers.shape[1]))
        shares.append(known.share)
    assert set(shares[20:40]) == {1.0}
    # By the likelihood of all answers together a tenth of it would still count.
    assert shares[-1] <= 0.03


def test_without_learning_only_what_was_shown_counts(session: dict[str, Any]) -> None:
    outcomes = [
        Outcome(trial, Ending.SHOWN, float(trial), np.full(4, 9.0 * trial, np.float32), 1.0)
        for trial in range(12)
    ]
    shown = {}
    for learns in (True, False):
        choice = Chooser.believing(session | {"learns": learns}, 4)
        begun, shown[learns] = choice.known.weights.copy(), []
        for outcome in outcomes:
            number = choice.next()
            assert number is not None
            shown[learns].append(number)
            choice.take(number, outcome)
        assert np.array_equal(choice.known.weights, begun) is not learns
    assert len(set(shown[False])) == 12
    control = Chooser.believing(session | {"learns": False}, 4)
    assert shown[False][0] == shown[True][0] == control.next()


def neuron(trial: int, image: NDArray[np.uint8]) -> tuple[list[float], float] | None:
    """Answer with grey levels of the picture shown; every seventh epoch is lost."""
    levels = image.reshape(-1, 3)[:4].mean(axis=1) / 64
    return None if trial % 7 == 3 else ([float(level) for level in levels], 0.5)


def stimuli_of(world: World) -> list[tuple[str, str]]:
    return [(row["stimulus"], row["ending"]) for row in read_parts(world.folder, "trials")]


def test_a_killed_engine_goes_on_without_repeating_and_the_session_is_proposed_again(
    make_world: Callable[..., World], session: dict[str, Any]
) -> None:
    whole, broken = make_world(read=neuron), make_world(read=neuron)
    assert whole.run(**session)
    assert not broken.run(**session, dies=lambda: len(broken.parts) == 11)
    assert broken.run(**session)
    first, again = (stimuli_of(world) for world in (whole, broken))
    assert [stimulus for stimulus, _ in again[:11]] == [stimulus for stimulus, _ in first[:11]]
    # The one under way was aborted by the death, and may come again; of the others none comes twice that was read.
    read = [
        stimulus for place, (stimulus, ending) in enumerate(again) if ending == "shown" and place % 7 != 3
    ]
    assert len(set(read)) == len(read) > 15
    experiment = {key: value for key, value in session.items() if key != "encoding_hash"}
    for world in (whole, broken):
        environment = {"encoding": {"hash": session["encoding_hash"]}}
        (world.folder / "environment.json").write_text(json.dumps(environment))
        replayed = propose_again(world.folder, experiment)
        assert replayed.equal == replayed.shown == len(stimuli_of(world))
    (whole.folder / "environment.json").write_text('{"encoding": {"hash": "other"}}')
    with pytest.raises(BundleError, match="which the session began with, came another"):
        propose_again(whole.folder, experiment)


def test_what_a_session_cannot_begin_with_is_refused_in_words(
    session: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="that reads 3 values, as the session does, came one of 4"):
        open_protocol(session, Palette((8, 8), latent=4, reading=3))
    plain = tiny_bundle(tmp_path / "plain", latent=4, height=8, width=8)
    with pytest.raises(BundleError, match="which has none"):
        open_protocol(session | {"encoding": plain.folder, "encoding_hash": plain.hash}, PALETTE)
    with pytest.raises(ConfigError, match="needs the folder of the pictures, and no features"):
        settings(protocol="expected_information", encoding="b")
    with pytest.raises(ConfigError, match="learns = false needs an encoding"):
        settings(protocol="expected_information", learns=False)
