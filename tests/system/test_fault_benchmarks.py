"""The benchmarks of recording, soaking and recovery judge as they say, and notice what was planted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bci.control.nursery import forks
from bci.io.files.xdf.writer import XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.signal.clock import ManualClock
from bci.signal.types import Signal

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    import benchmarks.measurement
    import benchmarks.planted
    import benchmarks.recorder
    import benchmarks.recovery
    import benchmarks.soak

    return benchmarks


# -- what a recording holds ------------------------------------------------------------------------------


def test_every_sample_that_is_lost_doubled_or_changed_in_a_recording_is_found(
    benchmarks: Any, tmp_path: Path
) -> None:
    planted = benchmarks.planted
    sent = planted.planted(planted.noise(4, 7))
    signal = Signal("feed", 100.0, (4,))

    def found(name: str, *pieces: np.ndarray) -> tuple[int, int]:
        with XdfWriter(tmp_path / f"{name}.xdf", ManualClock(1.0)) as writer:
            other = writer.add_stream(StreamInfo(Signal("other", 0.0, (2,)), "other"))
            stream = writer.add_stream(StreamInfo(signal, "feed"))
            for piece in pieces:
                writer.write(other, np.zeros((1, 2), "f4"), [1.0])
                writer.write(stream, piece, np.ones(len(piece)))
        result = planted.read_back(tmp_path / f"{name}.xdf", "feed", sent)
        return result.samples, result.wrong

    assert found("whole", sent(0, 30), sent(30, 50)) == (50, 0)
    assert found("lost", sent(0, 30), sent(31, 50)) == (49, 19)
    assert found("doubled", sent(0, 30), sent(29, 50)) == (51, 21)
    changed = sent(30, 50)
    changed[5, 2] += 1e-6
    assert found("changed", sent(0, 30), changed) == (50, 1)


# -- soak ------------------------------------------------------------------------------------------------


def looks(benchmarks: Any, **changes: Any) -> list[Any]:
    """Return a hundred looks at two programs; `changes` give memory, files or segments by share."""
    memory = changes.get("memory", lambda share: 50.0)
    files = changes.get("files", lambda share: 20)
    segments = changes.get("segments", lambda share: 6)
    return [
        benchmarks.soak.Look(
            share,
            {"decode": memory(share), "display": 30.0},
            {"decode": files(share), "display": 9},
            segments(share),
        )
        for share in np.linspace(0, 1, 100)
    ]


def missed(
    benchmarks: Any, seen: list[Any], *, samples: int = 1000, wrong: int = 0, damaged: int = 0
) -> list[str]:
    """Return the first words of the targets that are not met."""
    found = benchmarks.planted.ReadBack(samples, wrong, samples * 16)
    verdicts = benchmarks.soak.judge(seen, 1000, found, damaged, [])
    return [" ".join(target.split()[:2]) for target, verdict in verdicts.items() if not verdict["met"]]


def test_a_soak_that_neither_grows_nor_loses_meets_every_target(benchmarks: Any) -> None:
    # Half as much again within the first tenth is the start, and files that come and go are no leak.
    start = looks(
        benchmarks,
        memory=lambda share: 50.0 if share > 0.1 else 30.0,
        files=lambda share: 20 + round(100 * share) % 3,
    )
    assert missed(benchmarks, start) == []


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"memory": lambda share: 50.0 + 4 * share}, "private memory"),  # 7 % from 15 % to 95 % of the run
        ({"files": lambda share: 20 + (share > 0.7)}, "open files"),
        ({"segments": lambda share: 6 + (share > 0.5)}, "shared segments"),
    ],
)
def test_a_soak_notices_what_grows(benchmarks: Any, change: dict[str, Any], target: str) -> None:
    assert missed(benchmarks, looks(benchmarks, **change)) == [target]


def test_a_soak_notices_memory_that_grows_by_little_of_much(benchmarks: Any) -> None:
    large = looks(benchmarks, memory=lambda share: 1000.0 + 15 * share)
    assert missed(benchmarks, large) == ["private memory"]


def test_a_soak_notices_samples_that_are_missing_wrong_or_damaged(benchmarks: Any) -> None:
    seen = looks(benchmarks)
    assert missed(benchmarks, seen, samples=999) == ["all 1000"]
    assert missed(benchmarks, seen, wrong=1) == ["all 1000"]
    assert missed(benchmarks, seen, damaged=1) == ["all 1000"]
    assert not benchmarks.soak.judge(
        seen, 1000, benchmarks.planted.ReadBack(1000, 0, 0), 0, ["segment bci1234s"]
    )["none left afterwards"]["met"]


def test_a_soak_in_which_nothing_was_seen_proves_nothing(benchmarks: Any) -> None:
    assert "private memory" in missed(benchmarks, [])
    assert "open files" in missed(benchmarks, [])


# -- recorder --------------------------------------------------------------------------------------------


def figures(p50: float, p99: float, **more: float) -> dict[str, float]:
    """Return the figures of a session, or of a part of one."""
    return {"p50_ms": p50, "p99_ms": p99, "lost": 0, "bytes_ratio": 1.02, "slowest_write_s": 0.1} | more


def test_the_recorder_is_judged_by_the_median_of_its_turns(benchmarks: Any) -> None:
    def met(*turns: tuple[float, float], **more: float) -> list[bool]:
        pairs = [{"off": figures(2.0, 5.0), "on": figures(*on)} for on in turns]
        verdicts = benchmarks.recorder.judge(pairs, figures(2.0, 5.0, **more), None)
        return [verdict["met"] for verdict in verdicts.values()]

    assert met((2.15, 6.0), (9.0, 90.0), (2.1, 6.5)) == [True] * 4
    assert met((2.3, 6.0), (2.3, 6.0), (2.1, 6.0)) == [False, True, True, True]
    assert met((2.1, 7.5), (2.1, 7.5), (2.1, 6.0)) == [True, False, True, True]
    assert met((2.1, 6.0), lost=1) == [True, True, False, True]
    assert met((2.1, 6.0), bytes_ratio=1.06) == [True, True, True, False]
    # A tenth of a millisecond is nothing that anybody could see, whatever its share.
    fast = [{"off": figures(0.4, 1.0), "on": figures(0.49, 1.0)}]
    verdicts = benchmarks.recorder.judge(fast, figures(0.4, 1.0), None)
    assert all(verdict["met"] for verdict in verdicts.values())


def test_windows_count_for_the_part_in_which_they_came_but_not_for_its_beginning(benchmarks: Any) -> None:
    recorder = benchmarks.recorder
    when = np.arange(0.0, 12.0, 0.1)
    latency = np.where((when % 6) < 2.5, 1e-3, 2e-3)  # twice as long with the recorder on
    latency[(when % 6 < 0.5) | ((when % 6 >= 2.5) & (when % 6 < 4.0))] = (
        1.0  # while it suspends and catches up
    )
    done = benchmarks.measurement.Measurement(
        "line", None, latency, np.empty(0), np.empty((0, 2)), 0.0, {}, 0, 0, 0, 0, facts={"when": when}
    )
    turns = recorder.parted(done, [("off", 0.0), ("on", 2.5), ("off", 6.0), ("on", 8.5)], 12.0)
    assert [(turn["off"]["windows"], turn["on"]["windows"]) for turn in turns] == [(20, 20), (20, 20)]
    for turn in turns:
        assert turn["off"]["p99_ms"] == pytest.approx(1.0)
        assert turn["on"]["p50_ms"] == pytest.approx(2.0)


def test_a_stall_counts_only_when_the_disk_did_stall(benchmarks: Any) -> None:
    pair = [{"off": figures(2.0, 5.0), "on": figures(2.0, 5.0)}]

    def met(**more: float) -> bool:
        stalled = figures(2.0, 5.0, most_waiting_mb=150.0, **more)
        return bool(list(benchmarks.recorder.judge(pair, pair[0]["on"], stalled).values())[-1]["met"])

    assert met(slowest_write_s=5.0)
    assert not met(slowest_write_s=5.0, lost=3)
    assert not met(slowest_write_s=0.2)


# -- recovery --------------------------------------------------------------------------------------------


def test_what_followed_a_kill_is_read_from_the_stamps_of_the_session(benchmarks: Any) -> None:
    recovery = benchmarks.recovery
    shown = recovery.Shown(
        # Made of what was on its way when the source died at 10.0; then nothing until it was back at 12.0.
        published=np.array([9.9, 10.01, 13.3, 13.4]),
        arrived=np.array([9.89, 10.001, 13.29, 13.39]),
        neutral=np.array([1.0, 10.27, 30.0]),
        pictures=np.array([5.0, 9.92, 10.02, 13.31, 13.42]),
    )
    line = recovery.intervals(recovery.Kill("source", 10.0, 12.0), shown)
    assert line == pytest.approx({"neutral": 0.27, "again": 1.3, "picture": 1.31, "total": 3.31})
    # A screen that was neutral already when the source died is neutral at once.
    assert recovery.intervals(recovery.Kill("source", 11.0, 12.0), shown)["neutral"] == 0.0
    # One that still shows a picture when the successor comes has never been neutral.
    assert np.isnan(recovery.intervals(recovery.Kill("source", 10.0, 10.2), shown)["neutral"])
    # A decoder that was forked is there before the screen is neutral: it counts until it decodes.
    forked = recovery.intervals(recovery.Kill("decode", 10.02, 10.04), shown)
    assert forked == pytest.approx({"neutral": 0.25, "again": 3.26, "picture": 3.27, "total": 3.29})
    # What never comes is no figure.
    assert np.isnan(recovery.intervals(recovery.Kill("decode", 31.0, 32.0), shown)["again"])


def test_recovery_is_judged_by_the_slowest_kill_and_by_those_that_never_recovered(benchmarks: Any) -> None:
    def met(neutral: float = 0.3, source: float = 1.5, decode: float = 0.5) -> list[bool]:
        good = {"neutral": 0.26, "again": 0.4}
        found = {
            "source": [good, {"neutral": neutral, "again": source}],
            "decode": [good, {"neutral": 0.3, "again": decode}],
        }
        return [verdict["met"] for verdict in benchmarks.recovery.judge(found, 0.517).values()]

    assert met() == [True, True, True]
    assert met(neutral=0.52) == [False, True, True]
    assert met(source=2.01) == [True, False, True]
    assert met(decode=2.01) == [True, True, False]
    assert met(decode=float("nan")) == [True, True, False]
    none = benchmarks.recovery.judge({"source": [], "decode": []}, 0.5)
    assert not any(verdict["met"] for verdict in none.values())


# -- the real thing, briefly -----------------------------------------------------------------------------


def last_line(module: str, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run one benchmark; return its status and its machine-readable last line."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--json", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert lines, done.stdout + done.stderr
    line: dict[str, Any] = json.loads(lines[-1])
    return done.returncode, line


@pytest.mark.system
def test_a_short_soak_finds_every_sample_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # Its status also judges memory and files, which need a longer run to mean something.
    _, found = last_line("benchmarks.soak", "--seconds", "30", "--folder", str(tmp_path))
    assert found["status"] == "done"
    assert (found["found"]["samples"], found["found"]["wrong"]) == (30_000, 0)
    met = {target: verdict["met"] for target, verdict in found["targets"].items()}
    assert met["none left afterwards"], found["targets"]
    assert met["shared segments constant"], found["targets"]
    programs = {"supervisor", "source", "acquire", "decode", "display", "record"}
    assert set(found["programs"]) == programs | ({"nursery"} if forks() else set())
    assert not list(tmp_path.iterdir())


@pytest.mark.system
def test_a_recorder_that_was_suspended_for_a_while_has_recorded_everything() -> None:
    _, found = last_line("benchmarks.recorder", "--configs", "C", "--turns", "1", "--stall", "")
    result = found["configs"]["C"]
    (turn,) = result["turns"]
    assert turn["off"]["windows"] > 0
    assert turn["on"]["windows"] > 0
    assert (result["whole"]["lost"], result["whole"]["broken"]) == (0, 0)
    assert result["whole"]["bytes_ratio"] > 1


@pytest.mark.system
def test_the_line_comes_back_after_one_kill_of_each() -> None:
    _, found = last_line("benchmarks.recovery", "--kills", "1")
    assert found["status"] == "recovered"
    assert found["restarts"]["decode"] >= 1
    for victim in ("source", "decode"):
        (line,) = found["kills"][victim]
        assert line["again"] > 0, victim
        assert line["picture"] > line["again"], victim
