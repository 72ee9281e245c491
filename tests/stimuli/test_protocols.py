"""Protocols: each has settings, a module and an example, is counted without being run, and keeps its promises."""

import json
import tomllib
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image
from protocol_settings import settings

from bci.config.experiment import ExperimentSettings
from bci.config.session import load_session
from bci.errors import ConfigError
from stimuli.protocols import PROTOCOLS, count, open_protocol
from stimuli.protocols.latents import points
from stimuli.trials import Ending, Latent, Outcome, Palette, Text

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
PALETTE = Palette((8, 8), latent=16, reading=16)


def pictures(folder: Path) -> Path:
    """Write two pictures and their latents; return their folder."""
    for name in ("a", "b"):
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    (folder / "latents.json").write_text(json.dumps({"a": [1.0] * 16, "b": [0.5] * 16}))
    return folder


def test_every_protocol_has_settings_a_module_and_an_example() -> None:
    models = [get_args(tagged)[0] for tagged in get_args(get_args(ExperimentSettings)[0])]
    # One is for protocols of one's own, which have names of their own.
    names = [get_args(model.model_fields["protocol"].annotation) for model in models]
    assert {name[0] for name in names if name} == set(PROTOCOLS)
    assert len(names) == len(PROTOCOLS) + 1
    files = [
        path for path in CONFIGS.glob("*.toml") if "experiment" in tomllib.loads(path.read_text("utf-8"))
    ]
    sessions = [load_session(path) for path in files]
    assert {session.experiment.protocol for session in sessions if session.experiment} == set(PROTOCOLS)


def test_an_experiment_without_a_protocol_shows_images_and_old_files_stay_readable() -> None:
    found = settings(folder="my-faces", repeats=2)
    assert (found["protocol"], found["folder"]) == ("images", Path("/lab/my-faces"))
    assert settings(protocol="staircase", folder="my-faces")["folder"] == Path("/lab/my-faces")


@pytest.mark.parametrize(
    ("experiment", "words"),
    [
        ({"protocol": "dance"}, ["experiment", "dance", "staircase"]),
        ({"protocol": "text", "words": []}, ["experiment.words", "at least 1"]),
        ({"protocol": "text", "words": [" "]}, ["1 to 480 bytes"]),
        (
            {"protocol": "latents", "folder": "faces"},
            [
                "experiment.folder",
                "no such key",
                "'neurofeedback', 'oddball' or 'expected_information' have it",
            ],
        ),
        ({"folder": "faces", "reversals": 3}, ["experiment.reversals", "no such key", "'staircase' has it"]),
    ],
)
def test_what_is_wrong_with_an_experiment_is_named(experiment: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        settings(**experiment)
    for word in words:
        assert word in str(raised.value)


def test_a_protocol_is_counted_without_being_run(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert count(settings(folder=str(tmp_path), repeats=3)) == 3
    assert count(settings(protocol="latents", points=5, repeats=4)) == 20
    assert count(settings(protocol="text", words=["left", "right"], repeats=2)) == 4
    assert count(settings(protocol="staircase", folder=str(tmp_path))) is None
    for name, trials in (("imagery", 18), ("oddball", 100), ("perception", 56), ("neurofeedback", 6)):
        example = load_session(CONFIGS / f"{name}.toml").experiment
        assert example is not None
        assert count(example.model_dump()) == trials
    assert count(settings(protocol="imagery", words=["left", "right"], repeats=3)) == 18
    assert count(settings(protocol="neurofeedback", blocks=4)) == 12


def test_text_shows_every_word_as_often_in_an_order_that_the_seed_fixes() -> None:
    spec = settings(protocol="text", words=["left hand", "rest\nnow"], repeats=3, seed=1, size_deg=2.0)
    trials = list(open_protocol(spec, PALETTE))
    assert sorted(trial.name for trial in trials) == ["left hand"] * 3 + ["rest now"] * 3
    assert trials[0].name != trials[1].name
    assert {trial.stimulus for trial in trials} == {Text("left hand", 2.0), Text("rest\nnow", 2.0)}
    assert [trial.number for trial in open_protocol(spec, PALETTE)] == [trial.number for trial in trials]


def test_latents_of_a_direction_lie_on_a_line_and_random_ones_are_standard_normal() -> None:
    line = points(settings(protocol="latents", pattern="direction", points=7, spread=2.0, seed=3), 16)
    assert np.linalg.matrix_rank(line, tol=1e-4) == 1
    np.testing.assert_allclose(np.linalg.norm(line, axis=1), 4 * np.abs(np.linspace(-2, 2, 7)), atol=1e-5)
    spec = settings(protocol="latents", points=4000, spread=0.5, seed=3)
    cloud = points(spec, 16)
    # 64 000 draws: the standard error of the mean is 0.002, of the standard deviation 0.0014.
    assert abs(float(cloud.mean())) < 0.01
    assert float(cloud.std()) == pytest.approx(0.5, abs=0.007)
    first = next(open_protocol(spec | {"order": "sorted"}, PALETTE))
    assert isinstance(first.stimulus, Latent)
    np.testing.assert_array_equal(first.stimulus.latent, cloud[0])


def test_protocols_refuse_a_bundle_that_cannot_serve_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a bundle with a generator graph"):
        open_protocol(settings(protocol="latents"), Palette((8, 8), reading=16))
    staircase = settings(protocol="staircase", folder=str(pictures(tmp_path)))
    with pytest.raises(ConfigError, match="expected 3 numbers for each picture"):
        open_protocol(staircase, Palette((8, 8), reading=3))
    (tmp_path / "latents.json").unlink()
    with pytest.raises(ConfigError, match=r"the latent of every picture in latents\.json"):
        open_protocol(staircase, PALETTE)
    (tmp_path / "b.png").unlink()
    with pytest.raises(ConfigError, match="at least 2 pictures"):
        open_protocol(staircase, PALETTE)


def test_a_staircase_without_answers_stays_where_it_is_and_ends_all_the_same(tmp_path: Path) -> None:
    protocol = open_protocol(
        settings(protocol="staircase", folder=str(pictures(tmp_path)), trials=12, seed=2), PALETTE
    )
    names = [next(protocol).name]
    for number in range(100):
        try:
            names.append(protocol.send(Outcome(number, Ending.SHOWN, 1.0)).name)
        except StopIteration:
            break
    assert sorted(names) == ["a 1"] * 6 + ["b 1"] * 6
    assert not list(islice(protocol, 1))
