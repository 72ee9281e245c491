"""The usable epochs of a recording, cut by the code of a live session; what cannot be used is counted."""

from collections import Counter
from collections.abc import Iterator, Sequence

from bci.io.files.recording import Recording, chunks
from bci.signal.epochs import Epoch, Epochs
from bci.signal.pipeline import Pipeline
from bci.signal.types import Event

#: Samples handed to the pipeline at once; the result does not depend on it.
_CHUNK = 256


def usable_epochs(
    recording: Recording,
    pipeline: Pipeline,
    wanted: Sequence[Event],
    left_out: Counter[str],
    *,
    start: float,
    stop: float,
) -> Iterator[Epoch]:
    """Yield the epochs around events that are settled and whole.

    Parameters
    ----------
    recording : Recording
        With an end.
    pipeline : Pipeline
        What its samples pass.
    wanted : sequence of Event
        Seconds from its first sample.
    left_out : Counter
        Counts the others, by reason: ``gap``, ``unsettled``, ``bad`` …
    start, stop : float
        Seconds around each event.
    """
    cutter = Epochs(recording.signal, pipeline, start=start, stop=stop)
    waiting = list(wanted)
    for chunk in chunks(recording, _CHUNK, 0, recording.n or 0):
        for epoch in cutter.push(chunk, waiting):
            reason = "" if epoch.window.settled else "unsettled"
            if epoch.window.bad.any():
                reason = "bad"
            if reason:
                left_out[reason] += 1
            else:
                yield epoch
        waiting = []
    cutter.finish()
    for lost in cutter.lost:
        left_out[lost.reason] += 1
