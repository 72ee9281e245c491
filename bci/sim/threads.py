"""One thread for matrix products: a look is many small ones, and its last bits must not hang on the machine's cores.

Shared between threads, each product waits for the slowest: on two busy cores a look took 540 ms with two threads
and 14 ms with one.
"""

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any


def one_thread() -> AbstractContextManager[object]:
    """Keep matrix products in the calling thread; does nothing where threadpoolctl is not installed."""
    controller = _controller()
    limited: AbstractContextManager[object] = (
        nullcontext() if controller is None else controller.limit(limits=1)
    )
    return limited


def is_one_thread() -> bool:
    """Whether matrix products are kept in one thread, by `one_thread` or by the environment."""
    return _controller() is not None or os.environ.get("OMP_NUM_THREADS") == "1"


@lru_cache(1)
def _controller() -> Any:
    # It comes with scikit-learn; the live system does without where it has to.
    try:
        return importlib.import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
