"""A certificate passes only when everything does; its page says what failed, and takes nothing from outside."""

import dataclasses
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tiny_bundle import tiny_bundle

from bci.config.limits import Limits
from bci.config.session import SessionConfig, parse_session
from bci.config.sources import SinesSettings
from bci.control.certify.certificate import Certificate
from bci.control.certify.checks import Check, Fact
from bci.control.certify.faults import FaultReport
from bci.control.certify.figures import STAGES, Figures
from bci.control.certify.page import render
from bci.control.certify.rig import prepare
from bci.control.certify.seeing import Span
from bci.errors import ConfigError
from bci.live.source import open_source
from bci.session.photodiode import Onset

STRIP = (Span(-1.5, 0.2, "picture"), Span(0.2, 3.0, "neutral"), Span(3.0, 4.0, "picture"))


def config_of(bundle: Path, **more: Any) -> SessionConfig:
    values = {"name": "rig", "stream": {"source_id": "amp"}, "decoder": {"bundle": str(bundle)}, **more}
    return parse_session(values, bundle, "the test")


def fault(*checks: Check | Fact) -> FaultReport:
    return FaultReport(
        "decode",
        "killed",
        12.0,
        "neutral after 0.2 s",
        "samples complete",
        ("supervisor: decode <died>",),
        checks,
        0.3,
        STRIP,
    )


KEPT = Check("neutral_s", "neutral picture after the fault", 0.2, 0.3, "s")
MISSED = Check("neutral_s", "neutral picture after the fault", 0.5, 0.3, "s")

Make = Callable[..., Certificate]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Give what makes a certificate of planted figures."""
    bundle = tiny_bundle(tmp_path / "bundle").folder
    source = {"kind": "simulate"}
    rig = prepare(config_of(bundle, source=source, display={"kind": "headless"}))
    percentiles = {"p50": 1.0, "p95": 2.0, "p99": 3.0, "max": 4.0, "n": 100}

    def certificate(*checks: Check | Fact, faults: list[FaultReport] | None = None) -> Certificate:
        latencies = [Check(f"{name}_p99_ms", words, 3.0, 10.0, "ms") for name, words in STAGES.items()]
        figures = Figures(
            seconds=60.0,
            summary={"windows": 600, "programs": {}},
            latency=dict.fromkeys(STAGES, percentiles),
            flips={**percentiles, "flips": 3600, "dropped": 1},
            offsets=[(0.0, 0.5), (5.0, 0.75)],
            verified={"chunks": 10, "damaged": 0, "samples": 100, "gaps": 0, "sound": True},
            reproduced={"trouble": "no recording"},
            known={},
            checks=(*latencies, *checks),
        )
        made = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
        environment = {
            "processor": "P", "machine": "m", "cores": 2, "platform": "x", "load": 0.5,
            "python": "3", "liblsl": 118, "packages": {},
        }  # fmt: skip
        onset = Onset.unknown("no photodiode was recorded")
        return Certificate(rig, tmp_path, made, figures, faults, [], onset, environment)

    return certificate


def test_a_certificate_passes_when_every_limit_is_kept_and_every_fault_was_seen_as_it_must_be(
    make: Make,
) -> None:
    assert make().passed
    assert make(faults=[fault(KEPT)]).passed
    assert not make(faults=[fault(KEPT), fault(MISSED)]).passed
    assert not make(Check("lost_samples", "samples lost", 1, 0)).passed
    assert not make(Fact("recording", "recording verified", "damaged", False)).passed


def test_a_figure_that_could_not_be_measured_keeps_no_limit(make: Make) -> None:
    certificate = make(Check("clock_step_ms", "step", math.nan, 5.0, "ms"))
    assert not certificate.passed
    assert "step: never (allowed: ≤ 5 ms)" in render(certificate)


def test_the_page_says_what_was_not_kept_on_top_and_what_was_not_tested(make: Make) -> None:
    page = render(make(Check("lost_samples", "samples lost", 7, 0), faults=[fault(KEPT), fault(MISSED)]))
    head = page[: page.index("What was tested")]
    assert "Not passed" in head
    assert "samples lost: 7 (allowed: none)" in head
    assert "decoder killed: neutral picture after the fault: 0.5 s (allowed: ≤ 0.3 s)" in head
    assert "Nothing on this page is a measurement of a brain" in page
    assert "True onset was not measured" in page
    assert "between 0.5 ms and 0.75 ms" in page
    assert "Not tested" in render(make())


def test_the_page_takes_nothing_from_outside_and_nothing_from_a_log_as_markup(make: Make) -> None:
    page = render(make(faults=[fault(KEPT)]))
    assert "decode &lt;died&gt;" in page
    for word in ("<script", "<link", "href=", "@import", "http", "src="):
        assert word not in page
    assert page.count("<svg") == page.count("</svg>") > 2


def test_the_same_for_machines_holds_each_limit_with_its_figure(make: Make) -> None:
    result = make(Check("lost_samples", "samples lost", 0, 0), faults=[fault(MISSED)]).result()
    assert result["pass"] is False
    assert result["limits"]["lost_samples"] == {"figure": 0, "limit": 0, "unit": "", "pass": True}
    assert result["limits"]["decode_killed_neutral_s"]["figure"] == 0.5
    assert result["limits"]["total_p99_ms"]["limit"] == 10.0
    json.dumps(result)


def test_in_place_of_an_amplifier_a_simulator_of_the_same_shape_is_certified_and_the_page_says_so(
    tmp_path: Path, make: Make
) -> None:
    rig = prepare(config_of(tmp_path / "bundle"))
    assert isinstance(rig.config.source, SinesSettings)
    signal = rig.bundle.signal
    assert (rig.config.source.rate, rig.config.source.shape) == (signal.rate, signal.shape)
    rig.bundle.check(open_source(rig.config.source).signal)
    assert rig.config.stream.source_id is None
    assert rig.simulated
    page = render(dataclasses.replace(make(), rig=rig))
    assert "source, amp, was replaced by a simulated one" in page
    own = prepare(config_of(tmp_path / "bundle"), source="rig")
    assert own.external
    assert not own.simulated
    assert "Nothing on this page is a measurement of a brain" not in render(
        dataclasses.replace(make(faults=[]), rig=own)
    )


def test_limits_stand_in_the_session_file_and_a_misspelt_one_is_named(tmp_path: Path) -> None:
    assert config_of(tmp_path).limits == Limits()
    assert config_of(tmp_path, limits={"total_p99_ms": 80}).limits.total_p99_ms == 80
    with pytest.raises(ConfigError, match=r"limits\.total_p9_ms: there is no such key"):
        config_of(tmp_path, limits={"total_p9_ms": 80})
    with pytest.raises(ConfigError, match=r"limits\.late_flips_percent"):
        config_of(tmp_path, limits={"late_flips_percent": 101})


def test_a_simulated_source_is_refused_by_no_guard_and_the_rigs_own_source_is() -> None:
    shipped = Path(__file__).resolve().parents[2] / "models" / "bundles" / "alpha"
    config = config_of(shipped, source={"kind": "simulate"}, display={"kind": "headless"})
    rig = prepare(config)
    assert [decoder.unlike for decoder in rig.config.decoders] == ["keep"]
    assert any("unlike training" in note for note in rig.notes)
    assert [decoder.unlike for decoder in config.decoders] == ["refuse"]
