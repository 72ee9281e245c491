"""RecordedEpochs cuts the epochs of a recorded session again, at the samples at which they were cut live."""

import math
from collections.abc import Iterator, Sequence

from bci.decoder.bundle import Bundle
from bci.signal.epochs import Epochs
from bci.signal.pipeline import RunningPipeline
from bci.signal.types import Marker, Signal, Window


class RecordedEpochs:
    """The epochs that a session cut, cut again at the same samples.

    Parameters
    ----------
    signal : Signal
        What was recorded.
    bundle : Bundle
        The one that the session ran; its `epochs` are not None.
    indices : sequence of int
        ``first`` of the session's EPOCH marks.
    """

    def __init__(self, signal: Signal, bundle: Bundle, indices: Sequence[int]) -> None:
        spec = bundle.epochs
        assert spec is not None
        self._epochs = Epochs(signal, bundle.adapt(signal), start=spec.start, stop=spec.stop)
        self._indices = sorted(set(indices))

    @property
    def pipeline(self) -> RunningPipeline:
        """What the samples go through first."""
        return self._epochs.pipeline

    def push(self, chunk: Window) -> Iterator[Window]:
        """Take the next samples; give the epochs that they complete."""
        indices, self._indices = self._indices, []
        markers = [Marker(math.nan, "")] * len(indices)
        for epoch in self._epochs.push(chunk, markers, indices):
            yield epoch.window
