"""A footprint is a running session's use of its machine: private memory, open files, shared segments."""

import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from bci.control.supervisor import Supervisor
from benchmarks.report import progress

_LOOK_EVERY = 0.5
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Look:
    """A Look holds the footprint of a running session at one moment.

    Attributes
    ----------
    share : float
        How much of the recording was in acquire's ring, 0 to 1.
    memory : mapping of str to float
        Private memory of each program, MB.
    files : mapping of str to int
        The fewest files, sockets and pipes that each program had open since the look before; handles on Windows.
    segments : int
        Shared segments of the session.
    """

    share: float
    memory: Mapping[str, float]
    files: Mapping[str, int]
    segments: int


class Watcher:
    """A Watcher measures the session's footprint twice a second; the supervisor calls it.

    Attributes
    ----------
    looks : list of Look
        Footprints so far.
    key : str
        Prefix of the names of the session's shared segments.
    """

    def __init__(self, total: int) -> None:
        self.looks: list[Look] = []
        self.key = ""
        self.processes: dict[str, psutil.Process] = {"supervisor": psutil.Process()}
        self._files: dict[str, int] = {}
        self._total = total
        self._next = 0.0

    def __call__(self, supervisor: Supervisor) -> None:
        """Measure, if half a second has passed."""
        if not self.key:
            self.key = key_of(supervisor.folder)
            self.processes |= {n: psutil.Process(c.process.pid) for n, c in supervisor.children.items()}
            # What programs were forked from is part of what the session takes.
            parents = {psutil.Process(c.process.pid).ppid() for c in supervisor.children.values()}
            for parent in parents - {os.getpid()}:
                self.processes["nursery"] = psutil.Process(parent)
        for name, process in self.processes.items():
            self._files[name] = min(open_files(process), self._files.get(name, sys.maxsize))
        now = time.perf_counter()
        if now < self._next:
            return
        self._next = now + _LOOK_EVERY
        share = int(supervisor.board.row("acquire")["samples"]) / self._total
        memory = {name: private_memory(p) for name, p in self.processes.items()}
        files, self._files = self._files, {}
        self.looks.append(Look(share, memory, files, len(segments_of(self.key))))
        if len(self.looks) % 20 == 0:
            progress(f"{100 * share:.0f} %, {sum(memory.values()):.0f} MB in {len(memory)} programs")


def key_of(session: Path) -> str:
    """Return the prefix of the names of a session's shared segments, from its log."""
    match = re.search(r"shared memory (\w+)", (session / "log.txt").read_text(encoding="utf-8"))
    assert match is not None
    return match[1]


def private_memory(process: psutil.Process) -> float:
    """Return the memory that a process has written and shares with no other, MB."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if not rollup.is_file():
        return float(process.memory_full_info().uss) / 1e6
    lines = (line.split() for line in rollup.read_text().splitlines())
    return sum(int(kb) for name, kb, *_ in lines if name in ("Private_Dirty:", "Swap:")) / 1e3


def open_files(process: psutil.Process) -> int:
    """Return the number of files, sockets and pipes that a process has open."""
    count = process.num_handles() if psutil.WINDOWS else process.num_fds()
    return int(count)


def segments_of(key: str) -> set[str]:
    """Return the shared segments whose names begin with `key`, where they can be seen (Linux)."""
    return {path.name for path in _MEMORY.glob(f"{key}*")} if _MEMORY.is_dir() else set()


def growth(looks: Sequence[Look], name: str) -> tuple[float, float]:
    """Return a program's memory in the tenth after the first, MB, and how much it has grown until the last."""
    start = [look.memory[name] for look in looks if 0.1 <= look.share < 0.2]
    end = [look.memory[name] for look in looks if look.share >= 0.9]
    if not start or not end:
        return float("nan"), float("nan")
    return float(np.median(start)), float(np.median(end) - np.median(start))


def files_of(looks: Sequence[Look], name: str) -> tuple[int, int]:
    """Return the fewest files that a program had open in the second quarter of a run, and in the last."""
    second = [look.files[name] for look in looks if 0.25 <= look.share < 0.5]
    last = [look.files[name] for look in looks if look.share >= 0.75]
    return min(second, default=-1), min(last, default=-1)
