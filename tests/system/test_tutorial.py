"""The tutorial of docs/protocols.md is run as it is written: its files, its commands, what it says is left."""

import csv
import json
import re
from pathlib import Path

import pytest
from commands import call
from sessions import bci

pytestmark = pytest.mark.system

PAGE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """Return the one block of code in a language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.S | re.M)
    (text,) = [text for name, text in blocks if name == language]
    return str(text)


def test_the_protocol_of_the_tutorial_is_checked_run_and_leaves_what_the_page_says(tmp_path: Path) -> None:
    lines = [line for line in block("python").splitlines() if line.strip()]
    assert len(lines) <= 30
    (tmp_path / "rehearsal.py").write_text(block("python"), encoding="utf-8")
    (tmp_path / "rehearsal.toml").write_text(block("toml"), encoding="utf-8")
    check, run = block("").split("\n")[:2]
    assert (check, run) == ("bci check rehearsal.toml", "bci run rehearsal.toml")
    checked = call("check", tmp_path / "rehearsal.toml", "--out", tmp_path / "out", "--json")
    assert checked.result["ok"], checked.words
    done = bci("run", tmp_path / "rehearsal.toml", "--out", tmp_path / "out", "--json")
    assert done.result["ended_by"] == "the experiment has ended", done.words
    session = Path(done.result["session"])
    assert (session / "protocol-rehearsal.py").read_text(encoding="utf-8") == block("python")
    with (session / "events.tsv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    rows = [row for row in rows if row["trial_type"] != "marker"]  # those stand beside the trials
    assert {row["name"] for row in rows} == {"left hand", "right hand", "rest"}
    assert {row["trial_type"] for row in rows} == {"word"}
    described = json.loads((session / "events.json").read_text(encoding="utf-8"))
    assert described["Experiment"]["settings"]["words"] == ["left hand", "right hand", "rest"]
    # Each word is shown until the decoder is sure, twice at most.
    for word in {row["name"] for row in rows}:
        own = [row for row in rows if row["name"] == word and row["ending"] == "shown"]
        sure = [row["confidence"] != "n/a" and float(row["confidence"]) >= 0.9 for row in own]
        assert sure in ([True], [False, True], [False, False])
