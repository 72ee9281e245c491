"""How soon a session stands: from the command to the first window and the first valid picture, and after a kill.

::

    python -m benchmarks.start_up            # 5 rounds of configs/demo.toml, some 2 minutes
    python -m benchmarks.start_up --quick    # one round
    python -m benchmarks.start_up --spawn    # the same where programs are not forked from a nursery
    python -m benchmarks.start_up --compiled # with bytecode kept, where PYTHONDONTWRITEBYTECODE forbids that

Each round runs `bci run` in a process of its own, kills its decoder once pictures are shown, and reads the session's
tables: all times are of its one clock. The demo's windows are a second long and its filters settle for 1.4 s more:
both are part of what is measured. The way to the first window is told step by step, from the session's log. Beside it:
seconds of processor time of imports, in fresh processes. An installed project has its bytecode; where that may not be
kept, every process compiles each module anew, which the last lines say.
Ends with status 1 when a target is missed.
"""

import argparse
import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bci.control.nursery import METHOD
from bci.errors import ProgramError
from bci.memory.lsl_clock import LslClock
from benchmarks.report import (
    machine_facts,
    median_range,
    print_last_line,
    print_machine,
    print_table,
    progress,
)

SESSION = Path(__file__).resolve().parents[1] / "configs" / "demo.toml"

#: What must be reached, seconds; medians of the rounds.
TARGETS = {"first window": 3.5, "import of acquire": 0.2, "bci --help": 0.3}

#: Seconds for which a round's session runs, and after which it is given up.
SECONDS, PATIENCE = 12, 120

_STARTED = re.compile(r"decode started as process (\d+)")

#: A line of a session's log: its time, and what a step of the start ends with.
_LINE = re.compile(r"(\S+ \S+) supervisor INFO (.*)")
_STEPS = {
    "the session's folder: imports, settings, rehearsal": re.compile(r"session \S+ in "),
    "the first program starts": re.compile(r"\S+ started as process"),
    "acquire starts: all others are ready": re.compile(r"acquire started as process"),
    "all are ready": re.compile(r"running$"),
}


def steps_of(log: str, began: float) -> dict[str, float]:
    """Return when each step of a session's start was reached, seconds after the command.

    Parameters
    ----------
    log : str
        Text of the session's ``log.txt``.
    began : float
        When the command was given, seconds since 1970, as the log counts.

    Examples
    --------
    >>> at = datetime.fromisoformat("2026-01-01 10:00:00").timestamp()
    >>> line = "2026-01-01 10:00:02,250 supervisor INFO acquire started as process 7"
    >>> steps_of(line, at)
    {'the first program starts': 2.25, 'acquire starts: all others are ready': 2.25}
    """
    reached: dict[str, float] = {}
    for line in log.splitlines():
        if not (found := _LINE.match(line)):
            continue
        for step, ends in _STEPS.items():
            if step not in reached and ends.match(found[2]):
                reached[step] = datetime.fromisoformat(found[1].replace(",", ".")).timestamp() - began
    return {step: reached[step] for step in _STEPS if step in reached}


def one_round(out: Path) -> dict[str, float]:
    """Run the session once, kill its decoder, and return how long everything took, seconds.

    Raises
    ------
    ProgramError
        If the session did not run.
    """
    clock = LslClock()
    words = [sys.executable, "-m", "bci", "run", str(SESSION), "--headless", "--seconds", str(SECONDS)]
    began, by_the_log = clock.now(), datetime.now().timestamp()
    with subprocess.Popen(
        [*words, "--out", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            killed = _kill_once_shown(process, out, clock)
            process.wait(PATIENCE)
        finally:
            process.kill()
    (folder,) = out.iterdir()
    frames = [row for table in sorted(folder.glob("frames*.csv")) for row in _rows(table)]
    published = [(float(row["published"]), row["valid"] == "1") for row in frames]
    valid = [at for at, fit in published if fit]
    flips = [float(row["flipped"]) for row in _rows(folder / "shown.csv") if row["kind"] == "frame"]
    return steps_of((folder / "log.txt").read_text(encoding="utf-8"), by_the_log) | {
        "first window": published[0][0] - began,
        "first valid picture": valid[0] - began,
        "its flip": min((at for at in flips if at >= valid[0]), default=float("nan")) - began,
        "kill to the next window": min(at for at, _ in published if at > killed) - killed,
        "kill to the next valid picture": min(at for at in valid if at > killed) - killed,
    }


def _kill_once_shown(process: "subprocess.Popen[bytes]", out: Path, clock: LslClock) -> float:
    """Kill the decoder of a session once it has shown pictures for a while; return when."""
    deadline = clock.now() + PATIENCE
    while process.poll() is None and clock.now() < deadline:
        time.sleep(0.05)  # the log of a real session is read, not waited for
        for log in out.glob("*/log.txt"):
            text = log.read_text(encoding="utf-8", errors="replace")
            if "of neutral picture" in text and (found := _STARTED.search(text)):
                time.sleep(0.5)  # so that it is killed while it decodes, not while it starts
                os.kill(int(found[1]), signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
                return clock.now()
    raise ProgramError(f"the session showed no picture within {PATIENCE} s, or ended: see log.txt in {out}")


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def spent_by(words: Sequence[str]) -> float:
    """Return the processor time of a fresh process less that of an empty one, seconds: the least of five."""

    def once(*arguments: str) -> float:
        before = os.times()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    return min(once(*words) for _ in range(5)) - min(once("-c", "pass") for _ in range(5))


def main() -> None:
    """Measure, print, and say whether the targets are reached."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start_up", description="How soon does a session stand?"
    )
    parser.add_argument("--quick", action="store_true", help="one round, half a minute")
    parser.add_argument("--spawn", action="store_true", help="start every program anew")
    parser.add_argument(
        "--compiled", action="store_true", help="keep bytecode, although it is forbidden here"
    )
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    arguments = parser.parse_args()
    if arguments.spawn:
        os.environ[METHOD] = "spawn"
    kept = bytecode_kept()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.compiled and not kept:
            del os.environ["PYTHONDONTWRITEBYTECODE"]
            os.environ["PYTHONPYCACHEPREFIX"] = folder
            # Whatever a session imports is compiled once, before any round.
            one_round(Path(folder) / "first")
            spent_by(["-c", "import bci.live.acquire"])
            kept = True
        measure_all(arguments, kept=kept)


def bytecode_kept() -> bool:
    """Whether Python keeps the bytecode of what it imports here."""
    return not os.environ.get("PYTHONDONTWRITEBYTECODE")


def measure_all(arguments: argparse.Namespace, *, kept: bool) -> None:
    """Measure, print, and say whether the targets are reached; `kept` is whether bytecode is."""
    facts = machine_facts() | {"bytecode": "kept" if kept else "compiled anew by every process"}
    print_machine(facts)
    found: dict[str, list[float]] = {}
    for number in range(1 if arguments.quick else 5):
        progress(f"round {number + 1}")
        with tempfile.TemporaryDirectory() as out:
            for name, seconds in one_round(Path(out)).items():
                found.setdefault(name, []).append(seconds)
    found["import of acquire"] = [spent_by(["-c", "import bci.live.acquire"])]
    found["bci --help"] = [spent_by(["-m", "bci", "--help"])]
    summary: dict[str, Any] = {name: median_range(values) for name, values in found.items()}
    missed = [name for name, limit in TARGETS.items() if not summary[name]["median"] <= limit]
    print_table(
        ["", "median s", "lowest", "highest", "target"],
        [
            [
                name,
                *(f"{row[key]:.2f}" for key in ("median", "low", "high")),
                f"{TARGETS[name]:g}" if name in TARGETS else "",
            ]
            for name, row in summary.items()
        ],
    )
    print(f"bytecode: {facts['bytecode']}")
    print(f"missed: {', '.join(missed)}" if missed else "all targets reached")
    if arguments.json:
        print_last_line({"benchmark": "start_up", "missed": missed, "machine": facts, "seconds": summary})
    if missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
