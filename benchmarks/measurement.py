"""A Measurement is one run of one contender on one feed, from the source's first push to the last window.

Source and contender are programs of their own, started as the supervisor starts them. Latency runs from the push of
a window's newest sample, as noted by the source, to the window in hand, as noted by the contender. A window that was
passed over is charged with the time until the next one, so that no contender
gains by skipping. CPU time is that of all processes and threads of the contender during the measured span,
read from the kernel, less what the checks of the counter channel cost.
"""

import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import psutil
from numpy.typing import NDArray

from bci.control.line import Line, Post
from bci.control.shared_memory import Make, SharedMemory
from bci.control.spawn import Child
from bci.errors import ProgramError
from bci.memory.board import Board
from bci.memory.lsl_clock import LslClock
from benchmarks.contenders.line import VARIANTS, contenders_line, no_ring
from benchmarks.source import Feed
from benchmarks.window_log import load_windows

_READY_LIMIT = 60.0
_END_LIMIT = 60.0

#: By how much several streams may begin apart, each after the one before it, seconds.
_APART_S = 3.0


@dataclass(frozen=True)
class Measurement:
    """A Measurement holds the figures of one run of one contender.

    Attributes
    ----------
    contender, feed
        The contender's name, and its feed.
    latency : (n,) float64
        Seconds from the push of a window's newest sample to the window in hand, windows passed over included.
    decoded_age : (m,) float64
        Seconds from that push to the end of the window's decoding; empty when nothing was decoded.
    ages : (m, 2) float64
        When each window was in hand, seconds since the first push, and how old it was then.
    cpu : float
        CPU seconds per stream second of the contender's programs together, less the checks.
    programs_cpu : mapping of str to float
        The same of each program, and of the source that served it, checks included.
    windows, passed_over : int
        Windows in hand in the measured span, and grid windows between them that were not taken.
    broken, lost : int
        Windows of the whole run whose counter channel has a gap or a step; samples in no window at all.
    memory : mapping
        Unique set size of each process of the contender, MB, about once a second of the measured span.
    facts : mapping
        What the contender reported itself.
    """

    contender: str
    feed: Feed
    latency: NDArray[np.float64]
    decoded_age: NDArray[np.float64]
    ages: NDArray[np.float64]
    cpu: float
    programs_cpu: Mapping[str, float]
    windows: int
    passed_over: int
    broken: int
    lost: int
    memory: Mapping[str, list[float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Stage:
    """A Stage holds the programs of one run, their board and their folder.

    It starts what a line's posts say, as a supervisor does, but watches nothing and starts nothing again: contenders
    end by themselves.
    """

    def __init__(self) -> None:
        self.key = "bench" + uuid.uuid4().hex[:8]
        self.folder = Path(tempfile.mkdtemp(prefix=self.key))
        self.children: dict[str, Child] = {}
        self.open = ExitStack()
        self.memory: SharedMemory
        self._line: Line

    def take(self, line: Sequence[Post], make: Make = no_ring) -> None:
        """Make the board of a line; `make` makes its rings."""
        self._line = Line(line)
        self.memory = SharedMemory(self.key, self._line, make, self.open)
        self.open.enter_context(Board.create(self.key + "b", self._line.counters))

    def start(self) -> None:
        """Start all programs, in the line's order, and wait until each is ready."""
        for stage in self._line.stages:
            for post in stage:
                self.begin(post.name)
            names = [post.name for post in stage]
            self.until(
                lambda names=names: all(self.children[name].ready is not None for name in names),
                _READY_LIMIT,
                f"{', '.join(names)} ready",
            )

    def begin(self, name: str) -> Child:
        """Start one program, in the place of one of that name if there was one."""
        launch = self.memory.launch(self._line[name], str(self.folder), self.key + "b")
        child = self.children[name] = Child(launch)
        return child

    def until(self, condition: Callable[[], bool], limit: float, what: str) -> None:
        """Listen to the programs until `condition` holds.

        Raises
        ------
        ProgramError
            If a program fails, or `limit` seconds pass.
        """
        deadline = time.perf_counter() + limit
        while not condition():
            wait([w for child in self.children.values() if child.alive for w in child.waitables], 0.05)
            for child in self.children.values():
                child.listen()
                if child.failure:
                    raise ProgramError(f"{child.name}: {child.failure}\n{self._log()}")
            if time.perf_counter() > deadline:
                raise ProgramError(f"waited {limit:g} s in vain: {what}\n{self._log()}")

    def report(self, name: str, fact: str, what: str, limit: float = _READY_LIMIT) -> Any:
        """Listen until a program has reported a fact, and return it."""
        child = self.children[name]
        self.until(lambda: fact in child.facts, limit, what)
        return child.facts[fact]

    def processes(self) -> dict[str, int]:
        """Return the process number of each program."""
        return {name: child.process.pid for name, child in self.children.items()}

    def ended(self, *names: str) -> Callable[[], bool]:
        """Return the condition that programs have ended."""
        return lambda: not any(self.children[name].alive for name in names)

    def _log(self) -> str:
        path = self.folder / "log.txt"
        return path.read_text() if path.is_file() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self.children.values():
            child.ask_to_stop()
        for child in self.children.values():
            if not child.join(2.0):
                child.kill()
        self.open.close()
        shutil.rmtree(self.folder)


def measure(
    contender: str,
    feed: Feed,
    *,
    warm_up: float,
    seconds: float,
    busy: float = 0.0,
    memory: bool = False,
) -> Measurement:
    """Run one contender on one feed.

    Parameters
    ----------
    contender : str
        ``"ours"``, ``"pair"`` or a key of `PEERS` or `VARIANTS`.
    feed : Feed
        What is published and how it is cut.
    warm_up, seconds : float
        Stream seconds that are not measured, and that are.
    busy : float
        Seconds of work per window in place of a decoder.
    memory : bool
        Whether to sample the contender's memory, which costs some milliseconds each time.

    Raises
    ------
    BciError
        If a program fails or never comes to its end.
    """
    (run,) = measure_together(1, contender, feed, warm_up=warm_up, seconds=seconds, busy=busy, memory=memory)
    return run


def measure_together(
    count: int,
    contender: str,
    feed: Feed,
    *,
    warm_up: float,
    seconds: float,
    busy: float = 0.0,
    memory: bool = False,
) -> list[Measurement]:
    """Run one contender on so many streams at once, each with a source and programs of its own; else as `measure`."""
    with ExitStack() as opened:
        stages = [opened.enter_context(Stage()) for _ in range(count)]
        total = warm_up + seconds + 0.2 + _APART_S * (count - 1)
        for stage in stages:
            program, further = VARIANTS.get(contender, (contender, {}))
            spec = {"source_id": stage.key, "feed": asdict(feed), "seconds": total, "busy": busy, **further}
            stage.take(*contenders_line(program, spec, feed))
            stage.start()
        starts = [stage.report("source", "started", "the first sample") for stage in stages]
        began = max(starts) + warm_up
        if began + seconds > min(starts) + total:
            raise ProgramError(f"{count} streams began more than {total - warm_up - seconds:.1f} s apart")
        cpu, sizes = _watch([stage.processes() for stage in stages], began, seconds, memory)
        return [
            _finish(stage, contender, feed, began, seconds, *spent)
            for stage, *spent in zip(stages, cpu, sizes, strict=True)
        ]


def _finish(
    stage: Stage,
    contender: str,
    feed: Feed,
    began: float,
    seconds: float,
    cpu: Mapping[str, float],
    sizes: Mapping[str, list[float]],
) -> Measurement:
    """Let a contender come to its end, and evaluate what it noted."""
    source = stage.children["source"]
    stream = stage.memory.streams.get("stream")
    sent = stage.report("source", "pushed", "the last sample", _END_LIMIT)
    if stream is not None:
        # A moment for samples still on their way; then the stop travels down the line.
        clock = LslClock()
        until = clock.now() + 5.0
        stage.until(lambda: stream.samples.count >= sent * feed.chunk or clock.now() > until, 6.0, "the rest")
        stage.children["acquire"].ask_to_stop()
        stage.until(stage.ended("acquire"), _END_LIMIT, "the end of acquire")
        stream.samples.finish()
    # A contender that lags processes its backlog to the end, so that its last window is checked, too.
    stage.until(stage.ended("consumer"), _END_LIMIT, "the end of the consumer")
    facts = {name: child.facts for name, child in stage.children.items()} | {"source": source.facts}
    pushed = np.load(stage.folder / "source.npy")
    return _evaluate(contender, feed, stage.folder, pushed, began, seconds, cpu, sizes, facts)


def _watch(
    stages: Sequence[Mapping[str, int]], began: float, seconds: float, memory: bool
) -> tuple[list[dict[str, float]], list[dict[str, list[float]]]]:
    """Wait through the measured span; return of each stage CPU seconds per second of its programs, and memory in MB."""
    clock = LslClock()
    clock.sleep_until(began)
    before = [{name: cpu_seconds(pid) for name, pid in programs.items()} for programs in stages]
    watched = [{name: pid for name, pid in programs.items() if name != "source"} for programs in stages]
    sizes: list[dict[str, list[float]]] = [{name: [] for name in programs if memory} for programs in watched]
    if memory:
        for second in range(int(seconds)):
            clock.sleep_until(began + second + 0.5)
            for programs, found in zip(watched, sizes, strict=True):
                for name, pid in programs.items():
                    found[name].append(psutil.Process(pid).memory_full_info().uss / 1e6)
    clock.sleep_until(began + seconds)
    spent = [
        {name: (cpu_seconds(pid) - at[name]) / seconds for name, pid in programs.items()}
        for programs, at in zip(stages, before, strict=True)
    ]
    return spent, sizes


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used, all its threads, dead ones included."""
    if sys.platform.startswith("linux"):
        # The id of another process's CPU clock (clock_getcpuclockid), in nanoseconds where psutil has ticks.
        return time.clock_gettime((~pid << 3) | 2)
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _evaluate(
    contender: str,
    feed: Feed,
    folder: Path,
    pushed: NDArray[np.float64],
    began: float,
    seconds: float,
    cpu: Mapping[str, float],
    sizes: Mapping[str, list[float]],
    facts: Mapping[str, Any],
) -> Measurement:
    notes = load_windows(folder)
    newest, hand = notes["newest"], notes["hand"]
    age = hand - pushed[newest // feed.chunk]
    inside = (hand >= began) & (hand < began + seconds)
    # Windows passed over lie whole hops before the one that was taken.
    over = np.diff(newest, prepend=newest[:1]) // feed.hop - 1
    charged = [
        hand[i] - pushed[(newest[i] - np.arange(1, over[i] + 1) * feed.hop) // feed.chunk]
        for i in np.flatnonzero(inside & (over > 0))
    ]
    checks = float(notes["check_ns"][inside].sum()) * 1e-9
    end = len(pushed) * feed.chunk
    decoded = notes["decoded"][inside]
    unread = end - facts["consumer"]["samples"] if "samples" in facts["consumer"] else 0
    return Measurement(
        contender=contender,
        feed=feed,
        latency=np.concatenate([age[inside], *charged]),
        decoded_age=(decoded - pushed[newest[inside] // feed.chunk])[np.isfinite(decoded)],
        ages=np.column_stack([hand - began, age])[inside],
        cpu=sum(share for name, share in cpu.items() if name != "source") - checks / seconds,
        programs_cpu=cpu,
        windows=int(inside.sum()),
        passed_over=int(np.maximum(over[inside], 0).sum()),
        broken=int((~notes["ok"]).sum()),
        lost=samples_lost(notes, feed.hop, end) + unread,
        memory=sizes,
        facts=facts,
    )


def samples_lost(notes: NDArray[Any], hop: int, pushed: int) -> int:
    """Return how many of `pushed` samples are in no window from the first one in hand to the last on the grid.

    What comes before the first window is not counted: a contender without a grid begins up to a hop late, and
    one that takes the newest may pass over the first windows of the grid.
    """
    if not len(notes):
        return pushed
    return int(notes["missing"][1:].sum()) + max(0, pushed - hop - 1 - int(notes["newest"][-1]))


def isolated() -> None:
    """Put this process and all it starts on an LSL network of this machine alone."""
    from bci.io.lsl.network import isolate

    isolate(f"bench-{uuid.uuid4()}")
    os.environ.setdefault("MNE_LSL_LOG_LEVEL", "ERROR")
