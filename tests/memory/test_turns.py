"""Programs that a sample wakes ask for short turns; what was granted is read where the kernel itself says it."""

import json
import subprocess
import sys

import pytest

from bci.memory.turns import SHORT

#: Prints what was granted; the kernel's own word before, after, and of a thread started then; nice value and policy.
TAKES = """
import json, os, sys, threading
from bci.memory.turns import take_short_turns

def said():
    with open(f"/proc/self/task/{threading.get_native_id()}/sched") as lines:
        values = dict(line.split(":") for line in lines if line.count(":") == 1)
    return int(next((value for name, value in values.items() if name.strip() == "se.slice"), 0))

exec(sys.argv[1])
before, nice = said(), os.nice(0)
granted = take_short_turns()
of_threads = []
thread = threading.Thread(target=lambda: of_threads.append(said()))
thread.start()
thread.join()
print(json.dumps([granted, before, said(), *of_threads, os.nice(0) - nice, os.sched_getscheduler(0)]))
"""


def took(first: str) -> list[float | None]:
    told: list[float | None] = json.loads(
        subprocess.check_output([sys.executable, "-c", TAKES, first], text=True)
    )
    return told


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="no other system has turns that can be asked for"
)
def test_a_program_and_the_threads_it_starts_take_the_turns_that_the_kernel_grants() -> None:
    granted, before, after, of_thread, niced, policy = took("os.nice(3), take_short_turns(3e-3)")
    if granted is None:
        assert (after, of_thread) == (before, before), "not granted, and yet changed"
        # What an older kernel does was asserted above; that turns are granted no test can show there.
        pytest.skip("this kernel does not grant turns (Linux 6.12 or newer does)")
    assert granted == SHORT
    assert (before, after, of_thread) == (3_000_000, round(1e9 * SHORT), round(1e9 * SHORT))
    assert (niced, policy) == (0, 0), "share and policy stay"


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="no other system has turns that can be asked for"
)
def test_a_policy_that_a_user_chose_stays() -> None:
    granted, before, after, of_thread, _, policy = took(
        "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))"
    )
    assert granted is None
    assert after == of_thread == before
    assert policy == 3  # SCHED_BATCH
