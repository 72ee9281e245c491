"""Stamps turns a sender's stamps into session time, and finds gaps, clock resets and duplicates.

Stamps that are the samples' own times, or are judged by a tolerance, are compared step by step with the stream's rate.
All others are compared with the line through those before them: a sample that is later than any before is held until
those behind it tell whether samples are missing or it was only late (`bci.io.lsl.delays`). What does not fit becomes
an `Irregularity` at the exact sample. Between two breaks the stamps are dejittered, then the sender's clock offset is
added.
"""

import math

import numpy as np
from numpy.typing import NDArray

from bci.errors import StreamError
from bci.io.lsl.beginning import Beginning
from bci.io.lsl.dejitter import FEW, Dejitter
from bci.io.lsl.delays import Delays
from bci.io.lsl.irregularity import Irregularity, repeat
from bci.io.lsl.offset import Offset
from bci.memory.hot import Hops
from bci.signal.types import MarkKind

#: While nothing is known of a stream's jitter, a sample may be so many seconds late, or so many periods.
UNKNOWN_S, UNKNOWN_SAMPLES = 0.1, 10

#: Behind a hole of more seconds a new segment begins: the line would lead too far.
LONGEST_HOLE_S = 10.0

#: How long samples are held at most, in seconds of their stream.
LONGEST_HOLD_S = 2.0


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
        Seconds (at speed 1) by which a step between stamps may exceed the sample period; a longer one is a gap, at
        once. By default half a sample when exact, else by what the stamps themselves show of their jitter.

    Attributes
    ----------
    longest_hold : int
        At most so many samples are held: two seconds of them.
    newest : float
        The last stamp that was taken; NaN at first.
    """

    def __init__(
        self, rate: float, speed: float = 1.0, exact: bool = False, tolerance: float | None = None
    ) -> None:
        self._stepwise = exact or tolerance is not None
        unknown = 0.5 / rate if exact else max(UNKNOWN_SAMPLES / rate, UNKNOWN_S)
        self.tolerance = (unknown if tolerance is None else tolerance) / speed
        self._nominal = 1 / (rate * speed)
        self._longest = self._nominal + self.tolerance
        self._dejitter = None if exact else Dejitter(rate * speed, self.tolerance)
        self._beginning = None
        if self._dejitter is not None and not self._stepwise:
            self._beginning = Beginning(self._nominal, self._dejitter.left)
        self.longest_hold = max(2, round(LONGEST_HOLD_S * rate * speed))
        self._offset = Offset(rate * speed)
        self.newest = math.nan
        self._told: NDArray[np.float64] = np.empty(0)  # the times last expected
        self._pardoned = 0  # samples to come whose lateness is explained
        self._latest = 0.0  # latest delay while no line is in force
        self._alike = 0  # samples stamped as the one before, while it is open whether those are packets

    @property
    def period(self) -> float:
        """Seconds between two samples: fitted where the stamps are not exact, else nominal."""
        return self._nominal if self._dejitter is None else self._dejitter.period

    @property
    def waits_for_packets(self) -> bool:
        """Whether the first packets of a segment are held until it is known how late they are stamped."""
        return self._beginning is not None and self._beginning.waits

    @property
    def delays(self) -> Delays | None:
        """How late the stamps come, as learnt so far; None where that is not asked: they are exact."""
        return None if self._dejitter is None else self._dejitter.delays

    def restart(self) -> None:
        """Begin a new segment with the next sample, whatever its stamp; `shift` must set the clock offset again."""
        self.newest = math.nan
        self._offset.known = False
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
        known, change = self._offset.known, offset - self._offset.seconds
        said = [Irregularity(MarkKind.CLOCK_OFFSET, 0, 0, offset)]
        if not known or abs(change) > self.tolerance:
            self._offset.jump(offset)
            if not known:
                return said
            self._new_segment()
            return [Irregularity(MarkKind.CLOCK_RESET, 0, 0, change), *said]
        return said if self._offset.move(offset) else []

    # -- the quick way, for stamps that hold no surprise -------------------------------------------------

    def expect(self, out: NDArray[np.float64]) -> bool:
        """Write the session times of the next samples before they arrive; False where their stamps are needed.

        The times hold if the stamps turn out to be `regular`; those must then be passed to `take`.
        """
        dejitter = self._dejitter
        if dejitter is None or not self._settled(dejitter) or not dejitter.expect(out):
            return False
        if self._offset.seconds:
            out += self._offset.seconds
        self._told = out
        return True

    def _settled(self, dejitter: Dejitter) -> bool:
        """Return whether nothing is to be said of samples before the next, and no offset is coming into force."""
        return self._offset.settled and not (dejitter.overdue or dejitter.missed)

    def lend(self, record: Hops) -> bool:
        """Let compiled code expect, judge and take the next stamps as `expect`, `regular` and `take` do.

        Returns False, and lends nothing, where the stamps are needed first.
        """
        dejitter = self._dejitter
        if dejitter is None or not dejitter.begun or not self._settled(dejitter):
            return False
        dejitter.lend(record)
        record.offset, record.newest = self._offset.seconds, self.newest
        record.stepwise, record.least = self._stepwise, -self.tolerance
        record.longest = self._longest if self._stepwise else dejitter.delays.longest - self._offset.seconds
        record.period = self.period
        return True

    def take_back(self, record: Hops) -> None:
        """Go on behind the stamps that compiled code has taken."""
        assert self._dejitter is not None
        self.newest = record.newest
        self._offset.count(record.taken)
        self._pardoned = max(0, self._pardoned - record.taken)
        self._dejitter.take_back(record)

    def regular(self, raw: NDArray[np.float64]) -> bool:
        """Return whether the expected samples' stamps (n,), n ≥ 1, are no later than those before them, and in order.

        Small steps back are in order too: a sender that stamps the newest sample of a chunk when it pushes it, and
        pushes late, steps back with the next one.
        """
        before, least = self.newest, -self.tolerance
        if self._stepwise:
            return self._regular_steps(raw)
        assert self._dejitter is not None
        longest = self._dejitter.delays.longest - self._offset.seconds
        if len(raw) <= FEW:
            # For a few stamps in a process that has just slept, each call into NumPy costs more than this loop.
            for stamp, time in zip(raw.tolist(), self._told.tolist(), strict=False):
                if not (least <= stamp - before != 0 and stamp <= time + longest):
                    return False
                before = stamp
            return True
        if not least <= raw.item(0) - before != 0:
            return False
        late = raw - self._told[: len(raw)]
        return self._in_order(raw[1:] - raw[:-1]) and late.item(late.argmax()) <= longest

    def _in_order(self, steps: NDArray[np.float64]) -> bool:
        """Return whether steps (n,) between stamps go forward, or but a little back."""
        smallest = steps.item(steps.argmin())
        return smallest > 0 or (smallest >= -self.tolerance and bool(steps.all()))

    def _regular_steps(self, raw: NDArray[np.float64]) -> bool:
        before, least, longest = self.newest, -self.tolerance, self._longest
        if len(raw) <= FEW:
            for stamp in raw.tolist():
                if not least <= stamp - before <= longest or stamp == before:
                    return False
                before = stamp
            return True
        if not least <= raw.item(0) - before <= longest or raw.item(0) == before:
            return False
        steps = raw[1:] - raw[:-1]
        return self._in_order(steps) and steps.item(steps.argmax()) <= longest

    def take(self, raw: NDArray[np.float64]) -> None:
        """Learn from regular stamps (n,) whose times were expected."""
        assert self._dejitter is not None
        self.newest = raw.item(-1)
        self._dejitter.take(raw)
        self._offset.count(len(raw))
        self._pardoned = max(0, self._pardoned - len(raw))

    # -- the slow way, for all ---------------------------------------------------------------------------

    def __call__(
        self, raw: NDArray[np.float64], out: NDArray[np.float64], *, last: bool = False
    ) -> tuple[list[Irregularity], int]:
        """Write the session time of each sample into `out`, as far as it is decided.

        Parameters
        ----------
        raw : (n,) float64, n ≥ 1
            Stamps of the next samples, as sent; those that were left undecided come again, with what followed.
        out : (n,) float64
            Receives the corrected and dejittered times.
        last : bool
            Whether nothing follows, so that all is decided by what there is.

        Returns
        -------
        events : list of Irregularity
            The irregularities found, in order.
        decided : int
            How many samples were taken; the others are held.

        Raises
        ------
        StreamError
            If a stamp is not a finite number.
        """
        if not np.isfinite(raw).all():
            raise StreamError(
                "a sample came with a stamp that is no finite number; seconds on the sender's clock were "
                "expected. Correct the program that sends the stream."
            )
        if self._stepwise:
            return self._by_steps(raw, out), len(raw)
        return self._by_delays(raw, out, last)

    def _by_steps(self, raw: NDArray[np.float64], out: NDArray[np.float64]) -> list[Irregularity]:
        """Cut the chunk at each gap and clock reset, correct the pieces, return the irregularities."""
        if self._regular_steps(raw):
            self._accept(raw, out)
            return []
        steps = self._steps(raw)
        odd = np.flatnonzero((steps > self._longest) | (steps < -self.tolerance) | (steps == 0))
        events: list[Irregularity] = []
        done = 0
        for index in odd.tolist():
            step = float(steps[index])
            if step == 0:
                repeat(events, index)
                continue
            # The pieces before this break come first: what they say about the rate tells how much is missing.
            self._accept(raw[done:index], out[done:index])
            done = index
            events.append(self._gap(index, step) if step > 0 else self._reset(index, step))
        self._accept(raw[done:], out[done:])
        return events

    def _gap(self, index: int, step: float) -> Irregularity:
        """Count by the step between two stamps how many samples are missing."""
        missing = step - self.period
        count = max(1, round(missing / self.period))
        self._pass(count)
        return Irregularity(MarkKind.GAP, index, count, missing)

    def _reset(self, index: int, step: float) -> Irregularity:
        self._new_segment()
        return Irregularity(MarkKind.CLOCK_RESET, index, 0, step)

    def _by_delays(
        self, raw: NDArray[np.float64], out: NDArray[np.float64], last: bool
    ) -> tuple[list[Irregularity], int]:
        """Compare each stamp with the line through those before it."""
        dejitter = self._dejitter
        beginning = self._beginning
        assert dejitter is not None
        assert beginning is not None
        events: list[Irregularity] = []
        done, n = 0, len(raw)
        while done < n:
            if beginning.open:
                first = beginning.look(raw[done:], min(2 * dejitter.left, self.longest_hold), last)
                if first is None:
                    break
                if first:
                    self._note_repeats(events, done, self._steps(raw[done : done + first]))
                    for after, missing in self._begin(raw[done : done + first], out[done : done + first]):
                        events.append(
                            Irregularity(MarkKind.GAP, done + after, missing, missing * self.period)
                        )
                    done += first
                    continue
            if dejitter.overdue:
                events.append(self._lost(done, dejitter.overdue, dejitter.overdue_s))
            if dejitter.missed:
                events.append(
                    Irregularity(MarkKind.GAP, done, dejitter.missed, dejitter.missed * self.period)
                )
                dejitter.missed = 0
            piece = raw[done : done + dejitter.left]
            late = dejitter.late(piece)
            steps = self._steps(piece)
            cut = self._first_odd(late, steps)
            if cut:
                if (steps[:cut] == 0).any() or self._alike:
                    self._note_repeats(events, done, steps[:cut])
                self._accept(piece[:cut], out[done : done + cut], late[:cut])
                done += cut
            elif steps[0] < -self.tolerance:
                events.append(self._reset(done, float(steps[0])))
                self.newest = math.nan
            else:
                held = dejitter.ahead(raw[done : done + self.longest_hold])
                found = dejitter.delays.judge(
                    held, self.period, len(held) if last else self.longest_hold, dejitter.behind
                )
                if found is None:
                    break
                if not found.missing:
                    self._pardoned = found.seen
                else:
                    events.append(self._lost(done, found.missing))
        if done < n:
            # Where something is said of a sample that is held, it needs a time.
            out[done] = raw.item(done) + self._offset.seconds
        return events, done

    def _steps(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the steps to each stamp from the one before it."""
        steps = np.empty(len(raw))
        steps[0] = raw.item(0) - self.newest
        np.subtract(raw[1:], raw[:-1], out=steps[1:])
        return steps

    def _lost(self, index: int, missing: int, since: float = 0.0) -> Irregularity:
        """Go on behind samples that were lost."""
        gap = Irregularity(MarkKind.GAP, index, missing, missing * self.period, since)
        self._pass(missing)
        return gap

    def _first_odd(self, late: NDArray[np.float64], steps: NDArray[np.float64]) -> int:
        """Return how many samples come before one that is late, or stamped long before the one before it."""
        assert self._dejitter is not None
        longest: float | NDArray[np.float64] = self._dejitter.delays.longest
        if not self._dejitter.begun:
            # Without a line yet a sample is late if it is much later, at the nominal rate, than all before it.
            latest = late.copy()
            latest[0] = self._latest
            latest[1:] = late[:-1]
            longest = np.maximum.accumulate(np.maximum(latest, self._latest)) + self.tolerance
        odd = late > longest
        odd[: self._pardoned] = False
        odd |= steps < -self.tolerance
        at = int(odd.argmax())
        return at if odd[at] else len(late)

    def _note_repeats(self, events: list[Irregularity], done: int, steps: NDArray[np.float64]) -> None:
        """Note samples stamped as the one before them, unless that is how this stream's packets are stamped."""
        assert self._dejitter is not None
        alike = np.flatnonzero(steps == 0)
        if not self._dejitter.begun:
            self._alike += len(alike)
            return
        if self._dejitter.packets:
            self._alike = 0
        elif self._alike:
            events.append(Irregularity(MarkKind.DUPLICATE, done, self._alike))
            self._alike = 0
        if not self._dejitter.packets:
            for index in alike.tolist():
                repeat(events, done + index)

    def _pass(self, missing: int) -> None:
        """Go on behind lost samples: with their numbers, or in a new segment."""
        if self._dejitter is None:
            return
        if missing * self._nominal > LONGEST_HOLE_S or not self._dejitter.begun:
            self._new_segment()
        else:
            self._dejitter.skip(missing)

    def _new_segment(self) -> None:
        self._pardoned = 0
        self._latest = 0.0
        if self._dejitter is not None:
            self._dejitter.restart()
        if self._beginning is not None:
            self._beginning.restart()

    def _begin(self, raw: NDArray[np.float64], out: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Correct the stamps of a segment's first samples, which come in packets; return the holes among them."""
        assert self._dejitter is not None
        holes = self._dejitter.begin(raw, out)
        self.newest = raw.item(-1)
        self._offset.add(out)
        return holes

    def _accept(
        self, raw: NDArray[np.float64], out: NDArray[np.float64], late: NDArray[np.float64] | None = None
    ) -> None:
        """Correct stamps whose numbers are known."""
        n = len(raw)
        if not n:
            return
        self.newest = raw.item(-1)
        self._pardoned = max(0, self._pardoned - n)
        if self._dejitter is None:
            out[:] = raw
        else:
            if late is not None and not self._dejitter.begun:
                self._latest = max(self._latest, float(late.max()))
            self._dejitter(raw, out)
        self._offset.add(out)
