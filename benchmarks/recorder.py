"""Recorder: what recording everything costs the decoder, and what becomes of it on a disk that stalls.

::

    python -m benchmarks.recorder            # three rounds of both configurations, under 4 minutes
    python -m benchmarks.recorder --quick    # one short round, under a minute

Whole sessions in turn, the order changing from round to round: one records everything, one nothing but the stamps
that are needed to measure (`benchmarks.contenders.no_recorder`). The figure is the window's latency, from the push
of its newest sample until it is in the decoder's hands; a window passed over is charged with the time until the
next came. Each round gives one difference; their median counts. One more session of each configuration has a disk
that answers nothing for five seconds (`benchmarks.contenders.stalled_recorder`).

Every recording is read back and compared with what was sent, value by value. Bytes on disk are those of all files
that the recorder writes: recording, checksums, manifest and tables; the payload is the samples' values alone.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

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

RECORDERS = {
    "off": "benchmarks.contenders.no_recorder",
    "on": "bci.live.record",
    "stalled": "benchmarks.contenders.stalled_recorder",
}

WARM_UP = 2.0
#: Measured seconds of the session whose disk stalls: the stall, and time to catch up.
STALLED_S = 9.0

#: Bytes on disk for each byte of payload.
MOST_BYTES = 1.05

Figures = dict[str, Any]


def run(feed: Feed, recorder: str, seconds: float) -> Figures:
    """Run one session; return its figures."""

    def inspect(session: Path, name: str) -> dict[str, Any]:
        path = session / "recording.xdf"
        if recorder == "off":
            return {}
        files = [*session.glob("recording*"), *session.glob("*.csv")]
        found = read_back(path, name, planted(feed.noise()))
        return {"found": asdict(found), "bytes": sum(file.stat().st_size for file in files)}

    done = measure_line(feed, warm_up=WARM_UP, seconds=seconds, recorder=RECORDERS[recorder], inspect=inspect)
    return figures(done)


def figures(done: Measurement) -> Figures:
    """Return what one session contributes."""
    cuts = percentiles(1e3 * done.latency, (50, 99))
    facts = done.facts
    found = facts.get("found")
    sent = facts["source"]["pushed"] * done.feed.chunk
    return {
        "p50_ms": cuts["p50"],
        "p99_ms": cuts["p99"],
        "windows": done.windows,
        "passed_over": done.passed_over,
        "broken": done.broken,
        "cpu": dict(done.programs_cpu),
        # Missing from the line itself, and from the recording or not as it was sent.
        "lost": done.lost + (sent - found["samples"] + found["wrong"] if found else 0),
        "bytes_ratio": facts["bytes"] / found["payload"] if found else float("nan"),
        "slowest_write_s": facts["record"]["recording"]["slowest_write_s"] if found else float("nan"),
        "most_waiting_mb": facts["record"]["recording"]["most_waiting_bytes"] / 1e6 if found else 0.0,
    }


def judge(rounds: Sequence[Mapping[str, Figures]], stalled: Figures | None) -> dict[str, dict[str, Any]]:
    """Return each target with its figure and whether it is met.

    Parameters
    ----------
    rounds : sequence of mapping
        The figures of ``"off"`` and ``"on"`` of each round.
    stalled : mapping or None
        The figures of the session whose disk stalled.
    """
    above = {
        key: median_range([r["on"][f"{key}_ms"] - r["off"][f"{key}_ms"] for r in rounds])
        for key in ("p50", "p99")
    }
    share = median_range([r["on"]["p50_ms"] / r["off"]["p50_ms"] - 1 for r in rounds])
    lost = sum(r["on"]["lost"] + r["off"]["lost"] for r in rounds)
    most = max(r["on"]["bytes_ratio"] for r in rounds)
    verdicts = {
        "p50 rises ≤ 10 % or 0.1 ms": {
            "figure": f"{100 * share['median']:+.1f} %, {_ranged(above['p50'])} ms",
            "met": share["median"] <= 0.1 or above["p50"]["median"] <= 0.1,
        },
        "p99 rises ≤ 2 ms": {
            "figure": f"{_ranged(above['p99'])} ms",
            "met": above["p99"]["median"] <= 2,
        },
        "nothing lost": {"figure": f"{lost} samples", "met": lost == 0},
        f"bytes on disk ≤ {MOST_BYTES} × payload": {"figure": f"{most:.4f} ×", "met": most <= MOST_BYTES},
    }
    if stalled is not None:
        verdicts[f"a disk that stalls {STALL_S:g} s loses nothing"] = {
            "figure": f"{stalled['lost']} samples; {stalled['most_waiting_mb']:.0f} MB waited for a write of "
            f"{stalled['slowest_write_s']:.2f} s",
            # A disk that did not stall proves nothing.
            "met": stalled["lost"] == 0 and stalled["slowest_write_s"] >= 0.9 * STALL_S,
        }
    return verdicts


def _ranged(figure: Mapping[str, float]) -> str:
    return f"{figure['median']:+.2f} ({figure['low']:+.2f} to {figure['high']:+.2f})"


def run_all(options: argparse.Namespace) -> dict[str, Any]:
    """Run the rounds; return the result of every configuration."""
    rounds: dict[str, list[dict[str, Figures]]] = {name: [] for name in options.configs}
    stalled: dict[str, Figures] = {}

    def one(name: str, recorder: str, seconds: float) -> Figures:
        now = run(FEEDS[name], recorder, seconds)
        progress(
            f"{name} {recorder:7s} p50 {now['p50_ms']:.3f} ms, p99 {now['p99_ms']:.2f} ms, {now['windows']} windows, "
            f"{now['passed_over']} passed over, {now['lost']} samples lost"
        )
        return now

    for turn in range(options.rounds):
        for name in options.configs:
            order = ("off", "on") if turn % 2 == 0 else ("on", "off")
            rounds[name].append({recorder: one(name, recorder, options.seconds) for recorder in order})
    for name in options.stall:
        stalled[name] = one(name, "stalled", STALLED_S)
    return {
        name: {
            "feed": asdict(FEEDS[name]),
            "rounds": rounds[name],
            "stalled": stalled.get(name),
            "targets": judge(rounds[name], stalled.get(name)),
        }
        for name in options.configs
    }


def print_result(name: str, result: Mapping[str, Any]) -> None:
    """Print one configuration's table and targets."""
    print(f"\n{name}: {Feed(**result['feed'])}\n")
    header = ["recorder", "p50 ms", "p99 ms", "windows", "passed over", "samples lost", "CPU of record s/s"]
    rows = []
    lines = {
        recorder: [r[recorder] for r in result["rounds"]] for recorder in ("off", "on") if result["rounds"]
    } | ({"stalled": [result["stalled"]]} if result["stalled"] else {})
    for recorder, runs in lines.items():
        rows.append(
            [
                recorder,
                *(f"{median_range([r[key] for r in runs])['median']:.3f}" for key in ("p50_ms", "p99_ms")),
                *(str(sum(r[key] for r in runs)) for key in ("windows", "passed_over", "lost")),
                f"{median_range([r['cpu']['record'] for r in runs])['median']:.4f}",
            ]
        )
    print_table(header, rows)
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
    # Latencies are judged by whoever knows how quiet the machine was.
    ok = all(
        verdict["met"]
        for result in configs.values()
        for target, verdict in result["targets"].items()
        if "rises" not in target
    )
    if options.json:
        settings = {key: getattr(options, key) for key in ("quick", "configs", "rounds", "seconds", "stall")}
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
    parser.add_argument("--quick", action="store_true", help="one short round of both, one stall")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    parser.add_argument("--configs", default="C,D", help=f"of {','.join(FEEDS)}; default C,D")
    parser.add_argument("--rounds", type=int, help="pairs of sessions; default 3, quick 1")
    parser.add_argument("--seconds", type=float, help="measured seconds per session; default 6, quick 2")
    parser.add_argument(
        "--stall", help="configurations with a session whose disk stalls; default all, quick D"
    )
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (2.0 if options.quick else 6.0)
    if options.stall is None:
        options.stall = "D" if options.quick else options.configs
    options.configs = options.configs.split(",")
    options.stall = [name for name in options.stall.split(",") if name in options.configs]
    if unknown := set(options.configs) - set(FEEDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FEEDS)}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
