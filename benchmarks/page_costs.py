"""Page costs: what every session pays so that it can be looked at, whether or not a page is open.

::

    python -m benchmarks.page_costs    # one session of 64 channels at 1 kHz, some 20 s

Both are paid by the supervisor, for which nothing in the line waits: ``live.json``, written while the session starts
whenever there are new rings, and a snapshot into shared memory five times a second. Each is done again beside a real
session some thirty times and timed, wall clock and processor.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bci.control.directory import Directory
from bci.control.snapshot import SessionState
from bci.control.snapshot_ring import SNAPSHOT_EVERY, SnapshotWriter, create_snapshots
from bci.control.supervisor import Supervisor
from benchmarks.full_line import measure_line
from benchmarks.report import machine_facts, percentiles, print_last_line, print_machine, print_table
from benchmarks.stream_latency import FEEDS

WARM_UP, SECONDS = 2.0, 6.0


class Costs:
    """Costs are measured beside a running session: the supervisor calls it about ten times a second."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.wall: dict[str, list[float]] = {}
        self.cpu: dict[str, list[float]] = {}
        self.stages = 0
        self._ring = create_snapshots(f"costs{id(self):x}", 1)

    def __call__(self, supervisor: Supervisor, now: float) -> None:
        """Do each once more."""
        if not 0 <= now < SECONDS:
            return
        self.stages = len(supervisor.plan.line.stages)
        directory = Directory.read(supervisor.folder)
        assert directory is not None
        self._time("live.json", lambda: directory.write(self._folder))
        # A writer that has written nothing yet is due.
        writer = SnapshotWriter(self._ring)
        self._time("snapshot", lambda: writer.offer(now, SessionState.RUNNING, supervisor.snapshot))

    def _time(self, name: str, act: Callable[[], object]) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        act()
        self.cpu.setdefault(name, []).append(1e3 * (time.thread_time() - cpu))
        self.wall.setdefault(name, []).append(1e3 * (time.perf_counter() - wall))

    def close(self) -> None:
        """Let go of the ring."""
        self._ring.close()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        costs = Costs(Path(folder))
        try:
            run = measure_line(FEEDS["A"], warm_up=WARM_UP, seconds=SECONDS, disturb=costs)
        finally:
            costs.close()
    figures = {
        name: {"wall_ms": percentiles(costs.wall[name]), "cpu_ms": percentiles(costs.cpu[name])}
        for name in costs.wall
    }
    machine = machine_facts()
    print_machine(machine)
    print_table(
        ("what", "n", "wall p50 ms", "wall p99 ms", "processor p50 ms"),
        [
            (name, f"{of['wall_ms']['n']}", *(f"{of['wall_ms'][cut]:.2f}" for cut in ("p50", "p99")),
             f"{of['cpu_ms']['p50']:.2f}")
            for name, of in figures.items()
        ],
    )  # fmt: skip
    share = 1e-3 * figures["snapshot"]["cpu_ms"]["p50"] / SNAPSHOT_EVERY
    print(
        f"a session of {costs.stages} stages; snapshots use {100 * share:.2f} % of a core; {run.lost} samples lost"
    )
    print_last_line(
        {"machine": machine, "figures": figures, "stages": costs.stages, "snapshots_share": share}
    )


if __name__ == "__main__":
    main()
