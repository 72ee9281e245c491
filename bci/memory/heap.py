"""The heap of a program of the line keeps what is freed: memory that is given back costs a page fault a page again.

glibc returns the end of its heap, and each large block, at once. A chunk of 256 channels × 10 ms is 75 pages.
"""

import ctypes
import sys

#: Parameters of glibc's ``mallopt``, and what they are set to, bytes.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT, _LARGEST = 256 << 20, 32 << 20


def keep_freed_memory() -> bool:
    """Have this process keep up to 256 MB of what it frees, in blocks of at most 32 MB; False where it cannot be told.

    What it has never taken it does not keep: a program holds no more than it held at its peak.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl, for one, has none
    if mallopt is None:
        return False
    return all([mallopt(_M_MMAP_THRESHOLD, _LARGEST), mallopt(_M_TRIM_THRESHOLD, _KEPT)])
