"""Whether numbers can be measurements at all: what receives samples asks it, and what filters them."""

import numpy as np

from bci.signal.types import Samples

#: Values beyond this are no measurement in any unit, and their square would leave float32: treated as NaN.
LARGEST = 1e15


def all_measured(samples: Samples) -> bool:
    """Return whether no value is beyond `LARGEST` or not a number."""
    if samples.dtype.kind != "f":
        return True
    # Both are NaN when any value is, and then neither comparison holds.
    lowest, highest = np.minimum.reduce(samples, axis=None), np.maximum.reduce(samples, axis=None)
    return bool(lowest >= -LARGEST and highest <= LARGEST)
