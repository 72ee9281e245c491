"""A session is scored by class: chance exchanges whole pictures, and few trials are said to be few."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bci.decoder.bundle import Bundle
from bci.decoder.result import ClassesResult
from bci.decoder.spec import EpochSpec
from bci.errors import RecordingError
from bci.io.shipped import SHIPPED
from bci.session.frames import Decoding, LostEpoch, RecordedFrame
from bci.session.ran import RanDecoder
from bci.signal.types import Event
from models.sessions.classes import ClassReadings, class_readings, knows_classes, score_classes
from models.sessions.marked import learned_recording


def readings(right: float, trials: int = 200, pictures: int = 20, seed: int = 0) -> ClassReadings:
    """Plant readings of two classes of which so large a share is right."""
    random = np.random.default_rng(seed)
    which = np.tile(np.arange(pictures), -(-trials // pictures))[:trials]
    classes = (which % 2).astype(np.int64)
    read = np.where(random.random(trials) < right, classes, 1 - classes)
    sure = random.uniform(0.55, 0.95, trials)
    probabilities = np.where(read[:, None] == np.arange(2), sure[:, None], 1 - sure[:, None])
    return ClassReadings(("cat", "dog"), probabilities, classes, which.astype(np.int64), {"aborted": 3})


def test_what_was_read_stands_beside_what_was_shown() -> None:
    planted = readings(0.8)
    scores = score_classes(planted, permutations=200)
    assert scores["informed"]
    right = (planted.probabilities.argmax(axis=1) == planted.classes).mean()
    assert scores["balanced_accuracy"] == scores["accuracy"] == pytest.approx(right)
    assert scores["auc"] > 0.7 > scores["auc_chance"][1]
    assert (np.sum(scores["confusion"]), scores["exchanged"], scores["left_out"]) == (
        200,
        "pictures",
        {"aborted": 3},
    )
    assert scores["by_class"]["cat"]["trials"] == 100
    assert "few" not in scores["headline"]


def test_a_reading_that_tells_single_pictures_only_is_no_information() -> None:
    random = np.random.default_rng(2)
    which = np.repeat(np.arange(6), 40).astype(np.int64)
    classes = which % 2
    # Each picture is read alike every time, whatever its class: of trials that looks like a great many.
    of_picture = np.array([0.9, 0.8, 0.2, 0.7, 0.85, 0.1])
    first = np.clip(of_picture[which] + random.normal(0, 0.02, len(which)), 0, 1)
    planted = ClassReadings(("a", "b"), np.stack([first, 1 - first], 1), classes, which, {})
    assert not score_classes(planted, permutations=200)["informed"]


def test_few_trials_are_said_to_be_few_and_few_pictures_exchange_trials() -> None:
    scores = score_classes(readings(0.75, trials=16, pictures=4), permutations=200)
    assert scores["few"]
    assert "16 trials are few" in scores["headline"]
    assert scores["exchanged"] == "trials"


def test_a_class_that_was_not_shown_is_not_scored() -> None:
    planted = readings(0.9)
    three = np.c_[planted.probabilities * 0.9, np.full(200, 0.1)]
    scores = score_classes(
        ClassReadings(("cat", "dog", "bird"), three, planted.classes, planted.pictures, {}), permutations=50
    )
    assert (scores["guessing"], list(scores["by_class"])) == (0.5, ["cat", "dog"])


class _Session:
    """A session of planted trials: what is read here of a RecordedSession and no more, so the types pass it."""

    folder = Path("planted")
    driver = None

    def __init__(self, trials: list[object], **events: str) -> None:
        self._trials = trials
        self._events = events

    def ran(self, decoder: None) -> RanDecoder:
        return RanDecoder(Path("b"), "0", "cpu", "refuse", None, {}, self._events)

    def trials(self, decoder: None) -> list[object]:
        return self._trials


class _Replayed(_Session):
    """A session that played a recording: what was read of its markers, in order."""

    uncertain: tuple[float, ...] = ()

    def __init__(self, read: list[tuple[str, float]], lost: list[str], played: str) -> None:
        super().__init__([])
        self.config = {"source": {"kind": "replay", "file": played}}
        frames = [
            RecordedFrame(
                k, 0, True, "", 0.9, np.array([p, 1 - p], np.float32), "", "", Event(float(k), text)
            )
            for k, (text, p) in enumerate(read)
        ]
        gaps = [LostEpoch(Event(100.0 + k, text), "gap") for k, text in enumerate(lost)]
        self._decoding = Decoding(frames, {}, lost=gaps)

    def decoding(self, decoder: None) -> Decoding:
        return self._decoding


def _trial(name: str, kind: str = "stimulus") -> object:
    from bci.session.trials import RecordedTrial

    return RecordedTrial(
        0,
        0,
        name,
        1.0,
        "shown",
        engine_latent=np.array([0.7, 0.3], np.float32),
        kind=kind,
        file=f"pets/{name}.png",
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from tiny_bundle import tiny_bundle

    result = ClassesResult(kind="classes", labels=("cats", "dogs"))
    window = EpochSpec(start=0.0, stop=0.2, markers="stimulus .*")
    return tiny_bundle(
        tmp_path_factory.mktemp("classes") / "b", latent=2, result=result, window=window, length=20
    )


def test_classes_are_the_folders_of_pictures_where_a_bundle_says_no_other(bundle: Bundle) -> None:
    session = _Session(
        [_trial("cats/1"), _trial("cats/2"), _trial("dogs/1"), _trial("dogs/2"), _trial("owl/1")]
    )
    found = class_readings(session, bundle)  # type: ignore[arg-type]
    assert found.classes.tolist() == [0, 0, 1, 1]
    assert found.left_out == {"of no class": 1}
    assert knows_classes(session, bundle)  # type: ignore[arg-type]


def test_too_few_trials_are_said_with_their_numbers(bundle: Bundle) -> None:
    session = _Session([_trial("cats/1"), _trial("dogs/1"), _trial("dogs/2")])
    with pytest.raises(RecordingError, match=r"2 trials of two classes.*came 1 of 'cats', 2 of 'dogs'"):
        class_readings(session, bundle)  # type: ignore[arg-type]
    assert not knows_classes(_Session([_trial("owl/1")]), bundle)  # type: ignore[arg-type]


def test_flashes_of_an_oddball_are_of_the_classes_of_a_decoder_that_was_trained_on_other_markers() -> None:
    p300 = Bundle.load(SHIPPED["bundles"] / "p300")
    flashes = [("target D", "target"), ("nontarget B", "nontarget"), ("cue D", "cue")]
    trials = [replace(_trial(name, kind), file="") for name, kind in 3 * flashes]  # type: ignore[type-var]
    names = {"2": r"stimulus \d+ target .*", "1": r"stimulus \d+ nontarget .*"}
    found = class_readings(_Session(trials, **names), p300)  # type: ignore[arg-type]
    assert [p300.spec.result.labels_in_order[place] for place in found.classes] == 3 * ["target", "other"]
    assert found.left_out == {"no picture": 3}
    # By its own names it knows none of them.
    assert not knows_classes(_Session(trials), p300)  # type: ignore[arg-type]


def test_markers_of_a_recording_are_trials_where_no_experiment_ran() -> None:
    p300 = Bundle.load(SHIPPED["bundles"] / "p300")
    read = [("2", 0.9), ("1", 0.2), ("1", 0.6), ("2", 0.8), ("7", 0.5)]
    session = _Replayed(read, ["2", "1", "1"], "elsewhere/subject_01_session_01.npz")
    found = class_readings(session, p300)  # type: ignore[arg-type]
    assert [p300.spec.result.labels_in_order[place] for place in found.classes] == [
        "target",
        "other",
        "other",
        "target",
    ]
    np.testing.assert_allclose(found.probabilities[:, 0], [0.9, 0.2, 0.6, 0.8], atol=1e-6)
    assert found.left_out == {"no epoch": 3, "of no class": 1}
    # What a decoder has learned from is no test of it, and the report says so.
    assert learned_recording(session, p300) == "subject_01_session_01.npz"  # type: ignore[arg-type]
    assert learned_recording(_Replayed(read, [], "other.npz"), p300) == ""  # type: ignore[arg-type]
