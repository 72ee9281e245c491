"""The compiled hop does what the Python hop does: the same calls leave the same bytes, and hand back what is odd."""

import ctypes
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bci.io.lsl import patience, source
from bci.io.lsl.inlet import Inlet
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.source import LslSource
from bci.memory import hot
from bci.memory.board import Board
from bci.memory.stream import Grid, Stream
from bci.signal.clock import ManualClock
from bci.signal.types import Signal

CHANNELS = 3
_PULL = ctypes.CFUNCTYPE(
    ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
    ctypes.c_double, ctypes.POINTER(ctypes.c_int32),
)  # fmt: skip
_AVAILABLE = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)
_NOW = ctypes.CFUNCTYPE(ctypes.c_double)
_SLEEP = ctypes.CFUNCTYPE(None, ctypes.c_double)


class MachinesClock(ManualClock):
    """A clock turned by hand that compiled code is allowed to ask."""

    is_machines = True


class PlantedInlet(Inlet):
    """Samples with planted stamps that come at planted times; a pull turns the clock until enough have come."""

    def __init__(
        self, clock: ManualClock, rate: float, samples: NDArray[Any], stamps: NDArray[Any], due: NDArray[Any]
    ):
        self.info = StreamInfo(Signal("amp", rate, (CHANNELS,), dtype=samples.dtype.name), "amp")
        self.offset = 0.0
        self._clock, self._samples, self._stamps, self._due = clock, samples, stamps, due
        self._channels = CHANNELS
        self.given, self.compiled, self.drift = 0, 0, 0.0
        self._hold = _PULL(self._answer), _AVAILABLE(lambda inlet: self.available)
        self.native = (*(ctypes.cast(one, ctypes.c_void_p).value or 0 for one in self._hold), 1)

    def _take(self, room: int, timeout: float) -> slice:
        end = min(self.given + room, len(self._due))
        until = self._clock.now() + timeout
        self._clock.sleep_until(float(min(until, self._due[end - 1] if end == self.given + room else until)))
        came = int(np.searchsorted(self._due, self._clock.now(), side="right"))
        first, self.given = self.given, min(end, max(came, self.given))
        return slice(first, self.given)

    def pull(self, samples: NDArray[Any], stamps: NDArray[np.float64], timeout: float) -> tuple[int, bool]:
        stamps.fill(np.nan)
        taken = self._take(len(stamps), timeout)
        n = taken.stop - taken.start
        samples[:n], stamps[:n] = self._samples[taken], self._stamps[taken]
        return self.outcome(n, 0, stamps)

    def _answer(
        self, inlet: Any, to: int, at: int, values: int, room: int, timeout: float, error: Any
    ) -> int:
        self.compiled += 1
        taken = self._take(room, timeout)
        for column, where in ((self._samples[taken], to), (self._stamps[taken], at)):
            ctypes.memmove(where, np.ascontiguousarray(column).ctypes.data, column.nbytes)
        return (taken.stop - taken.start) * CHANNELS

    @property
    def available(self) -> int:
        return int(np.searchsorted(self._due, self._clock.now(), side="right")) - self.given

    def compare_clocks(self) -> float:
        # An estimate that moves while samples come: it takes a second to come into force, which is Python's.
        self.offset = self.drift * (self.given // 1000)
        return self.offset


class PlantedConnector:
    """Gives the planted inlet, and sees no other."""

    def __init__(self, inlet: PlantedInlet) -> None:
        self.inlet, self.gone = inlet, set[str]()
        self.look: Callable[[], dict[str, StreamInfo]] = dict

    def connect(self, timeout: float, between: Callable[[], None]) -> PlantedInlet:
        return self.inlet

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Plan:
    """A stream: samples (n, 3), stamps (n,), times of arrival (n,); how it is received, and whether a reader waits."""

    rate: float
    samples: NDArray[Any]
    stamps: NDArray[np.float64]
    due: NDArray[np.float64]
    grid: Grid | None = None
    tolerance: float | None = None
    reader: int | None = None  # the seed of the counts it waits for


def calm(late: float) -> Plan:
    """Return a stream of chunks of ten, whose newest sample is stamped when pushed: late by up to so many periods."""
    rate, n, chunk = 1000.0, 4000, 10
    rng = np.random.default_rng(5)
    pushed = (np.arange(n // chunk) + 1) * chunk / rate
    delays = np.repeat(late / rate * rng.random(n // chunk), chunk)
    samples = rng.normal(0, 20, (n, CHANNELS)).astype("f4")
    return Plan(
        rate, samples, 1000 + np.arange(n) / rate + delays, 1000 + np.repeat(pushed, chunk), Grid(1000, 10)
    )


def odd(seed: int) -> Plan:
    """Return a stream with some of all that can be odd."""
    rng = np.random.default_rng(seed)
    rate = float(rng.choice([250, 500, 1000]))
    n, chunk = int(2.5 * rate), int(rng.choice([1, 7, 10, 25]))
    samples = rng.normal(0, 20, (n, CHANNELS)).astype(rng.choice(["f4", "f8", "i2"]))
    true, chunks = 1000 + np.arange(n) / rate, -(-n // chunk)
    delays = 0.02 / rate * rng.random(n) if rng.random() < 0.5 else rng.exponential(0.3 / rate, n)
    if rng.random() < 0.3:
        delays = np.repeat(rng.exponential(0.8 / rate, chunks), chunk)[:n]
    stamps = true + delays
    due = true[np.minimum(np.arange(n) // chunk * chunk + chunk - 1, n - 1)] + 1e-3
    due = np.maximum.accumulate(due + np.repeat(rng.exponential(1e-4, chunks), chunk)[:n])
    for what in rng.choice(["lost", "late", "nan", "alike", "reset", "spike", "silence"], rng.integers(0, 4)):
        at = int(rng.integers(n // 3, n - 200))
        if what == "lost":
            stamps[at:] += rng.integers(1, 40) / rate
        elif what == "late":
            due[at:] = np.maximum(due[at:], due[at] + 0.04)
        elif what == "nan":
            stamps[at] = np.nan
        elif what == "alike":
            stamps[at + 1] = stamps[at]
        elif what == "reset":
            stamps[at:] += rng.choice([-50.0, 700.0])
        elif what == "spike" and samples.dtype.kind == "f":
            samples[at, 1] = rng.choice([np.nan, 2e15, -np.inf])
        elif what == "silence":
            due[at:] += 0.7
    grid = Grid(int(rate), int(rng.integers(5, 40))) if rng.random() < 0.8 else None
    return Plan(rate, samples, stamps, due, grid, 3 / rate if rng.random() < 0.3 else None, reader=seed)


@dataclass
class Seen:
    """What can be seen of a stream that was received: all that must not differ, and how it came about."""

    left: dict[str, Any]
    calls: int = 0
    compiled: int = 0
    stamped: int = 0
    away: float = 0.0


def received(
    patch: pytest.MonkeyPatch, plan: Plan, library: hot.Compiled | None, lasting: float = 0.0
) -> Seen:
    """Receive a planted stream to its end, in Python or where it is plain in compiled code."""
    patch.setattr(hot, "find_compiled", lambda: (library, ""))
    clock, seen, wakes = MachinesClock(1000.0), Seen({}), []
    inlet = PlantedInlet(clock, plan.rate, plan.samples, plan.stamps, plan.due)
    inlet.drift = 0.0 if plan.reader is None else 2e-4 * (plan.reader % 2)
    patch.setattr(source, "Connector", lambda *given: PlantedConnector(inlet))
    patch.setattr(patience, "_switches", lambda: inlet.given)
    hooks = _NOW(clock.now), _SLEEP(clock.sleep_until)
    rng = np.random.default_rng(plan.reader)
    with (
        Stream.create(f"t{uuid.uuid4().hex[:12]}", inlet.info.signal, seconds=1.3, readers=2) as stream,
        Board.private({"acquire": ["samples"]}) as board,
        LslSource("amp", clock=clock, grid=plan.grid, gap_tolerance=plan.tolerance) as receiver,
    ):
        ring, row = stream.samples, board.row("acquire")
        stamp = receiver._stamp
        patch.setattr(receiver, "_stamp", lambda *given, **named: (_count(seen), stamp(*given, **named))[1])
        receiver.go_on(row, lasting)
        receiver._opening.open = False
        while inlet.given < len(plan.due) - (0 if plan.reader is None else 50):
            if plan.reader is not None and rng.random() < 0.3:
                ring._slots[0] = ring.count + int(rng.integers(1, 30))
            began = clock.now()
            if receiver.pull_into(stream):
                row["samples"], row["data"] = ring.count, receiver.newest
            seen.away = max(seen.away, clock.now() - began)
            seen.calls += 1
            wakes += [ring._slots[0], int(ring._wakeups[0].wait(0.0))]
            if receiver._hops is not None:
                receiver._hops.record.now, receiver._hops.record.sleep_until = (
                    ctypes.cast(one, ctypes.c_void_p).value for one in hooks
                )
        receiver.pull_into(stream, 0.0, last=True)
        seen.compiled = inlet.compiled
        seen.left = {name: ring.array(name).tobytes() for name in ("samples", "times", "raw", "arrived")} | {
            "words": list(ring._words[5:10]),
            "wakes": wakes if plan.reader is not None else [],
            "marks": stream.marks.array("mark").tobytes(),
            "row": (row["samples"], row["data"]),
            "said": (receiver.received, receiver.lost, receiver.duplicates, receiver.newest, receiver.marked),
            "line": (receiver._stamps.newest, receiver._stamps.period, receiver._stamps._offset._n),
        }
    return seen


def _count(seen: Seen) -> None:
    seen.stamped += 1


def differing(one: Seen, other: Seen) -> list[str]:
    return [what for what, value in one.left.items() if other.left[what] != value]


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_compiled_hops_leave_the_same_bytes_as_hops_in_python(
    compiled_library: hot.Compiled, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        plain, quick = (received(patch, odd(seed), library) for library in (None, compiled_library))
    assert differing(plain, quick) == []


def test_compiled_code_goes_on_for_hops_and_is_back_within_a_tenth_of_a_second(
    compiled_library: hot.Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = received(monkeypatch, calm(late=0.01), None)
    quick = received(monkeypatch, calm(late=0.01), compiled_library, lasting=0.05)
    assert differing(plain, quick) == []
    assert quick.compiled > 0.8 * plain.calls
    assert quick.calls < 0.4 * plain.calls
    assert quick.away <= 0.1


def test_stamps_that_step_back_stay_in_compiled_code(
    compiled_library: hot.Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = calm(late=3.0)
    assert (np.diff(plan.stamps) < 0).mean() > 0.02
    plain, quick = (received(monkeypatch, plan, library) for library in (None, compiled_library))
    assert differing(plain, quick) == []
    assert quick.compiled > 0.8 * quick.calls
    # The first half second is not plain, nor is the later one than any before in the second.
    assert quick.stamped < 0.2 * quick.calls
