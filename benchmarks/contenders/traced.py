"""A traced program is a program of the line that notes, whenever it looks for orders, what its thread has lost since.

It notes page faults, time for which it was ready to run and waited for a processor, how often it was preempted, and
garbage collection. Linux counts the first three for each thread. A note costs some 10 µs, so a traced line's own
latencies are no figures to be told.
"""

import gc
import importlib
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ProgramError
from bci.memory.program import Program

#: One note: when, and what the thread had lost until then.
TRACE_DTYPE = np.dtype(
    [
        ("at", "f8"),
        ("minor", "i8"),
        ("major", "i8"),
        ("waited_ns", "i8"),
        ("preempted", "i8"),
        ("collected_ns", "i8"),
        ("collections", "i8"),
    ]
)

_TASKS = Path("/proc/self/task")


class Trace:
    """A Trace takes the notes of one thread.

    Parameters
    ----------
    capacity : int
        Notes that are kept; later ones are not taken.
    """

    def __init__(self, capacity: int) -> None:
        if not sys.platform.startswith("linux"):
            raise ProgramError("what a thread loses to others is counted on Linux alone")
        self._notes = np.ones(
            capacity, TRACE_DTYPE
        )  # written once, so that notes themselves cause no page fault
        self._n = self._collected_ns = self._collections = self._began_ns = 0
        self._own = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        gc.callbacks.append(self._collect)

    def note(self, now: float) -> None:
        """Take a note at `now`, session seconds."""
        if self._n == len(self._notes):
            return
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        waited = int(os.pread(self._own, 80, 0).split()[1])
        self._notes[self._n] = (
            now,
            usage.ru_minflt,
            usage.ru_majflt,
            waited,
            usage.ru_nivcsw,
            self._collected_ns,
            self._collections,
        )
        self._n += 1

    def _collect(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._began_ns = time.perf_counter_ns()
        else:
            self._collected_ns += time.perf_counter_ns() - self._began_ns
            self._collections += 1

    def close(self) -> NDArray[Any]:
        """Return the notes: (n,) of `TRACE_DTYPE`."""
        gc.callbacks.remove(self._collect)
        os.close(self._own)
        return self._notes[: self._n].copy()


def others() -> dict[str, int]:
    """Return how many ``threads`` this process has besides its first, and ``others_waited_ns``, their waits."""
    own = str(os.getpid())
    waited = [
        int((task / "schedstat").read_text().split()[1]) for task in _TASKS.iterdir() if task.name != own
    ]
    return {"threads": len(waited), "others_waited_ns": sum(waited)}


def main(program: Program) -> None:
    """Run the program of the spec's ``traces`` (a module's name), for ``notes`` notes at most.

    Report: ``trace`` (the notes), ``threads`` (besides its own) and ``others_waited_ns``.
    """
    trace, tick, clock = Trace(program.spec["notes"]), program.tick, program.clock
    counted: dict[str, int] = {}

    def noted() -> bool:
        trace.note(clock.now())
        going = tick()
        if not going:  # while connections are open, and with them the threads that receive
            counted.update(others())
        return going

    vars(program)["tick"] = noted
    try:
        importlib.import_module(program.spec["traces"]).main(program)
    finally:
        program.report(trace=trace.close(), **(counted or others()))
