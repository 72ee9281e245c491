"""SliceTimes compares when slices are taken: what a run's description states, what a decoder holds, what volumes say.

A description is of the first volume, and the first volume of a multiband run may bear the times of its single-band
reference. A bundle holds times that were written into it when it was made. Only those of the volumes from the second on
are right, so each of the two is compared with these.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bci.io.volumes.outlet import META_COLUMNS
from bci.io.volumes.volume import SAME_TIME_S
from bci.signal.pipeline import Pipeline, step_name

#: By which setting a step says when slices are taken.
_SETTINGS = ("times_s", "slice_times_s")


def held_slice_times(pipeline: Pipeline) -> dict[str, tuple[float, ...]]:
    """Return the slice times that steps of a pipeline hold, seconds along z, by the step's name.

    >>> from bci.signal.volumes.slice_timing import SliceTiming
    >>> held_slice_times(Pipeline([SliceTiming((0.0, 0.5, 0.25))]))
    {'slice_timing': (0.0, 0.5, 0.25)}
    """
    return {
        step_name(type(step)): tuple(times)
        for step in pipeline.steps
        for name in _SETTINGS
        if (times := getattr(step, name, ()))
    }


class SliceTimes:
    """SliceTimes tells, once a run, of slice times that are not those of its volumes.

    Parameters
    ----------
    held : mapping of str to sequence of float
        The times that decoders hold, seconds along z, by what holds them.
    log : logging.Logger
        Told in words what differs, and by how much.

    Attributes
    ----------
    stated_ms, held_ms : int
        By how much the times of the description, and those that a decoder holds, differ from the volumes', the largest
        of any slice, milliseconds; 0 where they are the same or not known.
    """

    def __init__(self, held: Mapping[str, Sequence[float]], log: logging.Logger) -> None:
        self._held, self._log = held, log
        self.begin("")

    def begin(self, stated: str) -> None:
        """Begin a run: the slice times of its description, separated by spaces."""
        self._stated = tuple(float(word) for word in stated.split())
        self._first: int | None = None
        self.stated_ms = self.held_ms = 0

    def take(self, rows: NDArray[np.float64]) -> None:
        """Take records of volumes, (n, columns); of those without slice times, and of the first, nothing is learned."""
        for row in rows:
            seq, times = int(row[0]), row[len(META_COLUMNS) :]
            if seq < 0 or not len(times) or not np.isfinite(times).all():
                continue
            if self._first is None:
                self._first = seq
            if seq > self._first:
                self._compare(seq, times)

    def _compare(self, seq: int, times: NDArray[np.float64]) -> None:
        if not self.stated_ms and (apart := _apart(self._stated, times)):
            self.stated_ms = apart
            self._log.warning(
                "volume %d states other slice times than the first volume, by up to %d ms: those of the first, which "
                "the stream's description holds, are wrong for the run",
                seq,
                apart,
            )
        if self.held_ms:
            return
        for what, held in self._held.items():
            if apart := _apart(held, times):
                self.held_ms = max(self.held_ms, apart)
                self._log.error(
                    "%s holds slice times that differ from those of volume %d by up to %d ms; the volume's are %s s",
                    what,
                    seq,
                    apart,
                    " ".join(f"{time:g}" for time in times),
                )


def _apart(held: Sequence[float], times: NDArray[np.float64]) -> int:
    """Return by how much times differ, milliseconds: at least 1 where they are not the same, 0 where they are."""
    if len(held) != len(times):
        return 0  # of another number of slices: refused by its step, or not stated
    worst = float(np.abs(np.asarray(held) - times).max())
    return max(1, round(1e3 * worst)) if worst > SAME_TIME_S else 0
