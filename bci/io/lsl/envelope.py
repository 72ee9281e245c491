"""An Envelope finds short losses in streams whose chunks each have a delay of their own, by how early the earliest are.

A chunk may be late and never early. So the earliest of many chunks, by the time that their numbers give them, lie on a
line, and behind lost samples on one that is later by exactly those, for good; however much later single chunks come. A
loss is told once that has lasted for some chunks and a second. What it cannot tell is a delay that grew for good, by
whole samples: so steps that are small beside the scatter of the delays are not taken for losses.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: So many blocks of half a second are looked at together.
_BLOCKS = 8

#: The earliest of so many chunks, and of a second, lie on the envelope.
_CHUNKS, _LASTS_S = 8, 1.0

#: A loss is a step by so many periods at least, and differs from whole samples by no more than so many.
_LEAST, _OFF_WHOLE = 0.6, 0.25

#: As long as the earliest delays differ by more than so many periods, a loss is told only after so many seconds.
_UNSURE, _WAITS_S = 0.5, 2.0

#: A step is as large as the largest if it is smaller by less than so many periods.
_NEARLY = 0.5

#: By such a share of their scatter the earliest delays may change while nothing is lost; of few chunks, n, by so many
#: n-ths: the earliest of n even delays lies about an n-th of their range behind the earliest that there could be.
_WANDERS, _FEW = 0.25, 7.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A Loss is one that was found: the number of the first sample behind it, and how many are missing."""

    number: float
    missing: int


class Envelope:
    """An Envelope holds the last four seconds of a stream, in blocks."""

    def __init__(self) -> None:
        self._blocks: deque[tuple[NDArray[np.float64], NDArray[np.float64]]] = deque(maxlen=_BLOCKS)

    def restart(self) -> None:
        """Forget everything."""
        self._blocks.clear()

    def add(self, numbers: NDArray[np.float64], stamps: NDArray[np.float64], chunk: int) -> None:
        """Take a block's numbers and stamps (n,) of the first of each `chunk` samples."""
        # Within a chunk delays hardly differ: one of its samples stands for it.
        self._blocks.append((numbers[::chunk].copy(), stamps[::chunk].copy()))

    def find(self, period: float, error: float, scatter: float) -> Loss | None:
        """Return the loss that the envelope shows, if any.

        Parameters
        ----------
        period : float
            Seconds between samples.
        error : float
            By how many seconds that may be off at most.
        scatter : float
            Seconds between the earliest and the latest delay.
        """
        if len(self._blocks) < _BLOCKS:
            return None
        numbers, stamps = (np.concatenate(parts) for parts in zip(*self._blocks, strict=True))
        n = len(numbers)
        delays = stamps - period * numbers
        # So many chunks at the end last for a second.
        lasts = max(_CHUNKS, n - int(np.searchsorted(numbers, numbers[-1] - _LASTS_S / period)))
        if n < lasts + _CHUNKS:
            return None
        before = np.minimum.accumulate(delays)[:-1]
        behind = np.minimum.accumulate(delays[::-1])[::-1][1:]
        least = _LEAST * period + _wanders(lasts) * scatter + error * float(numbers[-1] - numbers[0])
        steps = (behind - before)[_CHUNKS - 1 : n - lasts]
        if steps.max() <= least:
            return None
        # Before the hole the step grows from chunk to chunk that happens to be late; behind it, it stays.
        at = int((steps > steps.max() - _NEARLY * period).argmax()) + _CHUNKS
        shift = float(behind[at - 1] - before[at - 1])
        unsure = _gap(delays[:at]) + _gap(delays[at:])
        if unsure > _UNSURE * period and (numbers[-1] - numbers[at]) * period < _WAITS_S:
            return None
        missing = round(shift / period)
        if abs(shift - missing * period) > _OFF_WHOLE * period + unsure:
            return None
        self._skip(float(numbers[at]), missing)
        return Loss(float(numbers[at]), missing)

    def _skip(self, number: float, missing: int) -> None:
        """Count lost samples before one that is remembered."""
        for numbers, _ in self._blocks:
            numbers[numbers >= number] += missing


def _gap(delays: NDArray[np.float64]) -> float:
    """Return by how much the third earliest of delays (n,) is later than the earliest: as uncertain is this."""
    return float(np.ptp(np.partition(delays, 2)[:3]))


def _wanders(chunks: int) -> float:
    return max(_WANDERS, _FEW / chunks)


def least_found(period: float, scatter: float, chunk: float) -> int:
    """Return how many lost samples in a row are always found, where delays scatter by so many seconds.

    >>> least_found(0.001, 0.004, 10), least_found(0.004, 0.02, 32), least_found(0.004, 0.0, 8)
    (3, 10, 1)
    """
    chunks = max(_CHUNKS, int(_LASTS_S / (chunk * period)))
    return max(1, math.ceil(_LEAST + 2 * _wanders(chunks) * scatter / period))
