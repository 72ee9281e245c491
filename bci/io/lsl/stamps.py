"""Stamps turns a sender's stamps into session time, and finds gaps, clock resets and duplicates.

The steps between stamps as sent are compared with the stream's rate; one that does not fit becomes an `Irregularity`
at the exact sample. Between two breaks the stamps are dejittered, then the sender's clock offset is added.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import StreamError
from bci.io.lsl.dejitter import FEW, Dejitter
from bci.signal.types import MarkKind

#: A new estimate of the clock offset is taken into use when it differs by more than this, seconds.
OFFSET_STEP = 5e-5

#: How long a change of the clock offset takes to come into full force, so that times stay in order, seconds.
OFFSET_SLEW_S = 1.0


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
        Samples missing (estimated from the time that passed), or repeated.
    value : float
        Size, seconds: the time missing, the step of a reset clock, the offset from now on.
    """

    kind: MarkKind
    index: int
    count: int = 0
    value: float = 0.0


class Stamps:
    """A Stamps holds the running state of one stream's time.

    Parameters
    ----------
    rate : float
        Samples per second as the stream states it.
    speed : float
        How many times faster than real time it plays; stamps are that much closer.
    exact : bool
        Whether the stamps are the samples' own times: then they pass untouched, and half a sample is a gap.
    tolerance : float, optional
        Seconds (at speed 1) by which a step between stamps may exceed the sample period. By default half a
        sample when exact, else 10 samples or 0.1 s, whichever is longer.
    """

    def __init__(
        self, rate: float, speed: float = 1.0, exact: bool = False, tolerance: float | None = None
    ) -> None:
        if tolerance is None:
            tolerance = 0.5 / rate if exact else max(10 / rate, 0.1)
        self.tolerance = tolerance / speed
        self._nominal = 1 / (rate * speed)
        self._longest = self._nominal + self.tolerance
        self._dejitter = None if exact else Dejitter(rate * speed)
        self._slew = max(1, round(OFFSET_SLEW_S * rate * speed))
        self._newest = math.nan
        self._n = 0
        self._from = self._to = 0.0
        self._since = -self._slew
        self._known = False

    @property
    def period(self) -> float:
        """Seconds between two samples: fitted where the stamps are not exact, else nominal."""
        return self._nominal if self._dejitter is None else self._dejitter.period

    def restart(self) -> None:
        """Begin a new segment with the next sample, whatever its stamp; `shift` must set the clock offset again."""
        self._newest = math.nan
        self._known = False
        self._new_segment()

    def shift(self, offset: float) -> list[Irregularity]:
        """Take a new estimate of the sender's clock offset, from the next sample on.

        Parameters
        ----------
        offset : float
            Seconds to add to the sender's stamps.

        Returns
        -------
        list of Irregularity
            Nothing when it is as good as the one in use; a CLOCK_OFFSET; before it a CLOCK_RESET when the
            offset has jumped further than a gap.
        """
        change = offset - self._to
        if not self._known or abs(change) > self.tolerance:
            events = [Irregularity(MarkKind.CLOCK_RESET, 0, 0, change)] if self._known else []
            self._known = True
            self._from = self._to = offset
            if events:
                self._new_segment()
            return [*events, Irregularity(MarkKind.CLOCK_OFFSET, 0, 0, offset)]
        if abs(change) <= OFFSET_STEP:
            return []
        self._from, self._to, self._since = self._offset_now(), offset, self._n
        return [Irregularity(MarkKind.CLOCK_OFFSET, 0, 0, offset)]

    def expect(self, out: NDArray[np.float64]) -> bool:
        """Write the session times of the next samples before they arrive; False where their stamps are needed.

        The times hold if the stamps turn out to be `regular`; those must then be passed to `take`.
        """
        if self._dejitter is None or self._n - self._since < self._slew or not self._dejitter.expect(out):
            return False
        if self._to:
            out += self._to
        return True

    def regular(self, raw: NDArray[np.float64]) -> bool:
        """Return whether the next samples' stamps (n,), n ≥ 1, follow on without gap, repetition or step back."""
        before, longest = self._newest, self._longest
        if len(raw) <= FEW:
            # For a few stamps in a process that has just slept, each call into NumPy costs more than this loop.
            for stamp in raw.tolist():
                if not 0 < stamp - before <= longest:
                    return False
                before = stamp
            return True
        if not 0 < raw.item(0) - before <= longest:
            return False
        steps = raw[1:] - raw[:-1]
        return steps.item(steps.argmin()) > 0 and steps.item(steps.argmax()) <= longest

    def take(self, raw: NDArray[np.float64]) -> None:
        """Learn from regular stamps (n,) whose times were expected."""
        assert self._dejitter is not None
        self._newest = raw.item(-1)
        self._dejitter.take(raw)
        self._n += len(raw)

    def __call__(self, raw: NDArray[np.float64], out: NDArray[np.float64]) -> list[Irregularity]:
        """Write the session time of each sample into `out`; return the irregularities found, in order.

        Parameters
        ----------
        raw : (n,) float64, n ≥ 1
            Stamps of the next samples, as sent.
        out : (n,) float64
            Receives the corrected and dejittered times.

        Raises
        ------
        StreamError
            If a stamp is not a finite number.
        """
        regular, first = self.regular(raw), raw.item(0) - self._newest
        self._newest = raw.item(-1)
        if regular:
            self._correct(raw, out)
            return []
        return self._break(raw, np.concatenate([[first], raw[1:] - raw[:-1]]), out)

    def _break(
        self, raw: NDArray[np.float64], steps: NDArray[np.float64], out: NDArray[np.float64]
    ) -> list[Irregularity]:
        """Cut the chunk at each gap and clock reset, correct the pieces, return the irregularities."""
        if not np.isfinite(raw).all():
            raise StreamError(
                "a sample came with a stamp that is no finite number; seconds on the sender's clock were "
                "expected. Correct the program that sends the stream."
            )
        odd = np.flatnonzero((steps > self._longest) | (steps < -self.tolerance) | (steps == 0))
        events: list[Irregularity] = []
        done = 0
        for index in odd.tolist():
            step = float(steps[index])
            if step == 0:
                last = events[-1] if events else None
                if last and last.kind is MarkKind.DUPLICATE and last.index + last.count == index:
                    events[-1] = Irregularity(MarkKind.DUPLICATE, last.index, last.count + 1)
                else:
                    events.append(Irregularity(MarkKind.DUPLICATE, index, 1))
                continue
            # The pieces before this break come first: what they say about the rate tells how much is missing.
            self._correct(raw[done:index], out[done:index])
            done = index
            if step > 0:
                missing = step - self.period
                events.append(
                    Irregularity(MarkKind.GAP, index, max(1, round(missing / self.period)), missing)
                )
            else:
                events.append(Irregularity(MarkKind.CLOCK_RESET, index, 0, step))
            self._new_segment()
        self._correct(raw[done:], out[done:])
        return events

    def _new_segment(self) -> None:
        if self._dejitter is not None:
            self._dejitter.restart()

    def _correct(self, raw: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        if self._dejitter is None:
            out[:] = raw
        else:
            self._dejitter(raw, out)
        n = len(raw)
        since = self._n - self._since
        if since < self._slew:
            share = np.minimum((since + 1 + np.arange(n)) / self._slew, 1.0)
            out += self._from + (self._to - self._from) * share
        elif self._to:
            out += self._to
        self._n += n

    def _offset_now(self) -> float:
        share = min((self._n - self._since) / self._slew, 1.0)
        return self._from + (self._to - self._from) * share
