"""Bad usage and bad input end with status 2 and words that help."""

import json
from pathlib import Path

import pytest
from sessions import bci

pytestmark = pytest.mark.system

COMMANDS = (
    "demo", "run", "replay", "record", "verify", "reproduce", "export", "streams", "check", "doctor", "info", "latency",
    "quality", "certify", "train", "calibrate", "evaluate", "compare",
)  # fmt: skip


def test_help_teaches_every_command() -> None:
    done = bci("--help")
    assert done.status == 0
    for command in COMMANDS:
        assert command in done.words


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_and_offers_json(command: str) -> None:
    done = bci(command, "--help")
    assert done.status == 0
    assert "--json" in done.words
    assert len(done.words.split()) > 40


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--recording", "nowhere.edf"], "no such file"),
        (["run", "nowhere.toml"], "nowhere.toml"),
        (["info", "nowhere"], "nowhere"),
        (["latency", "nowhere"], "nowhere"),
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
    ],
)
def test_what_is_not_there_is_status_2_and_named(tmp_path: Path, words: list[str], said: str) -> None:
    done = bci(*words, "--json")
    assert done.status == 2, done.words
    assert said in done.words
    assert "Traceback" not in done.words
    assert said in done.result["message"]


def test_a_misspelt_option_is_status_2() -> None:
    done = bci("demo", "--sedonds", 3)
    assert done.status == 2
    assert "sedonds" in done.words


def test_a_session_file_with_a_wrong_key_is_status_2_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('name = "s"\n[source]\nkind = "simulate"\nsede = 3\n[decoder]\nbundle = "b"\n')
    done = bci("check", path, "--json")
    assert done.status == 2
    assert "sede" in done.result["message"]


def test_a_bundle_for_another_montage_is_refused_before_anything_starts(tmp_path: Path, data: Path) -> None:
    path = tmp_path / "s.toml"
    bundle = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"
    recording = data / "lfp_ca1_ec3" / "ca1.npy"
    path.write_text(
        f'name = "s"\nnetwork = "machine"\n[source]\nkind = "replay"\nfile = "{recording}"\nrate = 1250\nunit = "mV"\n'
        f'[decoder]\nbundle = "{bundle}"\n[display]\nkind = "headless"\n'
    )
    for command in (["check", path], ["run", path, "--out", tmp_path / "out"]):
        done = bci(*command, "--json")
        assert done.status == 2, done.words
        assert done.result["error"] == "BundleMismatch"
        assert "1250" in done.result["message"]
        assert "160" in done.result["message"]


def test_doctor_says_what_this_machine_has() -> None:
    done = bci("doctor", "--json")
    assert done.status == 0, done.words
    assert done.result["findings"]["ONNX Runtime"]["ok"] is True


def test_streams_is_one_json_line_even_when_there_are_none() -> None:
    done = bci("streams", "--wait", 0.5, "--json")
    assert done.status == 0
    assert json.dumps(done.result["streams"]) == "[]"
