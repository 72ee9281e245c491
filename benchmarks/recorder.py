"""Recorder: the decoder's latency with recording on and off, and on a disk that stalls.

::

    python -m benchmarks.recorder            # eight turns of both configurations, under 3 minutes
    python -m benchmarks.recorder --quick    # two turns, under a minute

One whole session of each configuration, in which the record program is suspended and resumed in turn: while it is
suspended, nothing is recorded and the rings hold what comes. The figure is the window's latency, from the push of its
newest sample until it is in the decoder's hands; a window passed over is charged with the time until the next came.
Each turn gives one difference, recorder on less recorder off; their median counts. The first `GUARD_S` of each part
are left out: a recorder that is resumed first takes what has waited for it. One more session of each configuration
has a disk that answers nothing for five seconds (`benchmarks.contenders.stalled_recorder`).

Every recording is read back and compared with what was sent, value by value. Bytes on disk are those of all files
that the recorder writes: recording, checksums, manifest and tables; the payload is the samples' values alone.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from bci.config.programs import SupervisionSettings
from bci.control.supervisor import Supervisor
from benchmarks.contenders.stalled_recorder import STALL_S
from benchmarks.full_line import measure_line
from benchmarks.measurement import Measurement, isolated
from benchmarks.planted import planted, read_back
from benchmarks.report import (
    machine_facts,
    median_range,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from benchmarks.source import Feed
from benchmarks.stream_latency import FEEDS

STALLED = "benchmarks.contenders.stalled_recorder"

WARM_UP = 2.0

#: Seconds of each turn without a recorder and with it, and how much of their beginning is left out.
OFF_S, ON_S = 2.5, 3.5
GUARD_S = {"off": 0.5, "on": 1.5}

#: Measured seconds of the session whose disk stalls: the stall, and time to catch up.
STALLED_S = 9.0

#: Bytes on disk for each byte of payload.
MOST_BYTES = 1.05

Figures = dict[str, Any]


class Switch:
    """A Switch suspends and resumes the record program in turn.

    Attributes
    ----------
    parts : list of (str, float)
        ``"off"`` or ``"on"``, and when that began, seconds since the measured span did.
    """

    def __init__(self, turns: int) -> None:
        self.parts: list[tuple[str, float]] = []
        self._plan = [
            (turn * (OFF_S + ON_S) + begins, state)
            for turn in range(turns)
            for begins, state in ((0.0, "off"), (OFF_S, "on"))
        ]

    def __call__(self, supervisor: Supervisor, now: float) -> None:
        """Suspend or resume, when it is time."""
        if self._plan and now >= self._plan[0][0]:
            _, state = self._plan.pop(0)
            process = psutil.Process(supervisor.children["record"].process.pid)
            if state == "off":
                process.suspend()
            else:
                process.resume()
            self.parts.append((state, now))


def run(feed: Feed, turns: int) -> tuple[list[dict[str, Figures]], Figures]:
    """Run one session whose recorder is switched; return the figures of each turn, and of the whole."""
    switch = Switch(turns)
    # A recorder that is suspended is not hung.
    rules = SupervisionSettings(hung_after_s=60)
    seconds = turns * (OFF_S + ON_S)
    done = measure_line(
        feed, warm_up=WARM_UP, seconds=seconds, supervision=rules, disturb=switch, inspect=_reader(feed)
    )
    return parted(done, switch.parts, seconds), figures(done)


def run_stalled(feed: Feed) -> Figures:
    """Run one session whose disk stalls; return its figures."""
    return figures(
        measure_line(feed, warm_up=WARM_UP, seconds=STALLED_S, recorder=STALLED, inspect=_reader(feed))
    )


def _reader(feed: Feed) -> Any:
    def inspect(session: Path, name: str) -> dict[str, Any]:
        found = read_back(session / "recording.xdf", name, planted(feed.noise()))
        files = [*session.glob("recording*"), *session.glob("*.csv")]
        return {"found": asdict(found), "bytes": sum(file.stat().st_size for file in files)}

    return inspect


def parted(done: Measurement, parts: Sequence[tuple[str, float]], end: float) -> list[dict[str, Figures]]:
    """Return the latencies of each turn without a recorder and with it.

    Parameters
    ----------
    done : Measurement
        The session.
    parts : sequence of (str, float)
        As `Switch.parts`: off and on, in turn.
    end : float
        When the last of them ended.
    """
    when = done.facts["when"]
    ends = [begins for _, begins in parts[1:]] + [end]
    lines = []
    for (state, begins), until in zip(parts, ends, strict=True):
        inside = (when >= begins + GUARD_S[state]) & (when < until)
        cuts = percentiles(1e3 * done.latency[inside], (50, 99))
        lines.append({"p50_ms": cuts["p50"], "p99_ms": cuts["p99"], "windows": cuts["n"]})
    return [{"off": off, "on": on} for off, on in zip(lines[::2], lines[1::2], strict=True)]


def figures(done: Measurement) -> Figures:
    """Return the figures of a whole session."""
    cuts = percentiles(1e3 * done.latency, (50, 99))
    facts, found = done.facts, done.facts["found"]
    sent = facts["source"]["pushed"] * done.feed.chunk
    recording = facts["record"]["recording"]
    return {
        "p50_ms": cuts["p50"],
        "p99_ms": cuts["p99"],
        "windows": done.windows,
        "passed_over": done.passed_over,
        "broken": done.broken,
        "cpu": dict(done.programs_cpu),
        # Missing from the line itself, and from the recording or not as it was sent.
        "lost": abs(done.lost) + abs(sent - found["samples"]) + found["wrong"],
        "bytes_ratio": facts["bytes"] / found["payload"],
        "slowest_write_s": recording["slowest_write_s"],
        "most_waiting_mb": recording["most_waiting_bytes"] / 1e6,
    }


def judge(
    turns: Sequence[Mapping[str, Figures]], whole: Figures, stalled: Figures | None
) -> dict[str, dict[str, Any]]:
    """Return each target with its figure and whether it is met.

    Parameters
    ----------
    turns : sequence of mapping
        The figures without a recorder, ``"off"``, and with it, ``"on"``, of each turn.
    whole : mapping
        The figures of their session.
    stalled : mapping or None
        The figures of the session whose disk stalled.
    """
    above = {
        key: median_range([turn["on"][f"{key}_ms"] - turn["off"][f"{key}_ms"] for turn in turns])
        for key in ("p50", "p99")
    }
    share = median_range([turn["on"]["p50_ms"] / turn["off"]["p50_ms"] - 1 for turn in turns])
    verdicts = {
        "p50 rises ≤ 10 % or 0.1 ms": {
            "figure": f"{100 * share['median']:+.1f} %, {_ranged(above['p50'])} ms",
            "met": share["median"] <= 0.1 or above["p50"]["median"] <= 0.1,
        },
        "p99 rises ≤ 2 ms": {
            "figure": f"{_ranged(above['p99'])} ms",
            "met": above["p99"]["median"] <= 2,
        },
        "nothing lost": {"figure": f"{whole['lost']} samples", "met": whole["lost"] == 0},
        f"bytes on disk ≤ {MOST_BYTES} × payload": {
            "figure": f"{whole['bytes_ratio']:.4f} ×",
            "met": whole["bytes_ratio"] <= MOST_BYTES,
        },
    }
    if stalled is not None:
        verdicts[f"a disk that stalls {STALL_S:g} s loses nothing"] = {
            "figure": f"{stalled['lost']} samples; {stalled['most_waiting_mb']:.0f} MB waited for a write of "
            f"{stalled['slowest_write_s']:.2f} s",
            # Without a stall the target is not tested, so it is not met.
            "met": stalled["lost"] == 0 and stalled["slowest_write_s"] >= 0.9 * STALL_S,
        }
    return verdicts


def _ranged(figure: Mapping[str, float]) -> str:
    return f"{figure['median']:+.2f} ({figure['low']:+.2f} to {figure['high']:+.2f})"


def run_all(options: argparse.Namespace) -> dict[str, Any]:
    """Run every configuration; return the results."""
    results = {}
    for name in options.configs:
        turns, whole = run(FEEDS[name], options.turns)
        stalled = run_stalled(FEEDS[name]) if name in options.stall else None
        for label, one in (("switched", whole), ("stalled", stalled)):
            if one is not None:
                progress(
                    f"{name} {label}: p50 {one['p50_ms']:.3f} ms, p99 {one['p99_ms']:.2f} ms, "
                    f"{one['passed_over']} of {one['windows']} windows passed over, {one['lost']} samples lost"
                )
        results[name] = {
            "feed": asdict(FEEDS[name]),
            "turns": turns,
            "whole": whole,
            "stalled": stalled,
            "targets": judge(turns, whole, stalled),
        }
    return results


def print_result(name: str, result: Mapping[str, Any]) -> None:
    """Print one configuration's table and targets."""
    whole = result["whole"]
    print(
        f"\n{name}: {Feed(**result['feed'])}; {whole['passed_over']} windows passed over, record took "
        f"{whole['cpu']['record']:.4f} s of CPU time per second\n"
    )
    rows = []
    for state in ("off", "on"):
        parts = [turn[state] for turn in result["turns"]]
        ranges = [median_range([part[key] for part in parts]) for key in ("p50_ms", "p99_ms")]
        cells = [f"{r['median']:.3f} ({r['low']:.3f} to {r['high']:.3f})" for r in ranges]
        rows.append([state, *cells, str(sum(part["windows"] for part in parts))])
    if result["stalled"]:
        stalled = result["stalled"]
        rows.append(
            ["stalled", f"{stalled['p50_ms']:.3f}", f"{stalled['p99_ms']:.3f}", str(stalled["windows"])]
        )
    print_table(["recorder", "p50 ms", "p99 ms", "windows"], rows)
    for target, verdict in result["targets"].items():
        print(f"{'met    ' if verdict['met'] else 'NOT MET'}  {target}: {verdict['figure']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; status 1 if anything was lost or the files are too large."""
    options = _parse(arguments)
    began = time.perf_counter()
    isolated()
    facts = machine_facts(["onnxruntime"])
    configs = run_all(options)
    took = time.perf_counter() - began
    print_machine(facts)
    for name, result in configs.items():
        print_result(name, result)
    print(f"took {took:.0f} s in all")
    # Latencies depend on how quiet the machine was, so they do not decide the exit status.
    ok = all(
        verdict["met"]
        for result in configs.values()
        for target, verdict in result["targets"].items()
        if "rises" not in target
    )
    if options.json:
        settings = {key: getattr(options, key) for key in ("quick", "configs", "turns", "stall")}
        print_last_line(
            {
                "benchmark": "recorder",
                "ok": ok,
                "machine": facts,
                "settings": settings | {"warm_up": WARM_UP},
                "took_s": took,
                "configs": configs,
            }
        )
    return 0 if ok else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recorder", description="What does recording cost the decoder?"
    )
    parser.add_argument("--quick", action="store_true", help="two turns of both, one stall")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    parser.add_argument("--configs", default="C,D", help=f"of {','.join(FEEDS)}; default C,D")
    parser.add_argument("--turns", type=int, help="times off and on; default 8, quick 2")
    parser.add_argument(
        "--stall", help="configurations with a session whose disk stalls; default all, quick D"
    )
    options = parser.parse_args(arguments)
    options.turns = options.turns or (2 if options.quick else 8)
    if options.stall is None:
        options.stall = "D" if options.quick else options.configs
    options.configs = options.configs.split(",")
    options.stall = [name for name in options.stall.split(",") if name in options.configs]
    if unknown := set(options.configs) - set(FEEDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FEEDS)}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
