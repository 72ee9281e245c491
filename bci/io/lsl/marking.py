"""A Marking writes the marks of one source into its stream, counts them, and says each kind at most once a second."""

import logging
import math
from collections import Counter

from bci.errors import DuplicateStream, StreamMismatch
from bci.io.lsl.connection import Connector
from bci.io.lsl.inlet import Inlet
from bci.memory.stream import Stream
from bci.signal.clock import Clock
from bci.signal.types import MarkKind

log = logging.getLogger(__name__)

#: One complaint of a kind is logged in so many seconds.
_SAY_EVERY_S = 1.0

_WORDS = {
    MarkKind.GAP: "{count} samples missing ({value:.4g} s)",
    MarkKind.CLOCK_RESET: "the sender's clock was set by {value:.6g} s",
    MarkKind.DUPLICATE: "{count} samples with the stamp of the one before",
    MarkKind.CLOCK_OFFSET: "the sender's clock is {value:.6f} s behind ours",
    MarkKind.UNSTAMPED: "{count} samples whose stamp is no number: stamped on arrival",
    MarkKind.STALLED: "silent for {value:.3g} s",
    MarkKind.RESUMED: "speaks again after {value:.3g} s",
    MarkKind.LOST: "the source is gone",
    MarkKind.RECONNECT: "continued after {value:.3g} s, {count} samples missing",
    MarkKind.DOUBLE: "a second source with the same id",
    MarkKind.REFUSED: "the source that came back is refused",
}


class Marking:
    """A Marking knows nothing at first.

    Parameters
    ----------
    source_id : str
        The stream's, for the log.
    clock : Clock
        The session clock.

    Attributes
    ----------
    marked : Counter of MarkKind
        Marks written, by kind.
    """

    def __init__(self, source_id: str, clock: Clock) -> None:
        self._source_id, self._clock = source_id, clock
        self.marked: Counter[MarkKind] = Counter()
        self._said: dict[MarkKind, float] = {}

    def write(
        self,
        stream: Stream,
        kind: MarkKind,
        index: int = 0,
        count: int = 0,
        value: float = math.nan,
        *,
        time: float,
        detail: str = "",
    ) -> None:
        """Write a mark before the sample `index` places from the end of the stream's ring."""
        first = stream.samples.count + index
        stream.mark(kind, first, count=count, time=time, value=value, detail=detail)
        self.marked[kind] += 1
        now = self._clock.now()
        if now - self._said.get(kind, -math.inf) < _SAY_EVERY_S:
            return
        self._said[kind] = now
        log.log(
            logging.INFO if kind is MarkKind.CLOCK_OFFSET else logging.WARNING,
            "stream %s, before sample %d: %s%s (%d such marks so far)",
            self._source_id,
            first,
            _WORDS[kind].format(count=count, value=value),
            f"; {detail}" if detail else "",
            self.marked[kind],
        )

    def again(self, connector: Connector, stream: Stream) -> Inlet | None:
        """Take one step towards a lost connection; None where it is not found yet.

        Raises
        ------
        StreamMismatch, DuplicateStream
            If the source came back as another, or twice; a REFUSED mark says so.
        """
        try:
            return connector.again()
        except (StreamMismatch, DuplicateStream) as error:
            self.write(stream, MarkKind.REFUSED, time=self._clock.now(), detail=str(error))
            raise
