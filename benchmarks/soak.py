"""Soak: an hour of 64 channels at 1 kHz through the whole line at high speed; growth of memory, and missing samples.

::

    python -m benchmarks.soak            # an hour of data at 20 times its speed, under 4 minutes
    python -m benchmarks.soak --quick    # ten minutes of data, under a minute

One session as `bci run` starts it: source, acquire, decode (band-pass, 1 s windows, a small ONNX graph), headless
display and recorder, with the supervisor in this process. The recording that is played is made first; it and the
session need 2 GB in --folder. Twice a second the private memory of every program, its open files and the session's
shared segments are noted, with how far acquire had come.

Private memory is the unique set size without clean pages of files: whether the code of a library counts as unique
depends on who else on the machine has loaded it. Growth is the median of the last tenth less the median of the
tenth after the first: what is allocated at the start, and buffers that find their size, belong to the first tenth.
The supervisor's own shrinks at first: a page of a ring is its private memory until another program has touched it.

Of open files the fewest at a time are compared, of the second quarter of the run and its last: liblsl looks around
for other sources and opens some sockets each time, so their number goes up and down; what is left open raises the
fewest as well. A session of some seconds comes first, for what stays in a process for good (matplotlib's
fonts). Afterwards the recording is verified against its checksums, and every value in it is compared with what was
played.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bci.config.display import DisplaySettings
from bci.config.session import DecoderSettings, SessionConfig
from bci.config.sources import ReplaySettings
from bci.control.session_plan import supervise
from bci.io.files.xdf.verify import verify
from bci.signal.types import Signal
from benchmarks.footprint import Look, Watcher, files_of, growth, open_files, segments_of
from benchmarks.full_line import make_bundle, own_log
from benchmarks.measurement import isolated
from benchmarks.planted import ReadBack, Samples, planted, read_back
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from benchmarks.source import Feed

#: Four windows a second, one for each push of the player at 20 times the speed and more.
FEED = Feed("soak", channels=64, rate=1000, chunk=10, length=1000, hop=250)
LABELS = tuple(f"C{i}" for i in range(FEED.channels))

#: How much a program's private memory may grow after the first tenth: a share, and MB.
GROWTH, GROWTH_MB = 0.05, 10.0

#: The session that comes first plays so many seconds of data.
FIRST_S = 5.0


def judge(
    looks: Sequence[Look], total: int, found: ReadBack, damaged: int, left: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return each target with its figure and whether it is met.

    Parameters
    ----------
    looks : sequence of Look
        Footprints while the session ran.
    total : int
        Samples that were played.
    found : ReadBack
        Comparison of the recording with the samples played.
    damaged : int
        Number of faults that `verify` finds in the recording.
    left : sequence of str
        Segments, processes and files that remained after the session had ended.
    """
    programs = list(looks[-1].memory) if looks else []
    grown = {name: growth(looks, name) for name in programs}
    worst = max(grown, key=lambda name: grown[name][1] / grown[name][0], default="")
    start, more = grown.get(worst, (float("nan"), float("nan")))
    most = max((mb for _, mb in grown.values()), default=float("nan"))
    flat = bool(grown) and all(mb < min(GROWTH * size, GROWTH_MB) for size, mb in grown.values())
    files = {name: files_of(looks, name) for name in programs}
    more_files = [f"{name} {second} → {last}" for name, (second, last) in files.items() if last > second]
    segments = sorted({look.segments for look in looks})
    return {
        f"private memory of each program grows < {GROWTH:.0%} and < {GROWTH_MB:g} MB after the first tenth": {
            "figure": f"{worst} {100 * more / start:+.2f} % ({more:+.2f} MB); at most {most:+.2f} MB",
            "met": flat,
        },
        f"all {total} samples in the recording, as they were sent": {
            "figure": f"{found.samples} found, {found.wrong} wrong, {damaged} damaged pieces",
            "met": found.samples == total and not found.wrong and not damaged,
        },
        "open files constant": {
            "figure": ", ".join(more_files) or "no program keeps more in the last quarter than in the second",
            "met": bool(files) and not more_files and all(second > 0 for second, _ in files.values()),
        },
        "shared segments constant": {
            "figure": " and ".join(map(str, segments)) if any(segments) else "cannot be counted here",
            "met": len(segments) == 1,
        },
        "none left afterwards": {"figure": ", ".join(left) or "none", "met": not left},
    }


def soak(folder: Path, total: int, speed: float | str) -> dict[str, Any]:
    """Play `total` samples through a session in `folder`; return its figures."""
    sent = planted(FEED.noise())
    make_bundle(folder / "bundle", Signal("hour", FEED.rate, (FEED.channels,), LABELS, "uV"), FEED)
    _run(folder, int(FIRST_S * FEED.rate), speed, sent)
    me = psutil.Process()
    before, began = open_files(me), time.perf_counter()
    watcher, summary = _run(folder, total, speed, sent)
    took = time.perf_counter() - began
    gc.collect()
    session = Path(summary["session"])
    left = [f"segment {name}" for name in sorted(segments_of(watcher.key))]
    # What programs are forked from serves this process' next session too, and ends with it.
    gone = {name: p for name, p in watcher.processes.items() if p != me and name != "nursery"}
    left += [f"process {name}" for name, p in gone.items() if p.is_running()]
    left += [path.name for path in session.glob("*.partial")]
    if (more := open_files(me) - before) > 0:
        left.append(f"{more} files open in the supervisor")
    progress("reading the recording back")
    report = verify(session / "recording.xdf")
    found = read_back(session / "recording.xdf", "hour", sent)
    damaged = report.damaged + report.gaps + report.backwards + len(report.notes)
    return {
        "status": summary["status"],
        "ended_by": summary["ended_by"],
        "session_s": took,
        "looks": len(watcher.looks),
        "programs": _programs(watcher.looks),
        "found": asdict(found),
        **{key: summary[key] for key in ("windows", "reconstructions", "skipped", "samples_lost", "flips")},
        "targets": judge(watcher.looks, total, found, damaged, left),
    }


def _run(folder: Path, total: int, speed: float | str, sent: Samples) -> tuple[Watcher, dict[str, Any]]:
    """Play `total` samples through one session; return its footprints and its summary."""
    file = folder / "hour.npy"
    write_recording(file, total, sent)
    config = SessionConfig(
        name="soak",
        source=ReplaySettings(
            kind="replay", file=file, speed=speed, rate=FEED.rate, channels=LABELS, unit="uV"
        ),
        decoder=DecoderSettings(bundle=folder / "bundle"),
        display=DisplaySettings(kind="headless"),
    )
    watcher = Watcher(total)
    with own_log():
        return watcher, supervise(config, folder, watcher).run()


def write_recording(path: Path, total: int, sent: Samples) -> None:
    """Write `total` samples as a .npy file, a piece at a time."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (total, FEED.channels)}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, total, 10_000):
            sent(first, min(first + 10_000, total)).tofile(file)


def _programs(looks: Sequence[Look]) -> dict[str, dict[str, Any]]:
    lines = {}
    for name in looks[-1].memory if looks else ():
        start, more = growth(looks, name)
        highest = max(look.memory[name] for look in looks if look.share >= 0.1)
        lines[name] = {
            "memory_mb": start,
            "growth_mb": more,
            "highest_mb": highest,
            "files": files_of(looks, name),
        }
    return lines


def print_result(result: Mapping[str, Any], seconds: float) -> None:
    """Print the table and the targets."""
    rate = seconds / result["session_s"]
    print(
        f"\n{seconds:g} s of {FEED.channels} ch × {FEED.rate / 1e3:g} kHz in a session of {result['session_s']:.0f} s "
        f"({rate:.1f} × real time, start and end included): {result['status']}, {result['windows']} windows = "
        f"{result['reconstructions']} decoded + {result['skipped']} skipped, {result['flips']} flips\n"
    )
    header = [
        "",
        "private memory MB",
        "growth MB",
        "growth %",
        "highest MB",
        "fewest files open, 2nd and last quarter",
    ]
    rows = [
        [
            name,
            f"{line['memory_mb']:.2f}",
            f"{line['growth_mb']:+.2f}",
            f"{100 * line['growth_mb'] / line['memory_mb']:+.2f}",
            f"{line['highest_mb']:.2f}",
            "{}, {}".format(*line["files"]),
        ]
        for name, line in result["programs"].items()
    ]
    print_table(header, rows)
    for target, verdict in result["targets"].items():
        print(f"{'met    ' if verdict['met'] else 'NOT MET'}  {target}: {verdict['figure']}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; status 1 if a target is missed."""
    options = _parse(arguments)
    began = time.perf_counter()
    isolated()
    facts = machine_facts(["onnxruntime"])
    with tempfile.TemporaryDirectory(prefix="soak", dir=options.folder) as folder:
        result = soak(Path(folder), int(options.seconds * FEED.rate), options.speed)
    took = time.perf_counter() - began
    print_machine(facts)
    print_result(result, options.seconds)
    print(f"took {took:.0f} s in all")
    ok = result["status"] == "done" and all(verdict["met"] for verdict in result["targets"].values())
    if options.json:
        settings = {key: getattr(options, key) for key in ("quick", "seconds", "speed")}
        print_last_line(
            {"benchmark": "soak", "ok": ok, "machine": facts, "settings": settings, "took_s": took, **result}
        )
    return 0 if ok else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description="An hour through the whole line: what grows?"
    )
    parser.add_argument("--quick", action="store_true", help="ten minutes of data")
    parser.add_argument("--json", action="store_true", help="one machine-readable last line")
    parser.add_argument("--seconds", type=float, help="seconds of data; default 3600, quick 600")
    parser.add_argument("--speed", default="20", help="times real time, or max; default 20")
    parser.add_argument("--folder", type=Path, help="where to make a temporary folder; default: the system's")
    options = parser.parse_args(arguments)
    if options.seconds is None:
        options.seconds = 600.0 if options.quick else 3600.0
    if options.speed != "max":
        try:
            options.speed = float(options.speed)
        except ValueError:
            parser.error(f"a speed is a number or max, got {options.speed!r}")
    return options


if __name__ == "__main__":
    raise SystemExit(main())
