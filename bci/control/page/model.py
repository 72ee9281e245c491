"""A PageModel is what a page draws: a session that runs, or a finished one at some time; see `live` and `recorded`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bci.control.page.evoked import EvokedResponse
from bci.control.page.moment import PageMoment
from bci.control.page.spectrum import Spectrum
from bci.control.page.stages import StageHistogram
from bci.control.page.traces import TracePicture
from bci.signal.types import Signal

#: Columns of pixels that traces are drawn in.
COLUMNS = 500

#: Seconds that a spectrum is taken of.
SPECTRUM_S = 4.0

#: Samples of what a step says beside them that are drawn.
SIDE_SAMPLES = 600


@dataclass(frozen=True)
class GapBand:
    """A GapBand is a stretch of time without data, session seconds, and why; a mere moment where both are one."""

    start: float
    stop: float
    why: str


@dataclass(frozen=True, eq=False)
class SideCurve:
    """A SideCurve is what a step says beside the samples, a scanner's motion above all, over the time shown.

    Attributes
    ----------
    name : str
        Of the stream, and what its values are called and measured in.
    labels : tuple of str
        What each value is called.
    times : (n,) float64
        Session seconds.
    values : (n, k) float64
        As they were written.
    """

    name: str
    labels: tuple[str, ...]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


def channel_labels(signal: Signal) -> tuple[str, ...]:
    """Return what the values of one sample are called: labels, or numbers from 1 where there are none.

    >>> channel_labels(Signal("a", 10.0, (3,), ("O1", "", "O2"))), channel_labels(Signal("b", 1.0, (1, 2, 1)))
    (('O1', '2', 'O2'), ('1', '2'))
    """
    total = math.prod(signal.shape)
    if len(signal.channels) == total:
        return tuple(label or str(place) for place, label in enumerate(signal.channels, 1))
    return tuple(str(place) for place in range(1, total + 1))


class PageModel(Protocol):
    """A PageModel gives all that is drawn, as of its last `look`."""

    @property
    def streams(self) -> dict[str, Signal]:
        """Streams of samples, by name, the first the one that is decoded first; empty while none is known."""
        ...

    @property
    def now(self) -> float:
        """The time that is shown, session seconds."""
        ...

    @property
    def span(self) -> tuple[float, float] | None:
        """From when to when a finished session can be scrubbed, session seconds; None for one that runs."""
        ...

    def look(self) -> None:
        """Take in what is new."""
        ...

    def seek(self, at: float) -> None:
        """Show a finished session at another time, session seconds; of one that runs, do nothing."""
        ...

    def moment(self) -> PageMoment:
        """Return all but the curves."""
        ...

    def traces(self, stream: str, channels: slice) -> TracePicture | None:
        """Return some channels of a stream; None while there is nothing."""
        ...

    def gaps(self, stream: str) -> Sequence[GapBand]:
        """Return where data of a stream are missing in the time that is shown."""
        ...

    def seconds(self, stream: str) -> float:
        """Return how much of a stream is shown at once."""
        ...

    def spectrum(self, stream: str, channels: slice) -> Spectrum | None:
        """Return the spectrum of some channels of a stream."""
        ...

    def evoked(self) -> Sequence[EvokedResponse]:
        """Return the running averages of the first stream, by kind of event."""
        ...

    def events_left_out(self) -> Mapping[str, int]:
        """Return how many events are in none of these averages, by reason."""
        ...

    def stage_times(self) -> Sequence[StageHistogram]:
        """Return how long the stages of the newest reconstructions took."""
        ...

    def sides(self) -> Sequence[SideCurve]:
        """Return what steps say beside the samples."""
        ...

    def pairs(self) -> bytes:
        """Return the operator's preview, as JPEG; empty where the session has none."""
        ...
