"""What programs are forked from is frozen, so that their own collections leave its pages shared."""

import subprocess
import sys

import pytest

from bci.control.nursery import PRELOADED

FORKED = """
import gc, importlib, os, sys
import bci.memory.program
for name in sys.argv[1:]:
    importlib.import_module(name)

def own() -> int:
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))

if not os.fork():
    before = own()
    gc.collect()
    print(own() - before, flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="programs are forked on Linux alone")
def test_a_collection_in_a_forked_program_copies_next_to_nothing() -> None:
    def copied(*names: str) -> int:
        return int(subprocess.check_output([sys.executable, "-c", FORKED, *names], text=True))

    frozen, not_frozen = copied(PRELOADED[-1]), copied()
    assert 4 * frozen < not_frozen, f"{frozen} kB, {not_frozen} kB"
