"""`bci certify` runs a rig, breaks it, and writes a page that says what was seen."""

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sessions
from commands import Done, call
from sessions import bci

from bci.config.session import load_session
from bci.control.certify.breaking import Fault
from bci.control.certify.certificate import broken_in
from bci.control.certify.faults import FaultRules, judge
from bci.control.certify.rig import Rig, prepare
from bci.control.certify.runs import CertifiedRun
from bci.control.certify.seeing import look
from bci.control.certify.traces import Traces
from bci.live.tables import image_digest
from bci.memory.lsl_clock import LslClock

pytestmark = pytest.mark.system

BUNDLE = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"

# What a slow machine does is for the certificate to say, not for a test: no limit here can be missed for slowness.
PATIENT = """
transport_p99_ms = 1e6
window_p99_ms = 1e6
decode_p99_ms = 1e6
publish_p99_ms = 1e6
handover_p99_ms = 1e6
flip_p99_ms = 1e6
total_p99_ms = 1e6
skipped_windows_percent = 100
neutral_percent = 100
late_flips_percent = 100
flip_interval_p99_frames = 1e6
clock_step_ms = 1e6
neutral_margin_ms = 1e6
screen_back_s = 1e6
decoding_again_s = 1e6
"""


def session_file(folder: Path) -> Path:
    path = folder / "session.toml"
    path.write_text(
        f'name = "rig"\nnetwork = "machine"\n[source]\nkind = "simulate"\n[decoder]\nbundle = "{BUNDLE}"\n'
        f'[display]\nkind = "headless"\nmax_png = 0\ncontact_sheet = 0\n'
        f"[supervision]\nhung_after_s = 30\n[limits]\n{PATIENT}"
    )
    return path


class Links(HTMLParser):
    """Finds whatever a page would fetch from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "data")]
        if tag in ("script", "link", "iframe", "object"):
            self.found.append(tag)


def certified(done: Done) -> str:
    """Return the page of a certificate that was made, whatever its verdict."""
    assert done.status == (0 if done.result["pass"] else 3), done.words
    return Path(done.result["page"]).read_text(encoding="utf-8")


def test_a_rig_that_keeps_its_limits_passes_and_its_page_stands_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A session, its verification and its reproduction, one after the other: on a busy machine that takes its time.
    monkeypatch.setattr(sessions, "LONGEST", 280.0)
    done = bci("certify", session_file(tmp_path), "--seconds", 6, "--out", tmp_path / "out", "--json")
    page = certified(done)
    failed = {name: it for name, it in done.result["limits"].items() if not it["pass"]}
    assert done.result["pass"] is True, (failed, done.words)
    for name in ("transport_p99_ms", "decode_p99_ms", "total_p99_ms", "lost_samples", "late_flips_percent"):
        assert set(done.result["limits"][name]) == {"figure", "limit", "unit", "pass"}
    assert done.result["limits"]["lost_samples"]["figure"] == 0
    assert done.result["reproduced"]["equal"] == done.result["reproduced"]["frames"] > 0
    assert done.result["verified"]["sound"] is True
    assert done.result["faults"] is None
    assert done.result["simulated"] is True
    assert set(done.result["latency_ms"]["total"]) == {"p50", "p95", "p99", "max", "n"}
    links = Links()
    links.feed(page)
    assert links.found == []
    assert "url(http" not in page
    assert "<strong>Passed</strong>" in page
    assert "simulated" in page
    assert "True onset was not measured" in page
    assert done.result["bundle"]["hash"] in page
    beside = json.loads(Path(done.result["machine_readable"]).read_text(encoding="utf-8"))
    assert beside["pass"] is True
    assert beside["limits"] == done.result["limits"]


def test_a_decoder_that_is_killed_is_seen_as_the_table_says(tmp_path: Path) -> None:
    rig: Rig = prepare(load_session(session_file(tmp_path)))
    grey = np.full((*rig.bundle.image_size, 3), rig.config.display.background, np.uint8)
    with CertifiedRun(
        "faults", rig.config, tmp_path, LslClock(), rig.hop_seconds, faults=[Fault("decode", "killed")]
    ) as run:
        run.follow(lambda elapsed, what: None)
    assert run.session is not None, run.trouble
    (broken,) = broken_in(run)
    assert broken.recovered
    report = judge(
        broken,
        look(Traces(run.session), broken),
        FaultRules(rig.config, rig.hop_seconds, image_digest(grey)),
        0.0,
    )
    assert report.passed, [(check.what, check.figure_text) for check in report.checks if not check.passed]
    assert {check.name for check in report.checks} >= {"neutral_s", "neutral_grey", "marked", "told"}
    assert Traces(run.session).coverage.missing == 0
    assert run.segments in ([], None)


def test_a_window_that_nobody_can_see_is_not_certified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "SDL_VIDEODRIVER", "dummy")
    config = session_file(tmp_path)
    config.write_text(config.read_text().replace('"headless"', '"window"'))
    done = call("certify", config, "--out", tmp_path / "out", "--json")
    assert done.status == 2
    assert "--headless" in done.words
    assert not (tmp_path / "out").exists()
