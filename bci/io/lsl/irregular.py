"""An IrregularSource receives one stream of numbers that come at no fixed rate: gaze, a joystick, markers as numbers.

Each sample has its own stamp, and nothing says how many there should be: none can be missed by a count, no silence is
too long, and no stamp is smoothed. A source that is lost is looked for again, as by an `LslSource`.
"""

import math
from collections.abc import Callable

from bci.io.lsl.address import Address
from bci.io.lsl.connection import Connector, changes
from bci.io.lsl.discovery import WAIT, nothing
from bci.io.lsl.inlet import Inlet
from bci.io.lsl.marking import Marking
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.stated import Stated
from bci.memory.closing import Closing
from bci.memory.stream import Stream
from bci.signal.clock import Clock
from bci.signal.types import MarkKind, Signal

#: How often the sender's clock is compared, seconds, and the least change that is written down.
_LOOK_EVERY_S, _OFFSET_STEP_S = 1.0, 50e-6


class IrregularSource(Closing):
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
        Seconds of samples that liblsl keeps until they are pulled, taken as a thousand a second.
    between : callable
        Called between waits of at most 0.1 s while connecting; may raise to give up.

    Attributes
    ----------
    info : StreamInfo
        What the stream says of itself.
    received, lost, duplicates, doubles : int
        Samples written; the others stay 0.
    newest : float
        When the newest sample was in our hands, session seconds; NaN before the first.
    marked : Counter of MarkKind
        Marks written, by kind.

    Raises
    ------
    StreamNotFound
        If no such stream answers within `timeout`.
    DuplicateStream
        If more than one has that address.
    StreamMismatch
        If it has a fixed rate, is text, or not what was expected.
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
        between: Callable[[], None] = nothing,
    ) -> None:
        self._clock = clock
        self._connector = Connector(Address.of(address), expect, buffer_s, clock, stated, regular=False)
        inlet = self._connector.connect(timeout, between)
        self._inlet: Inlet | None = inlet
        self.info: StreamInfo = inlet.info
        self._offset = math.nan
        self._looked = clock.now()
        self._lost_at = math.nan
        self._came = ""
        self.received = self.lost = self.duplicates = self.doubles = 0
        self.newest = math.nan
        self._marking = Marking(self.info.source_id, clock)
        self.marked = self._marking.marked

    @property
    def signal(self) -> Signal:
        """What the stream carries."""
        return self.info.signal

    @property
    def speed(self) -> float:
        """How many times faster than real time it plays."""
        return self.info.speed

    @property
    def data_age_limit(self) -> float:
        """Seconds without a sample after which it counts as silent: it never does."""
        return math.inf

    @property
    def mistimed(self) -> bool:
        """Whether its time cannot be used: without a rate nothing shows it."""
        return False

    @property
    def gone(self) -> bool:
        """Whether it is lost now, and looked for."""
        return self._inlet is None

    def pull_into(self, stream: Stream, timeout: float = WAIT, *, last: bool = False) -> int:
        """Receive what has come into the stream's ring; wait at most `timeout` real seconds for the first sample.

        Returns
        -------
        int
            Samples written.

        Raises
        ------
        StreamMismatch, DuplicateStream
            If the source came back as another, or twice; a REFUSED mark says so.
        """
        inlet = self._inlet
        if inlet is None:
            self._find_again(stream)
            return 0
        self._compare_clocks(stream, inlet)
        ring = stream.samples
        # What is there is taken at once, or one sample is waited for: a fuller chunk might never come.
        places = ring.claim(min(max(1, inlet.available), ring.max_window))
        n, lost = inlet.pull(places["samples"], places["raw"], timeout)
        now = self._clock.now()
        if n:
            places["times"][:n] = places["raw"][:n] + self._offset
            places["arrived"][:n] = now
            ring.commit(n)
            self.received += n
            self.newest = now
        if lost:
            self._connector.gone.add(self.info.uid)
            self._inlet, self._lost_at = None, now
            self._mark(stream, MarkKind.LOST, detail=self.info.place)
        return n

    def close(self) -> None:
        """Disconnect."""
        self._inlet = None
        self._connector.close()

    # -- its parts ---------------------------------------------------------------------------------------

    def _compare_clocks(self, stream: Stream, inlet: Inlet) -> None:
        now = self._clock.now()
        if math.isfinite(self._offset) and now - self._looked < _LOOK_EVERY_S:
            return
        self._looked = now
        offset = inlet.compare_clocks() if math.isfinite(self._offset) else inlet.offset
        # So written that the first one, which has no other to differ from, counts as a change.
        if not abs(offset - self._offset) <= _OFFSET_STEP_S:
            self._offset = offset
            self._mark(stream, MarkKind.CLOCK_OFFSET, value=offset)

    def _find_again(self, stream: Stream) -> None:
        """Take one step towards a connection."""
        inlet = self._marking.again(self._connector, stream)
        if inlet is None:
            return
        self._came = changes(self.info, inlet.info)
        self._inlet, self.info, self._offset = inlet, inlet.info, math.nan
        self._connector.gone.discard(inlet.info.uid)
        self._mark(stream, MarkKind.RECONNECT, value=self._clock.now() - self._lost_at, detail=self._came)

    def _mark(self, stream: Stream, kind: MarkKind, value: float = math.nan, detail: str = "") -> None:
        self._marking.write(stream, kind, value=value, time=self._clock.now(), detail=detail)
