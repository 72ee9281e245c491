"""A training file of classes of events: recordings with markers, epochs, which marker is of which class, in TOML.

Paths of recordings start at the data root: the folder named with ``--data``, else ``$BCI_DATA``, else
``../shared/data``. The file as read goes into the bundle's provenance, from which evaluation makes the folds again.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from bci.config.numbers import Seed
from bci.config.toml import check_settings, read_toml
from bci.decoder.pattern import MarkerPattern
from bci.session.trials import stimulus_of
from bci.signal.types import Signal
from models.datasets.session_settings import ArraySettings, SessionsSettings
from models.settings import ArraySignal, Count, DecoderFile, Positive, RecordedFile, Section

#: What the marker of every stimulus matches.
ANY_STIMULUS = r"stimulus \d+ .*"

#: Of one training file.
MOST_CLASSES = 64

Label = Annotated[str, Field(min_length=1, max_length=100)]


class RecordingSettings(RecordedFile):
    """RecordingSettings describes one recording with markers."""

    stream: str | None = None
    """Which stream of an XDF file, by name, source id or number; needed where there are several."""


class EpochSettings(Section):
    """EpochSettings gives the span of an epoch, in seconds from its event."""

    start: float = 0.0
    """Where it begins."""
    stop: float
    """Where it ends."""

    @model_validator(mode="after")
    def _goes_forward(self) -> Self:
        if not self.start < self.stop:
            raise ValueError(f"an epoch goes from start to a later stop; got {self.start} to {self.stop} s")
        return self


class BlockMeansSettings(Section):
    """BlockMeansSettings describes a readout of the means over short blocks of the epoch, and a linear discriminant."""

    name: Literal["block_means"] = "block_means"
    """Means over blocks."""
    block: Count = 1
    """Samples of the pipeline's output that are averaged into one feature a channel; what is left over is not used."""


class TangentSpaceSettings(Section):
    """TangentSpaceSettings describes a readout of covariances: xDAWN filters, tangent space, linear discriminant."""

    name: Literal["tangent_space"]
    """How the channels of an epoch vary together, with the classes' mean responses or without (needs the extra eeg)."""
    filters: Annotated[int, Field(ge=0, le=64)] = 4
    """Spatial filters for each class; at most as many as there are channels. With 0, the covariance of the channels
    alone, for rhythms that are not locked to the event, such as imagined movement."""


class CanonicalCorrelationSettings(Section):
    """CanonicalCorrelationSettings describes a readout of responses to flicker; nothing of it is trained."""

    name: Literal["canonical_correlation"]
    """How well each class's frequency and its harmonics fit the epoch (Lin et al. 2006)."""
    frequencies: Annotated[dict[Label, Positive], Field(min_length=2, max_length=64)]
    """Of each class, by its label, Hz."""
    harmonics: Annotated[int, Field(ge=1, le=8)] = 2
    """The frequency itself, and its multiples up to this one."""


Fittable = Annotated[
    BlockMeansSettings | TangentSpaceSettings | CanonicalCorrelationSettings, Field(discriminator="name")
]


class ChosenSettings(Section):
    """ChosenSettings describes a choice of readout, made inside the training data on parts that are held out."""

    name: Literal["chosen"]
    """The best of several, by what each reads of parts of the training data that it did not see."""
    among: Annotated[tuple[Fittable, ...], Field(min_length=2, max_length=16)]
    """What is chosen among, as `[[readout.among]]`."""
    parts: Annotated[int, Field(ge=2, le=20)] = 4
    """Contiguous parts of the training data, each held out once."""


def _name_of(readout: Any) -> str:
    """Return the name of a readout; one that states none is of block means."""
    if isinstance(readout, Mapping):
        return str(readout.get("name", "block_means"))
    return str(getattr(readout, "name", ""))


ReadoutSettings = Annotated[
    Annotated[BlockMeansSettings, Tag("block_means")]
    | Annotated[TangentSpaceSettings, Tag("tangent_space")]
    | Annotated[CanonicalCorrelationSettings, Tag("canonical_correlation")]
    | Annotated[ChosenSettings, Tag("chosen")],
    Discriminator(_name_of),
]


class DrawSettings(Section):
    """DrawSettings describes how what is read is drawn, where bars are not wanted."""

    pictures: Annotated[dict[Label, str], Field(max_length=64, default_factory=dict)]
    """Of each class, by its label, the file of a picture, below the data root, else below the folder in which the
    command runs. A class that is certain is its picture, guessing an even grey. Other proportions are cut around
    the middle."""
    generator: str | None = None
    """Folder of a generator's package, from the file's own, or the name of a shipped one, in place of pictures: it
    draws the mix of the classes' latents, each by its probability."""
    latents: str | None = None
    """With a generator: a JSON file, found as pictures are, with the latent of each class by its label; or of
    pictures by their names, then that of a class is the mean of its pictures'. Absent means those of the pictures that
    the sessions showed."""

    @model_validator(mode="after")
    def _pictures_or_a_generator(self) -> Self:
        if bool(self.pictures) == (self.generator is not None):
            raise ValueError(
                f"expected pictures, or a generator, came {'both' if self.pictures else 'neither'}"
            )
        if self.latents is not None and self.generator is None:
            raise ValueError("latents are drawn by a generator; expected one, came none")
        return self


class EventsConfig(DecoderFile):
    """One training file."""

    kind: Literal["events"]
    name: str
    """What the bundle is called."""
    title: str = ""
    """One sentence about it."""
    seed: Seed = 0
    """Of the shuffles that chance is estimated by."""
    recordings: tuple[RecordingSettings, ...] = ()
    """In order of time."""
    data: SessionsSettings | None = None
    """Sessions of ours, a BIDS data set or arrays, in place of recordings."""
    signal: ArraySignal = ArraySignal()
    pipeline: tuple[dict[str, JsonValue], ...] = ()
    """Steps from signal to epoch, as in a bundle."""
    epoch: EpochSettings = EpochSettings(stop=1.0)
    """To be stated, but of arrays of which no stream's rate is."""
    classes: Annotated[dict[Label, str], Field(max_length=MOST_CLASSES, default_factory=dict)]
    """By its label, the regular expression that the whole text of a marker of each class matches, or of arrays the
    value of y. Of sessions the pictures' folders, or a table, may say the classes instead ([data] classes)."""
    pictures: Annotated[dict[str, Label], Field(default_factory=dict)]
    """Of sessions whose classes a table says, as it was read: the class of each picture. Not to be written."""
    readout: ReadoutSettings = BlockMeansSettings()
    folds: Annotated[int, Field(ge=2, le=100)] | Literal["recordings", "pictures"] = 5
    """Contiguous folds over all epochs; "recordings": each recording, or session, a fold of its own; "pictures": up to
    five folds, in which no picture (no text of a marker) that is scored was fitted on."""
    shuffles: Annotated[int, Field(ge=19, le=10_000)] = 200
    """Readouts fitted to shuffled classes, which chance is estimated by."""
    picture: tuple[Count, Count] = (64, 96)
    """Height and width of what it draws, pixels: bars, or the pictures of [draw]. A generator's have their own."""
    draw: DrawSettings | None = None
    """Pictures of the classes, or a generator that mixes them, in place of bars."""

    @model_validator(mode="after")
    def _from_recordings_or_sessions(self) -> Self:
        if bool(self.recordings) == (self.data is not None):
            raise ValueError(
                "expected [[recordings]], or [data] with sessions, bids or arrays, came "
                + ("both" if self.recordings else "neither")
            )
        stated = self.recordings or self.classes or (self.data is not None and self.data.bids is not None)
        if len(self.classes) < 2 and stated:
            raise ValueError(f"classes: expected at least 2, came {len(self.classes)}")
        return self

    @model_validator(mode="after")
    def _says_what_is_cut(self) -> Self:
        arrays = self.arrays
        if arrays is None and not self.signal.channels:
            raise ValueError("signal.channels: expected the channels that are read, came none")
        if "epoch" not in self.model_fields_set and (arrays is None or arrays.rate is not None):
            raise ValueError("epoch: expected start and stop of an epoch in seconds, came none")
        return self

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        if not self.classes:
            return self
        if self.draw is not None and self.draw.pictures and set(self.draw.pictures) != set(self.classes):
            raise ValueError(
                f"draw.pictures: expected one for each class, {', '.join(self.classes)}; came those of "
                f"{', '.join(self.draw.pictures)}"
            )
        for readout in getattr(self.readout, "among", (self.readout,)):
            if isinstance(readout, CanonicalCorrelationSettings) and set(readout.frequencies) != set(
                self.classes
            ):
                raise ValueError(
                    f"readout.frequencies: expected one for each class, {', '.join(self.classes)}; "
                    f"came those of {', '.join(readout.frequencies)}"
                )
        if self.folds == "recordings" and self.recordings and len(self.recordings) < 2:
            raise ValueError('folds = "recordings" needs at least two of them')
        for label, pattern in self.classes.items():
            try:
                MarkerPattern(pattern)
            except ValueError as error:
                raise ValueError(f"classes.{label}: {error}") from None
        return self

    @property
    def arrays(self) -> ArraySettings | None:
        """The arrays that the trials are, if they are."""
        return None if self.data is None else self.data.arrays

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the file."""
        return tuple(self.classes)

    def patterns(self) -> Mapping[str, MarkerPattern]:
        """Return what the markers of each class match."""
        return {label: MarkerPattern(pattern) for label, pattern in self.classes.items()}

    def labels_of(self, marker: str) -> list[str]:
        """Return the classes that a marker is of: one, none of another marker, or wrongly several."""
        if not self.pictures:
            return [label for label, pattern in self._matchers.items() if pattern.matches(marker)]
        _, name = stimulus_of(marker) or (-1, "")
        return [self.pictures[name]] if name in self.pictures else []

    @cached_property
    def _matchers(self) -> Mapping[str, MarkerPattern]:
        return self.patterns()

    def any_class(self) -> str:
        """Return the regular expression of the markers of all classes together."""
        if self.pictures:
            return ANY_STIMULUS
        return "|".join(f"({pattern})" for pattern in self.classes.values())

    def expected(self, rate: float) -> Signal:
        """Return the signal that a bundle made of recordings of this rate expects."""
        channels = self.signal.channels
        return Signal("EEG", rate, (len(channels),), channels, self.signal.unit)


def load_events(path: Path) -> EventsConfig:
    """Read a training file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return parse_events(read_toml(path, "training"), str(path))


def parse_events(values: Mapping[str, Any], name: str) -> EventsConfig:
    """Check the values of a training file; `name` is said in errors."""
    return check_settings(dict(values), EventsConfig, name)
