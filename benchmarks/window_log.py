"""A WindowLog notes when each window reached a consumer, and whether its counter channel is unbroken."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.planted import WRAP

#: One window: when it was in hand, when its decoding ended, absolute count of its newest sample, whether
#: its counter channel has neither gap nor step, how many samples never seen before it are missing from it,
#: and the CPU time that looking at this cost, which is no work of the contender's.
WINDOW_DTYPE = np.dtype(
    [("hand", "f8"), ("decoded", "f8"), ("newest", "i8"), ("ok", "?"), ("missing", "i8"), ("check_ns", "i8")]
)


class WindowLog:
    """A WindowLog holds preallocated notes on every window, the same for all contenders.

    Parameters
    ----------
    length : int
        Samples per window.
    capacity : int
        Windows that can be noted.
    """

    def __init__(self, length: int, capacity: int) -> None:
        self._length = length
        self._ramp = np.arange(1 - length, 1, dtype=np.float32)
        self._notes = np.zeros(capacity, WINDOW_DTYPE)
        self._n = 0
        self._newest = -1

    @property
    def newest(self) -> int:
        """Absolute count of the newest sample seen; -1 before the first."""
        return self._newest

    def take(self, window: NDArray[np.float32], hand: float, decoded: float = float("nan")) -> None:
        """Check one window and note it.

        Parameters
        ----------
        window : (length, channels) float32
            Channel 0 carries the sample number modulo `WRAP`.
        hand, decoded : float
            When it was in hand and when its decoding ended, session seconds: taken before this call.
        """
        began = time.thread_time_ns()
        counter = window[:, 0]
        last = counter[-1]
        ok = len(counter) == self._length and bool(((counter - self._ramp) == last).all())
        if not ok:  # a window that holds the wrap is no error
            ok = len(counter) == self._length and bool(((counter - self._ramp) % WRAP == last).all())
        newest = self._newest + int((int(last) - self._newest) % WRAP)
        fresh = newest - self._newest
        if ok:
            missing = max(0, fresh - self._length)
        else:
            new = np.unique((counter.astype(np.int64) - self._newest - 1) % WRAP)
            missing = fresh - int(np.count_nonzero(new < fresh))
        self._newest = newest
        self._notes[self._n] = (hand, decoded, newest, ok, missing, 0)
        self._notes["check_ns"][self._n] = time.thread_time_ns() - began
        self._n += 1

    def save(self, folder: Path) -> None:
        """Write the notes to ``windows.npy`` in `folder`."""
        np.save(folder / "windows.npy", self._notes[: self._n])


def load_windows(folder: Path) -> NDArray[Any]:
    """Read the notes of `WindowLog.save`: (n,) records of `WINDOW_DTYPE`."""
    notes: NDArray[Any] = np.load(folder / "windows.npy")
    return notes
