"""Two decoders take turns on one screen, by the phase of the experiment; each is recorded, timed and reproduced."""

from pathlib import Path

import pytest
from commands import call
from sessions import PATIENT_SCREEN, segments_of
from tiny_bundle import tiny_bundle

from bci.session.latency import intervals
from bci.session.recorded import RecordedSession
from bci.session.reproduce import reproduce

pytestmark = pytest.mark.system

SESSION = """
name = "phases"
network = "machine"

[source]
kind = "sines"
rate = 200
shape = [3]
channels = ["O1", "Oz", "O2"]
unit = "uV"

[[decoder]]
name = "doing"
bundle = "doing"

[[decoder]]
name = "imagining"
bundle = "imagining"

[experiment]
protocol = "text"
words = ["left", "right"]
phases = ["training", "imagery"]
stimulus_s = 0.3
feedback_s = 0.5
blank_s = 0.2
lead_in_s = 0.3

[display]
kind = "headless"
max_png = 0
contact_sheet = 0
{patient}

[display.decoders]
imagery = "imagining"
"""


def test_each_phase_shows_its_decoder_and_all_of_it_is_reproduced(tmp_path: Path) -> None:
    for name, low in (("doing", 8.0), ("imagining", 13.0)):
        steps = [{"step": "band_pass", "low": low, "high": 30.0, "order": 2}]
        tiny_bundle(tmp_path / name, rate=200.0, length=40, hop=20, pipeline=steps)
    path = tmp_path / "session.toml"
    path.write_text(SESSION.replace("{patient}", PATIENT_SCREEN))
    checked = call("check", path, "--json")
    assert (checked.status, checked.result["trials"]) == (0, 4)
    done = call("run", path, "--out", tmp_path / "out", "--json")
    assert done.status == 0, done.words
    assert segments_of(done.folder) == set()

    recorded = RecordedSession.read(done.folder)
    phases = {int(row["trial"]): row["phase"] for row in recorded.table("trials")}
    assert phases == {0: "training", 1: "training", 2: "imagery", 3: "imagery"}
    shown = [row for row in recorded.table("shown") if row["kind"] == "frame"]
    fed = {"training": "", "imagery": "imagining"}
    assert {int(row["trial"]) for row in shown} == set(phases)
    assert [row["decoder"] for row in shown] == [fed[phases[int(row["trial"])]] for row in shown]
    # The pixels on the screen are those that this decoder made.
    made = {name: {f.number: f.digest for f in recorded.frames_of(name or None)} for name in fed.values()}
    assert [row["digest"] for row in shown] == [made[row["decoder"]][int(row["frame"])] for row in shown]
    assert made[""] != made["imagining"]
    assert len(intervals(done.folder)["total"]) == len(shown)

    for name in (None, "imagining"):
        result = reproduce(done.folder, decoder=name)
        own = [row for row in shown if row["decoder"] == (name or "")]
        assert result["reproduced"], result
        assert result["equal"] == result["frames"]
        assert result["shown_equal"] == result["shown"] == len(own) > 0
