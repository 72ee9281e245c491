"""A training file of a number: recordings that hold it in a channel, windows, a ridge regression, in TOML.

Paths of recordings start at the data root: the folder named with ``--data``, else ``$BCI_DATA``, else
``../shared/data``. The file as read goes into the bundle's provenance, from which evaluation makes the folds again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from bci.config.toml import check_settings, read_toml
from bci.signal.types import Signal
from models.datasets.session_settings import FOLDERS, ArraySettings, SessionsSettings
from models.settings import ArraySignal, Count, DecoderFile, Positive, RecordedFile, Section


class TargetSettings(Section):
    """TargetSettings describes the number that is read."""

    channel: str = ""
    """The channel of the recordings that holds it. Arrays hold it in y."""
    name: str
    """What it is called on the screen."""
    unit: str = ""
    """Its unit; empty when it has none."""


class WindowSettings(Section):
    """WindowSettings gives windows in samples of the pipeline's output."""

    length: Count
    """How many samples are read at once."""
    hop: Count = 1
    """How many samples from one window to the next."""


class RidgeSettings(Section):
    """RidgeSettings describes the readout: means of a window, or their logarithms, and ridge regression."""

    log: bool = True
    """Whether the logarithm of the means is taken, for powers."""
    penalties: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=32)] = (
        1.0,
        10.0,
        100.0,
        1000.0,
    )
    """Penalties of standardised features that are tried; the best is chosen inside the training data."""


class NumberDrawSettings(Section):
    """NumberDrawSettings describes a generator that the number leads, from one latent to another."""

    generator: str
    """Folder of its package, from the file's own, or the name of a shipped one."""
    latents: str
    """A JSON file, below the data root, else below the folder in which the command runs, with the latents ``low`` and
    ``high``: what is drawn of the least and of the largest number (its 2nd and 98th percentile in training). What lies
    between is on the straight line between them, what lies outside is drawn as the nearer of the two."""


class NumbersConfig(DecoderFile):
    """One training file."""

    kind: Literal["numbers"]
    name: str
    """What the bundle is called."""
    title: str = ""
    """One sentence about it."""
    recordings: tuple[RecordedFile, ...] = ()
    """In order of time."""
    data: SessionsSettings | None = None
    """Sessions of ours, in place of recordings; the number stands in a channel of their stream. Or arrays."""
    signal: ArraySignal = ArraySignal()
    target: TargetSettings
    pipeline: tuple[dict[str, JsonValue], ...] = ()
    """Steps from signal to window, as in a bundle."""
    window: WindowSettings = WindowSettings(length=1)
    """To be stated, but of arrays of which no stream's rate is."""
    readout: RidgeSettings = RidgeSettings()
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    """Contiguous folds over all windows."""
    shortest_shift_s: Positive = 2.0
    """Chance is the score of the number shifted in time by at least this much, seconds."""
    picture: tuple[Count, Count] = (64, 64)
    """Height and width of the bar that it draws, pixels; a generator's pictures have their own."""
    draw: NumberDrawSettings | None = None
    """A generator that the number leads, in place of a bar."""

    @model_validator(mode="after")
    def _from_recordings_or_sessions(self) -> Self:
        if bool(self.recordings) == (self.data is not None):
            raise ValueError(
                "expected [[recordings]], or [data] with sessions or arrays, came "
                + ("both" if self.recordings else "neither")
            )
        if self.data is not None and (
            self.data.bids is not None or self.data.kinds or self.data.classes != FOLDERS
        ):
            raise ValueError(
                "data: a number is read from sessions as they went, without bids, classes or kinds; leave these out"
            )
        return self

    @model_validator(mode="after")
    def _does_not_read_what_it_is_to_tell(self) -> Self:
        if self.target.channel and self.target.channel in self.signal.channels:
            raise ValueError(
                f"target.channel {self.target.channel!r} is among signal.channels: a decoder would read the number "
                "itself"
            )
        return self

    @model_validator(mode="after")
    def _says_what_is_cut(self) -> Self:
        arrays = self.arrays
        if arrays is None and not self.signal.channels:
            raise ValueError("signal.channels: expected the channels that are read, came none")
        if arrays is None and not self.target.channel:
            raise ValueError("target.channel: expected the channel that holds the number, came none")
        if "window" not in self.model_fields_set and (arrays is None or arrays.rate is not None):
            raise ValueError("window: expected length and hop of a window in samples, came none")
        return self

    @property
    def arrays(self) -> ArraySettings | None:
        """The arrays that the windows are, if they are."""
        return None if self.data is None else self.data.arrays

    def expected(self, rate: float) -> Signal:
        """Return the signal that a bundle made of recordings of this rate expects."""
        channels = self.signal.channels
        return Signal("LFP", rate, (len(channels),), channels, self.signal.unit)


def load_numbers(path: Path) -> NumbersConfig:
    """Read a training file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return parse_numbers(read_toml(path, "training"), str(path))


def parse_numbers(values: Mapping[str, Any], name: str) -> NumbersConfig:
    """Check the values of a training file; `name` is said in errors."""
    return check_settings(dict(values), NumbersConfig, name)
