"""Stretches are the runs of a file's samples between the breaks that the file itself marks.

A pause of the recorder, a skip, a join of two files: samples on both sides of it are no neighbours, so no window may
span it. Where the file states how long it lasted, the times behind it say so; where not, `UNKNOWN_GAP_S` is put there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.io.files.formats.file import UNKNOWN_GAP_S
from bci.signal.types import Times

#: So many breaks are listed in a defect; all are counted.
_MOST_LISTED = 4


@dataclass(frozen=True, slots=True)
class Break:
    """A Break is a place where the samples of a file do not go on.

    Attributes
    ----------
    at : int
        The first sample behind it, counted as in the file.
    seconds : float or None
        How long nothing was recorded; None when the file does not say, or what it says cannot be.
    filler : int
        Samples from `at` on that stand in the file for what was not recorded; they are not played.
    """

    at: int
    seconds: float | None = None
    filler: int = 0


class Stretches:
    """Stretches place the samples of a file with breaks.

    Parameters
    ----------
    n : int
        Samples in the file, fillers included.
    rate : float
        Samples per second.
    breaks : sequence of Break
        In any order; those at one sample count once, the longest of them.

    Attributes
    ----------
    n : int
        Samples that are played.
    segments : tuple of (int, int)
        Runs of played samples: the first, and one past the last.
    starts : tuple of float
        Time of each run's first sample, seconds from the recording's first sample.
    unknown : int
        Breaks whose length the file does not state.

    Examples
    --------
    >>> cut = Stretches(400, 100.0, [Break(100, 5.0), Break(200, filler=50)])
    >>> cut.segments, cut.starts
    (((0, 100), (100, 200), (200, 350)), (0.0, 6.0, 7.5))
    >>> cut.pieces(150, 210), cut.seconds(np.array([150, 200, 260])).tolist()
    ([(150, 200), (250, 260)], [6.5, 7.0, 7.6])
    """

    def __init__(self, n: int, rate: float, breaks: Sequence[Break] = ()) -> None:
        self.rate = rate
        self._first, self._end, starts = [0], list[int](), [0.0]
        self.unknown = 0
        ordered = sorted(breaks, key=lambda b: (b.at, -(b.filler or 0), -(b.seconds or 0)))
        for cut in ordered:
            behind = cut.at + cut.filler
            if cut.at <= self._first[-1] or behind >= n:
                if cut.at <= self._first[-1] < behind < n:  # the file begins with a filler
                    self._first[-1] = behind
                elif cut.filler and self._first[-1] < cut.at < n:
                    n = cut.at
                continue
            self._end.append(cut.at)
            lasted = starts[-1] + (cut.at - self._first[-1]) / rate
            self._first.append(behind)
            self.unknown += not cut.filler and cut.seconds is None
            starts.append(
                lasted + (cut.filler / rate or (UNKNOWN_GAP_S if cut.seconds is None else cut.seconds))
            )
        self._end.append(n)
        self.starts = tuple(starts)
        ends = np.cumsum(np.subtract(self._end, self._first)).tolist()
        self.segments = tuple(zip([0, *ends[:-1]], ends, strict=True))
        self.n: int = ends[-1]

    def pieces(self, first: int, end: int) -> list[tuple[int, int]]:
        """Return where the played samples `first` to `end` lie in the file: runs of (first, one past the last)."""
        runs = []
        for (begin, stop), place in zip(self.segments, self._first, strict=True):
            a, b = max(first, begin), min(end, stop)
            if a < b:
                runs.append((place + a - begin, place + b - begin))
        return runs

    def seconds(self, samples: NDArray[np.generic]) -> Times:
        """Return the times of places in the file, in samples and between them: seconds from the first played sample."""
        places = np.asarray(samples, np.float64)
        at = np.maximum(np.searchsorted(self._first, places, "right") - 1, 0)
        return np.asarray(np.array(self.starts)[at] + (places - np.array(self._first)[at]) / self.rate)

    def defects(self) -> list[str]:
        """Return a sentence on the breaks; none where there are none."""
        if len(self.segments) == 1:
            return []
        gaps = []
        for k, (first, _) in enumerate(self.segments[1:], 1):
            before = self.segments[k - 1]
            gaps.append((first, self.starts[k] - self.starts[k - 1] - (before[1] - before[0]) / self.rate))
        places = [f"{gap:.3f} s after sample {first - 1}" for first, gap in gaps[:_MOST_LISTED]]
        more = f" and {len(gaps) - _MOST_LISTED} more" if len(gaps) > _MOST_LISTED else ""
        sentences = [
            f"{len(gaps)} break{'s' if len(gaps) > 1 else ''} marked by the file itself: {', '.join(places)}{more}; "
            "no window spans one"
        ]
        if self.unknown:
            of = "its" if self.unknown == len(gaps) == 1 else f"of {self.unknown} of them the"
            sentences.append(
                f"{of} length is not stated: {UNKNOWN_GAP_S:g} s is put there, so that the times of samples and "
                "markers behind it are right relative to each other alone"
            )
        return sentences
