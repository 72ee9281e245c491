"""Pauses: what keeps a window waiting beyond its usual time, each kind by name and with its size.

::

    python -m benchmarks.pauses            # 20 s of configurations A and D, and of the whole line on A, some 2 minutes
    python -m benchmarks.pauses --quick    # 4 s of A and of its line

Acquire and the decoder's stand-in of `benchmarks.stream_latency` run with traces (`benchmarks.contenders.traced`),
which note once a hop (acquire's compiled loop: once in 50 ms) what the thread has lost. For each kind of pause the
table says how often it came, its largest and its sum, and what it took of a window of median age and of one
of the slowest in a hundred: a pause that makes the tail is longer in those. The size of a page fault is measured
beforehand, on fresh memory of this machine. The recorder has its own process; its longest write, fsync included, is
told beside the age of the windows while it ran. Linux only.
"""

import argparse
import mmap
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.full_line import measure_line
from benchmarks.measurement import Measurement, isolated, measure
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from benchmarks.stream_latency import FEEDS, WARM_UP

#: Pages touched to learn what a fault costs.
_PAGES = 4096

PROGRAMS = ("acquire", "consumer")


def fault_us() -> float:
    """Return what a first touch of a page costs here, µs: the least of five rounds."""
    rounds = []
    for _ in range(5):
        with mmap.mmap(-1, _PAGES * mmap.PAGESIZE) as memory:
            if hasattr(mmap, "MADV_NOHUGEPAGE"):
                memory.madvise(mmap.MADV_NOHUGEPAGE)
            began = time.perf_counter()
            for place in range(0, _PAGES * mmap.PAGESIZE, mmap.PAGESIZE):
                memory[place] = 1
            touched = time.perf_counter() - began
            began = time.perf_counter()
            for place in range(0, _PAGES * mmap.PAGESIZE, mmap.PAGESIZE):
                memory[place] = 1
            rounds.append(touched - (time.perf_counter() - began))
    return 1e6 * min(rounds) / _PAGES


def pauses_of(
    trace: NDArray[Any], each_fault_us: float
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return how often each kind of pause came between one note and the next, and for how long, ms.

    Parameters
    ----------
    trace : (n,) of `benchmarks.contenders.traced.TRACE_DTYPE`
        Notes.
    each_fault_us : float
        What a minor page fault costs.

    Returns
    -------
    dict of str to (n - 1,) int64 and (n - 1,) float64
        Counts and milliseconds by kind. A major fault waits for a disk: it is counted, and its time is not known.
    """
    diff = {name: np.diff(trace[name]) for name in trace.dtype.names if name != "at"}
    waited = diff["waited_ns"] * 1e-6
    return {
        "garbage collection": (diff["collections"], diff["collected_ns"] * 1e-6),
        "page faults": (diff["minor"], diff["minor"] * each_fault_us * 1e-3),
        "page faults from disk": (diff["major"], np.full(len(waited), np.nan)),
        "waiting for a processor": ((waited > 0).astype(np.int64), waited),
    }


def in_windows(
    trace: NDArray[Any], ms: NDArray[np.float64], hand: NDArray[np.float64], age: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how many ms of a pause lie in the notes that overlap each window's way from push to hand.

    Parameters
    ----------
    trace : (n,) notes
        Of one program.
    ms : (n - 1,) float64
        A pause between one note and the next.
    hand, age : (m,) float64
        When each window was in hand, session seconds, and how old it was then.
    """
    first = np.searchsorted(trace["at"], hand - age, side="right") - 1
    last = np.searchsorted(trace["at"], hand, side="left")
    total = np.concatenate([[0.0], np.cumsum(ms)])
    inner = len(ms)
    spent: NDArray[np.float64] = total[np.clip(last, 0, inner)] - total[np.clip(first, 0, inner)]
    return spent


def table(run: Measurement, seconds: float, each_fault_us: float) -> list[dict[str, Any]]:
    """Return a row for each kind of pause of each program of a traced run."""
    age = run.ages[:, 1]
    began = run.facts["source"]["started"] + WARM_UP
    hand = began + run.ages[:, 0]
    slow = age >= np.percentile(age, 99)
    usual = np.abs(age - np.median(age)) <= np.median(np.abs(age - np.median(age)))
    rows: list[dict[str, Any]] = []
    for program in PROGRAMS:
        whole = run.facts[program]["trace"]
        trace = whole[(whole["at"] >= began) & (whole["at"] < began + seconds)]
        for kind, (counts, ms) in pauses_of(trace, each_fault_us).items():
            windows = in_windows(trace, ms, hand, age)
            rows.append(
                {
                    "pause": kind,
                    "program": program,
                    "a_second": float(counts.sum()) / seconds,
                    "largest_ms": float(ms.max()) if len(ms) else float("nan"),
                    "ms_a_second": float(ms.sum()) / seconds,
                    "usual_ms": float(windows[usual].mean()),
                    "slow_ms": float(windows[slow].mean()),
                }
            )
    return rows


def print_pauses(name: str, result: dict[str, Any]) -> None:
    """Print the table of one configuration."""
    age = result["age_ms"]
    print(f"\n{name}: {result['description']}; age of windows p50 {age['p50']:.3f}, p99 {age['p99']:.3f},")
    print(f"slowest {age['max']:.2f} ms; threads besides the program's own: {result['threads']}\n")
    print_table(
        [
            "pause",
            "program",
            "a second",
            "largest ms",
            "ms a second",
            "ms in a usual window",
            "in the slowest 1 %",
        ],
        [
            [
                row["pause"],
                row["program"],
                f"{row['a_second']:.2f}",
                *(f"{row[key]:.3f}" for key in ("largest_ms", "ms_a_second", "usual_ms", "slow_ms")),
            ]
            for row in result["pauses"]
            if row["a_second"]
        ],
    )
    absent = [f"{row['pause']} ({row['program']})" for row in result["pauses"] if not row["a_second"]]
    print(f"none: {', '.join(absent)}" if absent else "every kind came")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pauses", description="What keeps a window waiting beyond its usual time?"
    )
    parser.add_argument("--quick", action="store_true", help="4 s of A and its line")
    parser.add_argument("--configs", default=None, help=f"of {','.join(FEEDS)}; default A,D, quick A")
    parser.add_argument("--seconds", type=float, help="measured seconds of each; default 20, quick 4")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    options = parser.parse_args()
    seconds = options.seconds or (4.0 if options.quick else 20.0)
    names = (options.configs or ("A" if options.quick else "A,D")).split(",")
    if unknown := set(names) - set(FEEDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(FEEDS)}")
    isolated()
    facts, each = machine_facts(), fault_us()
    results: dict[str, Any] = {}
    for name in names:
        progress(f"{name}: {seconds:g} s")
        run = measure("ours-traced", FEEDS[name], warm_up=WARM_UP, seconds=seconds)
        results[name] = {
            "description": str(run.feed),
            "age_ms": percentiles(1e3 * run.latency, (50, 99)),
            "threads": {program: run.facts[program]["threads"] for program in PROGRAMS},
            "lost": run.lost,
            "pauses": table(run, seconds, each),
        }
    progress(f"the whole line on {names[0]}: {seconds:g} s")
    line = measure_line(FEEDS[names[0]], warm_up=WARM_UP, seconds=seconds)
    recorder = {
        "longest_write_ms": 1e3 * line.facts["record"]["recording"]["slowest_write_s"],
        "age_ms": percentiles(1e3 * line.latency, (50, 99)),
    }
    print_machine(facts)
    print(f"a page fault: {each:.2f} µs")
    for name, result in results.items():
        print_pauses(name, result)
    age, longest = recorder["age_ms"], recorder["longest_write_ms"]
    print(f"\nwhole line on {names[0]}: the recorder's longest write, fsync included, took {longest:.1f} ms;")
    print(f"age of windows meanwhile p50 {age['p50']:.3f}, p99 {age['p99']:.3f}, slowest {age['max']:.2f} ms")
    if options.json:
        print_last_line(
            {
                "benchmark": "pauses",
                "machine": facts,
                "seconds": seconds,
                "fault_us": each,
                "configs": results,
                "recorder": recorder,
            }
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
