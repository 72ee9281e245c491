"""A mark records what happened to a stream or a decoder at which sample; marks lie in a ring of small records."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.memory.ring import Column, Ring
from bci.signal.types import MARK_DTYPE, MarkKind, cut_text

#: Marks that stay readable; a reader that lags further behind counts the marks that it missed.
CAPACITY = 4096


def mark_columns() -> tuple[Column, ...]:
    """Return the columns of a ring of marks."""
    return (Column.of("mark", MARK_DTYPE),)


def create_marks(name: str, readers: int) -> Ring:
    """Create a ring of marks in shared memory."""
    return Ring.create(name, mark_columns(), CAPACITY, CAPACITY // 4, readers)


def write_mark(
    ring: Ring,
    kind: MarkKind,
    first: int,
    *,
    count: int = 0,
    time: float = math.nan,
    value: float = math.nan,
    detail: str = "",
) -> None:
    """Write one mark.

    Parameters
    ----------
    ring : Ring
        A ring of `mark_columns`.
    kind : MarkKind
        Kind of event.
    first : int
        Absolute count of the first sample after it.
    count : int
        Number of samples or windows concerned.
    time : float
        Session seconds.
    value : float
        Size, seconds.
    detail : str
        Further words, for the log and the recording.
    """
    place = ring.claim(1)
    place["mark"][0] = (kind, first, count, time, value, cut_text(detail, 96))
    ring.commit(1)


def read_marks(ring: Ring, since: int) -> tuple[NDArray[Any], int]:
    """Return the marks from number `since` on, oldest first, and the number to ask for next."""
    end = ring.count
    since = max(since, ring.oldest)
    out = np.empty(max(0, end - since), MARK_DTYPE)
    for at in range(since, end, ring.max_window):
        ring.read_into(at, {"mark": out[at - since : at - since + ring.max_window]})
    return out, end
