"""Matrix products of the simulated participant run in one thread, so that no bit depends on the machine's cores.

One thread is also faster for the many small products of a look: on two busy cores a look took 540 ms with two
threads, which wait for each other at each product, and 14 ms with one.
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
    # threadpoolctl comes with scikit-learn; the live system may lack both.
    try:
        return importlib.import_module("threadpoolctl").ThreadpoolController()
    except ImportError:
        return None
