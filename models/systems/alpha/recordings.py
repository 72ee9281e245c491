"""Recordings of known states, and the windows of their training and test parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.recording import Recording, chunks
from bci.signal.pipeline import Pipeline
from bci.signal.types import Signal, Window
from bci.signal.windows import windows
from models.datasets.recordings import open_file, require_alike
from models.systems.alpha.settings import RecordingSettings, TrainingConfig

#: Samples handed to the pipeline at once. The result does not depend on it, the speed does.
CHUNK = 160

Part = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class StateRecording:
    """A StateRecording is an opened recording of one state.

    Attributes
    ----------
    settings : RecordingSettings
        As configured.
    recording : Recording
        Opened.
    sha256 : str
        Of the file.
    """

    settings: RecordingSettings
    recording: Recording
    sha256: str

    def span(self, part: Part) -> tuple[int, int]:
        """Return the samples of a part given as shares of the length: (first, one past the last)."""
        n = self.recording.n
        if n is None:
            raise RecordingError(f"{self.settings.path}: expected a recording with an end, came one without")
        return round(part[0] * n), round(part[1] * n)

    def cut(self, part: Part, pipeline: Pipeline, length: int, hop: int) -> Iterator[Window]:
        """Cut a part into windows; the pipeline starts fresh at its first sample, so no window knows another part."""
        first, stop = self.span(part)
        feed = chunks(self.recording, CHUNK, first, stop)
        return windows(feed, pipeline, length=length, hop=hop)


def open_states(config: TrainingConfig, root: Path) -> list[StateRecording]:
    """Open every recording of a training file.

    Raises
    ------
    RecordingError
        If a file is missing or cannot be read, or does not say what is needed to read it.
    """
    return [StateRecording(settings, *open_file(settings, root)) for settings in config.recordings]


def source_span(window: Window, ratio: int) -> tuple[int, int]:
    """Return the source samples that a window was computed from, filter memory aside: (start, end)."""
    end = window.last_sample + 1
    return end - len(window.samples) * ratio, end


def expected_signal(config: TrainingConfig, recordings: list[StateRecording]) -> Signal:
    """Return the signal that a bundle trained on these recordings expects.

    Raises
    ------
    RecordingError
        If they cannot be trained on together; see `models.datasets.recordings.require_alike`.
    """
    opened = [(one.recording, one.sha256) for one in recordings]
    _, rate = require_alike(opened, [one.settings.path for one in recordings], config.signal)
    channels = config.signal.channels
    return Signal("EEG", rate, (len(channels),), channels, config.signal.unit)


def stack(cut: list[Window]) -> NDArray[np.float32]:
    """Stack windows: (n, length, *output.shape) float32."""
    return np.stack([window.samples for window in cut]).astype(np.float32, copy=False)
