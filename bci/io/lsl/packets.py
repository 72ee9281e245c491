"""Packets are samples that are sent together and stamped when they arrive: where they end, and which are missing."""

import numpy as np
from numpy.typing import NDArray

#: Two stamps that many periods apart are those of one packet; and this share of such steps makes packets of a stream.
TOGETHER, PACKETS = 0.25, 0.4

#: What is missing of the first packets differs from whole ones by no more than such a share of one.
_NEARLY_WHOLE = 0.25

#: And packets behind it for so many seconds tell that it was lost: one alone may be late.
_STAYS_S = 0.125


def packet_ends(stamps: NDArray[np.float64], period: float) -> NDArray[np.int64] | None:
    """Return which of consecutive stamps (n,) are the last of a packet; None where they do not come in packets.

    The last of all is none of them: what follows it is not known.

    >>> packet_ends(np.repeat([1.0, 1.4, 1.8], 4), 0.1), packet_ends(np.arange(9) / 10, 0.1)
    (array([3, 7]), None)
    """
    steps = stamps[1:] - stamps[:-1]
    near = TOGETHER * period
    if len(steps) < 2 or np.count_nonzero(np.abs(steps) < near) < PACKETS * len(steps):
        return None
    return np.flatnonzero(steps >= near)


def lost_packets(stamps: NDArray[np.float64], period: float) -> list[tuple[int, int]]:
    """Return the packets that are missing in a segment's first stamps (n,): (samples before them, samples missing).

    Where packets are all of one size, and all behind one are later than all before it by whole ones, those were lost;
    what follows for less than an eighth of a second says nothing.

    >>> lost_packets(np.repeat([1.0, 1.4, 2.2, 2.6], 4), 0.1)
    [(8, 4)]
    """
    ends = packet_ends(stamps, period)
    if ends is None or len(ends) < 2 or len(sizes := np.unique(np.diff(ends))) != 1:
        return []
    size, starts = int(sizes[0]), ends + 1
    # The first packet may not be whole, and the last one has not ended: one tells by its end, others when they begin.
    delays = np.r_[stamps[ends[0]], stamps[starts]] - period * np.r_[ends[0], ends + size]
    holes = lost_between(delays, size * period)
    return [(int(starts[place - 1]), whole * size) for place, whole in holes]


def lost_between(delays: NDArray[np.float64], length: float) -> list[tuple[int, int]]:
    """Return the places in delays (n,) of packets of `length` seconds where whole ones were lost, and how many.

    All behind such a place are later than all before it by whole packets, as far as packets jitter.

    >>> lost_between(np.array([0.0, 0.01, 0.8, 0.81, 0.79]), 0.4)
    [(2, 2)]
    """
    delays, holes = delays.copy(), []
    for place in range(1, len(delays)):
        before, behind = delays[:place], delays[place:]
        packets = float(behind.min() - before.min()) / length
        whole = round(packets)
        plain = behind.min() - before.max() > 0.5 * length and abs(packets - whole) <= _NEARLY_WHOLE
        if plain and len(behind) * length >= _STAYS_S:
            holes.append((place, whole))
            behind -= whole * length
    return holes


def look(stamps: NDArray[np.float64], period: float, packet: int | None) -> tuple[float, int, float]:
    """Return a block's share of steps backwards, the size of its packets, and the usual seconds between two samples.

    Holes, which are few, do not count in those.

    Parameters
    ----------
    stamps : (n,) float64, n ≥ 2
        Of the block.
    period : float
        Nominal seconds between samples.
    packet : int, optional
        How large packets were before; None where none come. Of packets the seconds between samples are NaN.
    """
    steps = stamps[1:] - stamps[:-1]
    backwards = float(np.count_nonzero(steps < 0)) / len(steps)
    if packet is not None:
        sizes = np.diff(np.flatnonzero(steps >= TOGETHER * period))
        if not len(sizes):
            return backwards, packet if packet != 1 else 0, np.nan
        usual = int(np.bincount(sizes).argmax())
        return backwards, usual if np.count_nonzero(sizes == usual) > len(sizes) / 2 else 0, np.nan
    lag = max(1, len(stamps) // 5)
    every = max(1, len(stamps) // 100)
    return backwards, 1, float(np.median(stamps[lag::every] - stamps[:-lag:every])) / lag
