"""A ring gives every sample to every reader, in one piece, or says which it could not."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.errors import Overrun, RingError
from bci.memory.ring import Column, Ring, RingHandle
from bci.memory.wakeup import PipeWakeup, SemaphoreWakeup, Wakeup
from bci.signal.types import FRAME_DTYPE, SHOWN_DTYPE

COUNTED = [Column.of("count", "i8"), Column.of("row", "f4", (3,))]
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def ring(segment_name: str) -> Iterator[Ring]:
    with Ring.create(segment_name, COUNTED, 50, 20) as ring:
        yield ring


def write(ring: Ring, n: int) -> None:
    count = np.arange(ring.count, ring.count + n)
    ring.write(count=count, row=np.stack([count, 2 * count, -count], 1))


@settings(max_examples=80, deadline=None)
@given(
    capacity=st.integers(1, 40),
    share=st.floats(0.01, 1),
    writes=st.lists(st.integers(1, 60), min_size=1, max_size=30),
)
def test_every_window_up_to_the_longest_is_contiguous_and_right(
    capacity: int, share: float, writes: list[int]
) -> None:
    longest = max(1, int(capacity * share))
    ring = Ring.private(COUNTED, capacity, longest)
    for n in writes:
        write(ring, n)
        for length in {1, longest, max(1, longest // 2)}:
            first = max(ring.count - length, 0)
            if first < ring.oldest:
                continue
            view = ring.view(first, ring.count)
            assert view["count"].tolist() == list(range(first, ring.count))
            assert view["row"][:, 2].tolist() == [-c for c in range(first, ring.count)]
            assert view["row"].flags.c_contiguous
    assert ring.count == sum(writes)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "f4", "f8", "?", "S7"])
@pytest.mark.parametrize("shape", [(), (1,), (64,), (4, 5, 6)])
def test_any_type_and_shape_comes_back(segment_name: str, dtype: str, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).integers(0, 2, (30, *shape)).astype(dtype)
    with Ring.create(segment_name, [Column.of("x", dtype, shape)], 16, 8) as ring:
        ring.write(x=values)
        with Ring.attach(segment_name) as reader:
            assert reader.columns == ring.columns
            got = reader.read(22, 30)["x"]
    assert got.dtype == values.dtype
    assert np.array_equal(got, values[22:])


@pytest.mark.parametrize("dtype", [FRAME_DTYPE, SHOWN_DTYPE])
def test_records_keep_their_layout(segment_name: str, dtype: np.dtype[Any]) -> None:
    with Ring.create(segment_name, [Column.of("record", dtype)], 4, 2), Ring.attach(segment_name) as reader:
        assert reader.columns[0].dtype == dtype


def test_an_overtaken_reader_is_told_what_it_lost(ring: Ring) -> None:
    write(ring, 130)
    assert ring.oldest == 80
    with pytest.raises(Overrun) as raised:
        ring.read(70, 90)
    assert (raised.value.first, raised.value.lost) == (70, 10)
    assert ring.read(80, 100)["count"].tolist() == list(range(80, 100))


def test_a_claim_makes_what_it_will_overwrite_unreadable_before_it_is_written(ring: Ring) -> None:
    write(ring, 50)
    view = ring.view(0, 10)
    ring.claim(3)
    with pytest.raises(Overrun):
        ring.check(0)
    ring.check(3)
    ring.commit(1)
    # The places claimed and not committed are spoilt all the same.
    with pytest.raises(Overrun):
        ring.check(2)
    assert ring.count == 51
    assert len(view["count"]) == 10


def test_what_is_not_there_yet_cannot_be_read(ring: Ring) -> None:
    write(ring, 5)
    with pytest.raises(ValueError, match="ends by 5"):
        ring.read(0, 6)
    with pytest.raises(ValueError, match="at most 20"):
        ring.read(0, 21)


def test_two_rings_of_one_name_are_refused(ring: Ring, segment_name: str) -> None:
    with pytest.raises(RingError, match="exists already"):
        Ring.create(segment_name, COUNTED, 50, 20)


def test_a_ring_that_is_not_there_is_named() -> None:
    with pytest.raises(RingError, match="no-such-ring"):
        Ring.attach("no-such-ring")


def test_memory_that_is_not_there_is_refused_before_it_is_touched(segment_name: str) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("ONLY LINUX TELLS how much shared memory is free")
    with pytest.raises(RingError, match="shared memory"):
        Ring.create(segment_name, [Column.of("x", "f8", (1 << 20,))], 1 << 20, 1)
    assert not (Path("/dev/shm") / segment_name).exists()


def test_the_creator_leaves_nothing_behind(segment_name: str) -> None:
    with Ring.create(segment_name, COUNTED, 50, 20), Ring.attach(segment_name):
        pass
    with pytest.raises(RingError):
        Ring.attach(segment_name)


def test_an_unrelated_process_that_ends_does_not_take_the_ring_with_it(ring: Ring, segment_name: str) -> None:
    write(ring, 7)
    code = f"from bci.memory.ring import Ring; print(Ring.attach({segment_name!r}).count)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "7"
    assert done.stderr == ""
    with Ring.attach(segment_name) as again:
        assert again.count == 7


# -- waiting ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=[SemaphoreWakeup, PipeWakeup])
def either_wakeup(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make rings of this platform's wake-ups, then of the other's."""
    monkeypatch.setattr("bci.memory.ring.new_wakeup", request.param)


def read_along(handle: RingHandle, pipe: Connection, upto: int) -> None:
    """Follow a ring in steps of ten and send every count seen."""
    ring = Ring.attach(handle)
    at = 0
    pipe.send("here")
    while at < upto:
        ring.wait(at + 10, 5.0)
        end = min(ring.count, at + ring.max_window)
        pipe.send(ring.read(at, end)["count"].tolist())
        at = end
    pipe.send("done")
    os._exit(0)


@pytest.mark.system
@pytest.mark.usefixtures("either_wakeup")
def test_another_process_sees_every_sample_once_and_in_order(segment_name: str) -> None:
    near, far = SPAWN.Pipe()
    with Ring.create(segment_name, COUNTED, 4000, 500) as ring:
        child = SPAWN.Process(target=read_along, args=(ring.handle, far, 3000))
        child.start()
        assert near.recv() == "here"
        while ring.count < 3000:
            write(ring, 7)
        ring.finish()
        seen: list[int] = []
        while (message := near.recv()) != "done":
            seen += message
        child.join(30)
    assert seen[:3000] == list(range(3000))


def wait_for_ever(handle: RingHandle, pipe: Connection) -> None:
    ring = Ring.attach(handle)
    pipe.send("waiting")
    ring.wait(1 << 40, 1e6)


@pytest.mark.system
@pytest.mark.usefixtures("either_wakeup")
def test_a_reader_killed_while_it_waits_blocks_nobody(segment_name: str) -> None:
    near, far = SPAWN.Pipe()
    with Ring.create(segment_name, COUNTED, 50, 20) as ring:
        child = SPAWN.Process(target=wait_for_ever, args=(ring.handle, far))
        child.start()
        assert near.recv() == "waiting"
        deadline = time.monotonic() + 30
        while ring.next_target() is None:
            assert time.monotonic() < deadline
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(30)
        for _ in range(100):
            write(ring, 10)
        assert ring.count == 1000
        with Ring.attach(ring.handle) as successor:
            assert successor.wait(1000, 1.0)


def test_a_reader_is_woken_at_its_count_and_not_before(ring: Ring) -> None:
    woken: list[int] = []

    class Bell:
        def wait(self, timeout: float) -> bool:
            return False

        def release(self) -> None:
            woken.append(ring.count)

    ring._wakeups = (Bell(), Bell())
    ring._slots[0], ring._slots[1] = 10, 25
    assert ring.next_target() == 10
    for _ in range(30):
        write(ring, 1)
    assert woken == [10, 25]
    assert ring.next_target() is None


def test_waiting_ends_when_the_writer_has_finished(ring: Ring) -> None:
    write(ring, 5)
    ring.finish()
    assert ring.finished
    assert not ring.wait(10, 1e6)
    assert ring.wait(5, 1e6)


class Releases:
    """A wake-up that has a few releases ready, writes into the ring as it gives one, and then says the time is over."""

    def __init__(self, ring: Ring, *writes: int) -> None:
        self.ring = ring
        self.writes = list(writes)
        self.waits: list[float] = []

    def wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        if not self.writes:
            return False
        if n := self.writes.pop(0):
            write(self.ring, n)
        return True

    def release(self) -> None:
        """The writer's; what is given out is planted."""


def test_waiting_ends_when_the_system_says_that_the_time_is_over(ring: Ring) -> None:
    bell = Releases(ring)
    ring._wakeups, ring._compiled_wait = (bell, bell), None
    assert not ring.wait(10, 0.1)
    assert bell.waits == [0.1]
    assert ring.next_target() is None


def test_a_release_left_by_an_earlier_wait_does_not_end_this_one(ring: Ring) -> None:
    bell = Releases(ring, 0, 3, 7)  # one of nothing, one too early, and the one that is meant
    ring._wakeups, ring._compiled_wait = (bell, bell), None
    assert ring.wait(10, 0.1)
    assert bell.waits == [0.1] * 3
    bell.writes = [0]
    assert not ring.wait(20, 0.1)
    assert bell.waits == [0.1] * 5
    assert ring.next_target() is None


@pytest.mark.system
@pytest.mark.usefixtures("either_wakeup")
def test_a_wait_blocks_for_its_time_and_no_longer(segment_name: str) -> None:
    with Ring.create(segment_name, COUNTED, 50, 20, readers=1) as ring:
        began = time.monotonic()
        assert not ring.wait(10, 0.05)
        assert 0.045 < time.monotonic() - began < 5.0


def release_twice(wakeup: Wakeup) -> None:
    wakeup.release()
    wakeup.release()


@pytest.mark.system
@pytest.mark.parametrize("kind", [SemaphoreWakeup, PipeWakeup])
def test_both_kinds_of_wakeup_count_releases_from_another_process(kind: type[Any]) -> None:
    wakeup = kind()
    begun = time.perf_counter()
    assert not wakeup.wait(0.05)
    # A wake-up may come early by the resolution of the system's timers.
    assert 0.03 < time.perf_counter() - begun < 20
    child = SPAWN.Process(target=release_twice, args=(wakeup,))
    child.start()
    assert wakeup.wait(30)
    assert wakeup.wait(30)
    child.join(30)
    assert not wakeup.wait(0.01)
    for end in ("_reader", "_writer"):
        with contextlib.suppress(AttributeError):
            getattr(wakeup, end).close()
