"""A session shows phosphenes: recorded as they were seen, and reproduced."""

import json
from pathlib import Path

import pytest
from commands import call
from sessions import PATIENT_SCREEN, bci
from tiny_bundle import tiny_bundle

pytestmark = pytest.mark.system

SESSION = """
name = "phosphenes"
network = "machine"
seconds = 3
[source]
kind = "sines"
rate = 160
shape = [3]
channels = ["O1", "Oz", "O2"]
unit = "uV"
[decoder]
bundle = {bundle}
[display]
kind = "headless"
max_png = 8
{patient}
[display.phosphenes]
electrodes = 60
layout = "even"
feature = "brightness"
limits = [{{ electrodes = [0, 1], amplitude_ua = 0.0 }}]
"""


def test_reconstructions_that_were_shown_as_phosphenes_are_reproduced_as_such(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "bundle", rate=160.0, length=32, hop=32, height=12, width=12)
    config = tmp_path / "session.toml"
    config.write_text(SESSION.format(patient=PATIENT_SCREEN, bundle=json.dumps(str(bundle.folder))))
    done = bci("run", config, "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.words
    rows = done.table("shown")
    shown = [row for row in rows if row["kind"] == "frame"]
    assert len(shown) >= 5
    assert {row["mode"] for row in shown} == {"phosphenes"}
    assert {row["mode"] for row in rows if row["kind"] != "frame"} == {""}
    digests = {row["frame"]: row["digest"] for row in done.table("frames")}
    # A black picture is seen as it is.
    assert sum(row["digest"] != digests[row["frame"]] for row in shown) >= 3
    again = call("reproduce", done.folder, "--json")
    assert again.status == 0, again.words
    result = again.result
    assert result["shown"] == result["shown_equal"] == len(shown)
    assert result["images"] == result["images_within"] > 3
