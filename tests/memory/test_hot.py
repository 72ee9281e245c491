"""A wait in compiled code ends as one in Python does, and a signal is seen meanwhile."""

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bci.memory import hot
from bci.memory.ring import Column, Ring

COUNTED = [Column.of("count", "i8")]


@pytest.fixture(params=["python", "compiled"])
def ring(
    request: pytest.FixtureRequest,
    segment_name: str,
    compiled_library: hot.Compiled,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ring]:
    """Give a ring whose readers wait in Python, then one whose readers wait in compiled code."""
    library = compiled_library if request.param == "compiled" else None
    monkeypatch.setattr(hot, "find_compiled", lambda: (library, "planted"))
    with Ring.create(segment_name, COUNTED, 500, 100, readers=2) as ring:
        assert (ring._compiled_wait is not None) == (library is not None)
        yield ring


@settings(max_examples=40)
@given(
    written=st.integers(1, 90), target=st.integers(1, 100), releases=st.integers(0, 3), finished=st.booleans()
)
def test_a_wait_in_compiled_code_ends_as_one_in_python(
    compiled_library: hot.Compiled, written: int, target: int, releases: int, finished: bool
) -> None:
    ends = []
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # its ring opens what compiled code needs, whatever is installed here
        patch.setattr(hot, "find_compiled", lambda: (compiled_library, "planted"))
        ring = Ring.create(f"t{uuid.uuid4().hex[:12]}", COUNTED, 500, 100, readers=2)
    with ring:
        ring.write(count=np.arange(written))
        if finished:
            ring.finish()
        for library in (None, compiled_library):
            ring._compiled_wait = None if library is None else library.wait
            for _ in range(releases):
                ring._wakeups[1].release()
            reached = ring.wait(target, 0.0, slot=1)
            left = 0
            while ring._wakeups[1].wait(0.0):
                left += 1
            ends.append((reached, ring.next_target(), left))
    assert ends[0] == ends[1]


def test_a_wait_ends_when_another_thread_has_written(ring: Ring) -> None:
    def write() -> None:
        while ring.next_target() is None:
            pass
        ring.write(count=np.arange(10))

    writer = threading.Thread(target=write)
    writer.start()
    assert ring.wait(10, 30.0, slot=1)
    writer.join()
    assert ring.next_target() is None


def test_a_signal_is_seen_while_a_reader_waits(ring: Ring) -> None:
    before = signal.signal(signal.SIGUSR1, lambda number, frame: ring.finish())
    try:
        killer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
        killer.start()
        began = time.monotonic()
        assert not ring.wait(10, 60.0)
        assert time.monotonic() - began < 30
        killer.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
