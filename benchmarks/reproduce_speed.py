"""Reproduction speed: how many times faster than real time a demo session is decoded again, on one core.

::

    python -m benchmarks.reproduce_speed            # 120 s of the demo, recorded at five times real time
    python -m benchmarks.reproduce_speed --quick    # 40 s of it

A headless session of the shipped bundle is run and recorded; then `bci reproduce` runs on it, held to one core and
one thread, as a command of its own. Two factors come of it: of the work, reading the recording, decoding and
comparing; and of the whole command, in which loading the libraries and trying the bundle weigh the more, the
shorter the session is. The floor runs the bundle's graphs as often on the same core, and does nothing else. Factors
are of processor time, which others on the machine do not lengthen; those of the clock on the wall stand beside them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.memory.lsl_clock import LslClock
from benchmarks.report import (
    machine_facts,
    median_range,
    print_last_line,
    print_machine,
    print_table,
    progress,
)

BUNDLE = Path(__file__).resolve().parents[1] / "models" / "bundles" / "alpha"
SPEED = 5
TARGET = 20.0

_NAMES = {
    "floor": "the graphs alone (floor)",
    "work": "reading, decoding, comparing",
    "command": "the whole command",
}

_SESSION = """
name = "speed"
network = "machine"
[source]
kind = "simulate"
seed = 0
speed = {speed}
[decoder]
bundle = "{bundle}"
[display]
kind = "headless"
photodiode = true
"""


def record(folder: Path, seconds: float) -> Path:
    """Run a session of `seconds` of data; return its folder."""
    config = folder / "session.toml"
    config.write_text(_SESSION.format(speed=SPEED, bundle=BUNDLE.as_posix()))
    result = bci("run", config, "--seconds", seconds / SPEED, "--out", folder / "sessions")
    return Path(result["session"])


def bci(*words: object) -> dict[str, Any]:
    """Run a `bci` command on one thread; return its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "bci", *map(str, words), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise SystemExit(f"bci {words[0]} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def hold_to_one_core() -> bool:
    """Keep this process, and those it starts from now on, on one core; return whether the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return True


class Stopwatch:
    """A Stopwatch measures processor time, of this process and its ended children, and wall time, since it was made."""

    def __init__(self) -> None:
        self._began = self._now()

    @staticmethod
    def _now() -> NDArray[np.float64]:
        times = os.times()
        return np.array([sum(times[:4]), time.perf_counter()])

    def __call__(self) -> tuple[float, float]:
        """Return the seconds so far: processor time, wall time."""
        cpu, wall = self._now() - self._began
        return float(cpu), float(wall)


def graphs_alone(decoder: OnnxDecoder, frames: int) -> tuple[float, float]:
    """Return the seconds that the bundle's graphs take for as many windows: processor time, wall time."""
    window = np.random.default_rng(0).uniform(1, 10, decoder.bundle.window_shape).astype(np.float32)
    taken = Stopwatch()
    for _ in range(frames):
        decoder.raw(window)
    return taken()


def main() -> int:
    """Run and report; status 1 when the target is missed or a frame is not equal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="40 s of data instead of 120 s")
    parser.add_argument("--json", action="store_true", help="end with one machine-readable line")
    options = parser.parse_args()
    seconds, rounds = (40.0, 3) if options.quick else (120.0, 5)
    with tempfile.TemporaryDirectory() as folder:
        progress(f"recording {seconds:g} s of the demo at {SPEED} times real time …")
        session = record(Path(folder), seconds)
        one_core = hold_to_one_core()
        decoder = OnnxDecoder(Bundle.load(BUNDLE), clock=LslClock())
        decoder.warm_up()
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in _NAMES}
        result: dict[str, Any] = {}
        for i in range(rounds):
            progress(f"round {i + 1} of {rounds} …")
            command = Stopwatch()
            result = bci("reproduce", session)
            taken["command"].append(command())
            taken["work"].append((result["cpu_seconds"], result["seconds"] / result["times_real_time"]))
            taken["floor"].append(graphs_alone(decoder, result["frames"]))
    factors = {name: result["seconds"] / np.array(times) for name, times in taken.items()}
    cpu, wall = ({name: median_range(f[:, i]) for name, f in factors.items()} for i in range(2))
    equal = result["equal"] == result["frames"] > 0
    facts = machine_facts(["onnxruntime", "scipy"])
    print_machine(facts)
    print(
        f"{result['frames']} reconstructions of {result['seconds']:.0f} s, {result['equal']} equal to the bit"
    )
    rows = [
        [
            words,
            f"{cpu[name]['median']:.0f}×",
            f"{cpu[name]['low']:.0f}–{cpu[name]['high']:.0f}×",
            f"{cpu[name]['median'] / cpu['floor']['median']:.2f}",
            f"{wall[name]['median']:.0f}×",
        ]
        for name, words in _NAMES.items()
    ]
    where = "one core" if one_core else "one thread (this system holds no process to a core)"
    print_table([where, "times real time", "range", "of the floor", "on the wall"], rows)
    met = cpu["work"]["median"] >= TARGET and equal
    print(f"target ≥ {TARGET:g}×, every frame equal: {'met' if met else 'MISSED'}")
    if options.json:
        print_last_line(
            {
                "times_real_time": cpu["work"]["median"],
                "ratio": cpu["work"]["median"] / cpu["floor"]["median"],
                "cpu": cpu,
                "wall": wall,
                "target": TARGET,
                "met": met,
                **{key: result[key] for key in ("frames", "equal", "seconds", "same_environment")},
                "one_core": one_core,
                "machine": facts,
            }
        )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
