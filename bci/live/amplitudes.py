"""Amplitudes look at the first seconds of every live stream, and say where no brain gives such values.

A stream that says microvolts and holds volts decodes without an error, to nothing. What is heard of it is compared with
what the field measures (`bci.signal.quality.amplitude`), beside the line: by the program that records.
"""

import logging
import math
from dataclasses import dataclass, field

import numpy as np

from bci.errors import Overrun
from bci.memory.stream import Stream
from bci.signal.quality.amplitude import implausible, measurable, moves

#: Seconds whose median movement is judged; an amplifier may settle in the first of them.
_SECONDS = 5
#: Channels that are looked at, evenly spread: enough for a median.
_MOST_CHANNELS = 64


@dataclass(slots=True)
class _Heard:
    """A _Heard is one stream, the seconds heard of it, and whether it is implausible."""

    role: str
    stream: Stream
    kind: str
    next: int
    found: list[float] = field(default_factory=list)
    wrong: bool = False


class Amplitudes:
    """The amplitudes of a session's streams, judged over and over until they are plausible.

    Parameters
    ----------
    log : logging.Logger
        Told of a stream whose values cannot be what it says, and when they can.

    Attributes
    ----------
    wrong : int
        Streams that are implausible now.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._heard: list[_Heard] = []

    @property
    def wrong(self) -> int:
        """Streams that are implausible now."""
        return sum(heard.wrong for heard in self._heard)

    def add(self, role: str, stream: Stream, kind: str = "") -> None:
        """Listen to a stream, from its next sample on; one that has no unit of voltage is left alone."""
        if measurable(stream.signal):
            self._heard.append(_Heard(role, stream, kind, stream.samples.count))

    def step(self) -> None:
        """Look at what has come since; a stream that was found plausible is not looked at again."""
        for heard in self._heard:
            second = max(1, round(heard.stream.signal.rate))
            if heard.stream.samples.count >= heard.next + second:
                self._look(heard, second)
        self._heard = [h for h in self._heard if h.wrong or len(h.found) < _SECONDS]

    def _look(self, heard: _Heard, second: int) -> None:
        """Measure the newest whole second; judge the last few."""
        count = heard.stream.samples.count
        heard.next = count
        try:
            samples = heard.stream.samples.read(count - second, count)["samples"]
        except Overrun:
            return
        step = -(-samples.shape[1] // _MOST_CHANNELS)
        heard.found = [*heard.found[1 - _SECONDS :], moves(samples[:, ::step])]
        known = [value for value in heard.found if math.isfinite(value)]
        if len(heard.found) < _SECONDS or not known:
            return
        signal = heard.stream.signal
        words = implausible(float(np.median(known)), signal.unit, heard.kind)
        if words and not heard.wrong:
            self._log.warning("%s (%s): %s", heard.role, signal.name, words)
        elif heard.wrong and not words:
            self._log.warning("%s (%s): channels move by what is plausible now", heard.role, signal.name)
        heard.wrong = bool(words)
