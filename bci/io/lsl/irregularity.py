"""An Irregularity is what is not as it should be at one sample of a stream, by its stamps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import MarkKind


@dataclass(frozen=True, slots=True)
class Irregularity:
    """An Irregularity is a gap, a reset, a duplicate or a new clock offset at one sample of a chunk.

    Attributes
    ----------
    kind : MarkKind
        GAP, CLOCK_RESET, DUPLICATE or CLOCK_OFFSET.
    index : int
        First sample concerned, in the chunk.
    count : int
        Samples missing (by the time that passed), or repeated.
    value : float
        Size, seconds: the time missing, the step of a reset clock, the offset from now on.
    since : float
        For how many seconds a gap was not known: samples are missing so long before the one concerned, about.
    """

    kind: MarkKind
    index: int
    count: int = 0
    value: float = 0.0
    since: float = 0.0


def repeat(events: list[Irregularity], index: int) -> None:
    """Add a sample stamped as the one before it to the events, or to the run of such that it continues."""
    last = events[-1] if events else None
    if last and last.kind is MarkKind.DUPLICATE and last.index + last.count == index:
        events[-1] = Irregularity(MarkKind.DUPLICATE, last.index, last.count + 1)
    else:
        events.append(Irregularity(MarkKind.DUPLICATE, index, 1))


def give_stamps(raw: NDArray[np.float64], arrived: float) -> NDArray[np.int64]:
    """Stamp samples whose stamp is no number on arrival, in place; return which those are.

    >>> stamps = np.array([5.0, np.nan, 5.2, np.inf])
    >>> give_stamps(stamps, 5.3), stamps
    (array([1, 3]), array([5. , 5.3, 5.2, 5.3]))
    """
    odd = np.flatnonzero(~np.isfinite(raw))
    raw[odd] = arrived
    return odd
