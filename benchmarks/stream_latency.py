"""Stream latency: newest sample pushed → window read by the decoder, against a bare pylsl loop and peers.

::

    python -m benchmarks.stream_latency            # five rounds of 20 s, some 40 minutes
    python -m benchmarks.stream_latency --quick    # one short round of two configurations, under a minute
    python -m benchmarks.stream_latency --markdown # also the table of the README

Each round runs every contender on every configuration, the order rotated from round to round, one source
process per run. The figure is the median over the rounds of the ratio to the same round's floor, with its
range: on a shared machine the absolute milliseconds wander, the ratios within a round much less.

===========  =============================================================================================
floor        one process: blocking `pull_chunk` straight into a mirrored NumPy ring
pair         the floor cut in two processes with shared memory between them, and nothing else
ours         two processes: `bci.live.acquire`, and what `bci.live.decode` does, its pipeline empty
mne-lsl      one process: `StreamLSL`, one window of buffer, acquired by hand every 0.2 ms
mne-thread   the same with MNE-LSL's own acquisition thread at its default delay (on request)
ezmsg        one process: ezmsg-lsl's inlet unit and a windowing unit that hands on views
ezmsg-leaky  the same with a queue that drops what the windowing unit has not come to
line         a whole session: band-pass, ONNX decoder, display and recorder on (`benchmarks.full_line`)
===========  =============================================================================================

What was chosen for each peer, and why, is in its module under `benchmarks.contenders`.

A window passed over is charged with the time until the next one came. The counter channel of every window is
checked after its time was taken; the command fails if floor or ours broke a window or lost a sample.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.contenders.line import PEERS, VARIANTS
from benchmarks.latency_table import markdown
from benchmarks.measurement import Measurement, isolated, measure
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

FEEDS = {
    feed.name: feed
    for feed in (
        Feed("A", channels=64, rate=1000, chunk=10, length=1000, hop=10),
        Feed("B", channels=64, rate=1000, chunk=1, length=1000, hop=10),
        Feed("C", channels=384, rate=2500, chunk=25, length=2500, hop=25),
        Feed("D", channels=256, rate=30000, chunk=300, length=3000, hop=300),
    )
}
CONTENDERS = ("floor", "pair", "ours", "mne-lsl", "ezmsg", "ezmsg-leaky", "line")

#: Stream seconds before the measured span: the first window needs one, and caches and buffers some more.
WARM_UP = 2.0

_QUICK = {"configs": "A,D", "rounds": 1, "seconds": 2.0, "contenders": "floor,ours,mne-lsl,ezmsg"}
_FULL = {"configs": ",".join(FEEDS), "rounds": 5, "seconds": 20.0, "contenders": ",".join(CONTENDERS)}

#: One round's figures of one contender on one configuration.
Figures = dict[str, float]


def figures(run: Measurement) -> Figures:
    """Return the figures that one run adds to the medians."""
    cuts = percentiles(1e3 * run.latency, (50, 99))
    programs = {f"cpu_{name}": share for name, share in run.programs_cpu.items()}
    return {"p50_ms": cuts["p50"], "p99_ms": cuts["p99"], "cpu": run.cpu, **programs}


def summarise(rounds: Sequence[Figures], floor: Sequence[Figures]) -> dict[str, Any]:
    """Return medians and ranges over the rounds: the figures, and their ratio and distance to the floor's."""
    summary: dict[str, Any] = {name: median_range([r[name] for r in rounds]) for name in rounds[0]}
    for name in ("p50_ms", "p99_ms", "cpu"):
        if floor:
            pairs = list(zip(rounds, floor, strict=True))
            summary[f"{name}_ratio"] = median_range([r[name] / f[name] for r, f in pairs])
            summary[f"{name}_above"] = median_range([r[name] - f[name] for r, f in pairs])
    return summary


def judge(ours: dict[str, Any], rounds: dict[str, list[Figures]]) -> dict[str, dict[str, Any]]:
    """Return each target with its figure and whether it is met."""
    p50 = ours["p50_ms_ratio"]
    p99, p99_above = ours["p99_ms_ratio"], ours["p99_ms_above"]["median"]
    cpu = ours["cpu_ratio"]
    verdicts = {
        "p50 ≤ 1.25 × floor": (p50, p50["median"] <= 1.25),
        "p99 ≤ 2 × floor or floor + 0.5 ms": (p99, p99["median"] <= 2 or p99_above <= 0.5),
        "CPU ≤ 1.5 × floor": (cpu, cpu["median"] <= 1.5),
    }
    for peer in ("mne-lsl", "mne-thread", "ezmsg", "ezmsg-leaky"):
        if peer in rounds:
            pairs = zip(rounds[peer], rounds["ours"], strict=True)
            faster = median_range([p["p50_ms"] / o["p50_ms"] for p, o in pairs])
            verdicts[f"p50 ≥ 3 × faster than {peer}"] = (faster, faster["median"] >= 3)
    return {target: {"figure": figure, "met": bool(met)} for target, (figure, met) in verdicts.items()}


def judge_line(line: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return whether a whole session decoded its windows in time, with the share that it decoded, over all rounds."""
    share = line["windows"] / max(1, line["windows"] + line["passed_over"])
    met = bool(share >= 0.99)
    return {"the full line decodes ≥ 99 % of the windows": {"figure": median_range([share]), "met": met}}


def judge_tail(line: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return whether a whole session lost a sample, and how its tail stands to the floor's, with their figures."""
    p99, above = line["p99_ms_ratio"], line["p99_ms_above"]["median"]
    return {
        "the full line's p99 ≤ 4 × floor or floor + 2 ms": {
            "figure": p99,
            "met": bool(p99["median"] <= 4 or above <= 2.0),
        },
        "the full line loses no sample": {"figure": median_range([line["lost"]]), "met": line["lost"] == 0},
    }


def run_all(options: argparse.Namespace) -> dict[str, Any]:
    """Run the rounds; return the summary of every configuration."""
    feeds = [FEEDS[name] for name in options.configs]
    figure: dict[str, dict[str, list[Figures]]] = {f.name: {c: [] for c in options.contenders} for f in feeds}
    counts = {f.name: {c: np.zeros(4, int) for c in options.contenders} for f in feeds}
    stages: dict[str, Any] = {}
    for turn in range(options.rounds):
        for feed in feeds:
            shift = turn % len(options.contenders)
            for contender in options.contenders[shift:] + options.contenders[:shift]:
                run = _run(contender, feed, options.seconds)
                now = figures(run)
                figure[feed.name][contender].append(now)
                stages |= {feed.name: run.facts["latency_ms"]} if contender == "line" else {}
                counts[feed.name][contender] += (run.windows, run.passed_over, run.broken, run.lost)
                progress(
                    f"round {turn + 1}/{options.rounds} {feed.name} {contender:10s} "
                    f"p50 {now['p50_ms']:.3f} ms, p99 {now['p99_ms']:.3f} ms, CPU {now['cpu']:.4f} s/s, "
                    f"{run.windows} windows, {run.passed_over} passed over, {run.broken} broken, {run.lost} lost"
                )
    return {
        f.name: _configuration(f, figure[f.name], counts[f.name]) | {"line_stages_ms": stages.get(f.name)}
        for f in feeds
    }


def _run(contender: str, feed: Feed, seconds: float) -> Measurement:
    if contender == "line":
        from benchmarks.full_line import measure_line

        return measure_line(feed, warm_up=WARM_UP, seconds=seconds)
    return measure(contender, feed, warm_up=WARM_UP, seconds=seconds)


def _configuration(feed: Feed, rounds: dict[str, list[Figures]], counts: dict[str, Any]) -> dict[str, Any]:
    floor = rounds.get("floor", [])
    names = ("windows", "passed_over", "broken", "lost")
    contenders = {
        contender: summarise(rounds[contender], floor)
        | dict(zip(names, counts[contender].tolist(), strict=True))
        for contender in rounds
    }
    targets = judge(contenders["ours"], rounds) if floor and "ours" in rounds else {}
    if "line" in contenders:
        targets |= judge_line(contenders["line"])
    tail = judge_tail(contenders["line"]) if floor and "line" in contenders else {}
    return {"feed": asdict(feed), "contenders": contenders, "targets": targets, "line_targets": tail}


def print_configuration(name: str, result: dict[str, Any]) -> None:
    """Print one configuration's table and targets."""
    print(f"\n{name}: {Feed(**result['feed'])}\n")
    header = ["", "p50 ms", "p99 ms", "CPU s/s", "p50 ÷ floor", "p99 ÷ floor", "CPU ÷ floor"]
    rows = []
    for contender, line in result["contenders"].items():
        ratios = [
            _ranged(line[f"{key}_ratio"]) if f"{key}_ratio" in line else ""
            for key in ("p50_ms", "p99_ms", "cpu")
        ]
        rows.append(
            [
                contender,
                f"{line['p50_ms']['median']:.3f}",
                f"{line['p99_ms']['median']:.2f}",
                f"{line['cpu']['median']:.4f}",
                *ratios,
                *(str(line[count]) for count in ("windows", "passed_over", "broken", "lost")),
            ]
        )
    print_table([*header, "windows", "passed over", "broken", "samples lost"], rows)
    if result["line_stages_ms"]:
        stages = (f"{stage} {cuts['p50']:.2f}" for stage, cuts in result["line_stages_ms"].items())
        print(f"line, p50 of each stage in its last round, ms: {', '.join(stages)}")
    for target, verdict in (result["targets"] | result["line_targets"]).items():
        print(f"{'met    ' if verdict['met'] else 'NOT MET'}  {target}: {_ranged(verdict['figure'])}")


def _ranged(figure: dict[str, float]) -> str:
    return f"{figure['median']:.2f} ({figure['low']:.2f}–{figure['high']:.2f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; status 1 if floor, pair, ours or the line broke a window or lost a sample."""
    options = _parse(arguments)
    isolated()
    facts = machine_facts(["mne-lsl", "ezmsg", "ezmsg-lsl"])
    configs = run_all(options)
    print_machine(facts)
    for name, result in configs.items():
        print_configuration(name, result)
    ok = not any(
        line["broken"] or line["lost"]
        for result in configs.values()
        for contender, line in result["contenders"].items()
        if contender in ("floor", "pair", "ours", "line")
    )
    if options.markdown:
        print("\n" + markdown(configs))
    if not ok:
        print("\nFAILED: a window's counter channel has a gap, or a sample was in no window")
    if options.json:
        settings = {
            key: getattr(options, key) for key in ("quick", "configs", "rounds", "seconds", "contenders")
        }
        print_last_line(
            {
                "benchmark": "stream_latency",
                "ok": ok,
                "machine": facts,
                "settings": settings | {"warm_up": WARM_UP},
                "configs": configs,
            }
        )
    return 0 if ok else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stream_latency", description="Newest sample pushed → window in hand."
    )
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    parser.add_argument("--markdown", action="store_true", help="also the README's table")
    parser.add_argument("--configs", help=f"of {','.join(FEEDS)}")
    parser.add_argument("--rounds", type=int, help="rounds, the order of the contenders rotated")
    parser.add_argument("--seconds", type=float, help="measured seconds per run")
    parser.add_argument("--contenders", help=f"of {','.join(CONTENDERS)},mne-thread")
    options = parser.parse_args(arguments)
    for key, value in (_QUICK if options.quick else _FULL).items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    options.configs = options.configs.split(",")
    options.contenders = options.contenders.split(",")
    for given, known in (
        (options.configs, set(FEEDS)),
        (options.contenders, {*PEERS, *CONTENDERS, *VARIANTS}),
    ):
        if unknown := set(given) - known:
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
