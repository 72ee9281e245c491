"""A VolumeJoin brings volumes and the records of how they came together, by sequence number and never by time.

A sample's sequence number is found by its stamp as sent, which the record of that number repeats bit for bit: a
consumer that connected late, or lost samples on the way, joins rightly all the same. No volume waits for its record;
one whose record has not come within `patience` is reported as untold.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.io.volumes.gate import VolumeStatus
from bci.io.volumes.outlet import META_COLUMNS

_SEQ, _STATUS, _INDEX, _STAMP = (META_COLUMNS.index(name) for name in ("seq", "status", "index", "stamp"))

#: Records that wait for their volumes, at most: a consumer of records alone must not grow.
_MOST_RECORDS = 4096


@dataclass(frozen=True, slots=True)
class JoinedVolume:
    """A JoinedVolume is what is known of one sample, or of a volume that is in none.

    Attributes
    ----------
    count : int
        Absolute count of the sample in the consumer's ring; -1 for a volume that is in no sample.
    seq : int
        Its place in the run; -1 where that is not known, or it has none.
    status : VolumeStatus or None
        How it came; None where no record of it came in time.
    index : int
        Its place as the sender says; -1 where unknown.
    """

    count: int
    seq: int
    status: VolumeStatus | None
    index: int


class VolumeJoin:
    """A VolumeJoin takes samples and records in any order; it waits for nothing and reads no clock.

    Parameters
    ----------
    patience : float
        Seconds that a sample waits for its record: half a TR.

    Attributes
    ----------
    lost : int
        Samples of the run that are not in the ring although later ones are.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._records: dict[float, tuple[int, VolumeStatus, int]] = {}
        self._waiting: deque[tuple[int, float, float]] = deque()
        self._aside: list[JoinedVolume] = []
        self._offset: int | None = None
        self.lost = 0

    def samples(self, first: int, stamps: NDArray[np.float64], now: float) -> None:
        """Take samples: the absolute count of the first, and their stamps as sent, (n,)."""
        for place, stamp in enumerate(stamps.tolist()):
            self._waiting.append((first + place, stamp, now))

    def records(self, rows: Iterable[NDArray[np.float64]]) -> None:
        """Take records, each (len(META_COLUMNS),)."""
        for row in rows:
            seq, status, index = int(row[_SEQ]), VolumeStatus(int(row[_STATUS])), int(row[_INDEX])
            if seq < 0:
                self._aside.append(JoinedVolume(-1, -1, status, index))
                continue
            self._records[float(row[_STAMP])] = (seq, status, index)
            while len(self._records) > _MOST_RECORDS:
                del self._records[next(iter(self._records))]

    def decided(self, now: float) -> list[JoinedVolume]:
        """Return what is known by now and was not returned before."""
        found, self._aside = self._aside, []
        waiting: deque[tuple[int, float, float]] = deque()
        for count, stamp, since in self._waiting:
            record = self._records.pop(stamp, None)
            if record is not None:
                seq, status, index = record
                if self._offset is not None and seq - count > self._offset:
                    self.lost += seq - count - self._offset
                self._offset = seq - count
                found.append(JoinedVolume(count, seq, status, index))
            elif now - since >= self._patience:
                seq = -1 if self._offset is None else count + self._offset
                found.append(JoinedVolume(count, seq, None, -1))
            else:
                waiting.append((count, stamp, since))
        self._waiting = waiting
        return found

    def restart(self) -> None:
        """Forget what waits: another run has begun."""
        self._records.clear()
        self._waiting.clear()
        self._offset = None
