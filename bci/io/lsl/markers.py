"""Markers are events with a time, sent and received over Lab Streaming Layer as text or as numbers."""

import contextlib
import logging
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from bci.errors import StreamMismatch
from bci.io.lsl.address import Address
from bci.io.lsl.clock_offset import measured_offset
from bci.io.lsl.connection import differences
from bci.io.lsl.discovery import NO_ANSWER, WAIT, StreamWatch, double, find, no_answer, nothing, search
from bci.io.lsl.inlet import plain_offset
from bci.io.lsl.metadata import StreamInfo, read_info
from bci.io.lsl.offset import OFFSET_STEP
from bci.io.lsl.outlet import Outlet
from bci.memory.closing import Closing
from bci.memory.events import LONGEST_TEXT
from bci.memory.liblsl import pylsl
from bci.memory.ring import Ring
from bci.signal.clock import Clock
from bci.signal.types import EVENT_DTYPE, Event, MarkKind, Signal, code_of, event_record, number_text

log = logging.getLogger(__name__)


#: Markers that liblsl keeps until they are pulled, in hundreds.
_BUFFER = 360

#: How often, and for how long, it is looked who sends the markers now, seconds.
_LOOK_EVERY, _LOOK_FOR = 5.0, 1.0
_LOOK_SOON = 0.25


class MarkerOutlet(Outlet):
    """One marker stream on the network, visible until it is closed.

    Parameters
    ----------
    name, source_id : str
        Name of the stream, and of the device.
    kind : "string" or "int32"
        Whether the markers' texts are sent, or their codes.
    """

    def __init__(self, name: str, source_id: str, kind: Literal["string", "int32"] = "string") -> None:
        dtype = {"string": "str", "int32": "int32"}[kind]
        signal = Signal(name, 0.0, (1,), (), "", dtype)
        super().__init__(StreamInfo(signal, source_id, kind="Markers"), _BUFFER)
        self._text = dtype == "str"

    def push(self, marker: Event) -> None:
        """Send one marker, stamped with its `time` (session seconds, above 0)."""
        # LSL reads a stamp of 0 as "now".
        if not marker.time > 0:
            raise ValueError(f"a marker's time is a number of seconds above 0, got {marker.time}")
        self._outlet.push_sample([marker.text if self._text else marker.code], marker.time)


class MarkerNote(NamedTuple):
    """What is to be marked in the recording about the time of markers.

    ``MARKER_OFFSET``: the offset of the sender's clock that is in force from now on, as `value`. ``UNCERTAIN``: an
    event whose uncertainty, `value`, is above the limit. Both in seconds; `time` is the session's.
    """

    kind: MarkKind
    time: float
    value: float
    detail: str


class MarkerSource(Closing):
    """One marker stream, received; connected when constructed, a context manager.

    Unlike samples, markers have no rate by which a missing one could be noticed, so nothing that has arrived
    may be dropped: this inlet recovers by itself, which keeps what it holds when the sender dies. Markers wait
    in it until the sender's clock is known. A sender that came back as another would stay silent for ever, so
    every few seconds it is looked who is there.

    Parameters
    ----------
    address : Address or str
        What it must say of itself; a text is its source id.
    clock : Clock
        The session clock.
    timeout : float
        Seconds to look for it, by the session clock.
    between : callable
        Called between waits of at most 0.1 s while connecting; may raise to give up.
    uncertainty_limit : float
        Seconds: markers whose time may be wrong by more are noted and counted.

    Attributes
    ----------
    info : StreamInfo
        What the stream says of itself.
    uncertainty : float
        The most that the comparison of clocks in force may be wrong by, seconds; 0 for a sender on the same clock.
    uncertain : int
        Markers whose uncertainty was above the limit.
    received, cut : int
        Markers received; those whose text did not fit into a ring's record.

    Raises
    ------
    StreamNotFound, DuplicateStream
        If no such stream answers in time, or more than one.
    StreamMismatch
        If it is a signal: numbers at a fixed rate.
    """

    def __init__(
        self,
        address: Address | str,
        clock: Clock,
        *,
        timeout: float = 5.0,
        between: Callable[[], None] = nothing,
        uncertainty_limit: float = math.inf,
    ) -> None:
        deadline = clock.now() + timeout
        self._address = Address.of(address)
        info = find(self._address, timeout, clock, between)
        self.info = read_info(info)
        refuse_signal(self.info)
        self.received = self.cut = self.uncertain = 0
        self.uncertainty = math.nan
        self._limit = uncertainty_limit
        self._offset, self._noted = 0.0, (math.nan, math.nan)
        self._notes: list[MarkerNote] = []
        self._clock = clock
        self._look_at = clock.now()
        self._watch: StreamWatch | None = None
        self._record = np.zeros(1, EVENT_DTYPE)
        self._left: list[Event] = []
        self._inlet: Any = self._open(info)
        for ask in (self._inlet.time_correction, self._inlet.open_stream):
            while True:
                try:
                    ask(WAIT)
                    break
                except NO_ANSWER:
                    between()
                    if clock.now() > deadline:
                        raise no_answer(self.info, timeout) from None

    def pull(self, timeout: float = 0.0) -> list[Event]:
        """Return the markers that have arrived, oldest first; wait at most `timeout` real seconds for the first.

        Raises
        ------
        StreamMismatch
            If the sender came back with another format.
        """
        if self._clock.now() >= self._look_at:
            self._look_around()
        markers, self._left = self._left, []
        while known := self._know_offset():
            values, stamp = self._inlet.pull_sample(0.0 if markers else timeout)
            if stamp is None:
                break
            markers.append(self._read(values, stamp))
        if not known:
            # Its sender may be gone: it is looked for sooner, for what a new one sends is lost until it is found.
            self._look_at = min(self._look_at, self._clock.now() + _LOOK_SOON)
        self.received += len(markers)
        for marker in markers:
            if marker.uncertainty > self._limit:
                self.uncertain += 1
                what = f"±{1e3 * marker.uncertainty:.2f} ms: {marker.text}"
                self._notes.append(MarkerNote(MarkKind.UNCERTAIN, marker.time, marker.uncertainty, what))
        return markers

    def take_notes(self) -> list[MarkerNote]:
        """Return what is to be marked since the last time."""
        notes, self._notes = self._notes, []
        return notes

    def pull_into(self, ring: Ring) -> int:
        """Write the markers that have arrived into a ring of `event_columns`; return how many."""
        markers = self.pull()
        for marker in markers:
            self._record[0] = event_record(marker)
            ring.write(event=self._record)
            if (length := int(self._record["length"][0])) > LONGEST_TEXT:
                self.cut += 1
                log.warning(
                    "marker stream %s: a text of %d bytes is cut to %d: %.40s…",
                    self.info.source_id,
                    length,
                    LONGEST_TEXT,
                    marker.text,
                )
        return len(markers)

    def _look_around(self) -> None:
        """Begin to look who sends, or see who does."""
        if self._watch is None:
            self._watch = StreamWatch(self._address)
            self._look_at = self._clock.now() + _LOOK_FOR
            return
        there = self._watch.look()
        self._watch.close()
        self._watch = None
        self._look_at = self._clock.now() + _LOOK_EVERY
        if len(there) > 1:
            log.warning("%s", double(self._address, list(there.values())))
        elif there and self.info.uid not in there:
            (info,) = there.values()
            if (info.signal.shape, info.signal.dtype) != (self.info.signal.shape, self.info.signal.dtype):
                raise StreamMismatch(
                    f"marker stream {info.source_id!r} came back as another ({info.place}): "
                    f"{'; '.join(differences(self.info.signal, info.signal))}. "
                    "Set the program that sends it as it was, or start a new session."
                )
            self.info = info
            how = self._connect_again() if not self._know_offset() else ""
            log.warning(
                "marker stream %s: its sender has been restarted (%s)%s", self._address, info.place, how
            )

    def _connect_again(self) -> str:
        """Open the new outlet where liblsl has not found it again: without a source id it never does."""
        outlets = [found for found in search(self._address) if found.uid() == self.info.uid]
        if not outlets:
            return "; it is looked for"
        with contextlib.suppress(*NO_ANSWER):
            while True:
                values, stamp = self._inlet.pull_sample(0.0)
                if stamp is None:
                    break
                self._left.append(self._read(values, stamp))
        self._inlet = self._open(outlets[0])
        self._inlet.open_stream(_LOOK_FOR)
        return "; what it sent before it was found again was not received"

    def _open(self, found: Any) -> Any:
        return pylsl.StreamInlet(found, max_buflen=_buffer(self.info.signal.rate), as_numpy=True)

    def _know_offset(self) -> bool:
        """Compare clocks; after a sender has come back this takes some tenths of a second."""
        try:
            measured = measured_offset(self._inlet)
        except NO_ANSWER:
            return False
        self._offset = plain_offset(measured.seconds, self.info.host)
        # On one clock nothing is corrected, so nothing of the correction can be wrong.
        self.uncertainty = measured.uncertainty if self._offset else 0.0
        self._note_offset()
        return True

    def _note_offset(self) -> None:
        """Note the comparison of clocks in force, when it has moved or became twice as uncertain, or half."""
        offset, uncertainty = self._noted
        steady = 0.5 * uncertainty <= self.uncertainty <= 2 * uncertainty
        if abs(self._offset - offset) <= OFFSET_STEP and steady:
            return
        self._noted = self._offset, self.uncertainty
        what = f"±{1e3 * self.uncertainty:.2f} ms: {self.info.source_id or self.info.signal.name}"
        self._notes.append(MarkerNote(MarkKind.MARKER_OFFSET, self._clock.now(), self._offset, what))

    def _read(self, values: Any, stamp: float) -> Event:
        if self.info.signal.dtype == "str":
            # Whatever bytes came are kept readable; a marker is not lost over its encoding.
            text = "\t".join(bytes(value).decode(errors="backslashreplace") for value in values)
        else:
            text = "\t".join(map(number_text, np.asarray(values, self.info.signal.dtype)))
        return Event(stamp + self._offset, text, code_of(text), stamp, uncertainty=self.uncertainty)

    def close(self) -> None:
        """Disconnect."""
        self._inlet = None
        self._watch = None


def _buffer(rate: float) -> int:
    """Return how much liblsl shall keep, in its own measure: hundreds of samples, or seconds where a rate is stated."""
    return max(1, int(min(_BUFFER, 100 * _BUFFER / rate))) if rate else _BUFFER


def refuse_signal(info: StreamInfo) -> None:
    """Refuse numbers at a fixed rate; text is markers whatever rate its sender states, for it can be no signal."""
    signal = info.signal
    if signal.dtype == "undefined" or (signal.rate and signal.dtype != "str"):
        what = f"{signal.dtype} at {signal.rate:g} Hz" if signal.rate else "values in a format not known here"
        raise StreamMismatch(
            f"stream {info.source_id or signal.name!r} carries {what}; markers are text, or numbers without a fixed "
            "rate. Name the stimulus program's stream as the marker stream."
        )
