"""The benchmark of the line under load judges as it says, and a load that was not there is no load."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
WELL = {"p50": 1.0, "p99": 4.0, "max": 9.0, "lost": 0.0, "broken": 0.0, "passed_over": 0.0}
THERE = {"messages_hz": 998.0, "always_open": True, "asked_s": 7.0}


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import line_under_load

    return line_under_load


def missed(benchmark: Any, *rounds: tuple[dict[str, float], dict[str, float], dict[str, Any]]) -> list[str]:
    """Return the first words of each target that these rounds, alone, loaded and load, miss."""
    verdicts = benchmark.judge([benchmark.Round(*one) for one in rounds], 10.0)
    return [" ".join(target.split()[:2]) for target, verdict in verdicts.items() if not verdict["met"]]


def test_the_median_of_the_rounds_decides_not_the_worst_of_them(benchmark: Any) -> None:
    good, bad = (
        (WELL, WELL | {"p50": 1.24, "p99": 13.9}, THERE),
        (WELL, WELL | {"p50": 9.0, "p99": 90.0}, THERE),
    )
    assert missed(benchmark, good, bad, good) == []
    assert missed(benchmark, bad, bad, good) == ["p50 rises", "p99 rises"]


def test_a_small_rise_of_a_fast_line_is_met_by_its_milliseconds(benchmark: Any) -> None:
    fast = WELL | {"p50": 0.3}
    assert missed(benchmark, (fast, fast | {"p50": 0.49}, THERE)) == []
    assert missed(benchmark, (fast, fast | {"p50": 0.51}, THERE)) == ["p50 rises"]


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("what", ["lost", "broken"])
def test_a_lost_sample_or_a_broken_window_of_any_session_fails_it(
    benchmark: Any, who: int, what: str
) -> None:
    sessions = [dict(WELL), dict(WELL)]
    sessions[who][what] = 1.0
    assert missed(benchmark, (sessions[0], sessions[1], THERE), (WELL, WELL, THERE)) == ["no sample"]


@pytest.mark.parametrize("load", [THERE | {"always_open": False}, THERE | {"messages_hz": 880.0}])
def test_a_load_that_was_not_there_for_the_whole_span_fails_it(benchmark: Any, load: dict[str, Any]) -> None:
    assert missed(benchmark, (WELL, WELL, THERE), (WELL, WELL, load)) == ["the page"]


def test_a_browsers_helper_that_has_just_ended_counts_as_nothing(benchmark: Any) -> None:
    helper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(helper.pid)
    helper.communicate(b"\n")
    assert benchmark._used(process) == 0.0
    assert benchmark._used(psutil.Process()) > 0.0


def test_a_page_that_closes_meanwhile_is_noticed(benchmark: Any, tmp_path: Path) -> None:
    load = benchmark.Load(5.0, tmp_path)
    load._open, load._updates = [1, 1, 0, 1], [10, 18, 26, 34]
    load._cpu = [(0.0, {"page": 1.0}), (5.0, {"page": 1.5})]
    (tmp_path / "busy.json").write_text('{"sent": 5000, "received": 4990, "seconds": 5.0}')
    facts = load.facts()
    assert facts["always_open"] is False
    assert facts["messages_hz"] == 1000.0
    assert facts["cpu"] == {"page": pytest.approx(0.1)}
    load._open = []
    assert load.facts()["always_open"] is False, "no browser looked"


def test_a_browser_that_asked_too_late_or_never_is_told_from_a_page_that_did_not_answer(
    benchmark: Any, tmp_path: Path
) -> None:
    load = benchmark.Load(5.0, tmp_path)
    load._cpu = [(0.0, {}), (5.0, {})]
    load._span_at, load._open = 100.0, [0, 0]
    (tmp_path / "busy.json").write_text('{"sent": 5000, "received": 4990, "seconds": 5.0}')
    for moment, without in ((None, True), (100.5, True), (93.0, False)):
        if moment is not None:
            (tmp_path / "asked").write_text(repr(moment))
        one = benchmark.Round(WELL, WELL, load.facts())
        assert one.without_browser is without
        assert missed(benchmark, (WELL, WELL, one.load)) == ["the page"], (
            "and in the verdict neither is a load"
        )
