"""Delays hold how late a stream's stamps come, learnt from the stamps; and tell samples that are late from lost ones.

The delay of a sample is its stamp less the time that its number gives it. Where samples were lost, the delays of all
that follow are longer by the time of the lost ones, for good; where samples were only late, the delays fall again, as
fast as time passes while what was late comes in a burst. So a sample that is later than any before is held until the
delays behind it tell which it is: a stamp can be late and never early.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.io.lsl.envelope import least_found

#: So many blocks of half a second are remembered; before so many were seen, delays count as unknown.
_MEMORY, _LEAST = 8, 2

#: A plain hole has so many samples on both sides, and is a step that is off by so many times more than is usual.
_SURE, _OUTSTANDING = 4, 6.0

#: So many samples behind a late one tell, where the jitter is two-sided, whether it alone was late.
_OTHERS = 4

#: Jitter of less than so many standard deviations from end to end has bounds: evenly spread, 3.5.
_BOUNDED = 4.0

#: So many standard errors from their mean, delays are displaced.
_DISPLACED, _LEAST_DISPLACED = 3.0, 16

#: How many samples may decide at most, in seconds.
_DECIDES_S = 0.4

#: Behind a loss delays stay longer; a sender that was held up is late for a chunk or some, and catches up a little with
#: each. So a loss is one only after so many seconds, and so many chunks.
_LASTS_S, _CHUNKS = 0.25, 4

#: What is later by more seconds than that is no sample that waited.
_CLOCK_S = 30.0

#: Stamps that spread by less than this share of a period are as good as exact.
_EXACT = 0.1

#: From so many samples that share a delay on, they come in chunks.
_SHARED = 2.0

#: A rate so far from the stated one is no crystal's but that of a program that sleeps between samples, and is late for
#: good when it oversleeps: a few samples less are no sign of a loss.
_OFF_RATE = 0.03

#: Packets whose delay varies by more than this share of their length are told from lost ones by so many of them.
_VARIES, _PACKETS = 0.25, 8

#: A loss that is off whole packets by less than this share of one is one of whole packets.
_WHOLE = 0.125

#: Share of steps backwards from which the jitter counts as two-sided: the delays of stamps on arrival keep order.
_UNORDERED = 0.01


@dataclass(frozen=True, slots=True)
class Lateness:
    """A Lateness says of a late sample whether samples are missing before it.

    Attributes
    ----------
    missing : int
        Samples lost before it; 0 when it was only late.
    seen : int
        Samples from it on that decided.
    """

    missing: int
    seen: int


class Delays:
    """A Delays holds what the stamps of the last four seconds showed.

    Parameters
    ----------
    period : float
        Nominal seconds between samples.
    unknown : float
        Seconds by which a sample may be late while nothing is known yet.

    Attributes
    ----------
    lowest, highest : float
        The usual earliest delay of half a second, and the latest delay, but for a single half second's.
    ordered : bool
        Whether no stamp is before the one of the sample before, as for stamps on arrival.
    packet : int
        Samples of a packet that share a stamp, or nearly; 1 where they do not, 0 where packets vary.
    chunked : bool
        Whether samples come in chunks that each have a delay of their own: then a late sample tells of losses longer
        than `unknown` alone, and the earliest chunks of the others (`bci.io.lsl.envelope`).
    sleeps : bool
        Whether the rate is so far from the stated one that a program must pace the stream by sleeping.
    longest : float
        A sample later than this is held until it is known why.
    """

    def __init__(self, period: float, unknown: float) -> None:
        self._period, self._unknown = period, unknown
        self._most = max(2, round(_DECIDES_S / period))
        self.restart()

    def restart(self) -> None:
        """Forget everything."""
        self._blocks: deque[tuple[float, float, float]] = deque(maxlen=_MEMORY)
        self._unordered = 0.0
        self._together = 1.0
        self._deviation = 0.0
        self.lowest = self.highest = 0.0
        self.ordered, self.packet, self.chunked, self.sleeps = True, 1, False, False
        self.longest = self._unknown

    def learn(self, delays: NDArray[np.float64], backwards: float, packet: int, usual: float) -> None:
        """Take in a block's delays (n,), share of steps backwards and packets' size, and the usual seconds per sample.

        Those are NaN where they are not known.
        """
        self._blocks.append((float(delays.min()), float(delays.max()), usual))
        lows, highs, periods = zip(*self._blocks, strict=True)
        n = len(lows)
        self.lowest = sorted(lows)[n // 2]
        self.highest = sorted(highs)[-2 if n > 2 else -1]
        self._unordered += (backwards - self._unordered) / n
        self._deviation += (float(delays.std()) - self._deviation) / n
        self._together += (_together(delays) - self._together) / n
        # Of chunks that each have a delay of their own, the earliest sample of one may lie before the last of another.
        self.ordered = self._unordered < _UNORDERED or self._together >= _SHARED
        self.packet = packet
        self.sleeps = self.ordered and abs(sorted(periods)[n // 2] / self._period - 1) > _OFF_RATE
        # Chunks that each have a delay of their own, now longer, now shorter, say little of a few lost samples.
        self.chunked = self._together >= _SHARED and packet <= 1 and self.spread > _EXACT * self._period
        unknown = not self.begun or self.sleeps or self.chunked
        self.longest = self.highest + (max(self.guard, self._unknown) if unknown else self.guard)

    @property
    def together(self) -> float:
        """How many samples share a delay: 1 where each has its own."""
        return self._together

    def displaced(self, delays: NDArray[np.float64]) -> float:
        """Return by how much a block's delays (n,) are longer than those before, in the mean; 0 if only by chance.

        So samples are missed whose loss is shorter than the jitter. It is asked of two-sided jitter only: of stamps on
        arrival the mean says little.
        """
        n = len(delays)
        if self.ordered or len(self._blocks) < _LEAST or n < _LEAST_DISPLACED:
            return 0.0
        error = self.spread / math.sqrt(12 * n / self._together)
        mean = float(delays.mean())
        return mean if abs(mean) > _DISPLACED * error else 0.0

    @property
    def begun(self) -> bool:
        """Whether enough was seen to tell late samples from lost ones."""
        return len(self._blocks) >= _LEAST

    @property
    def known(self) -> bool:
        """Whether four seconds were seen, so that the figures are steady."""
        return len(self._blocks) == _MEMORY

    @property
    def spread(self) -> float:
        """Seconds between the earliest and the latest delay."""
        return max(0.0, self.highest - self.lowest)

    @property
    def guard(self) -> float:
        """Seconds beyond the latest delay from which a sample is later than any before."""
        if not self.ordered:
            return max(0.5 * self._period, 0.1 * self.spread)
        return max(0.5 * self._period, 0.25 * self.spread)

    @property
    def smallest(self) -> int:
        """How many lost samples in a row are always found; fewer are where the jitter happens to allow it."""
        jitter = self.spread - (max(1, self.packet) - 1) * self._period
        if self.chunked:
            return least_found(self._period, self.spread, self._together)
        least = math.ceil((max(0.0, jitter) + self.guard) / self._period)
        return max(1, self.packet, least)

    def judge(
        self,
        delays: NDArray[np.float64],
        period: float,
        most: int,
        before: Callable[[], NDArray[np.float64]] | None = None,
    ) -> Lateness | None:
        """Say whether samples are missing before a late one; None as long as that is open.

        Parameters
        ----------
        delays : (n,) float64
            Of the late sample and all that followed; more of them never change what fewer have shown.
        period : float
            Seconds between samples.
        most : int
            After so many samples it is decided by what there is.
        before : callable, optional
            Gives the delays of the samples before the late one; they are asked for where the jitter is two-sided.
        """
        over = float(delays[0]) - self.highest
        earliest = np.minimum.accumulate(delays)
        # Where more are missing shortly after, those before that decide for themselves.
        again = delays > earliest + self.spread + (0.5 * self.guard if self._bounded else self.guard)
        if not self.ordered and again[0 : (cut := int(again.argmax())) + 1].any():
            delays, earliest, most = delays[:cut], earliest[:cut], cut
        if self.ordered:
            late = earliest < self.lowest + 0.5 * over
        else:
            # The first one was taken because it is late, so it says too much; a few more tell whether others are.
            others = np.cumsum(delays[1:]) / np.arange(1, len(delays))
            late = np.r_[
                np.zeros(min(_OTHERS, len(delays)), bool), others[_OTHERS - 1 :] < 0.25 * self.spread
            ]
        passed = period * np.arange(len(delays))
        # While delays still rise, as those of a chunk whose stamps are spread over a pause, nothing is decided.
        number = np.arange(len(delays))
        rises = np.r_[False, delays[1:] > np.maximum.accumulate(delays)[:-1] + self.guard]
        since = number - np.maximum.accumulate(np.where(rises & self.ordered, number, 0))
        steady = np.maximum.accumulate(delays) - delays <= 0.5 * period * since if self.ordered else True
        # No sender is held up that long: a clock was set, and there is nothing to wait for.
        decides = _SURE if over > _CLOCK_S else self._decides
        lost = (delays[0] - earliest <= 0.5 * passed) & (since > decides - 0.5) & steady
        if len(delays) >= most:
            lost[most - 1] = True
        decided = late | lost
        at = int(decided.argmax())
        if not decided[at]:
            return None
        return Lateness(0 if late[at] else self._missing(delays[: at + 1], period, before), at + 1)

    def _middle(self, delays: NDArray[np.float64]) -> float:
        """Return where delays (n,) lie: halfway between the extremes where jitter has bounds, else in the mean.

        Of n values of even spread W the extremes tell that to W/n, the mean to W/√(12n).
        """
        if self._bounded:
            return float(delays.min() + delays.max()) / 2
        return float(delays.mean())

    @property
    def _bounded(self) -> bool:
        """Whether the jitter is spread evenly between bounds, more or less, and has no tails."""
        return self.spread < _BOUNDED * self._deviation

    @property
    def _decides(self) -> int:
        """How many samples after a late one it takes to tell at least, with the number of lost ones."""
        share = self.spread / self._period
        if self.packet > 1 and share - (self.packet - 1) > _VARIES * self.packet:
            return _PACKETS * self.packet
        wanted = 2 * share if self.ordered else self._together * (6 * share / math.sqrt(12)) ** 2
        chunks = _CHUNKS * self._together
        return int(max(chunks, min(self._most, max(_LASTS_S / self._period, wanted))))

    def _missing(
        self,
        delays: NDArray[np.float64],
        period: float,
        before: Callable[[], NDArray[np.float64]] | None,
    ) -> int:
        if not self.ordered:
            # The first one was taken because it is late, so it says too much, if there are others.
            shift = self._middle(delays[1:] if len(delays) > 2 else delays)
            if before is not None and len(earlier := before()) > 2:
                # The line may lie a little off; what came before the hole was taken by the same one.
                shift -= self._middle(earlier)
            return max(0, round(shift / period))
        shift = float(delays.min()) - self.lowest
        missing = max(0, round(shift / period))
        if self.packet > 1:
            packets = max(1, round(missing / self.packet))
            jitter = max(0.0, self.spread - (self.packet - 1) * period)
            # Packets are lost whole: what differs from whole ones by no more than they jitter are whole ones.
            if (
                abs(packets * self.packet * period - shift)
                <= max(jitter, _WHOLE * self.packet * period) + period
            ):
                return packets * self.packet
        return missing


def _together(delays: NDArray[np.float64]) -> float:
    """Return how many samples share a delay, as those of a chunk do: 1 where each has its own.

    Of delays x whose neighbours have nothing in common, the mean square of their steps is twice their variance; where
    each is shared by c samples, it is that by c.
    """
    if len(delays) < 2 * _SURE:
        return 1.0
    steps = np.diff(delays)
    squares = float((steps * steps).mean())
    spread = 2 * float(delays.var())
    return min(len(delays) / 4, max(1.0, spread / squares)) if squares > 0 else 1.0


def plain_holes(
    stamps: NDArray[np.float64], numbers: NDArray[np.float64], nominal: float
) -> list[tuple[int, int]]:
    """Return the holes that stamps (n,) of samples with these numbers show: (samples before it, samples missing).

    It is asked of whole blocks, at their end, whatever is known of the stream: so that one that loses samples from its
    beginning is learnt rightly. A hole is plain where the delays behind a step are longer by whole samples, and by
    more than they differ on both sides.
    """
    n = len(stamps)
    lag = max(1, n // 5)
    if n < 4 * _SURE:
        return []
    period = float(np.median((stamps[lag:] - stamps[:-lag]) / (numbers[lag:] - numbers[:-lag])))
    if not abs(period / nominal - 1) < _OFF_RATE:
        return []
    over = stamps[1:] - stamps[:-1] - period * (numbers[1:] - numbers[:-1])
    usual = float(np.median(np.abs(over)))
    plain = over > max(0.6 * period, _OUTSTANDING * usual)
    if usual < _EXACT * period < float(np.abs(over[~plain]).max(initial=0.0)):
        return []  # most steps are exact and some are not: chunks each have a delay of their own
    cuts = np.flatnonzero(plain) + 1
    if not 0 < len(cuts) < n / (2 * _SURE):
        return []
    returns = bool((over < -0.6 * period).any())  # so what was late may not be late for good
    delays = stamps - period * numbers
    parts = np.split(delays, cuts)
    earliest = np.minimum.accumulate(delays[::-1])[::-1]  # of all that follow
    holes = []
    for at, one, other in zip(cuts.tolist(), parts, parts[1:], strict=False):
        if min(len(one), len(other)) < _SURE or (returns and n - at < _LASTS_S / 2 / period):
            continue
        shift = float(min(other.min(), earliest[at]) - one.min())
        if shift > max(0.6 * period, 2 * float(np.ptp(one)), 2 * float(np.ptp(other))):
            holes.append((at, round(shift / period)))
    return holes
