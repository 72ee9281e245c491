"""Several streams: what four streams cost beside one, in processor time.

::

    python -m benchmarks.several_streams            # five rounds of 10 s, some 3 minutes
    python -m benchmarks.several_streams --quick    # one round of 5 s

Each stream is configuration A of `benchmarks.stream_latency`, 64 channels × 1 kHz in chunks of 10 ms, with an acquire
program and a reader of its own, as a session's are. The figure is the processor time of all of them, sources left out,
divided by that of one stream alone in the same round; it may be 4.4. Ends with status 1 if it is more, if a sample was
lost or a window broken.
"""

import argparse
from typing import Any

import numpy as np

from benchmarks.measurement import isolated, measure_together
from benchmarks.report import (
    machine_facts,
    median_range,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from benchmarks.stream_latency import FEEDS, WARM_UP

#: How many streams, and what they may cost beside one.
STREAMS, LIMIT = 4, 4.4


def one_round(count: int, seconds: float) -> dict[str, float]:
    """Receive so many streams at once; return what that cost, and how old windows were."""
    runs = measure_together(count, "ours", FEEDS["A"], warm_up=WARM_UP, seconds=seconds)
    cuts = percentiles(1e3 * np.concatenate([run.latency for run in runs]), (50, 99))
    return {
        "cpu": sum(run.cpu for run in runs),
        "p50_ms": cuts["p50"],
        "p99_ms": cuts["p99"],
        "windows": sum(run.windows for run in runs),
        "passed_over": sum(run.passed_over for run in runs),
        "broken": sum(run.broken for run in runs),
        "lost": sum(run.lost for run in runs),
    }


def main() -> int:
    """Measure and print; status 1 if the limit is exceeded, or anything was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.several_streams", description="What do four streams cost beside one?"
    )
    parser.add_argument("--quick", action="store_true", help="one round of 5 s")
    parser.add_argument("--rounds", type=int, help="rounds, the order turned each time; default 5, quick 1")
    parser.add_argument("--seconds", type=float, help="measured seconds of each; default 10, quick 5")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 5)
    seconds = options.seconds or (5.0 if options.quick else 10.0)
    isolated()
    facts = machine_facts()
    found: dict[int, list[dict[str, float]]] = {1: [], STREAMS: []}
    for turn in range(rounds):
        for count in sorted(found, reverse=bool(turn % 2)):
            found[count].append(one_round(count, seconds))
            progress(f"round {turn + 1}/{rounds}, {count} streams: CPU {found[count][-1]['cpu']:.4f} s/s")
    ratio = median_range(
        [many["cpu"] / one["cpu"] for one, many in zip(found[1], found[STREAMS], strict=True)]
    )
    summary: dict[int, dict[str, Any]] = {
        count: {name: median_range([turn[name] for turn in turns]) for name in turns[0]}
        for count, turns in found.items()
    }
    whole = all(turn["lost"] == turn["broken"] == 0 for turns in found.values() for turn in turns)
    print_machine(facts)
    print_table(
        ["streams", "CPU s/s", "p50 ms", "p99 ms", "windows", "passed over", "broken", "samples lost"],
        [
            [
                str(count),
                f"{row['cpu']['median']:.4f}",
                f"{row['p50_ms']['median']:.3f}",
                f"{row['p99_ms']['median']:.2f}",
                *(
                    f"{sum(turn[key] for turn in found[count]):.0f}"
                    for key in ("windows", "passed_over", "broken", "lost")
                ),
            ]
            for count, row in summary.items()
        ],
    )
    met = ratio["median"] <= LIMIT
    print(
        f"{'met    ' if met else 'NOT MET'}  {STREAMS} streams ≤ {LIMIT:g} × one: {ratio['median']:.2f} "
        f"({ratio['low']:.2f}–{ratio['high']:.2f})"
    )
    if not whole:
        print("FAILED: a window's counter channel has a gap, or a sample was in no window")
    if options.json:
        print_last_line(
            {
                "benchmark": "several_streams",
                "machine": facts,
                "rounds": rounds,
                "seconds": seconds,
                "streams": summary,
                "ratio": ratio,
                "met": met,
            }
        )
    return 0 if met and whole else 1


if __name__ == "__main__":
    raise SystemExit(main())
