"""Evoked responses are the averages of what followed each kind of event: whether the brain answers, and differently."""

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.memory.trial_parts import CHANGED, KEY
from bci.signal.types import Event, Samples, Signal, Times

#: What is averaged around each event, seconds, and how long before it the average is set to zero.
BEFORE_S, AFTER_S = 0.2, 0.8

#: Samples are averaged in bins of this length at least, seconds: a browser need not draw 30,000 points a second.
_BIN_S = 0.004

#: Classes that are kept; an event of another kind than these counts as `OTHERS`.
MOST_CLASSES = 6
OTHERS = "others"

#: Why an event is left out: a sample around it is missing or no number; its time may be wrong by more than is allowed.
NOT_WHOLE, UNCERTAIN_TIME = "not whole", "uncertain time"


def event_class(event: Event) -> str:
    """Return the kind of an event: its number where it has one, else its first word.

    >>> [event_class(one) for one in (Event(0, "7", 7), Event(0, "stimulus 12 face-3"), Event(0, "neutral: no data"))]
    ['7', 'stimulus', 'neutral']
    """
    if event.code:
        return str(event.code)
    word = event.text.split(" ", 1)[0][:24].rstrip(":")
    return "key" if event.text.startswith(KEY) else "fixation" if event.text == CHANGED else word or "(empty)"


@dataclass(frozen=True, eq=False)
class EvokedResponse:
    """The average of one kind of event.

    Attributes
    ----------
    name : str
        The kind.
    count : int
        How many were averaged.
    seconds : (t,) float64
        Relative to the event.
    mean : (t, channels) float32
        In the stream's unit, zero on average before the event.
    """

    name: str
    count: int
    seconds: NDArray[np.float64]
    mean: NDArray[np.float32]


class Evoked:
    """Running averages of one stream.

    Parameters
    ----------
    signal : Signal
        The stream's.
    speed : float
        How many times faster than its rate it is played; averages are in the seconds of who is recorded.

    Attributes
    ----------
    left_out : Counter of str
        Events that are in no average, by reason: `NOT_WHOLE` or `UNCERTAIN_TIME`.
    """

    def __init__(self, signal: Signal, speed: float = 1.0) -> None:
        self.signal, self._speed = signal, speed
        self.left_out: Counter[str] = Counter()
        self._rate = signal.rate
        self._bin = max(1, math.ceil(_BIN_S * signal.rate))
        self._before = math.ceil(BEFORE_S * signal.rate / self._bin)
        self._bins = self._before + math.ceil(AFTER_S * signal.rate / self._bin)
        self._sums: OrderedDict[str, tuple[int, NDArray[np.float64]]] = OrderedDict()

    @property
    def usable(self) -> bool:
        """Whether the stream is fast enough for responses that last a second."""
        return self._rate >= 10.0

    def needed(self, event: Event, times: Times, first: int) -> tuple[int, int] | None:
        """Return which samples an event needs: counts of the first, and of the one after the last.

        Parameters
        ----------
        event : Event
            Around which.
        times : (n,) float64
            Session seconds of consecutive samples among which it may be.
        first : int
            Count of the first of them.

        Returns
        -------
        (int, int) or None
            None where it is not among them.
        """
        at = int(np.searchsorted(times, event.time))
        if at == 0 or at == len(times):
            return None
        start = first + at - self._before * self._bin
        return start, start + self._bins * self._bin

    def add(self, event: Event, samples: Samples, times: Times) -> None:
        """Average one event in.

        Parameters
        ----------
        event : Event
            Which.
        samples : (n, *signal.shape) array
            The samples that `needed` names.
        times : (n,) float64
            Their session seconds.
        """
        values = np.asarray(samples, np.float64).reshape(len(samples), -1)
        lasted = self._speed * (times[-1] - times[0])
        if (
            abs(lasted * self._rate - (len(times) - 1)) > 0.02 * len(times) + 1
            or not np.isfinite(values).all()
        ):
            self.miss(NOT_WHOLE)
            return
        binned = values.reshape(self._bins, self._bin, -1).mean(axis=1)
        binned -= binned[: self._before].mean(axis=0)
        name = event_class(event)
        if name not in self._sums and len(self._sums) >= MOST_CLASSES:
            name = OTHERS
        count, total = self._sums.get(name, (0, 0.0))
        self._sums[name] = count + 1, total + binned

    def miss(self, why: str) -> None:
        """Count an event that is left out."""
        self.left_out[why] += 1

    def responses(self) -> list[EvokedResponse]:
        """Return the averages so far, by name."""
        seconds = np.asarray((np.arange(self._bins) - self._before + 0.5) * self._bin / (self._rate or 1.0))
        return [
            EvokedResponse(name, count, seconds, (total / count).astype(np.float32))
            for name, (count, total) in sorted(self._sums.items())
        ]
