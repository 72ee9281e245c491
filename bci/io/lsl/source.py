"""An LslSource receives one regular stream over Lab Streaming Layer, and marks whatever is not as it should be.

::

            found, described, clock compared, open
    looking ─────────────────────────────────────> live ── samples ──> live
       ^                                             │
       └── lost; or silent, and replaced (LOST) ─────┘

A source that comes back begins a new segment (RECONNECT); the mark says when it came back from another host, as
another outlet or with another description. One that comes back with another rate or other channels is refused
(REFUSED, then `StreamMismatch`).
"""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property

from bci.errors import StreamMismatch, StreamTimeError
from bci.io.lsl.address import Address
from bci.io.lsl.connection import Connector, changes, differences
from bci.io.lsl.delays import Delays
from bci.io.lsl.discovery import WAIT, describe, nothing, visible
from bci.io.lsl.held import Held
from bci.io.lsl.hops import CompiledHops
from bci.io.lsl.inlet import Inlet
from bci.io.lsl.irregularity import give_stamps
from bci.io.lsl.marking import Marking
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.opening import Opening
from bci.io.lsl.outlet import LslOutlet
from bci.io.lsl.patience import Patience
from bci.io.lsl.stamps import Stamps
from bci.io.lsl.stated import Stated
from bci.memory.board import Row
from bci.memory.closing import Closing
from bci.memory.hot import Hops
from bci.memory.ring import Ring
from bci.memory.stream import Grid, Stream, follow
from bci.signal.clock import Clock
from bci.signal.measured import all_measured
from bci.signal.quality.stamping import Stamping
from bci.signal.types import MarkKind, Signal, Times, Window

__all__ = ["LslOutlet", "LslSource", "StreamInfo", "describe", "visible"]

log = logging.getLogger(__name__)

#: Samples are pulled up to absolute counts that are multiples of this many seconds, so that a stream pushed
#: sample by sample does not cost a wake-up per sample.
QUANTUM_S = 0.01

#: What is held is decided by what there is when so many seconds bring nothing more.
SILENT_S = 0.25

#: So long it may be while the first packets are held until it is known how they are stamped: they may be far apart.
BEGINS_SILENT_S = 1.0

#: Of a stream of fewer samples a second the first seconds do not show whether its time is right.
_LEAST_JUDGED = 2.0

#: How often the sender's clock and the network are looked at, seconds.
LOOK_EVERY_S = 1.0


class LslSource(Closing):
    """One stream, received; connected when constructed, a context manager.

    Parameters
    ----------
    address : Address or str
        What it must say of itself; a text is its source id.
    clock : Clock
        The session clock.
    stated : Stated, optional
        What takes the place of what it says of itself.
    expect : Signal, optional
        What the stream must be; by default what it says at first. It must stay that after a restart.
    timeout : float
        Seconds to look for it, by the session clock.
    buffer_s : float
        Seconds of samples that liblsl keeps until they are pulled.
    data_age_limit : float, optional
        Seconds without a sample after which the stream counts as stalled; by default half a second or three
        samples, whichever is longer.
    gap_tolerance : float, optional
        Seconds by which a step between stamps may exceed the sample period; by default what they show of their
        jitter decides. See `Stamps`.
    strict : bool
        Whether a stream is refused whose first seconds show another clock, unit of time or rate than they should;
        else that is only said. Streams with exact stamps are ours, and not asked.
    grid : Grid, optional
        Counts at which a reader's windows end: samples are handed over there even when the reader is still
        busy and has not said yet which count it waits for.
    between : callable
        Called between waits of at most 0.1 s while connecting; may raise to give up.

    Attributes
    ----------
    info : StreamInfo
        What the stream says of itself.
    received, lost, duplicates : int
        Samples written; samples missing, by their stamps; samples with the stamp of the one before.
    newest : float
        When the newest sample was in our hands, session seconds; NaN before the first.
    first_held : float
        For how many seconds the first samples of a connection were held at most, until their stamps were understood.
    marked : Counter of MarkKind
        Marks written, by kind.
    data_age_limit : float
        Seconds without a sample after which it counts as stalled.
    excused : float
        Until when its silence is no stall, session seconds; set where it is known when the first sample is due.
    gone : bool
        Whether its outlet is lost and not found again yet.
    stamping : Stamping
        What the first seconds of the connection show of its time.
    doubles : int
        How many other outlets claim its source id now.

    Raises
    ------
    StreamNotFound
        If no such stream answers within `timeout`.
    DuplicateStream
        If more than one has that source id.
    StreamMismatch
        If it is irregular, text, or not what was expected.
    """

    def __init__(
        self,
        address: Address | str,
        *,
        clock: Clock,
        stated: Stated | None = None,
        expect: Signal | None = None,
        timeout: float = 5.0,
        buffer_s: float = 30.0,
        data_age_limit: float | None = None,
        gap_tolerance: float | None = None,
        strict: bool = False,
        grid: Grid | None = None,
        between: Callable[[], None] = nothing,
    ) -> None:
        self._clock = clock
        self._grid = grid
        self._buffer_s = buffer_s
        self._connector = Connector(Address.of(address), expect, buffer_s, clock, stated)
        inlet = self._connector.connect(timeout, between)
        self._inlet: Inlet | None = inlet
        self.info = inlet.info
        self._came = self.info.place
        rate = self.signal.rate * self.speed
        self.data_age_limit = max(0.5, 3 / rate) if data_age_limit is None else data_age_limit
        self._quantum = max(1, int(QUANTUM_S * rate))
        self._stamps = Stamps(self.signal.rate, self.speed, self.info.exact_stamps, gap_tolerance)
        self._held = Held()
        self._opening = Opening(self.info.source_id, rate, clock, strict)
        # Stamps of ours are what they say; of a few samples a second the first seconds show nothing.
        self._judged = not self.info.exact_stamps and rate >= _LEAST_JUDGED
        self._patience = Patience(clock, 1 / rate)
        self._stream: Stream | None = None
        self._hops: CompiledHops | None = None  # where the machine and this stream allow
        self._row: Row | None = None
        self._lasting = 0.0
        self._behind = True  # whether more may wait in liblsl than was asked for
        self._given = 0  # what `pull` has handed out

        self.received = self.lost = self.duplicates = self.doubles = 0
        self.newest = math.nan
        self.excused = -math.inf
        self.first_held = 0.0
        self._marking = Marking(self.info.source_id, clock)
        self.marked, self._mark = self._marking.marked, self._marking.write
        self._heard = self._looked = clock.now()
        self._fresh = True  # the next sample is the first of a connection
        self._began = math.nan  # when the first sample of a connection came, as long as it is not written
        self._rejoins = False  # the next sample written is the first of one that is not the first
        self._stalled = False
        self._doubles: set[str] = set()

    @property
    def signal(self) -> Signal:
        """What the stream carries."""
        return self.info.signal

    @property
    def stamping(self) -> Stamping:
        """What the first seconds of the connection show of its time."""
        return self._opening.found

    @property
    def mistimed(self) -> bool:
        """Whether its time cannot be used, by what its first seconds show."""
        return bool(self._opening.found.fault)

    @property
    def delays(self) -> Delays | None:
        """How late its stamps come; None where they are exact."""
        return self._stamps.delays

    @property
    def speed(self) -> float:
        """How many times faster than real time it plays."""
        return self.info.speed

    @property
    def gone(self) -> bool:
        """Whether its outlet is lost and not found again yet."""
        return self._inlet is None

    # -- receiving ---------------------------------------------------------------------------------------

    def pull_into(self, stream: Stream, timeout: float = WAIT, *, last: bool = False) -> int:
        """Receive what comes next straight into the stream's ring; mark what is not right.

        Blocks inside liblsl until the count that a reader waits for, the grid or the quantum is reached, or `timeout`
        real seconds have passed. While the source is lost, takes one step of at most 0.1 s towards finding it.

        A sample that is later than any before is held back, with those behind it, until they tell whether it was only
        late; `last` says that none will be waited for. So are the first packets of a stream that is stamped when they
        arrive, until it is known how late they are (`bci.io.lsl.beginning`).

        Returns
        -------
        int
            Samples written.

        Raises
        ------
        StreamMismatch, DuplicateStream
            If the source came back as another, or twice; a REFUSED mark says so.
        StreamTimeError
            If it is strict, and the stream's time is not what it should be; a REFUSED mark says so.
        """
        if stream is not self._stream:
            self._take(stream)
        inlet = self._inlet
        if inlet is None:
            self._find_again(stream)
            return 0
        ring, held = stream.samples, self._held
        before, pulled = self._compiled(ring, inlet, timeout, last)
        if before and pulled is None:
            self._look(stream, inlet, self._heard)
            return before
        room = self._room(ring, inlet) if pulled is None else pulled.room
        places = ring.claim(held.n + room)
        raw, times = places["raw"], places["times"]
        # Whatever can be done before the samples come is done before: behind them it would delay who waits for them.
        expected = not (self._fresh or self._stalled or held.n) and self._stamps.expect(times)
        due = self._heard + room * self._stamps.period
        behind = held.put_back(places)
        if pulled is None:
            n, lost = self._patience.pull(inlet, behind["samples"], behind["raw"], timeout, due)
            now = self._clock.now()
        else:
            n, lost = inlet.outcome(pulled.n, pulled.error, behind["raw"])
            now = pulled.last_now
        silent = BEGINS_SILENT_S if self._stamps.waits_for_packets else SILENT_S
        given_up = last or lost or (not n and now - self._heard > silent)
        decided = 0
        if n and self._judged and self._opening.open:
            self._judge_time(stream, inlet, behind["raw"][:n], now)
        if n or (held.n and given_up):
            n_all = held.n + n
            behind["arrived"][:n].fill(now)
            if n < room:
                raw, times = raw[:n_all], times[:n_all]
            expected = expected and self._stamps.regular(self._opening.seconds(raw))
            decided = n_all if expected else self._stamp(stream, inlet, raw, times, now, last=given_up)
            if held.n or decided < n_all:
                held.keep(places, decided, n_all)
            if decided:
                count = ring.commit(decided)
                # Checked while the waiting reader wakes up: whether any of these samples must not enter a filter.
                ring.vouch(count, good=all_measured(places["samples"][:decided]))
            if expected:
                self._stamps.take(self._opening.seconds(raw))
            self.received += decided
        if n:
            # Samples that came sooner than their rate allows were there already, and more may be.
            self._behind = now - self._heard < 0.5 * n * self._stamps.period
            self.newest = self._heard = now
        elif not self._stalled and now - max(self._heard, self.excused) > self.data_age_limit:
            self._stalled = True
            self._mark(stream, MarkKind.STALLED, value=now - self._heard, time=now)
        if lost:
            self._connector.gone.add(self.info.uid)
            self._lose(stream, now)
        else:
            self._look(stream, inlet, now)
        return before + decided

    def pull(self, timeout: float) -> Window | None:
        """Return the next samples as a window of their own, or None when none came within `timeout` seconds.

        The seconds are those of the session clock, looked at between waits of at most 0.1 s inside liblsl.
        """
        stream, chunks = self._own
        deadline = self._clock.now() + timeout
        left = timeout
        while stream.samples.count == self._given:
            self.pull_into(stream, min(WAIT, max(0.0, left)))
            left = deadline - self._clock.now()
            if left <= 0 and stream.samples.count == self._given:
                return None
        chunk = next(chunks)
        self._given = chunk.end
        samples, times, bad = chunk.samples.copy(), chunk.times.copy(), chunk.bad.copy()
        return replace(chunk, samples=samples, times=times, bad=bad, lender=None)

    def close(self) -> None:
        """Disconnect."""
        self._inlet = None
        self._connector.close()

    # -- its parts ---------------------------------------------------------------------------------------

    @cached_property
    def _own(self) -> tuple[Stream, Iterator[Window]]:
        """A stream in this process's own memory, and its chunks."""
        stream = Stream.private(self.signal, 4 * self.speed)
        return stream, follow(stream, Grid(1, 1), lambda: True, lambda first, lost: None)

    def _take(self, stream: Stream) -> None:
        """Make ready to write into `stream`, behind whatever is there already."""
        if wrong := differences(stream.signal, self.signal):
            raise StreamMismatch(
                f"the ring for stream {self.info.source_id!r} was made for another signal: {'; '.join(wrong)}. "
                "Start the session anew."
            )
        self._stream = stream
        if self._inlet is not None:
            self._bind(stream.samples, self._inlet)
        self._fresh = self._behind = True
        self._stamps.longest_hold = min(self._stamps.longest_hold, stream.samples.max_window // 2)
        # A predecessor may have died between what it wrote last and a word about it.
        stream.samples.vouch(stream.samples.count, good=False)

    def go_on(self, row: Row, lasting: float) -> None:
        """Let compiled code, where there is some, receive for `lasting` seconds on end, and show so in a program's row.

        It writes the row's ``samples``, ``data`` and ``beat``; `pull_into` then returns after so long at the latest,
        and `WAIT`.
        """
        self._row, self._lasting = row, lasting
        if self._hops is not None:
            self._hops.show_on(row)

    def _bind(self, ring: Ring, inlet: Inlet) -> None:
        """Make ready for compiled code."""
        self._hops = CompiledHops.of(ring, inlet, self._clock)
        if self._hops is not None:
            self._hops.end_at(self._quantum, self._grid)
            if self._row is not None:
                self._hops.show_on(self._row)

    def _compiled(self, ring: Ring, inlet: Inlet, timeout: float, last: bool) -> tuple[int, Hops | None]:
        """Receive hops in compiled code, as long as they are plain.

        Returns how many samples were written, and what is to be said of a hop behind them that was pulled, and is not
        plain.
        """
        plain = not (self._fresh or self._stalled or self._held.n or (self._judged and self._opening.open))
        if self._hops is None or not plain or last or timeout <= 0 or self._opening.scale != 1:
            return 0, None
        record = self._hops.record
        record.heard, record.looked, record.behind = self._heard, self._looked, self._behind
        pulled = self._hops.run(self._stamps, self._patience, timeout, self._lasting)
        if pulled is None:
            return 0, None
        if record.taken:
            self.newest, self._heard, self._behind = record.heard, record.heard, bool(record.behind)
            self.received += record.taken
        return record.taken, record if pulled else None

    def _room(self, ring: Ring, inlet: Inlet) -> int:
        """Return how many samples to wait for."""
        count = ring.count
        n = self._quantum - count % self._quantum
        if self._grid is not None:
            n = min(n, self._grid.after(count) - count)
        target = ring.next_target()
        if target is not None and target > count:
            n = min(n, target - count)
        if self._behind:
            # What is there already is taken at once: we are late, or more came at a time than was asked for.
            n = max(n, inlet.available)
        return min(n, ring.max_window - self._held.n)

    def _stamp(
        self, stream: Stream, inlet: Inlet, raw: Times, times: Times, now: float, *, last: bool = False
    ) -> int:
        """Fill in the times of the samples about to be committed, mark what their stamps show; return how many."""
        first = stream.samples.count
        unstamped = give_stamps(raw, (now - inlet.offset) * self._opening.scale)
        if len(unstamped):
            self._mark(stream, MarkKind.UNSTAMPED, int(unstamped[0]), len(unstamped), time=now)
        sent = self._opening.seconds(raw)
        if not last and self._judged and self._opening.doubts(self._stamps.newest, sent):
            return 0
        fresh, self._fresh = self._fresh, False
        if fresh:
            self._stamps.restart()
            self._shift(stream, inlet.offset, now)
            self._rejoins, self._began = first > 0, now
        events, decided = self._stamps(sent, times, last=last)
        if decided and self._began <= now:
            self.first_held, self._began = max(self.first_held, now - self._began), math.nan
        if self._rejoins and decided:
            self._rejoins = False
            last = stream.samples.view(first - 1, first)["times"][0]
            since = float(times[0] - last)
            missing = max(0, round(since / self._stamps.period) - 1)
            self.lost += missing
            self._mark(
                stream,
                MarkKind.RECONNECT,
                count=missing,
                value=since,
                time=float(times[0]),
                detail=self._came,
            )
        if self._stalled:
            self._stalled = False
            self._mark(stream, MarkKind.RESUMED, value=now - self._heard, time=now)
        for event in events:
            kind, count = event.kind, event.count
            if kind is MarkKind.GAP and event.value > now - self._heard + self._buffer_s:
                # Neither the time that passed here nor what liblsl keeps leaves room for a loss as long as that.
                kind, count = MarkKind.CLOCK_RESET, 0
            elif kind is MarkKind.GAP:
                self.lost += count
            elif kind is MarkKind.DUPLICATE:
                self.duplicates += count
            if kind is MarkKind.CLOCK_RESET and not self._opening.open:
                self._opening.restart()
            detail = f"{event.since:.1f} s before" if event.since else ""
            time = float(times[event.index])
            self._mark(stream, kind, event.index, count, event.value, time=time, detail=detail)
        return decided

    def _judge_time(self, stream: Stream, inlet: Inlet, raw: Times, now: float) -> None:
        """Compare the first seconds of a connection with the session clock."""
        scale = self._opening.scale
        try:
            words = self._opening.add(raw, now, inlet.offset)
        except StreamTimeError as error:
            self._mark(stream, MarkKind.REFUSED, time=now, detail=str(error))
            raise
        if self._opening.scale != scale:
            # The stamps so far were read in another unit: from here on their line is another.
            self._stamps.restart()
            self._shift(stream, inlet.offset, now)
        if words:
            log.warning("stream %s: %s", self.info.source_id, words)

    def _shift(self, stream: Stream, offset: float, now: float) -> None:
        for event in self._stamps.shift(offset):
            self._mark(stream, event.kind, value=event.value, time=now)

    def _look(self, stream: Stream, inlet: Inlet, now: float) -> None:
        if now - self._looked >= LOOK_EVERY_S:
            self._looked = now
            self._look_around(stream, inlet, now)

    def _look_around(self, stream: Stream, inlet: Inlet, now: float) -> None:
        """Compare clocks again, and see who else claims to be our source."""
        if not self._fresh:
            self._shift(stream, inlet.compare_clocks(), now)
        seen = self._connector.look()
        known = self._connector.gone | {self.info.uid}
        rivals = {uid: info for uid, info in seen.items() if uid not in known}
        self.doubles = len(rivals)
        for uid, info in rivals.items():
            if uid not in self._doubles:
                self._doubles.add(uid)
                self._mark(stream, MarkKind.DOUBLE, time=now, detail=info.place)
        if self._stalled and rivals and self.info.uid not in seen:
            # Its computer hangs or lost its power without closing the outlet, and the stream was started again.
            self._lose(stream, now, "silent, and replaced")

    def _lose(self, stream: Stream, now: float, detail: str = "") -> None:
        self._inlet = None
        self._mark(stream, MarkKind.LOST, time=now, detail=detail or self.info.place)

    def _find_again(self, stream: Stream) -> None:
        """Take one step towards a connection."""
        inlet = self._marking.again(self._connector, stream)
        if inlet is not None:
            self._came = changes(self.info, inlet.info)
            self._inlet, self.info, self._fresh, self._behind = inlet, inlet.info, True, True
            self._bind(stream.samples, inlet)
            self._opening.restart()
            self.doubles = 0
            self._connector.gone.discard(inlet.info.uid)
            log.info("stream %s: connected again: %s (%s)", self.info.source_id, self._came, self.info.place)
