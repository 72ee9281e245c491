"""A Memory marks the outputs of a step that a bad input sample can still influence."""

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Flags

_LONG_AGO = -(1 << 60)


class Memory:
    """A Memory marks every output that a bad input of the same channel, or voxel, can influence.

    An output stamped with input sample ``j`` is marked when a bad input ``i`` satisfies ``0 <= j - i <= settle``.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample's flags, as `Signal.flag_shape`.
    settle : int
        Samples that a bad one stays visible for.

    Examples
    --------
    >>> memory = Memory(shape=(1,), settle=2)
    >>> bad = np.array([[False], [True], [False], [False], [False]])
    >>> memory(bad, 5)[:, 0].tolist()
    [False, True, True, True, False]
    """

    def __init__(self, shape: tuple[int, ...], settle: int) -> None:
        self._settle = settle
        self._last: NDArray[np.int64] = np.full(shape, _LONG_AGO)
        self._column = (-1, *(1,) * len(shape))
        self._count = 0

    def reset(self) -> None:
        """Forget every bad sample."""
        self._last[:] = _LONG_AGO

    def __call__(self, bad: Flags | None, n: int) -> Flags | None:
        """Take the flags of the next `n` inputs, None meaning all good; return those of the outputs likewise."""
        count, self._count = self._count, self._count + n
        if bad is None:
            if n == 0 or count - int(self._last.max(initial=_LONG_AGO)) > self._settle:
                return None
            at = np.arange(count, count + n).reshape(self._column)
            return np.asarray(at - self._last <= self._settle)
        at = np.arange(count, count + n).reshape(self._column)
        last = np.maximum.accumulate(np.where(bad, at, _LONG_AGO), axis=0)
        np.maximum(last, self._last, out=last)
        if n:
            self._last = last[-1].copy()
        return np.asarray(at - last <= self._settle)
