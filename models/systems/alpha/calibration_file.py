"""A calibration file names the stream, the cued blocks, and the bundle that is fitted to them.

The bundle at `base` gives the pipeline, the window, how the readout is fitted, and the generator, which is kept as it
is. A section of the same name here takes the place of the bundle's: for another amplifier's rate, or montage. A
key that does not exist is an error that names it; paths are relative to the file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from bci.config.display import DisplaySettings
from bci.config.numbers import Wait
from bci.config.paths import PathText
from bci.config.session import SafeName
from bci.config.stream import Said
from bci.config.toml import check_settings, load_settings
from bci.decoder.bundle import Bundle
from bci.errors import BundleError, ConfigError
from bci.io.lsl.address import Address
from bci.io.shipped import locate, not_found
from bci.memory.events import MARKER_UNCERTAINTY_LIMIT_S
from bci.signal.pipeline import Pick, Pipeline
from bci.signal.types import Event, Signal
from bci.signal.units import unit_key
from models.settings import DecoderFile, ExpectedSignal, Section
from models.systems.alpha.settings import ReadoutSettings, WindowSettings, window_shape

#: The marker behind the last block.
END = "end"

#: A nominal rate is written with few digits here and many there.
_RATE_TOLERANCE = 1e-4


class CalibrationStream(Section):
    """CalibrationStream describes the Lab Streaming Layer stream that is recorded."""

    source_id: Said | None = None
    """Its source id (`bci streams` lists them)."""
    name: Said | None = None
    """Its name on the network."""
    type: Said | None = None
    """Its type on the network, such as "EEG"; for a device that gives all its streams one source id."""
    host: Said | None = None
    """The computer that it comes from, where two send streams that are otherwise alike."""
    timeout_s: Wait = 5.0
    """How long to look for it."""
    buffer_s: Annotated[float, Field(ge=2, le=600)] = 12.0
    """How long a sample stays readable in shared memory."""
    marker_uncertainty_limit_s: Wait = MARKER_UNCERTAINTY_LIMIT_S
    """Cues whose time may be wrong by more, because clocks could not be compared better, are left out, and counted."""
    latency_s: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How much later its stamps say that a sample was taken than it was, as ``bci latency --loopback`` measures it."""

    @model_validator(mode="after")
    def _found_by_something(self) -> Self:
        if not any((self.source_id, self.name, self.type, self.host)):
            raise ValueError(
                "which stream? Give source_id, name, type or host (bci streams lists what is there)"
            )
        return self

    @property
    def address(self) -> Address:
        """What the stream is found by."""
        return Address(self.source_id or "", self.name or "", self.type or "", self.host or "")


class StateSettings(Section):
    """StateSettings describes one of the two states, and its cue."""

    label: str = Field(min_length=1, max_length=60)
    """What its markers say."""
    say: str = Field(min_length=1, max_length=200)
    """What the participant is told."""
    tones: Annotated[int, Field(ge=0, le=5)] = 0
    """Number of tones that announce it, for a participant with closed eyes."""
    picture: PathText | None = None
    """The file, from this one's folder, of a picture that the participant sees in place of the words, in a window."""

    @model_validator(mode="after")
    def _not_the_end(self) -> Self:
        if self.label == END:
            raise ValueError(f"a state cannot be called {END!r}: the marker behind the last block is")
        return self


class BlockSettings(Section):
    """BlockSettings describes the blocks, in which the states alternate, state 0 first."""

    pairs: Annotated[int, Field(ge=4, le=60)] = 6
    """Blocks of each state. With fewer than 4, no result could be told from chance at 5 %."""
    seconds: Annotated[float, Field(ge=4, le=300)] = 20.0
    """Of each block."""
    left_out_s: Annotated[float, Field(ge=0, le=60)] = 2.0
    """At the start of each block: time to follow, and for the filters to forget the block before."""
    ready_s: Annotated[float, Field(ge=0, le=600)] = 5.0
    """Before the first block."""

    @model_validator(mode="after")
    def _something_is_left(self) -> Self:
        if self.left_out_s > self.seconds / 2:
            raise ValueError("left_out_s leaves less than half of each block; make the blocks longer")
        return self


class CalibrationConfig(DecoderFile):
    """A CalibrationConfig describes one calibration."""

    name: SafeName
    """Of the bundle that is made, and of the recording's folder."""
    title: str = ""
    """One sentence about it, for people."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Of everything that is drawn at random."""
    network: Literal["machine", "lab"] = "lab"
    """Whether the stream is looked for on this machine alone or in the laboratory's network."""
    base: PathText
    """The bundle that is fitted anew: its folder, or the name of a shipped one."""
    stream: CalibrationStream
    blocks: BlockSettings = BlockSettings()
    states: Annotated[tuple[StateSettings, ...], Field(min_length=2, max_length=2)]
    """State 0, then state 1: the two ends of the base's latent."""
    display: DisplaySettings | None = None
    """The window in which the participant is told what to do: monitor, sizes. It is opened where this is given, or a
    state has a picture; without it words stand in the terminal."""
    signal: ExpectedSignal | None = None
    pipeline: tuple[dict[str, JsonValue], ...] | None = None
    """Steps from signal to window, in place of the base's."""
    window: WindowSettings | None = None
    readout: ReadoutSettings | None = None

    @model_validator(mode="after")
    def _two_labels(self) -> Self:
        if self.states[0].label == self.states[1].label:
            raise ValueError("the two states need two labels")
        if self.display is not None and self.display.kind != "window":
            raise ValueError(f"display: a participant looks at a window, came kind = {self.display.kind!r}")
        return self

    @property
    def screen(self) -> DisplaySettings | None:
        """The window of the participant's, None where words in the terminal do."""
        asked = self.display is not None or any(state.picture is not None for state in self.states)
        return (self.display or DisplaySettings()) if asked else None

    @property
    def seconds(self) -> float:
        """Seconds from the first cue to the last."""
        return 2 * self.blocks.pairs * self.blocks.seconds

    def cues(self) -> tuple[Event, ...]:
        """Return the cues in order, seconds after the first one; behind the last block stands `END`."""
        labels = [state.label for state in self.states] * self.blocks.pairs
        marks = [Event(k * self.blocks.seconds, label) for k, label in enumerate(labels)]
        return (*marks, Event(self.seconds, END))


@dataclass(frozen=True, slots=True)
class Recipe:
    """A Recipe holds readout and pipeline to fit: the base bundle's, where the file states no other."""

    signal: ExpectedSignal
    pipeline: tuple[dict[str, JsonValue], ...]
    window: WindowSettings
    readout: ReadoutSettings

    def plain(self) -> dict[str, Any]:
        """Return the recipe as a bundle's provenance holds it."""
        return {
            "signal": self.signal.model_dump(mode="json"),
            "pipeline": [dict(step) for step in self.pipeline],
            "window": self.window.model_dump(mode="json"),
            "readout": self.readout.model_dump(mode="json"),
        }


def recipe_of(config: CalibrationConfig, base: Bundle) -> Recipe:
    """Return the recipe of a calibration.

    Raises
    ------
    BundleError
        If the base does not say how it was fitted itself, and the file does not say it either; or if it has no
        readout of its own that could be replaced.
    """
    if base.spec.graph("readout") is None or base.latent_size != 1:
        raise BundleError(
            f"expected a bundle with a readout and a generator of its own, and a latent of 1, came {base.name!r}. Name "
            "as base a bundle made by bci train or bci calibrate."
        )
    carried: Mapping[str, Any] = base.spec.provenance.config
    signal = {"channels": list(base.signal.channels), "unit": base.signal.unit}
    try:
        return Recipe(
            config.signal or check_settings(signal, ExpectedSignal, "its signal"),
            config.pipeline or base.spec.pipeline,
            config.window or check_settings(base.spec.window.model_dump(), WindowSettings, "its window"),
            config.readout or check_settings(carried.get("readout", {}), ReadoutSettings, "its readout"),
        )
    except ConfigError as error:
        raise BundleError(
            f"bundle {base.name!r} does not say how its readout was fitted: {error}\n"
            "Say it in the calibration file, under [readout], or name another base."
        ) from None


@dataclass(frozen=True, slots=True)
class Plan:
    """A Plan says how one signal becomes the windows of a readout.

    Attributes
    ----------
    recipe : Recipe
        Readout and pipeline to fit.
    signal : Signal
        The signal that the bundle will expect.
    pipeline : Pipeline
        From that signal on.
    shape : tuple of int
        Of a window: length, channels, bands · channels.
    """

    recipe: Recipe
    signal: Signal
    pipeline: Pipeline
    shape: tuple[int, int, int]

    @property
    def picked(self) -> Pipeline:
        """The pipeline for a signal that holds these channels in any order, and others."""
        return Pipeline((Pick(self.signal.channels), *self.pipeline.steps))


def plan_of(config: CalibrationConfig, base: Bundle, came: Signal) -> Plan:
    """Return how a stream or a recording becomes windows; so that what cannot work is known before it is recorded.

    Raises
    ------
    ConfigError
        If the signal has another rate or unit, or lacks a channel, or the pipeline does not give the bands.
    BundleError
        As `recipe_of`.
    """
    recipe = recipe_of(config, base)
    wanted = recipe.signal
    if config.pipeline is None and abs(came.rate / base.signal.rate - 1) > _RATE_TOLERANCE:
        raise ConfigError(
            f"expected a stream of {base.signal.rate:g} Hz, which the pipeline of bundle {base.name!r} was made for, "
            f"came {came.rate:g} Hz. Give [[pipeline]] and [window] for this rate in the calibration file."
        )
    if unit_key(came.unit) != unit_key(wanted.unit):
        raise ConfigError(
            f"expected a signal in {wanted.unit or 'no unit'}, came {came.unit or 'no unit'}. State under [signal] "
            "the unit that the stream has, beside its channels."
        )
    signal = Signal(base.signal.name, came.rate, (len(wanted.channels),), wanted.channels, wanted.unit)
    pipeline = Pipeline.from_json([dict(step) for step in recipe.pipeline])
    plan = Plan(recipe, signal, pipeline, window_shape(recipe.readout, recipe.window, pipeline, signal))
    plan.picked.output(came)
    return plan


def load_calibration(path: Path) -> CalibrationConfig:
    """Read a calibration file.

    Raises
    ------
    ConfigError
        If it is missing, no TOML, or has a wrong or unknown key; every one is named; or a picture is not there.
    """
    config, folder = load_settings(path, CalibrationConfig, "calibration"), path.resolve().parent
    states = [
        state.model_copy(update={"picture": state.picture and locate(state.picture, folder)})
        for state in config.states
    ]
    for state in states:
        if state.picture is not None and not state.picture.is_file():
            raise ConfigError(
                f"state {state.label!r}: expected a picture at {state.picture}, but {not_found(state.picture)}."
            )
    return config.model_copy(update={"base": locate(config.base, folder, "bundles"), "states": tuple(states)})
