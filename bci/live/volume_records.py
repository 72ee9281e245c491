"""VolumeRecords receives ``BOLD-meta`` beside ``BOLD-raw`` and marks each volume that is not ok."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from bci.errors import StreamError
from bci.io.lsl.irregular import IrregularSource
from bci.io.lsl.metadata import StreamInfo
from bci.io.volumes.gate import VolumeStatus
from bci.io.volumes.joining import JoinedVolume, VolumeJoin
from bci.live.slice_times import SliceTimes
from bci.memory.closing import Closing
from bci.memory.stream import Stream
from bci.signal.clock import Clock
from bci.signal.types import MarkKind

log = logging.getLogger("bci.volumes")

#: Seconds to look for the records of a run whose volumes are there.
_LOOK_S = 5.0

#: Seconds of records that are kept in this process.
_KEPT_S = 30.0

_NO_COUNTS = MappingProxyType({status.word: 0 for status in VolumeStatus} | {"untold": 0})


class VolumeRecords(Closing):
    """The records of the run that is received, joined with its volumes; a new run's are looked for when it comes.

    Parameters
    ----------
    clock : Clock
        The session clock.
    between : callable
        Called between waits of at most 0.1 s while connecting; may raise to give up.
    held : mapping of str to sequence of float, optional
        The slice times that decoders hold, by what holds them.

    Attributes
    ----------
    counts : dict of str to int
        Volumes by status, and those without a record in time: ``untold``.
    slices : SliceTimes
        Compares slice times.
    """

    def __init__(
        self,
        clock: Clock,
        between: Callable[[], None],
        held: Mapping[str, Sequence[float]] = MappingProxyType({}),
    ) -> None:
        self.slices = SliceTimes(held, log)
        self._clock, self._between = clock, between
        self._source: IrregularSource | None = None
        self._kept: Stream | None = None
        self._read = 0
        self._join: VolumeJoin | None = None
        self._uid = ""
        self._joined = 0
        self.counts: Counter[str] = Counter(_NO_COUNTS)

    def follow(self, info: StreamInfo, stream: Stream) -> None:
        """Connect to the records of a run, unless they are connected already; volumes go on without them."""
        if info.uid == self._uid:
            return
        if self._join is None:
            self._joined = stream.samples.count
            self._join = VolumeJoin(0.5 / (info.signal.rate * info.speed))
        else:
            self._settle(stream, self._join, math.inf)
            self._join.restart()
        self._uid = info.uid
        self.slices.begin(info.extra.get("slice_times", ""))
        self._disconnect()
        try:
            self._source = IrregularSource(
                info.extra["meta_source_id"], clock=self._clock, timeout=_LOOK_S, between=self._between
            )
        except StreamError as error:
            log.warning("how volumes come is not known: %s", error)
            return
        self._kept = Stream.private(self._source.signal, _KEPT_S)
        self._read = 0

    def mark(self, stream: Stream, *, last: bool = False) -> None:
        """Take what has come of both, and mark each volume that is not ok, or whose record is missing.

        At the `last` time no record is waited for any more: a volume that has none is untold.
        """
        join = self._join
        if join is None:
            return
        now, ring = self._clock.now(), stream.samples
        if self._source is not None and self._kept is not None:
            self._source.pull_into(self._kept, 0.0)
            kept = self._kept.samples
            if kept.count > self._read:
                rows = kept.read(self._read, kept.count)["samples"]
                join.records(rows)
                self.slices.take(rows)
                self._read = kept.count
        while self._joined < ring.count:
            end = min(ring.count, self._joined + ring.max_window)
            join.samples(self._joined, ring.read(self._joined, end)["raw"], now)
            self._joined = end
        self._settle(stream, join, math.inf if last else now)

    def close(self) -> None:
        """Disconnect."""
        self._disconnect()

    def _settle(self, stream: Stream, join: VolumeJoin, by: float) -> None:
        for joined in join.decided(by):
            self._note(stream, joined, self._clock.now())

    def _note(self, stream: Stream, joined: JoinedVolume, now: float) -> None:
        word = "untold" if joined.status is None else joined.status.word
        self.counts[word] += 1
        if joined.status is VolumeStatus.OK:
            return
        kind = MarkKind.UNTOLD if joined.status is None else MarkKind.VOLUME
        first = stream.samples.count if joined.count < 0 else joined.count
        place = joined.seq if joined.seq >= 0 else joined.index
        value = math.nan if joined.status is None else float(joined.status)
        stream.mark(
            kind, first, count=int(joined.count >= 0), time=now, value=value, detail=f"{word}: place {place}"
        )
        log.warning("volume %d: %s", place, word)

    def _disconnect(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None
        if self._kept is not None:
            self._kept.close()
            self._kept = None
