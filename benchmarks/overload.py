"""Overload: a decoder that needs 140 % of the hop, and the age of the windows it works on.

::

    python -m benchmarks.overload            # one run of 30 s per contender, some 3 minutes
    python -m benchmarks.overload --quick    # 5 s each, under a minute

The decoder is 14 ms of busy work for each 10 ms hop. Ours must keep to the newest window of the grid: the
window's age when its decoding ends (from the push of its newest sample) stays under two decode times in 99 of
100 windows, every window passed over is counted, every sample still goes through the pipeline once and in
order, and memory stays flat. Beside it stands what the same load does to bare pylsl and to ezmsg, which
process every window in turn, to ezmsg with a leaky queue, which drops what it has not come to, and to MNE-LSL,
which reads the newest. Their settings are those of
`benchmarks.stream_latency`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.contenders.line import PEERS, VARIANTS
from benchmarks.measurement import Measurement, isolated, measure
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from benchmarks.stream_latency import FEEDS

CONTENDERS = ("ours", "floor", "ezmsg", "ezmsg-leaky", "mne-lsl")

#: Work per window as a share of the hop.
LOAD = 1.4
WARM_UP = 2.0

#: Growth of a process between the first and the last quarter of a run that still counts as flat, MB.
FLAT = 1.0


def summarise(run: Measurement) -> dict[str, Any]:
    """Return the figures of one run under load.

    ``drift`` is how many seconds older the windows become per second of stream: 0 where the newest wins.
    """
    when, age = run.ages[:, 0], run.ages[:, 1]
    drift = float(np.polyfit(when, age, 1)[0]) if len(age) > 1 else float("nan")
    summary = {
        "age_in_hand_ms": percentiles(1e3 * age),
        "age_decoded_ms": percentiles(1e3 * run.decoded_age),
        "age_at_end_ms": 1e3 * float(age[-1]) if len(age) else float("nan"),
        "drift": drift,
        "windows": run.windows,
        "passed_over": run.passed_over,
        "broken": run.broken,
        "lost": run.lost,
        "cpu": run.cpu,
        "memory_mb": {name: round(sizes[-1], 1) for name, sizes in run.memory.items() if sizes},
        "memory_growth_mb": {name: growth(sizes) for name, sizes in run.memory.items() if len(sizes) > 1},
    }
    if run.contender == "ours":
        summary["consumer"] = run.facts["consumer"]
        summary["grid_windows"] = _grid_windows(run)
    return summary


def growth(sizes: Sequence[float]) -> float:
    """Return the growth of a process from the first to the last quarter of its samples, MB."""
    quarter = max(1, len(sizes) // 4)
    return float(np.mean(sizes[-quarter:]) - np.mean(sizes[:quarter]))


def _grid_windows(run: Measurement) -> int:
    """Return the number of grid windows in all samples pushed."""
    pushed = run.facts["source"]["pushed"] * run.feed.chunk
    return int((pushed - run.feed.length) // run.feed.hop + 1)


def judge(ours: dict[str, Any], decode_ms: float) -> dict[str, dict[str, Any]]:
    """Return each target with its figure and whether it is met."""
    facts = ours["consumer"]
    counted = facts["windows"] == facts["decoded"] + facts["skipped"] == ours["grid_windows"]
    unseen = facts["unseen"] + ours["broken"] + ours["lost"]
    p99 = ours["age_decoded_ms"]["p99"]
    grown = max(ours["memory_growth_mb"].values(), default=float("nan"))
    return {
        f"age of the decoded window, p99 ≤ {2 * decode_ms:g} ms": {
            "figure": f"{p99:.1f} ms",
            "met": p99 <= 2 * decode_ms,
        },
        "windows = decoded + skipped": {
            "figure": f"{ours['grid_windows']} on the grid, {facts['windows']} formed, "
            f"{facts['decoded']} decoded + {facts['skipped']} skipped",
            "met": counted,
        },
        "no sample unseen by the pipeline": {
            "figure": f"{unseen} of {facts['samples']}",
            "met": unseen == 0 and facts["resets"] == ["0: start"],
        },
        f"memory flat (growth ≤ {FLAT:g} MB)": {"figure": f"{grown:+.2f} MB", "met": grown <= FLAT},
    }


def print_result(name: str, result: dict[str, Any]) -> None:
    """Print one configuration's table and targets."""
    print(
        f"\n{name}: {result['description']}, {result['decode_ms']:g} ms of work per {result['hop_ms']:g} ms hop\n"
    )
    header = ["", "in hand p50/p99 ms", "decoded p50/p99 ms", "at the end ms", "drift s/s"]
    rows = []
    for contender, line in result["contenders"].items():
        hand, decoded = line["age_in_hand_ms"], line["age_decoded_ms"]
        grown = ", ".join(f"{program} {mb:+.2f}" for program, mb in line["memory_growth_mb"].items())
        rows.append(
            [
                contender,
                f"{hand['p50']:.1f} / {hand['p99']:.1f}",
                f"{decoded['p50']:.1f} / {decoded['p99']:.1f}",
                f"{line['age_at_end_ms']:.0f}",
                f"{line['drift']:+.3f}",
                str(line["windows"]),
                str(line["passed_over"]),
                str(line["lost"]),
                grown,
            ]
        )
    print_table([*header, "decoded", "passed over", "samples lost", "memory growth MB"], rows)
    for target, verdict in result["targets"].items():
        print(f"{'met    ' if verdict['met'] else 'NOT MET'}  {target}: {verdict['figure']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; status 1 if ours lost count of a window or a sample."""
    options = _parse(arguments)
    isolated()
    facts = machine_facts(["mne-lsl", "ezmsg", "ezmsg-lsl"])
    results: dict[str, Any] = {}
    for name in options.configs:
        feed = FEEDS[name]
        hop_s = feed.hop / feed.rate
        lines = {}
        for contender in options.contenders:
            run = measure(
                contender, feed, warm_up=WARM_UP, seconds=options.seconds, busy=LOAD * hop_s, memory=True
            )
            lines[contender] = summarise(run)
            progress(
                f"{name} {contender:11s} decoded age p99 {lines[contender]['age_decoded_ms']['p99']:.1f} ms, "
                f"drift {lines[contender]['drift']:+.3f} s/s"
            )
        results[name] = {
            "feed": asdict(feed),
            "description": str(feed),
            "hop_ms": 1e3 * hop_s,
            "decode_ms": 1e3 * LOAD * hop_s,
            "contenders": lines,
            "targets": judge(lines["ours"], 1e3 * LOAD * hop_s) if "ours" in lines else {},
        }
    print_machine(facts)
    for name, result in results.items():
        print_result(name, result)
    counts = ("windows = decoded + skipped", "no sample unseen by the pipeline")
    ok = all(r["targets"][target]["met"] for r in results.values() if r["targets"] for target in counts)
    if options.json:
        print_last_line(
            {
                "benchmark": "overload",
                "ok": ok,
                "machine": facts,
                "settings": {
                    "quick": options.quick,
                    "seconds": options.seconds,
                    "warm_up": WARM_UP,
                    "load": LOAD,
                },
                "configs": results,
            }
        )
    return 0 if ok else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overload", description="A decoder that needs 140 % of the hop."
    )
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    parser.add_argument("--configs", default="A", help=f"of {','.join(FEEDS)}; default A")
    parser.add_argument("--seconds", type=float, help="measured seconds per run; default 30, quick 5")
    parser.add_argument("--contenders", default=",".join(CONTENDERS), help="default: all")
    options = parser.parse_args(arguments)
    if options.seconds is None:
        options.seconds = 5.0 if options.quick else 30.0
    options.configs = options.configs.split(",")
    options.contenders = options.contenders.split(",")
    for given, known in ((options.configs, set(FEEDS)), (options.contenders, {"ours", *PEERS, *VARIANTS})):
        if unknown := set(given) - known:
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
