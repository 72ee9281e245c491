"""The benchmarks of the stream see every sample, notice a planted fault, and say what their last line promises."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def window_log(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import window_log

    return window_log


def counted(first: int, n: int, wrap: int = 1 << 23) -> np.ndarray:
    """Return a window whose channel 0 counts from `first`: (n, 3) float32."""
    window = np.zeros((n, 3), np.float32)
    window[:, 0] = np.arange(first, first + n) % wrap
    return window


def notes_of(window_log: Any, windows: list[np.ndarray], folder: Path) -> np.ndarray:
    log = window_log.WindowLog(len(windows[0]), len(windows))
    for k, window in enumerate(windows):
        log.take(window, float(k))
    log.save(folder)
    return window_log.load_windows(folder)


def test_whole_windows_are_noted_as_whole_also_across_the_counters_wrap(
    window_log: Any, tmp_path: Path
) -> None:
    wrap = window_log.WRAP
    windows = [counted(first, 100) for first in range(0, 60, 10)]
    notes = notes_of(window_log, windows, tmp_path)
    assert notes["newest"].tolist() == [99, 109, 119, 129, 139, 149]
    assert notes["ok"].all()
    assert not notes["missing"].any()

    log = window_log.WindowLog(100, 2)
    log._newest = wrap - 30
    log.take(counted(wrap - 60, 100), 0.0)
    log.save(tmp_path)
    (note,) = window_log.load_windows(tmp_path)
    assert note["ok"]
    assert note["newest"] == wrap + 39


def test_a_lost_sample_and_a_stale_window_are_noticed(window_log: Any, tmp_path: Path) -> None:
    gap = np.concatenate([counted(10, 97), counted(110, 3)])  # 107, 108 and 109 are not there
    notes = notes_of(window_log, [counted(0, 100), gap, counted(13, 100)], tmp_path)
    assert notes["ok"].tolist() == [True, False, True]
    assert notes["missing"].tolist() == [0, 3, 0]

    notes = notes_of(window_log, [counted(0, 100), counted(250, 100)], tmp_path)
    assert notes["ok"].all()
    assert notes["missing"].tolist() == [0, 150]


def test_what_lies_between_and_after_the_windows_is_lost_but_not_what_lies_before_the_first(
    window_log: Any, tmp_path: Path
) -> None:
    from benchmarks.measurement import samples_lost

    notes = notes_of(window_log, [counted(10, 100), counted(30, 100)], tmp_path)
    assert samples_lost(notes, 10, 139) == 0
    assert samples_lost(notes, 10, 143) == 3
    notes = notes_of(window_log, [counted(0, 100), counted(105, 100)], tmp_path)
    assert samples_lost(notes, 10, 205) == 5
    assert samples_lost(notes[:0], 10, 205) == 205


def test_a_pause_is_told_with_its_size_and_the_windows_that_it_held_up() -> None:
    from benchmarks.contenders.traced import TRACE_DTYPE
    from benchmarks.pauses import in_windows, pauses_of

    trace = np.zeros(5, TRACE_DTYPE)
    trace["at"] = [0.00, 0.01, 0.02, 0.03, 0.04]
    trace["waited_ns"] = [0, 100_000, 3_100_000, 3_100_000, 3_100_000]
    trace["minor"] = [7, 7, 11, 11, 11]
    kinds = pauses_of(trace, each_fault_us=0.5)
    counts, waited = kinds["waiting for a processor"]
    assert counts.tolist() == [1, 1, 0, 0]
    np.testing.assert_allclose(waited, [0.1, 3.0, 0.0, 0.0])
    counts, faults = kinds["page faults"]
    assert (counts.tolist(), faults[1]) == ([0, 4, 0, 0], 0.002)
    # Three windows: pushed and in hand before the pause, across it, and after it.
    spent = in_windows(trace, waited, np.array([0.005, 0.018, 0.035]), np.array([0.001, 0.004, 0.001]))
    np.testing.assert_allclose(spent, [0.1, 3.0, 0.0])


def test_the_readmes_table_has_a_row_for_each_configuration_and_each_tail() -> None:
    from benchmarks.latency_table import markdown

    each = dict.fromkeys(("median", "low", "high"), 0.5)
    line = {f"{name}{kind}": each for name in ("p50_ms", "p99_ms", "cpu") for kind in ("", "_ratio")}
    feed = {"channels": 64, "rate": 1000, "chunk": 10}
    text = markdown({name: {"feed": feed, "contenders": {"floor": line, "ours": line}} for name in "AB"})
    assert len(text.splitlines()) == 4
    assert len({row.count("|") for row in text.splitlines()}) == 1
    assert text.count("0.50 (0.50)") == 4


def last_line(module: str, *arguments: str) -> dict[str, Any]:
    """Run one benchmark and return its machine-readable last line."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    line: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return line


@pytest.mark.system
def test_stream_latency_checks_every_window_of_floor_ours_and_the_full_line() -> None:
    found = last_line(
        "benchmarks.stream_latency",
        *("--configs", "A", "--contenders", "floor,ours,line", "--rounds", "1", "--seconds", "1"),
    )
    assert found["benchmark"] == "stream_latency"
    assert found["ok"] is True
    assert found["machine"]["cores"] >= 1
    config = found["configs"]["A"]
    assert len(config["targets"]) == 4
    for name, line in config["contenders"].items():
        assert line["windows"] > 0, name
        assert (line["broken"], line["lost"]) == (0, 0), name
        assert line["p50_ms_ratio"]["low"] <= line["p50_ms_ratio"]["median"] <= line["p50_ms_ratio"]["high"]
    assert set(config["contenders"]) == {"floor", "ours", "line"}
    assert config["line_stages_ms"]["window"]["n"] > 0


@pytest.mark.system
def test_overload_counts_every_window_passed_over_and_shows_every_sample_to_the_pipeline() -> None:
    found = last_line("benchmarks.overload", "--seconds", "2", "--contenders", "ours")
    assert found["ok"] is True
    ours = found["configs"]["A"]["contenders"]["ours"]
    facts = ours["consumer"]
    assert facts["windows"] == facts["decoded"] + facts["skipped"] == ours["grid_windows"]
    assert facts["skipped"] > 0
    assert facts["unseen"] == 0
