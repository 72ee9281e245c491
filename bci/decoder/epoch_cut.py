"""An EpochCut cuts the samples around events; each wanted event ends as an epoch or as a counted loss."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Self

import numpy as np

from bci.decoder.cut import LiveRings
from bci.decoder.pattern import MarkerPattern
from bci.decoder.spec import EpochSpec
from bci.memory.marks import read_marks, write_mark
from bci.memory.stream import Grid, Stream
from bci.memory.trial_lookup import TrialLookup
from bci.signal.epochs import Epoch, Epochs
from bci.signal.pipeline import Pipeline, RunningPipeline
from bci.signal.repeats import RepeatMeans
from bci.signal.types import Event, MarkKind, Signal, Window, event_of

#: Epochs end anywhere: a decoder that waits for them looks this often whether one is complete, seconds.
LOOK_EVERY = 0.01


class EpochCut:
    """Epochs around every event whose text matches; see `bci.decoder.cut.Cut`."""

    needs_markers = True
    held = 0  # samples are taken out of the ring as they come

    def __init__(
        self, spec: EpochSpec, signal: Signal, pipeline: Pipeline, *, averages: float | None = None
    ) -> None:
        self._made_of, self._averages = (spec, signal, pipeline), averages
        self._spec = spec
        rate = pipeline.output(signal).rate
        self.length = self.hop = spec.samples(rate)
        self.offset = round(spec.start * rate)
        self.grid = Grid(1, max(1, round(LOOK_EVERY * signal.rate)))
        self.tail_s = max(0.0, spec.stop)

    def averaging(self, masked_limit: float) -> Self:
        """Return the same cut that gives running means over repeats of a stimulus."""
        return type(self)(*self._made_of, averages=masked_limit)

    def _means(self) -> RepeatMeans | None:
        return None if self._averages is None else RepeatMeans(self._averages)

    def live(self, stream: Stream, pipeline: Pipeline, rings: LiveRings) -> "MarkedEpochs":
        """Begin to cut a live stream around the events of a ring."""
        return MarkedEpochs(self._spec, stream.signal, pipeline, rings, self._means())

    def recorded(
        self,
        signal: Signal,
        pipeline: Pipeline,
        events: Sequence[Event] = (),
        indices: Sequence[int] = (),
    ) -> "RecordedEpochs":
        """Begin to cut a recorded signal around events that are all known."""
        return RecordedEpochs(self._spec, signal, pipeline, events, indices, self._means())


class MarkedEpochs:
    """Epochs around the events of a ring; where each was cut, and each that was lost, becomes a mark.

    An EPOCH mark holds the output count of the sample that the event was put on (``first``), its times (``time``
    corrected, ``value`` as sent) and its text; reproduction cuts there again.

    Parameters
    ----------
    spec : EpochSpec
        Which samples, around which events.
    signal : Signal
        What is cut.
    pipeline : Pipeline
        What it goes through first.
    rings : LiveRings
        Events, marks, and what the display showed.
    means : RepeatMeans, optional
        Averages repeats of a stimulus.

    Attributes
    ----------
    seen : int
        How far it has read the ring of events.
    newest : float
        Time of the newest wanted event among them.
    until : float
        Session time from which events are another's: while one takes the place of another (`wait`, `take_over`,
        `replace`) both share the rings, and each event is of one of them.
    """

    def __init__(
        self,
        spec: EpochSpec,
        signal: Signal,
        pipeline: Pipeline,
        rings: LiveRings,
        means: RepeatMeans | None = None,
    ) -> None:
        assert rings.events is not None
        self._means = means
        self._epochs = Epochs(signal, pipeline, start=spec.start, stop=spec.stop)
        self._wanted = rings.names or MarkerPattern(spec.markers)
        self._events, self._marks = rings.events, rings.marks
        self._trial_of = TrialLookup(rings.shown) if rings.shown is not None else None
        self._since, self._handled = rings.since, rings.handled
        #: Times of the events that a predecessor marked as cut or lost, where its samples are run again.
        self._dealt_with: Counter[tuple[float, float]] | None = None
        self.seen = self._reported = self._passed = 0
        # Which events are its own where two share a ring: from one session time on, to before another.
        self._from, self.until = -math.inf, math.inf
        self._waits, self._alone, self.newest = False, True, -math.inf
        self.windows = self.yielded = self.skipped = 0

    @property
    def pipeline(self) -> RunningPipeline:
        """The pipeline that samples go through first."""
        return self._epochs.pipeline

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples, and the events that have come."""
        for epoch in self._epochs.push(chunk, self._new_events()):
            self._report_lost()
            if not self._was_dealt_with(epoch.event):
                self._mark(MarkKind.EPOCH, epoch.index, epoch.event)
            self.yielded += 1
            passed, self._passed = self._passed, 0
            yield replace(self._mean(epoch), skipped=passed)
        self._report_lost()
        self.windows = self.yielded + self.skipped

    def retrace(self, chunk: Window) -> None:
        """Take samples that a predecessor had used; its epochs are not given again, its marks not written again."""
        if self._dealt_with is None:
            marks, _ = read_marks(self._marks, 0)
            cut = marks[np.isin(marks["kind"], (MarkKind.EPOCH, MarkKind.EPOCH_LOST))]
            self._dealt_with = Counter(zip(cut["time"].tolist(), cut["value"].tolist(), strict=True))
        for epoch in self._epochs.push(chunk, self._new_events()):
            self._was_dealt_with(epoch.event)
            self._mean(epoch)
        self._report_lost()
        self.windows = self.yielded + self.skipped

    def _mean(self, epoch: Epoch) -> Window:
        return epoch.window if self._means is None else self._means(epoch.window, self._epochs.segment)

    def wait(self) -> None:
        """Look at no event until `take_over` says which are its own; samples go through the pipeline meanwhile."""
        self._waits, self._alone = True, False

    def take_over(self, other: "MarkedEpochs", time: float) -> None:
        """Divide the events: those before a session time are the other's, those from there on its own.

        The time is put off to behind the newest event that the other one has seen.
        """
        time = max(time, math.nextafter(other.newest, math.inf))
        other.until = self._from = time
        self.seen, self._waits = other.seen, False

    def replace(self, other: "MarkedEpochs") -> None:
        """Be alone from now on: the other ends, and what still comes of its events is lost."""
        other.finish()
        for event in self._wanted_between(other.seen, self.seen):
            if event.time < self._from:
                self._lose(event, "late")
        self._alone = True

    def _new_events(self) -> list[Event]:
        """Return the events that have come, are wanted, and are its own."""
        if self._waits:
            return []
        end = self._events.count
        wanted = self._wanted_between(self.seen, end)
        self.seen = end
        own = []
        for event in wanted:
            self.newest = max(self.newest, event.time)
            if event.time < self._since:
                self._handled -= 1
                if self._handled < 0:
                    self._lose(event, "restart")
            elif event.time < self._from:
                if self._alone:
                    self._lose(event, "late")
            elif event.time < self.until:
                own.append(event)
        return own

    def _wanted_between(self, first: int, end: int) -> list[Event]:
        """Return the wanted events of some counts of the ring, as far as it still holds them."""
        first = max(first, self._events.oldest)
        if first >= end:
            return []
        wanted = []
        for record in self._events.read(first, end)["event"]:
            event = event_of(record)
            if event is not None and self._wanted.matches(event.text):
                wanted.append(self._with_trial(event))
        return wanted

    def _with_trial(self, event: Event) -> Event:
        trial = self._trial_of(event.raw) if self._trial_of is not None else -1
        return event if trial < 0 else replace(event, trial=trial)

    def _report_lost(self) -> None:
        for lost in self._epochs.lost[self._reported :]:
            self._lose(lost.event, lost.reason)
            self._reported += 1

    def _was_dealt_with(self, event: Event) -> bool:
        """Whether a predecessor has marked an event; asked once of each."""
        key = event.time, event.raw
        if not self._dealt_with or not self._dealt_with[key]:
            return False
        self._dealt_with[key] -= 1
        return True

    def _lose(self, event: Event, reason: str) -> None:
        if self._was_dealt_with(event):
            return
        self._mark(MarkKind.EPOCH_LOST, -1, event, f"{reason}: ")
        self.skipped += 1
        self._passed += 1

    def finish(self) -> None:
        """Count the events whose epoch the signal did not last for."""
        self._epochs.finish()
        self._report_lost()
        self.windows = self.yielded + self.skipped

    def _mark(self, kind: MarkKind, index: int, event: Event, why: str = "") -> None:
        write_mark(
            self._marks,
            kind,
            index,
            time=event.time,
            value=event.raw,
            detail=f"{why}{event.text}",
        )


class RecordedEpochs:
    """Epochs around events that are all known, put on samples anew or where they were put live.

    Parameters
    ----------
    spec : EpochSpec
        Which samples.
    signal : Signal
        What was recorded.
    pipeline : Pipeline
        What it goes through first.
    events : sequence of Event
        What to cut around; all of them are wanted.
    indices : sequence of int
        Output counts of the samples that the first so many events were put on live.
    means : RepeatMeans, optional
        Averages repeats of a stimulus.
    """

    def __init__(
        self,
        spec: EpochSpec,
        signal: Signal,
        pipeline: Pipeline,
        events: Sequence[Event],
        indices: Sequence[int],
        means: RepeatMeans | None = None,
    ) -> None:
        self._means = means
        self._epochs = Epochs(signal, pipeline, start=spec.start, stop=spec.stop)
        self._events, self._indices = list(events), list(indices)

    @property
    def pipeline(self) -> RunningPipeline:
        """What the samples go through first."""
        return self._epochs.pipeline

    @property
    def lost(self) -> int:
        """Events that no epoch could be cut around."""
        return len(self._epochs.lost)

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples; give the epochs that they complete."""
        events, self._events = self._events, []
        for epoch in self._epochs.push(chunk, events, self._indices if events else ()):
            yield epoch.window if self._means is None else self._means(epoch.window, self._epochs.segment)

    def finish(self) -> None:
        """Count the events whose epoch the recording did not last for."""
        self._epochs.finish()
