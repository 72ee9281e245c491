"""A Dejitter turns the jittered stamps of a regular stream into the evenly spaced times they were taken at.

A sender stamps a sample when its driver hands it over, which is late by a varying amount. The sample's number
does not vary, so a straight line through the stamps against the numbers is a better clock than the stamps.
The line is fitted by least squares with exponential forgetting, over blocks counted from the first sample of
a segment, and the line fitted up to the end of a block is applied to the next block only:

    within block k:   time(i) = y[k] + (i - e[k]) * (L[k](e[k+1]) - y[k]) / B

with B the block's length, e[k] the number of its first sample, L[k] the line through all earlier blocks and
y[k] where the previous block's line ended. The times are continuous and converge to the fit within a block.
Nothing depends on how the stamps were cut into chunks. The first block passes, made non-decreasing.

Samples that were lost have numbers too: `skip` counts them, and the line goes on behind them. Of packets whose samples
share one stamp, or nearly, only the last sample was taken at about that time: the line goes through those alone, and
lies at the earliest of the last seconds, since a packet can be late and never early.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.io.lsl.delays import Delays, plain_holes
from bci.io.lsl.envelope import Envelope
from bci.io.lsl.fit import LEAST, Fit, Moments
from bci.io.lsl.packets import look, lost_between, lost_packets, packet_ends
from bci.memory.hot import Hops, address

#: Length of a block, seconds, and how old a block weighs half. Longer lives average more jitter and follow a
#: wandering sampling clock less: over stamps that come one at a time, late by 5 ms on average, the error is
#: 0.3 ms at 10 s and 0.24 ms at 60 s; a recording paced by sleeping is followed a quarter more closely at 10 s.
BLOCK_S, HALF_LIFE_S = 0.5, 10.0

#: Up to so many stamps at a time are worked on as Python numbers: the same arithmetic, the same bits, and sooner
#: done by a process that has just slept.
FEW = 32

#: So many samples before a block are looked at with it: a hole may lie between the two.
_TAIL = 8

#: So many samples since the last hole say enough of where stamps lie before the next.
_LEAST_BEFORE = 30

#: A period is not further off than so many of its standard errors.
_SURE = 3.0

#: So many blocks can be taken back from the fit.
_REMEMBERED = 8


@dataclass(slots=True)
class _Block:
    """A _Block is what was taken into the fit at a time: the moments before it, numbers and stamps (n,)."""

    fit: Moments
    numbers: NDArray[np.float64]
    stamps: NDArray[np.float64]


class Dejitter:
    """A Dejitter holds the fit of one stream; `restart` begins a new segment.

    Parameters
    ----------
    rate : float
        Samples per second as the stream says, at the speed it plays. The true rate is found by the fit.
    tolerance : float
        Seconds by which a sample may be late while its delays are not known yet.

    Attributes
    ----------
    delays : Delays
        How late the stamps come.
    packets : bool
        Whether the samples of the last block came in packets, one stamp each.
    missed : int
        Samples found to be lost before their times were asked for, while the delays were not known yet; counted
        already, and to be said.
    overdue : int
        Samples that must have been lost some time before the next one, by rate and time against their count.
    overdue_s : float
        For how many seconds that was not known.

    Examples
    --------
    >>> dejitter = Dejitter(rate=100.0)
    >>> true = np.arange(1000) / 92.9
    >>> jittered = true + 1e-3 * (np.arange(1000) % 7 == 0)
    >>> times = np.empty(1000)
    >>> dejitter(jittered, times)
    >>> bool(np.abs(times[500:] - true[500:]).max() < 3e-4), round(1 / dejitter.period, 1)
    (True, 92.9)
    """

    def __init__(self, rate: float, tolerance: float = 0.1) -> None:
        self._nominal = 1.0 / rate
        self._size = max(LEAST, round(BLOCK_S * rate))
        self._fit = Fit(self._nominal, 0.5 ** (self._size * self._nominal / HALF_LIFE_S))
        self._ramp = np.arange(self._size, dtype=np.float64)
        self._block = np.empty(self._size)
        self._block_at = address(self._block)
        self.delays = Delays(self._nominal, tolerance)
        self._envelope = Envelope()
        self._history: deque[_Block] = deque(maxlen=_REMEMBERED)
        self.restart()

    def restart(self) -> None:
        """Forget everything: the next stamp is the first of a segment."""
        self._at = 0  # place in the current block, lost samples counted
        self._got = 0  # stamps in it
        self._holes: list[tuple[int, int]] = []  # after so many of them, so many samples are missing
        self._blocks = 0  # blocks completed
        self._first = 0  # number of the current block's first sample
        self._past = np.empty((2, 0))  # numbers and stamps of the last two blocks
        self._tail = np.empty((2, 0))  # numbers and stamps of the last samples of the block before
        self.missed = 0
        self._origin = 0.0
        self._newest = -np.inf
        self._knot, self._slope = 0.0, self._nominal
        self._fit.restart()
        self.packets = False
        self.overdue = 0
        self.overdue_s = 0.0
        self._envelope.restart()
        self._history.clear()
        self._last: tuple[float, float] | None = (
            None  # number and stamp of the last sample of the block before
        )
        self.delays.restart()

    @property
    def period(self) -> float:
        """Seconds between two samples: fitted, or nominal before the first fit."""
        return self._fit.period

    @property
    def begun(self) -> bool:
        """Whether a line is in force; before, stamps pass as they are."""
        return self._blocks > 0

    @property
    def left(self) -> int:
        """Samples that the current block still takes."""
        return self._size - self._at

    def expect(self, out: NDArray[np.float64]) -> bool:
        """Write the times of the next samples, as far as earlier blocks tell; False, and nothing, where they do not.

        Within a block nothing depends on its own stamps, so these are the very times that a call would write.
        """
        if not self._blocks or self._at + len(out) > self._size:
            return False
        self._lay(out)
        return True

    def begin(self, stamps: NDArray[np.float64], out: NDArray[np.float64]) -> list[tuple[int, int]]:
        """Write the times of a segment's first samples (n,), which come in packets, some of whose ends are among them.

        They are not given as they came: the line through the ends of the packets holds for them too.

        Returns
        -------
        list of (int, int)
            Holes among them: samples before it, samples missing.
        """
        n = len(stamps)
        self._origin = float(stamps[0])
        stamps = stamps - self._origin
        numbers = np.arange(n, dtype=np.float64)
        holes = lost_packets(stamps, self._nominal)
        for after, missing in holes:
            numbers[after:] += missing
        self._take_block(stamps, numbers, None)
        line = self._fit.mean(numbers) + self._fit.earliest
        np.add(line, self._origin, out=out)
        self.delays.learn(
            stamps - line, *look(stamps, self._nominal, self.delays.packet if self.packets else None)
        )
        self._first, self._blocks = int(numbers[-1]) + 1, 1
        self._tail = np.stack([numbers[-_TAIL:] - self._first, stamps[-_TAIL:]])
        self._knot, self._slope = self._fit.line(self._first), self.period
        self._past = np.stack([numbers, stamps])
        return holes

    def late(self, stamps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much the stamps of the next samples are later than the line in force, seconds."""
        origin = self._origin if self._blocks or self._got else float(stamps[0])
        end = self._at + len(stamps)
        inside = end <= self._size
        numbers = self._ramp[self._at : end] if inside else np.arange(self._at, end, dtype=np.float64)
        return np.asarray(stamps - (numbers * self._slope + self._knot + origin), np.float64)

    def ahead(self, stamps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much the stamps of the next samples are later than the line that goes on from here, seconds.

        Within a block the line is bent to meet the newest fit at its end: that would mislead beyond it.
        """
        start = self._origin if self._blocks or self._got else float(stamps[0])
        start += self._knot + self._at * self._slope
        return np.asarray(stamps - (start + self._fit.period * np.arange(len(stamps))), np.float64)

    def behind(self) -> NDArray[np.float64]:
        """Return the same of the samples before the next one: of one to three blocks, or since the last hole.

        A few samples since the last hole would say too little.
        """
        numbers = np.r_[self._past[0], self._numbers() + self._first]
        stamps = np.r_[self._past[1], self._block[: self._got]]
        line = self._knot + self._at * self._slope + self._fit.period * (numbers - self._first - self._at)
        late = np.asarray(stamps - line, np.float64)
        holes = np.flatnonzero(np.diff(numbers) > 1)
        since = late[int(holes[-1]) + 1 :] if len(holes) else late
        return since if len(since) >= _LEAST_BEFORE else late

    def take(self, stamps: NDArray[np.float64]) -> None:
        """Learn from the stamps of samples whose times were expected."""
        n = len(stamps)
        np.subtract(stamps, self._origin, out=self._block[self._got : self._got + n])
        self._got += n
        self._at += n
        if self._at == self._size:
            self._complete()

    def lend(self, record: Hops) -> None:
        """Let compiled code lay the line of this block, and take its stamps; a line must be in force."""
        record.block, record.size, record.at, record.got = self._block_at, self._size, self._at, self._got
        record.slope, record.knot, record.origin = self._slope, self._knot, self._origin

    def take_back(self, record: Hops) -> None:
        """Go on behind the stamps that compiled code has taken."""
        self._at, self._got = record.at, record.got
        if self._at == self._size:
            self._complete()

    def skip(self, missing: int) -> None:
        """Count samples that were lost before the next one.

        Their number may be wrong by one where stamps jitter: the line keeps its slope and soon finds its place again.
        """
        self._loosen(4)
        self.overdue, self.overdue_s = 0, 0.0
        while missing:
            step = min(missing, self.left)
            self._holes.append((self._got, step))
            self._at += step
            missing -= step
            if self._at == self._size:
                self._complete()

    def _loosen(self, blocks: int) -> None:
        """Let the line find its place anew within a few blocks; its slope stays as firm as it was."""
        self._fit.loosen(float(blocks * self._size))

    def _lay(self, out: NDArray[np.float64]) -> None:
        """Write the line of this block from where it stands."""
        at, n = self._at, len(out)
        if n <= FEW:
            knot, slope, origin = self._knot, self._slope, self._origin
            out[:] = [i * slope + knot + origin for i in range(at, at + n)]
        else:
            np.multiply(self._ramp[at : at + n], self._slope, out=out)
            out += self._knot
            out += self._origin

    def __call__(self, stamps: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        """Write the time of each stamp into `out`.

        Parameters
        ----------
        stamps : (n,) float64
            Of consecutive samples, as sent.
        out : (n,) float64
            Receives the times, on the sender's clock; may not overlap `stamps`.
        """
        done, n = 0, len(stamps)
        while done < n:
            if self._got == 0 and self._blocks == 0:
                self._origin = float(stamps[done])
            step = min(n - done, self.left)
            piece, place = stamps[done : done + step], out[done : done + step]
            if self._blocks:
                self._lay(place)
            else:
                np.maximum.accumulate(piece, out=place)
                np.maximum(place, self._newest, out=place)
                self._newest = float(place[-1])
            self.take(piece)
            done += step

    # -- the fit -----------------------------------------------------------------------------------------

    def _complete(self) -> None:
        """Take the full block into the fit and lay the line of the next one."""
        size, first = self._size, self._first
        stamps = self._block[: self._got]
        numbers = self._numbers()
        missed = self._missed_holes(stamps, numbers)
        numbers = numbers + missed
        size += int(missed[-1]) if len(missed) else 0
        late = stamps - (numbers * self._slope + self._knot)
        if len(stamps):
            # Samples that were held and found to be late say nothing of the clock; if most are late, it was the clock.
            in_time = late <= self.delays.longest
            if self._blocks:
                self._settle(late)
            moments = self._fit.moments
            some = not self._blocks or 2 * np.count_nonzero(in_time) < len(stamps)
            self._take_block(stamps, first + numbers, None if some or in_time.all() else in_time)
            numbers = self._look_back(_Block(moments, first + numbers, stamps.copy())) - first
        past = np.stack([first + numbers, stamps])
        self._past = np.concatenate([self._past[:, -self._size :], past], axis=1)
        self._first = here = first + size
        if self._blocks:
            self._knot += self._slope * size
        else:
            self._knot = max(self._fit.line(here), self._newest - self._origin)
        self._slope = max(0.0, (self._fit.line(here + self._size) - self._knot) / self._size)
        if len(stamps) > 1 and self._fit.moments.weight:
            # By the line that is in force from now on, as the delays of the next block will be.
            line = self._fit.mean(first + numbers) + self._fit.earliest
            self.delays.learn(
                stamps - line, *look(stamps, self._nominal, self.delays.packet if self.packets else None)
            )
        self._at = self._got = 0
        self._holes.clear()
        self._blocks += 1

    def _missed_holes(self, stamps: NDArray[np.float64], numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return by how much a block's numbers (n,) are too small: for holes that only now are plain."""
        tail, own = self._tail, np.zeros(len(stamps))
        self._tail = np.stack([numbers[-_TAIL:] - self._size, stamps[-_TAIL:]])
        late = stamps - (numbers * self._slope + self._knot)
        if (ends := packet_ends(stamps, self._nominal)) is not None:
            for after, missing in self._missed_packets(late, ends):
                own[after:] += missing
                self.missed += missing
            return own
        judged = self.delays.chunked or (self.delays.ordered and (late > self.delays.longest).any())
        if self.delays.begun and judged:
            return own  # what was late has been judged sample by sample
        both = np.concatenate([tail[1], stamps]), np.concatenate([tail[0], numbers])
        for after, missing in plain_holes(*both, self._nominal):
            self.missed += missing
            own[max(0, after - tail.shape[1]) :] += missing
        if self.missed:
            self._loosen(1)
            self._tail[0] += own[-_TAIL:] - own[-1]
        return own

    def _missed_packets(self, late: NDArray[np.float64], ends: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Return the packets lost in or before a block, as (samples before them, samples missing).

        A sender that was held up has caught up within a block; so packets that all end as late as behind lost ones are
        behind lost ones. Steps within the block are looked for while no packet is judged by itself.
        """
        size = self.delays.packet
        if not self.packets or size < 2:
            return []
        delays = np.r_[max(0.0, self.delays.lowest), late[ends]]
        holes = lost_between(delays, size * self.period)
        within = not self.delays.begun
        places = np.r_[0, ends + 1]
        return [(int(places[place - 1]), whole * size) for place, whole in holes if within or place == 1]

    def _look_back(self, block: "_Block") -> NDArray[np.float64]:
        """Look whether samples were lost some seconds ago, in chunks that each have a delay of their own.

        Then the line is laid anew from there on. Returns the numbers of the last block.
        """
        if not self.delays.chunked or self.delays.sleeps or not self.delays.known:
            self._envelope.restart()
            self._history.clear()
            return block.numbers
        self._history.append(block)
        self._envelope.add(block.numbers, block.stamps, round(self.delays.together))
        if self.overdue or self.missed:
            return block.numbers
        # The period by what came before: one through samples on both sides of a hole is too long.
        before = self._history[0].fit
        step = self._envelope.find(before.period, _SURE * before.error, self.delays.spread)
        if step is None:
            return block.numbers
        self.overdue = step.missing
        self.overdue_s = float(block.numbers[-1] - step.number) * self.period
        behind = [one for one in self._history if one.numbers[-1] >= step.number]
        self._fit.moments = behind[0].fit
        for one in behind:
            one.fit = self._fit.moments
            one.numbers[one.numbers >= step.number] += step.missing
            self._fit.add(one.stamps, one.numbers, self.delays.together)
        return block.numbers

    def _settle(self, late: NDArray[np.float64]) -> None:
        """Look whether the last block was displaced as a whole: where the half of it is, something happened within."""
        halves = late[: len(late) // 2], late[len(late) // 2 :]
        shift = self.delays.displaced(late)
        if shift:
            self._loosen(1)
            if all(self.delays.displaced(half) for half in halves):
                self.overdue = max(0, round(shift / self.period))

    def _numbers(self) -> NDArray[np.float64]:
        """Return the number within the block of each of its stamps."""
        numbers = self._ramp[: self._got]
        if self._holes:
            numbers = numbers.copy()
            for after, missing in self._holes:
                numbers[after:] += missing
        return numbers

    def _take_block(
        self, stamps: NDArray[np.float64], numbers: NDArray[np.float64], kept: NDArray[np.bool_] | None
    ) -> None:
        """Take stamps into the fit: all that are kept, or of packets the last of each."""
        own, own_numbers = stamps, numbers
        if self._last is not None:
            stamps, numbers = np.r_[self._last[1], stamps], np.r_[self._last[0], numbers]
        ends = packet_ends(stamps, self._nominal)
        self.packets = ends is not None
        if ends is not None:
            self._fit.add(stamps[ends], numbers[ends], self.delays.together)
            self._fit.keep_early(stamps[ends], numbers[ends])
        else:
            self._fit.forget_early()
            own, own_numbers = (own, own_numbers) if kept is None else (own[kept], own_numbers[kept])
            self._fit.add(own, own_numbers, self.delays.together)
        self._last = (float(numbers[-1]), float(stamps[-1]))
