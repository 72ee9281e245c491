"""A WindowCut cuts sliding windows, of which a late decoder gets the newest."""

from collections.abc import Sequence
from typing import NoReturn

from bci.decoder.cut import LiveRings
from bci.decoder.spec import WindowSpec
from bci.errors import ConfigError
from bci.memory.stream import Grid, Stream
from bci.signal.pipeline import Pipeline
from bci.signal.types import Event, Signal, Window
from bci.signal.windows import Windows


class SlidingWindows(Windows):
    """Sliding windows, live or offline; they end with the signal."""

    lost = 0

    def retrace(self, chunk: Window) -> None:
        """Take samples that a predecessor had used: its windows are neither given nor counted again."""
        for _ in self.push(chunk):
            pass
        self.windows = self.yielded = self.skipped = self._passed = 0

    def finish(self) -> None:
        """Do nothing: a window that was never complete was never there."""


class WindowCut:
    """Windows that end at output counts ``length + k * hop``; see `bci.decoder.cut.Cut`."""

    needs_markers = False
    offset = 0
    tail_s = 0.0

    def __init__(self, spec: WindowSpec, signal: Signal, pipeline: Pipeline) -> None:
        ratio = pipeline.ratio(signal)
        self.length, self.hop = spec.length, spec.hop
        self.grid = Grid(spec.length * ratio, spec.hop * ratio)
        self.held = (spec.length + spec.hop) * ratio

    def averaging(self, masked_limit: float) -> NoReturn:
        """Refuse: a sliding window belongs to no stimulus."""
        raise ConfigError(
            'repeats = "mean" averages epochs of the same stimulus: expected a bundle that decodes epochs, came one of '
            "sliding windows. Leave it out."
        )

    def live(self, stream: Stream, pipeline: Pipeline, rings: LiveRings) -> SlidingWindows:
        """Begin to cut a live stream: of the windows that came at once, the newest."""
        return SlidingWindows(
            stream.signal, pipeline, length=self.length, hop=self.hop, newest=True, copy=False
        )

    def recorded(
        self,
        signal: Signal,
        pipeline: Pipeline,
        events: Sequence[Event] = (),
        indices: Sequence[int] = (),
    ) -> SlidingWindows:
        """Begin to cut a recorded signal: every window of the grid, each valid until the next."""
        return SlidingWindows(signal, pipeline, length=self.length, hop=self.hop, copy=False)
