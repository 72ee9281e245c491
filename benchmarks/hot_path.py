"""What acquisition's regular hop costs in Python and in C: processor time from a pull's return to the next one's call.

``python -m benchmarks.hot_path [--quick] [--json]``: a planted amplifier in the same process, without a network and
without a reader, for configurations of `benchmarks.stream_latency`. Each hop begins after a sleep, with caches as cold
as that leaves them; the two are run in turns, a process each. Processor time differs far less from run to run than the
latency of a line does. In C the figure holds the way in and out of a pull that is written in Python, which liblsl's
is not: it is an upper bound.
"""

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.lsl import source
from bci.io.lsl.inlet import Inlet
from bci.io.lsl.metadata import StreamInfo
from bci.live.acquire import GOES_ON_S
from bci.memory.board import Board
from bci.memory.hot import find_compiled
from bci.memory.lsl_clock import LslClock
from bci.memory.stream import Grid, Stream
from bci.signal.types import Signal
from benchmarks.report import (
    machine_facts,
    median_range,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from benchmarks.stream_latency import FEEDS

#: Seconds slept before a hop comes: those of a real one would make it a long benchmark.
ASLEEP_S = 0.003

_PULL = ctypes.CFUNCTYPE(
    ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
    ctypes.c_double, ctypes.c_void_p,
)  # fmt: skip
_AVAILABLE = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)


class PlantedInlet(Inlet):
    """A PlantedInlet gives as many samples as are asked for, after a sleep, stamped by their numbers."""

    available = 0

    def __init__(self, signal: Signal) -> None:
        self.info, self.offset = StreamInfo(signal, "planted"), 0.0
        self._channels, self._period, self._given = signal.shape[0], 1 / signal.rate, 0
        self._hold = _PULL(self._pull_of_c), _AVAILABLE(lambda inlet: 0)
        self.native = (*(ctypes.cast(one, ctypes.c_void_p).value or 0 for one in self._hold), 1)
        self.asleep, self.costs = 0.0, list[int]()
        self._returned = time.thread_time_ns()

    def _await(self, entered: int, stamps: NDArray[np.float64]) -> None:
        self.costs.append(entered - self._returned)
        if self.asleep:
            time.sleep(self.asleep)  # as between the packets of an amplifier: caches are cold after it
        stamps[:] = 1000 + (self._given + np.arange(len(stamps))) * self._period
        self._given += len(stamps)
        self._returned = time.thread_time_ns()

    def pull(self, samples: NDArray[Any], stamps: NDArray[np.float64], timeout: float) -> tuple[int, bool]:
        """Give the next samples to Python."""
        self._await(time.thread_time_ns(), stamps)
        return len(stamps), False

    def _pull_of_c(
        self, inlet: int, to: int, at: int, values: int, room: int, timeout: float, error: int
    ) -> int:
        entered = time.thread_time_ns()
        self._await(entered, np.ctypeslib.as_array(ctypes.cast(at, ctypes.POINTER(ctypes.c_double)), (room,)))
        return values

    def compare_clocks(self) -> float:
        """Find the clocks equal."""
        return 0.0


class _Connector:
    """Gives the planted inlet."""

    def __init__(self, inlet: PlantedInlet) -> None:
        self.inlet, self.gone = inlet, set[str]()

    def connect(self, timeout: float, between: Any) -> PlantedInlet:
        return self.inlet

    def look(self) -> dict[str, StreamInfo]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


def measure_hops(name: str, hops: int) -> dict[str, float]:
    """Receive so many hops of a configuration; return their cost in µs of processor time."""
    feed = FEEDS[name]
    inlet = PlantedInlet(Signal("planted", float(feed.rate), (feed.channels,)))
    source.Connector = lambda *given: _Connector(inlet)  # type: ignore[assignment, misc]
    with (
        source.LslSource("planted", clock=LslClock(), grid=Grid(feed.length, feed.hop)) as receiver,
        Stream.private(inlet.info.signal, 4.0) as stream,
        Board.private({"acquire": ["samples"]}) as board,
    ):
        receiver.go_on(board.row("acquire"), GOES_ON_S)
        # Until a line through the stamps is in force, and the first seconds are judged.
        receiver._opening.open = False  # noqa: SLF001 (its first half second is over)
        while stream.samples.count < 2 * feed.rate:
            receiver.pull_into(stream)
        gc.collect()
        gc.freeze()
        inlet.costs.clear()
        inlet.asleep = ASLEEP_S
        while len(inlet.costs) < hops:
            receiver.pull_into(stream)
    costs = np.array(inlet.costs[1:]) / 1e3
    return {"median_us": float(np.median(costs)), "mean_us": float(np.mean(costs))}


def main() -> int:
    """Measure and print; status 1 where nothing is compiled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 300 hops instead of five of 1,000")
    parser.add_argument("--json", action="store_true", help="only the last line")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure_hops(options.one, 300 if options.quick else 1000)))
        return 0
    library, why = find_compiled()
    if library is None:
        print(f"Nothing to compare: the hot path runs in Python here ({why}).")
        return 1
    found: dict[str, dict[str, list[dict[str, float]]]] = {name: {"python": [], "c": []} for name in "ACD"}
    for turn in range(1 if options.quick else 5):
        for name, ways in found.items():
            for way, runs in ways.items():
                progress(f"round {turn + 1}: {name} in {way}")
                words = [sys.executable, "-m", "benchmarks.hot_path", "--one", name]
                environment = os.environ | {"BCI_HOT": "on" if way == "c" else "off"}
                done = subprocess.run(
                    words + ["--quick"] * options.quick, env=environment, check=True, capture_output=True
                )
                runs.append(json.loads(done.stdout.splitlines()[-1]))
    result = {
        name: {
            f"{way}_{what}": median_range([run[what] for run in runs])
            for way, runs in ways.items()
            for what in ("median_us", "mean_us")
        }
        for name, ways in found.items()
    }
    facts = machine_facts()
    if not options.json:
        print_machine(facts)
        columns = list(result["A"])
        rows = [[name, *(f"{cut[c]['median']:.1f}" for c in columns)] for name, cut in result.items()]
        print_table(["configuration", *columns], rows)
    print_last_line({"benchmark": "hot_path", "machine": facts, "configs": result})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
