"""Bad usage and bad input end with status 2 and words that help; every command explains itself."""

import json
from pathlib import Path

import pytest
from commands import call

COMMANDS = (
    "demo", "run", "control", "page", "replay", "record", "verify", "reproduce", "export", "streams", "check", "doctor",
    "info", "latency", "quality", "volumes", "certify", "new", "data", "train", "calibrate", "evaluate", "compare",
    "import-generator", "device", "synthesise", "sim",
)  # fmt: skip


def test_help_teaches_every_command() -> None:
    done = call("--help")
    assert done.status == 0
    for command in COMMANDS:
        assert command in done.words


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("synthesise", "sim")])
def test_each_command_explains_itself_and_offers_json(command: str) -> None:
    done = call(command, "--help")
    assert done.status == 0
    assert "--json" in done.words
    assert len(done.words.split()) > 40


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["demo", "--recording", "nowhere.edf"], "no such file"),
        (["run", "nowhere.toml"], "nowhere.toml"),
        (["info", "nowhere"], "nowhere"),
        (["control", "nowhere", "stop"], "nowhere"),
        (["latency", "nowhere"], "nowhere"),
        (["page", "nowhere"], "nowhere"),
        (["import-generator", "nowhere.onnx", "--out", "out"], "nowhere.onnx"),
        (["check", "nowhere.toml"], "nowhere.toml"),
        (["replay", "nowhere.edf"], "nowhere.edf"),
        (["evaluate", "nowhere"], "nowhere"),
        (["compare", "nowhere.toml"], "nowhere.toml"),
        (["verify", "nowhere.xdf"], "nowhere.xdf"),
        (["reproduce", "nowhere"], "nowhere"),
        (["quality", "nowhere.edf"], "nowhere.edf"),
        (["calibrate", "nowhere.toml", "--out", "x"], "nowhere.toml"),
        (["export", "nowhere.xdf", "--out", "x", "--subject", "01", "--task", "t"], "nowhere.xdf"),
        (["record", "--name", "../up"], "../up"),
        (["train", "nowhere.toml", "--out", "x"], "nowhere.toml"),
        (["searchlight", "nowhere", "--places", "x.npy"], "nowhere"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_not_there_is_status_2_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(*words, "--json")
    assert done.status == 2, done.words
    assert named in done.words
    assert named in done.result["message"]
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


@pytest.mark.parametrize(
    "words",
    [
        ("--alpha", "--snr", 0),
        ("--fmri", "--alpha"),
        ("--alpha", "--recording", __file__),
        ("--recording", __file__, "--snr", 1),
    ],
)
def test_demos_that_contradict_each_other_are_refused(tmp_path: Path, words: tuple[object, ...]) -> None:
    done = call("demo", *words, "--headless", "--out", tmp_path / "out", "--json")
    assert done.status == 2
    assert done.result["error"] == "ConfigError"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "verb", ["watch", "replay", "receive", "send", "info", "reference", "quality", "mask"]
)
def test_each_command_about_volumes_explains_itself_and_offers_json(verb: str) -> None:
    assert verb in call("volumes", "--help").words
    done = call("volumes", verb, "--help")
    assert done.status == 0
    assert "--json" in done.words
    assert len(done.words.split()) > 40
    if verb == "receive":
        return
    more = ("--out", "nothing") if verb in ("reference", "quality", "mask") else ()
    more += ("--masks", "none", "--design", "none", "--contrast", "a") if verb == "mask" else ()
    done = call("volumes", verb, "nowhere", *more, "--json")
    assert done.status == 2, done.words
    assert "nowhere" in done.result["message"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["dream", "nowhere.png"], "nowhere.png"),
        (["texture", "nowhere.png"], "nowhere.png"),
        (["style", "nowhere.png", "other.png"], "nowhere.png"),
        (["drive", "--pictures", "nowhere", "--counts", "counts.npy"], "nowhere"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_each_way_to_make_a_picture_explains_itself_and_names_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert words[0] in call("synthesise", "--help").words
    done = call("synthesise", words[0], "--help")
    assert done.status == 0
    assert "--json" in done.words
    assert len(done.words.split()) > 40
    done = call("synthesise", *words, "--out", "x.png", "--json")
    assert done.status == 2, done.words
    assert named in done.result["message"]
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


def test_a_misspelt_option_is_status_2() -> None:
    done = call("demo", "--sedonds", 3)
    assert done.status == 2
    assert "sedonds" in done.words


def test_a_session_file_with_a_wrong_key_is_status_2_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('name = "s"\n[source]\nkind = "simulate"\nsede = 3\n[decoder]\nbundle = "b"\n')
    done = call("check", path, "--json")
    assert done.status == 2
    assert "sede" in done.result["message"]


@pytest.mark.system
def test_streams_is_one_json_line_even_when_there_are_none() -> None:
    done = call("streams", "--wait", 0.5, "--json")
    assert done.status == 0
    assert json.dumps(done.result["streams"]) == "[]"


def test_a_signal_that_a_network_makes_is_explained_and_a_bundle_that_makes_none_is_named() -> None:
    assert "lfp" in call("sim", "--help").words
    done = call("sim", "lfp", "--help")
    assert done.status == 0
    assert "--json" in done.words
    assert len(done.words.split()) > 40
    for named, words in (("nowhere", "nowhere"), ("alpha", "makes a signal")):
        done = call("sim", "lfp", "--model", named, "--json")
        assert done.status == 2, done.words
        assert words in done.result["message"]
