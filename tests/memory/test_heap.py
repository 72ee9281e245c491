"""A program of the line keeps what it frees, so that arrays of a chunk's size cost no page faults again and again."""

import platform
import subprocess
import sys

import pytest

CHUNKS = """
import resource, sys
import numpy as np
from bci.memory.heap import keep_freed_memory

def chunk(samples):
    filtered = np.ones((samples, 256), np.float32) * 2
    return bool(np.isfinite(filtered).all())

assert sys.argv[1] == "off" or keep_freed_memory()
for _ in range(5):
    chunk(300), chunk(900)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    chunk(300), chunk(900)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in platform.libc_ver(), reason="glibc's heap is meant")
def test_chunks_of_a_fast_stream_cost_page_faults_only_where_memory_is_given_back() -> None:
    faults = {
        kept: int(subprocess.check_output([sys.executable, "-c", CHUNKS, kept], text=True))
        for kept in ("on", "off")
    }
    assert faults["on"] < 100, faults
    assert faults["on"] < faults["off"], faults
