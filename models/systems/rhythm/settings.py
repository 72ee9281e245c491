"""A training file of a rhythm: recordings, the channel whose rhythm is read, its band, windows, in TOML.

Paths of recordings start at the data root: the folder named with ``--data``, else ``$BCI_DATA``, else
``../shared/data``. The file as read goes into the bundle's provenance, from which evaluation makes the folds again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from bci.config.toml import check_settings, read_toml
from bci.signal.types import Signal
from models.settings import Count, DecoderFile, ExpectedSignal, Positive, RecordedFile, Section
from models.systems.numbers.settings import WindowSettings


class RhythmSettings(Section):
    """RhythmSettings describes the rhythm whose phase and power are read."""

    channel: str
    """The channel of the recordings whose rhythm it is; it may be among those that are read."""
    name: str
    """What it is called on the screen."""
    low: Positive
    """The lower edge of its band, Hz."""
    high: Positive
    """The upper edge, Hz."""
    order: Annotated[int, Field(ge=1, le=8)] = 2
    """Of the Butterworth filter that, run forwards and backwards, tells the true phase and power."""

    @model_validator(mode="after")
    def _band_goes_up(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"expected a band from low to high, came {self.low:g} to {self.high:g} Hz")
        return self


class LinearSettings(Section):
    """LinearSettings describes the readout: ridge regression from the samples of a window."""

    penalties: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=16)] = (
        1.0,
        10.0,
        100.0,
        1000.0,
    )
    """Penalties of standardised samples that are tried; the best is chosen inside the training data."""


class RhythmConfig(DecoderFile):
    """One training file of a rhythm."""

    kind: Literal["rhythm"]
    name: str
    """What the bundle is called."""
    title: str = ""
    """One sentence about it."""
    recordings: Annotated[tuple[RecordedFile, ...], Field(min_length=1)]
    """In order of time."""
    signal: ExpectedSignal
    target: RhythmSettings
    pipeline: tuple[dict[str, JsonValue], ...] = ()
    """Steps from signal to window, as in a bundle."""
    window: WindowSettings
    readout: LinearSettings = LinearSettings()
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    """Contiguous folds over all windows."""
    shortest_shift_s: Positive = 2.0
    """Chance is the score of the rhythm shifted in time by at least this much, seconds."""
    picture: tuple[Count, Count] = (64, 64)
    """Height and width of the dial that it draws, pixels."""

    def expected(self, rate: float) -> Signal:
        """Return the signal that a bundle made of recordings of this rate expects."""
        channels = self.signal.channels
        return Signal("LFP", rate, (len(channels),), channels, self.signal.unit)


def load_rhythm(path: Path) -> RhythmConfig:
    """Read a training file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return parse_rhythm(read_toml(path, "training"), str(path))


def parse_rhythm(values: Mapping[str, Any], name: str) -> RhythmConfig:
    """Check the values of a training file; `name` is said in errors."""
    return check_settings(dict(values), RhythmConfig, name)
