"""Sides writes what a pipeline's steps say beside the samples into streams of their own."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bci.memory.marks import write_mark
from bci.memory.program import Program
from bci.memory.stream import Stream
from bci.signal.clock import Clock
from bci.signal.pipeline import RunningPipeline
from bci.signal.types import MarkKind, Window


class Sides:
    """The side outputs of one running pipeline on their way into shared memory.

    Each is a stream of role ``side-NAME`` and has the times of the samples it speaks of. A decoder that took over from
    another one says nothing twice; what was never said, because samples were overwritten first, is marked as a gap.

    Parameters
    ----------
    program : Program
        Opens the streams.
    pipeline : RunningPipeline
        The one that runs.
    hear : callable
        Called with the rows that are said for the first time.
    """

    def __init__(self, program: Program, pipeline: RunningPipeline, hear: Callable[[Window], None]) -> None:
        self._clock: Clock = program.clock
        self._pipeline, self._hear = pipeline, hear
        self._streams = [program.stream(side_role(signal.name)) for signal in pipeline.sides]
        #: Count that comes next of each, in the pipeline's counting.
        self._next = [stream.samples.count for stream in self._streams]

    def write(self, chunk: Window) -> None:
        """Write what was said beside `chunk`, the one that the pipeline took last."""
        if not self._streams:
            return
        for place, window in enumerate(self._pipeline.take_sides(chunk)):
            stream, expected = self._streams[place], self._next[place]
            if window.first > expected:
                write_mark(
                    stream.marks,
                    MarkKind.GAP,
                    stream.samples.count,
                    count=window.first - expected,
                    time=self._clock.now(),
                    detail="samples that the decoder never saw",
                )
            known = max(0, expected - window.first)
            if known < len(window.samples):
                self._put(stream, window, known)
                self._hear(newest(window, known))
                self._next[place] = window.first + len(window.samples)

    def _put(self, stream: Stream, window: Window, known: int) -> None:
        now = self._clock.now()
        longest = stream.samples.max_window
        for begin in range(known, len(window.samples), longest):
            part = slice(begin, min(begin + longest, len(window.samples)))
            times = window.times[part]
            stream.samples.write(
                samples=window.samples[part], times=times, raw=times, arrived=np.full(len(times), now)
            )

    def finish(self) -> None:
        """Say that nothing more comes."""
        for stream in self._streams:
            stream.samples.finish()


def newest(window: Window, known: int) -> Window:
    """Return a window without its first rows."""
    return replace(
        window,
        first=window.first + known,
        samples=window.samples[known:],
        times=window.times[known:],
        bad=window.bad[known:],
    )


def side_role(name: str) -> str:
    """Return the role of a side output's stream inside the programs that open it.

    >>> side_role("dvars")
    'side-dvars'
    """
    return f"side-{name}"
