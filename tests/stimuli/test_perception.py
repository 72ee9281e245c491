"""Perception, imagery and oddball show what they promise: as often, in such an order, with such names and times."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image
from protocol_settings import PALETTE, settings, trials

from bci.errors import ConfigError
from stimuli.protocols import count, open_protocol
from stimuli.trials import Picture, Text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for number in range(6):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / f"face-{number}.png")
    return folder


def test_perception_shows_every_picture_in_every_block_and_never_twice_at_once_but_to_catch(
    folder: Path,
) -> None:
    spec = settings(
        protocol="perception", folder=str(folder), blocks=2, repeats=5, seed=3, jitter_s=0.5, blank_s=1.0, catch=0.25,
        instruction="Look.",
    )  # fmt: skip
    shown = trials(spec)
    assert [(t.number, t.name, t.blank_s) for t in trials(spec)] == [
        (t.number, t.name, t.blank_s) for t in shown
    ]
    assert len(shown) == count(spec) == 2 * (1 + 30 + 10)
    starts = [place for place, trial in enumerate(shown) if trial.kind == "instruction"]
    assert starts == [0, 41]
    assert shown[0].stimulus == Text("Look.")
    assert shown[0].until_answer
    for start in starts:
        block = shown[start + 1 : start + 41]
        assert Counter(t.number for t in block if t.kind == "stimulus") == dict.fromkeys(range(6), 5)
        assert sum(trial.kind == "catch" for trial in block) == 10
        for before, trial in pairwise(block):
            assert (trial.number == before.number) == (trial.kind == "catch")
        blanks = [trial.blank_s for trial in block]
        assert min(blanks) >= 1.0
        assert max(blanks) <= 1.5
        assert max(blanks) - min(blanks) > 0.4
    assert [t.number for t in shown[1:41]] != [t.number for t in shown[42:]]
    picture = shown[1]
    assert isinstance(picture.stimulus, Picture)
    assert (picture.name, picture.file) == (
        f"face-{picture.number}",
        f"{folder.name}/face-{picture.number}.png",
    )
    assert picture.stimulus.image[0, 0, 0] == 40 * picture.number


def test_in_a_first_order_block_each_picture_follows_each(folder: Path) -> None:
    spec = settings(protocol="perception", folder=str(folder), order="first_order", repeats=6)
    shown = trials(spec)
    assert len(shown) == count(spec) == 37
    assert Counter(pairwise(t.number for t in shown)) == {(i, j): 1 for i in range(6) for j in range(6)}
    with pytest.raises(ConfigError, match="repeats of its own"):
        settings(protocol="perception", folder=str(folder), order="first_order", catch=0.1)


def test_imagery_is_cue_imagery_and_rest_with_names_that_markers_tell_apart(folder: Path) -> None:
    spec = settings(protocol="imagery", words=["left hand", "feet"], repeats=2, imagine_s=3.0, rest_s=2.0)
    shown = trials(spec)
    assert len(shown) == count(spec) == 12
    assert [trial.kind for trial in shown] == ["cue", "imagery", "rest"] * 4
    assert (
        sorted(t.name for t in shown if t.kind == "imagery")
        == ["imagine feet"] * 2 + ["imagine left hand"] * 2
    )
    for cue, imagery, rest in zip(shown[::3], shown[1::3], shown[2::3], strict=True):
        assert cue.name.removeprefix("cue ") == imagery.name.removeprefix("imagine ")
        assert cue.number == imagery.number == rest.number
        assert (imagery.stimulus_s, imagery.blank_s, rest.stimulus_s) == (3.0, 0.0, 2.0)
    seen = trials(settings(protocol="imagery", folder=str(folder), repeats=1))
    assert isinstance(seen[0].stimulus, Picture)
    assert seen[0].file.startswith(folder.name)
    assert isinstance(seen[1].stimulus, Text)
    for words, sentence in (
        ({}, "nothing is to be imagined"),
        ({"words": ["a"], "folder": "b"}, "both were given"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            settings(protocol="imagery", **words)


def test_an_oddball_has_one_target_in_each_sequence_and_spaced_flashes(folder: Path) -> None:
    spec = settings(
        protocol="oddball", words=["A", "B", "C", "D", "E"], targets=7, repeats=4, spacing=2, seed=1
    )
    shown = trials(spec)
    assert len(shown) == count(spec) == 7 * 21
    cues = shown[::21]
    # Every item is a target before one is a target again.
    assert sorted(trial.number for trial in cues[:5]) == [0, 1, 2, 3, 4]
    for start, cue in zip(range(0, len(shown), 21), cues, strict=True):
        flashes = shown[start + 1 : start + 21]
        assert {t.number for t in flashes if t.kind == "target"} == {cue.number}
        assert sum(trial.kind == "target" for trial in flashes) == 4
        assert {t.name for t in flashes if t.kind == "target"} == {f"target {'ABCDE'[cue.number]}"}
        for item in range(5):
            places = [place for place, flash in enumerate(flashes) if flash.number == item]
            assert all(b - a > 2 for a, b in pairwise(places))
        assert [t.blank_s for t in flashes] == [1.0] + [0.1] * 19
    pictures = settings(protocol="oddball", folder=str(folder), items=3, targets=1, repeats=2)
    assert count(pictures) == len(trials(pictures)) == 8
    word, target, *flashes = trials(pictures)
    assert word.stimulus == Text("count", 2.0)
    assert isinstance(target.stimulus, Picture)
    assert {t.kind for t in flashes if t.number == target.number} == {"target"}
    with pytest.raises(ConfigError, match="7 of the 6 pictures"):
        open_protocol(pictures | {"items": 7}, PALETTE)
    with pytest.raises(ConfigError, match="less than the number of items"):
        settings(protocol="oddball", words=["A", "B"], spacing=2)
