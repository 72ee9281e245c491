"""A Cut is how a bundle cuts what its pipeline gives: one promise, kept live and offline by one object.

::

    WindowCut    windows on a fixed grid of sample counts; a late decoder gets the newest
    EpochCut     the samples around each wanted event; each ends as an epoch or as a counted loss

Whatever runs a decoder asks the bundle's cut, and never which kind it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from bci.decoder.marker_names import MarkerNames
from bci.memory.ring import Ring
from bci.memory.stream import Grid, Stream
from bci.signal.pipeline import Pipeline, RunningPipeline
from bci.signal.types import Event, Signal, Window


class LiveCutter(Protocol):
    """A cut at work on a live stream.

    Attributes
    ----------
    windows, yielded, skipped : int
        What was there to be decoded, was given out, and was not: ``windows = yielded + skipped``.
    """

    windows: int
    yielded: int
    skipped: int

    @property
    def pipeline(self) -> RunningPipeline:
        """The pipeline that samples go through first."""
        ...

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples; give what is to be decoded now."""
        ...

    def retrace(self, chunk: Window) -> None:
        """Take samples that a dead predecessor had used already, to know what it knew; give and count nothing."""
        ...

    def finish(self) -> None:
        """Count what can never be decoded: the signal has ended."""
        ...


class OfflineCutter(Protocol):
    """A cut at work on what was recorded."""

    @property
    def pipeline(self) -> RunningPipeline:
        """What the samples go through first."""
        ...

    @property
    def lost(self) -> int:
        """Events that no window could be cut around."""
        ...

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples; give every window that they complete."""
        ...

    def finish(self) -> None:
        """Count what can never be cut: the recording has ended."""
        ...


@dataclass(frozen=True, slots=True)
class LiveRings:
    """A LiveRings holds the rings of a live cutter beside the samples, and the place of a predecessor's end.

    Attributes
    ----------
    marks : Ring
        Takes what was cut, and what was lost.
    events : Ring or None
        Events to cut around; not None where the cut needs markers.
    shown : Ring or None
        What the display showed: the trials of its flips. None where there is no experiment.
    since : float
        Time of the first sample that is new to this cutter, session seconds; earlier events were the predecessor's.
    handled : int
        How many of those the predecessor had dealt with.
    names : MarkerNames or None
        Which events are wanted, where the session calls them otherwise than the bundle.
    """

    marks: Ring
    events: Ring | None = None
    shown: Ring | None = None
    since: float = float("-inf")
    handled: int = 0
    names: MarkerNames | None = None


class Cut(Protocol):
    """A Cut is one way of cutting windows.

    Attributes
    ----------
    length, hop : int
        Samples of the pipeline's output in one window, and between two of them; where windows hang on events, `hop`
        is the length.
    grid : Grid
        Source counts at which it is worth looking for a window.
    needs_markers : bool
        Whether every window belongs to an event of a marker stream.
    offset : int
        Output samples from an event's own to the first of its window; 0 without events.
    tail_s : float
        Seconds after an event until the last sample of its window is there; 0 without events.
    held : int
        Source samples that a live cutter reads in one piece, which a ring must hold; 0 where it keeps its own.
    """

    length: int
    hop: int
    grid: Grid
    needs_markers: bool
    offset: int
    tail_s: float
    held: int

    def averaging(self, masked_limit: float) -> Self:
        """Return the same cut that gives running means over repeats of a stimulus (`bci.signal.repeats.RepeatMeans`).

        Raises
        ------
        ConfigError
            If its windows belong to no stimulus.
        """
        ...

    def live(self, stream: Stream, pipeline: Pipeline, rings: LiveRings) -> LiveCutter:
        """Begin to cut a live stream that goes through `pipeline` first."""
        ...

    def recorded(
        self,
        signal: Signal,
        pipeline: Pipeline,
        events: Sequence[Event] = (),
        indices: Sequence[int] = (),
    ) -> OfflineCutter:
        """Begin to cut a recorded signal.

        Parameters
        ----------
        signal : Signal
            What was recorded.
        pipeline : Pipeline
            What it goes through first.
        events : sequence of Event
            What to cut around; not used where windows slide.
        indices : sequence of int
            For the first so many events, the output count of the sample that the event was put on live; the others
            are put on the sample nearest in time.
        """
        ...
