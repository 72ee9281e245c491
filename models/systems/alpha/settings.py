"""A training file describes recordings with their states, pipeline, readout and generator, in TOML.

Paths of recordings start at the data root: the folder named with ``--data``, else ``$BCI_DATA``, else
``../shared/data``. A key that does not exist is an error that names it. The file as read goes into the bundle's
provenance, where evaluation finds what was held out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from bci.config.toml import check_settings, read_toml
from bci.errors import ConfigError
from bci.signal.pipeline import Pipeline, step_name
from bci.signal.steps.features import BandCovariance
from bci.signal.types import Signal
from models.settings import Count, DecoderFile, ExpectedSignal, Positive, RecordedFile, Section, Share


class RecordingSettings(RecordedFile):
    """RecordingSettings describes one recording of one state."""

    state: Annotated[int, Field(ge=0, le=1)]
    """Which end of the latent path it stands for: 0 or 1."""
    label: str
    """What the state is called, e.g. "eyes closed"."""


class SplitSettings(Section):
    """SplitSettings gives the fitted and the held-out part of every recording, as shares of its length."""

    train: tuple[Share, Share] = (0.0, 0.5)
    """The part that everything is fitted to."""
    test: tuple[Share, Share] = (0.5, 1.0)
    """The part that it is scored on."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        (a, b), (c, d) = self.train, self.test
        if not (a < b <= c < d or c < d <= a < b):
            raise ValueError("train and test are two spans [from, to] that do not overlap")
        return self


class WindowSettings(Section):
    """WindowSettings gives window and hop, in samples of the pipeline's output."""

    length: Count
    """How many samples are decoded at once."""
    hop: Count
    """How many samples from one window to the next."""


class ReadoutSettings(Section):
    """ReadoutSettings describes the readout: relative band power, shrinkage discriminant, calibrated probability."""

    bands: Annotated[tuple[int, ...], Field(min_length=1)]
    """Which bands of the pipeline's BandCovariance step are features: log of each over `reference`."""
    reference: Annotated[int, Field(ge=0)]
    """The broad band that they are divided by, so that a change of gain changes nothing."""
    single: Annotated[int, Field(ge=0)]
    """The band whose mean over channels is the baseline without any fit."""
    shrinkage: Annotated[tuple[Share, ...], Field(min_length=1)]
    """Shrinkages of the covariance to choose from, by cross-validation inside the training part."""
    folds: Annotated[int, Field(ge=3)] = 5
    """Contiguous blocks that every training part is divided into for cross-validation."""
    block_seconds: Positive = 3.0
    """Stretch of time that permutations and bootstraps move as one."""


class GeneratorSettings(Section):
    """GeneratorSettings describes the generator of drawn eyes."""

    pictures: Annotated[int, Field(ge=64)] = 1600
    """How many are drawn to learn from; half of them on the path."""
    held_out: Count = 128
    """How many more are drawn to report the error on."""
    steps: Count = 2000
    """Updates of the network."""
    batch: Count = 32
    """Pictures of one update."""
    rate: Positive = 4e-3
    """Peak learning rate of Adam."""
    channels: Annotated[tuple[Count, ...], Field(min_length=2)] = (40, 32, 24, 16)
    """Of each stage from 8 × 8 pixels on; every stage doubles."""
    hidden: Count = 48
    """Units of the layers that read the latents."""
    start: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    """Latents (closure, gaze_x, gaze_y, light) of state 0."""
    end: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)
    """The path: latents (closure, gaze_x, gaze_y, light) for state 0 and for state 1."""
    threads: Count = 2
    """Threads of torch; part of the configuration because sums depend on it."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What it learns on. Not run on a card yet."""


class TrainingConfig(DecoderFile):
    """A TrainingConfig describes one decoder to train."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    """What the bundle is called: up to 64 letters, digits, - and _."""
    title: str = ""
    """One sentence about it, for people."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of everything that is drawn at random: the same seed gives the same bundle."""
    recordings: Annotated[tuple[RecordingSettings, ...], Field(min_length=2)]
    split: SplitSettings = SplitSettings()
    signal: ExpectedSignal
    pipeline: tuple[dict[str, JsonValue], ...]
    """Steps from signal to window, as a bundle holds them."""
    window: WindowSettings
    readout: ReadoutSettings
    generator: GeneratorSettings = GeneratorSettings()

    @model_validator(mode="after")
    def _both_states(self) -> Self:
        if {recording.state for recording in self.recordings} != {0, 1}:
            raise ValueError("the recordings must hold both states, 0 and 1")
        return self


def load_training(path: Path) -> TrainingConfig:
    """Read a training file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named.
    """
    return parse_training(read_toml(path, "training"), str(path))


def parse_training(values: Mapping[str, Any], name: str) -> TrainingConfig:
    """Check the values of a training file; `name` is said in errors.

    Raises
    ------
    ConfigError
        Naming every wrong or unknown key.
    """
    return check_settings(values, TrainingConfig, name)


def window_shape(
    readout: ReadoutSettings, window: WindowSettings, pipeline: Pipeline, signal: Signal
) -> tuple[int, int, int]:
    """Return (length, channels, bands · channels) of the windows that a readout gets.

    Raises
    ------
    ConfigError
        If the pipeline does not fit the signal, or does not end in covariances of the bands that the readout names.
    """
    last = pipeline.steps[-1] if pipeline.steps else None
    if not isinstance(last, BandCovariance):
        came = step_name(type(last)) if last else "none"
        raise ConfigError(
            f"expected a pipeline that ends in a band_covariance step, came {came}. Let it end in one, with the bands "
            "that [readout] counts from 0: band_power gives the power of each channel alone, by which crossed wires "
            "could not be told."
        )
    named = max(*readout.bands, readout.reference, readout.single)
    if len(last.bands) <= named or min(readout.bands) < 0:
        raise ConfigError(
            f"[readout] names bands up to number {named}, counted from 0; the pipeline ends in "
            f"{len(last.bands)}. Give band_covariance these bands."
        )
    channels, columns = pipeline.output(signal).shape
    return (window.length, channels, columns)
