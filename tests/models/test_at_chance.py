"""A decoder that is no better than chance is not written unawares, and says what it is wherever it is used."""

import json
from pathlib import Path
from typing import Any

import pytest
from blobs import save_blobs
from commands import Done, call
from tiny_bundle import tiny_bundle

from bci.config.session import parse_session
from bci.control.session_plan import SessionPlan
from bci.decoder.bundle import Bundle
from bci.decoder.spec import AT_CHANCE
from bci.errors import AtChance
from models.sessions.evaluate import other_conditions
from models.sessions.page import live_section
from models.systems.system import check_worth

NOISE = """
kind = "hyper-insilico"
name = "noise"
seed = 1
generator = "generator"
stimuli = "stimuli"
[participant]
snr = 1e-9
units = 32
[trials]
train = 100
test = 10
runs = 4
stimulus_s = 0.4
blank_s = 0.5
[epoch]
start = 0.04
stop = 0.56
[[pipeline]]
step = "decimate"
factor = 5
order = 4
"""


def told(done: Done) -> str:
    return " ".join(done.words.split())


def test_training_on_noise_writes_nothing_unless_it_is_asked_to_and_then_everything_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_blobs(tmp_path / "generator")
    (tmp_path / "noise.toml").write_text(NOISE)
    monkeypatch.chdir(tmp_path)
    refused = call("train", "noise.toml", "--out", "bundle", "--json")
    assert refused.status == 3, refused.words
    assert refused.result["written"] is False
    assert "no better than chance, so no bundle is written" in refused.result["reason"]
    assert "two-way identification" in refused.result["reason"]
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "stimuli").exists()
    assert "--even-at-chance" in refused.result["reason"]
    written = call("train", "noise.toml", "--out", "bundle", "--even-at-chance", "--json")
    assert written.status == 0, written.words
    assert AT_CHANCE in told(written)
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())["scores"]["beats_chance"] is False
    assert "**This decoder was no better than chance**" in (tmp_path / "bundle" / "card.md").read_text()
    info = call("info", "bundle", "--json")
    assert AT_CHANCE in told(info)
    assert info.result["scores"]["beats_chance"] is False


def test_what_beats_chance_is_written_and_says_so() -> None:
    assert check_worth(True, "AUC .98", False) == {"beats_chance": True}
    assert check_worth(False, "AUC .50", True) == {"beats_chance": False}
    with pytest.raises(AtChance, match=r"AUC \.50\. That is no better than chance"):
        check_worth(False, "AUC .50", False)


def session(bundle: Bundle) -> SessionPlan:
    values = {"name": "s", "source": {"kind": "simulate"}, "decoder": {"bundle": str(bundle.folder)}}
    return SessionPlan(parse_session(values, bundle.folder.parent, "it"))


def test_a_session_of_it_says_so_in_its_log_and_summary(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = f"Bundle tiny: {AT_CHANCE} on what it was not trained on; its pictures say nothing."
    session(tiny_bundle(tmp_path / "bad", scores={"beats_chance": False})).begin(tmp_path)
    assert [record.message for record in caplog.records] == [said]
    caplog.clear()
    for name, scores in (("good", {"beats_chance": True}), ("old", {})):
        session(tiny_bundle(tmp_path / name, scores=scores)).begin(tmp_path)
    assert not caplog.records


@pytest.mark.parametrize(
    ("source", "others"),
    [
        ({"snr": 0.4}, []),
        ({"snr": 0.1}, ["SNR 0.1 live, 0.4 offline"]),
        ({}, ["SNR 0.1 live, 0.4 offline"]),
        ({"snr": 0.0, "subject": 2}, ["SNR 0 live, 0.4 offline", "subject 2 live, 1 offline"]),
        ({"snr": 0.4, "permute_channels": 3}, ["channels in another order live"]),
    ],
)
def test_a_session_under_other_conditions_is_no_difference_of_live_and_offline(
    tmp_path: Path, source: dict[str, Any], others: list[str]
) -> None:
    from bci.decoder.spec import Provenance

    trained = Provenance(config={"participant": {"subject": 1, "snr": 0.4, "modality": "eeg"}})
    bundle = tiny_bundle(tmp_path / "b", provenance=trained, scores={"snr": 0.4})
    config = {"source": {"kind": "insilico", **source}}
    assert other_conditions(config, bundle) == others
    report = {"reproduced": None, "left_out": {}, "two_way": 0.7, "offline": {"two_way": 0.85, "n_way": 0.3}}
    page = live_section(report | {"other_conditions": others})
    assert ("points" in page) is not bool(others)
    assert ("no difference of live and offline" in page) is bool(others)
    for words in others:
        assert words in page
    assert other_conditions({"source": {"kind": "replay", "file": "x"}}, bundle) == []
