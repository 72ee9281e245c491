"""A Cutter turns the chunks of a live stream into what the decoder takes: the newest window, or epochs."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from bci.decoder.bundle import Bundle
from bci.memory.marks import write_mark
from bci.memory.ring import Ring
from bci.memory.stream import Grid, Stream
from bci.signal.epochs import Epochs
from bci.signal.types import Marker, MarkKind, Window
from bci.signal.windows import Windows

#: Epochs end anywhere: a decoder that waits for them looks this often whether one is complete, seconds.
LOOK_EVERY = 0.01


class Cutter(Protocol):
    """What the decode program needs of it.

    Attributes
    ----------
    windows, yielded, skipped : int
        What was there to be decoded, was given out, and was not: ``windows = yielded + skipped``.
    grid : Grid
        Source counts worth waking up for.
    """

    windows: int
    yielded: int
    skipped: int
    grid: Grid

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples; give what is to be decoded now."""
        ...

    def finish(self) -> None:
        """Count what can never be decoded: the signal has ended."""
        ...


class NewestWindows(Windows):
    """Sliding windows, of which a late decoder gets the newest."""

    def __init__(self, stream: Stream, bundle: Bundle) -> None:
        super().__init__(
            stream.signal,
            bundle.adapt(stream.signal),
            length=bundle.length,
            hop=bundle.hop,
            newest=True,
            copy=False,
        )
        self.grid = Grid(self.source_start, self.source_step)

    def finish(self) -> None:
        """Do nothing: a window that was never complete was never there."""


class MarkedEpochs:
    """Epochs around the markers of a ring; where each was cut, and each that was lost, becomes a mark.

    An EPOCH mark holds the output count of the sample that the marker was put on (``first``), its times (``time``
    corrected, ``value`` as sent) and its text; reproduction cuts there again.

    Parameters
    ----------
    stream : Stream
        What is cut.
    bundle : Bundle
        Says how; its `epochs` are not None.
    markers, marks : Ring
        What it is cut around; where it is said how.
    since : float
        For a successor: the time of its first sample, session seconds. Markers from before it belonged to the
        predecessor.
    handled : int
        How many of those the predecessor had dealt with; the others are lost with it.
    """

    def __init__(
        self,
        stream: Stream,
        bundle: Bundle,
        markers: Ring,
        marks: Ring,
        since: float = float("-inf"),
        handled: int = 0,
    ) -> None:
        spec = bundle.epochs
        assert spec is not None
        pipeline = bundle.adapt(stream.signal)
        self._epochs = Epochs(stream.signal, pipeline, start=spec.start, stop=spec.stop)
        self._wanted = re.compile(spec.markers)
        self._markers, self._marks = markers, marks
        self._since, self._handled = since, handled
        self._read = self._told = self._passed = 0
        self.grid = Grid(1, max(1, round(LOOK_EVERY * stream.signal.rate)))
        self.windows = self.yielded = self.skipped = 0

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples, and the markers that have come."""
        for epoch in self._epochs.push(chunk, self._new_markers()):
            self._tell_lost()
            self._mark(MarkKind.EPOCH, epoch.index, epoch.marker)
            self.yielded += 1
            passed, self._passed = self._passed, 0
            yield replace(epoch.window, skipped=passed)
        self._tell_lost()
        self.windows = self.yielded + self.skipped

    def _new_markers(self) -> list[Marker]:
        """Return the markers that have come and are wanted."""
        end = self._markers.count
        if end == self._read:
            return []
        first = max(self._read, self._markers.oldest)
        self._read = end
        records = self._markers.read(first, end)["marker"]
        wanted = [marker for marker in map(_marker, records) if self._wanted.fullmatch(marker.text)]
        for marker in wanted:
            if marker.time < self._since:
                self._handled -= 1
                if self._handled < 0:
                    self._lose(marker, "restart")
        return [marker for marker in wanted if marker.time >= self._since]

    def _tell_lost(self) -> None:
        for lost in self._epochs.lost[self._told :]:
            self._lose(lost.marker, lost.reason)
            self._told += 1

    def _lose(self, marker: Marker, reason: str) -> None:
        self._mark(MarkKind.EPOCH_LOST, -1, marker, f"{reason}: ")
        self.skipped += 1
        self._passed += 1

    def finish(self) -> None:
        """Count the markers whose epoch the signal did not last for."""
        self._epochs.finish()
        self._tell_lost()
        self.windows = self.yielded + self.skipped

    def _mark(self, kind: MarkKind, index: int, marker: Marker, why: str = "") -> None:
        write_mark(self._marks, kind, index, time=marker.time, value=marker.raw, detail=f"{why}{marker.text}")


def _marker(record: Any) -> Marker:
    text = bytes(record["text"]).decode(errors="replace")
    return Marker(float(record["time"]), text, int(record["code"]), float(record["raw"]))
