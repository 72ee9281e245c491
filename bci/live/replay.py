"""A Player publishes a recording as live LSL streams: its samples, and its markers beside them.

Stamps are the due times on the session clock, exact, and at N times the speed N times closer; the stream's
description carries the speed, its nominal rate stays the recording's. LSL has no back-pressure: what a
consumer does not fetch in time is dropped without a word. So a speed that a consumer of unknown habits may not
survive is played only to one of ours on the same host, whose ring shows how far it is.
"""

import itertools
import logging
import math
import time
from collections.abc import Callable
from typing import Literal

from bci.errors import ConfigError
from bci.io.files.recording import Recording
from bci.io.lsl.markers import MarkerOutlet
from bci.io.lsl.outlet import LslOutlet
from bci.live.timetable import Block, Timetable
from bci.memory.closing import Closing
from bci.memory.ring import Ring
from bci.signal.clock import Clock
from bci.signal.types import Event

#: Seconds of samples that a consumer's end of LSL keeps unless told otherwise, counted at the nominal rate.
INLET_BUFFER_S = 360.0
#: So long, in real seconds, a consumer may stop fetching without losing a sample.
STALL_S = 5.0
#: What `max` plays at when nothing holds it back; the stamps need one figure.
TOP_SPEED = 100.0
#: A block pushed so many seconds after it was due counts as late.
LATE = 0.02

_MEASURE_S = 0.1
_SLICE = 0.05
_HOLD = 0.001
_LINGER = 1.0
#: A consumer of ours that has taken nothing for so long has lost what was under way.
_GIVE_UP = 5.0

log = logging.getLogger("bci.replay")


def _go_on() -> bool:
    return True


class Player(Closing):
    """One recording on the air, visible on the network from the start until it is closed.

    Markers go out as strings on a second stream, ``<source_id>-markers``; a recording without any has it too.

    Parameters
    ----------
    recording : Recording
        What to play.
    clock : Clock
        The session clock; turned by hand, the recording plays as fast as it is turned.
    source_id : str
        Name of the stream on the network.
    speed : float or "max"
        How many times faster than real time. Beyond `safe_speed`, and for ``"max"``, `ring` is needed.
    loop : bool
        Begin again at the end. Counts go on; the stamps jump by one second of the recording at the seam, which
        every consumer sees as a gap, so no window spans it.
    start, stop : float
        Seconds of the recording to begin and end at.
    ring : str, optional
        Name of the consumer's sample ring in shared memory. Beyond `safe_speed` the player never runs ahead of
        it by more than half of that ring, or half of the buffer of the outlet. It need not exist before `play`.
    consumed : callable, optional
        Where the slowest reader of that ring is, as a count; the player then follows this too.
    longest_gap : float, optional
        Gaps between the recording's segments are shortened to this, in seconds of the recording.

    Attributes
    ----------
    speed : float
        The figure behind the stamps.
    expected : int or None
        Samples to be sent in all; None when that never ends.
    sent, markers_sent : int
        Samples and markers pushed so far.
    late : int
        Samples pushed more than `LATE` after they were due.
    latest : float
        By how much the latest of them was, seconds.
    held : float
        Seconds that the player waited for its consumer.
    given_up : int
        Samples that the consumer of `ring` never took.

    Raises
    ------
    ConfigError
        If the speed is refused, or nothing lies between `start` and `stop`.
    """

    def __init__(
        self,
        recording: Recording,
        clock: Clock,
        *,
        source_id: str,
        speed: float | Literal["max"] = 1.0,
        loop: bool = False,
        start: float = 0.0,
        stop: float | None = None,
        ring: str | None = None,
        consumed: Callable[[], int] | None = None,
        longest_gap: float | None = None,
    ) -> None:
        self.speed, self._follows = _settle_speed(recording, speed, ring)
        self.timetable = Timetable(
            recording, self.speed, start=start, stop=stop, loop=loop, longest_gap=longest_gap
        )
        self.recording = recording
        self.signal = recording.signal
        self.source_id = source_id
        self.marker_source_id = f"{source_id}-markers"
        self.expected = self.timetable.samples
        self.sent = self.markers_sent = self.late = self.given_up = 0
        self.latest = self.held = 0.0
        self._clock = clock
        self._ring_name = ring
        self._ring: Ring | None = None
        self._ring_base = 0
        self._consumed = consumed
        facts = {"recording": recording.name, "simulated": str(recording.simulated).lower()}
        kind = "fMRI" if len(self.signal.shape) == 3 else "EEG"
        self._outlet = LslOutlet(
            self.signal, source_id, kind=kind, speed=self.speed, exact_stamps=True, extra=facts
        )
        self._markers = MarkerOutlet(f"{self.signal.name}-markers", self.marker_source_id)

    # -- before ------------------------------------------------------------------------------------------

    def wait_for_consumers(
        self, timeout: float, tick: Callable[[], bool] = _go_on, *, markers: bool = False
    ) -> bool:
        """Wait until a consumer receives the samples, so that sample 0 is received.

        Parameters
        ----------
        timeout : float
            Seconds, by the session clock.
        tick : callable
            Called at least every 0.1 s; False ends the wait.
        markers : bool
            Wait for a consumer of the markers as well.

        Returns
        -------
        bool
            Whether everybody waited for is there.
        """
        outlets: list[LslOutlet | MarkerOutlet] = [self._outlet, *([self._markers] if markers else [])]
        what = " and one of its markers" if markers else ""
        log.info("waiting at most %g s for a consumer of %r%s", timeout, self.source_id, what)
        deadline = self._clock.now() + timeout
        for outlet in outlets:
            while not outlet.wait_for_consumers(max(0.0, min(_SLICE, deadline - self._clock.now()))):
                if not tick() or self._clock.now() >= deadline:
                    return False
        return True

    # -- playing -----------------------------------------------------------------------------------------

    def play(self, tick: Callable[[], bool] = _go_on) -> bool:
        """Play to the end, and stay until what was sent has arrived.

        Parameters
        ----------
        tick : callable
            Called at least every 0.1 s; False ends the playing.

        Returns
        -------
        bool
            Whether the end was reached.

        Raises
        ------
        RingError
            If there is no ring of the name given.
        RecordingError
            If the file turns out to be unreadable.
        """
        if self._ring_name is not None:
            self._ring = Ring.attach(self._ring_name)
            self._ring_base = self._ring.count
        for sample, seconds in self.timetable.gaps():
            log.info("before sample %d the recording has a gap: nothing is sent for %.1f s", sample, seconds)
        events = self.timetable.events()
        # Read the first piece before the clock runs.
        events = itertools.chain([next(events)], events)
        zero = self._clock.now()
        shift = 0.0  # what waiting for the consumer has cost; the stamps stay exact
        for item in events:
            if not self._sleep(zero + shift + item.when, tick):
                return False
            if isinstance(item, Block):
                n = len(item.samples)
                waited = self._wait_for_room(n, tick)
                if waited is None:
                    return False
                shift += waited
                behind = self._clock.now() - (zero + shift + item.when)
                self._outlet.push(item.samples, zero + item.due)
                self.sent += n
                self.latest = max(self.latest, behind)
                self.late += n if behind > LATE else 0
            else:
                stamp = zero + item.when
                self._markers.push(Event(stamp, item.event.text, item.event.code, stamp))
                self.markers_sent += 1
        return self._drain(tick)

    def _sleep(self, when: float, tick: Callable[[], bool]) -> bool:
        """Sleep until `when`, ticking; False when told to stop."""
        while True:
            if not tick():
                return False
            now = self._clock.now()
            if now >= when:
                return True
            self._clock.sleep_until(min(when, now + _SLICE))

    def _taken_by_consumer(self) -> int:
        """Return how many of the samples sent our consumer has taken, or never will."""
        assert self._ring is not None
        count = self._ring.count
        if self._consumed is not None:
            count = min(count, self._consumed())
        return count - self._ring_base + self.given_up

    def _wait_for_room(self, n: int, tick: Callable[[], bool]) -> float | None:
        """Wait until `n` more samples may be under way; return how long that took, None when told to stop."""
        if not self._follows or self._ring is None:
            return 0.0
        room = max(n, min(self._ring.capacity, self._outlet.buffered) // 2)
        taken = self._taken_by_consumer()
        began = since = self._clock.now()
        while self.sent + n - taken > room:
            if self._ring.finished or not tick():
                return None
            now = self._clock.now()
            if now - since >= _GIVE_UP:
                lost = self.sent - taken
                self.given_up += lost
                log.error("the consumer has taken nothing for %g s: %d samples are given up", _GIVE_UP, lost)
                break
            self._clock.sleep_until(now + _HOLD)
            newest = self._taken_by_consumer()
            if newest != taken:
                taken, since = newest, self._clock.now()
        waited = self._clock.now() - began
        self.held += waited
        return waited

    def _drain(self, tick: Callable[[], bool]) -> bool:
        """Keep the stream open until what was sent has arrived in the ring, and a second for others."""
        deadline = self._clock.now() + _GIVE_UP
        while self._ring is not None and not self._ring.finished:
            now = self._clock.now()
            # Not `_taken_by_consumer`: a decoder never reads the last samples, which fill no window.
            if self._ring.count - self._ring_base + self.given_up >= self.sent:
                break
            if now >= deadline or not tick():
                break
            self._clock.sleep_until(now + _HOLD)
        if self._ring is not None:
            return True  # our consumer has it all, and its session says when the streams may go
        if not self._outlet.has_consumers and not self._markers.has_consumers:
            return True
        self._sleep(self._clock.now() + _LINGER, tick)
        return True

    # -- after -------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Take both streams from the network."""
        self._outlet.close()
        self._markers.close()
        if self._ring is not None:
            self._ring.close()
            self._ring = None


def safe_speed(recording: Recording) -> float:
    """Return the highest speed at which a consumer of unknown habits loses nothing.

    A consumer that stops fetching for `STALL_S` seconds must still find everything in its own buffer of
    `INLET_BUFFER_S` seconds at the nominal rate: at N times the speed that buffer lasts N times less. It is also
    bounded by half the speed at which this host reads the recording, measured here for a tenth of a second.
    """
    return _round_down(min(INLET_BUFFER_S / STALL_S, _reading_speed(recording)))


def _reading_speed(recording: Recording) -> float:
    """Return half the speed, in times real time, at which this host reads the recording."""
    rate = recording.signal.rate
    size = max(1, int(rate))
    first, last = recording.segments[0]
    at, read, took = first, 0, 0.0
    # The first reading also loads what the reader needs; that happens before the clock runs.
    recording.read(first, min(first + size, last))
    began = time.perf_counter()
    while took < _MEASURE_S:
        end = min(at + size, last)
        recording.read(at, end)
        read += end - at
        at = end if end < last else first
        took = time.perf_counter() - began
    return read / took / rate / 2


def _round_down(speed: float) -> float:
    """Keep two leading digits.

    >>> _round_down(71.9), _round_down(1234.0), _round_down(3.19)
    (71.0, 1200.0, 3.1)
    """
    unit = 10.0 ** (math.floor(math.log10(speed)) - 1)
    return math.floor(speed / unit * (1 + 1e-12)) * unit


def _settle_speed(
    recording: Recording, speed: float | Literal["max"], ring: str | None
) -> tuple[float, bool]:
    """Return (figure for the stamps, whether the player must follow the ring)."""
    if speed == "max":
        if ring is not None:
            return _round_down(min(TOP_SPEED, _reading_speed(recording))), True
    elif not (isinstance(speed, int | float) and math.isfinite(speed) and speed > 0):
        raise ConfigError(f"the speed is a number above 0, or 'max'; got {speed!r}")
    elif speed <= 1:  # real time and slower needs no measuring
        return float(speed), False
    safe = safe_speed(recording)
    if speed != "max" and (speed <= safe or ring is not None):
        return float(speed), speed > safe
    raise ConfigError(
        f"speed {speed} is refused: nothing tells whether the consumer keeps up, and LSL drops what it does not "
        f"fetch in time. The highest safe speed for {recording.name} on this machine is {safe:g}; more needs a "
        "consumer of ours on this host (a session with kind = 'replay' in its [source])."
    )
