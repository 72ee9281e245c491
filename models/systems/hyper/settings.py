"""A training file of HYPER in silico: who looks, how trials follow each other, what is decoded of each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from bci.config.toml import describe_errors, load_settings
from bci.errors import ConfigError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Participant(_Section):
    """Who looks; see ``[source]`` of a session file."""

    modality: Literal["eeg", "lfp", "fmri"] = "eeg"
    subject: Annotated[int, Field(ge=0)] = 1
    snr: Annotated[float, Field(gt=0)]
    units: Annotated[int, Field(ge=16)] | None = None
    tr: Annotated[float, Field(ge=0.2, le=10)] = 1.5
    """Seconds from volume to volume, of fMRI."""


class Timing(_Section):
    """How trials follow each other, seconds."""

    train: Annotated[int, Field(ge=100)]
    """Pictures shown once each, to fit the readout."""
    test: Annotated[int, Field(ge=10)]
    """Other pictures, to score it; these are also written out as the stimuli of live sessions."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """How often each test picture is shown, single trials all the same."""
    runs: Annotated[int, Field(ge=2)] = 6
    stimulus_s: Annotated[float, Field(gt=0)]
    blank_s: Annotated[float, Field(gt=0)]
    lead_in_s: Annotated[float, Field(ge=0)] = 0.0
    """Beside one blank, how long nothing is shown before the first picture: filters settle. Trials whose epoch comes
    before that are left out, as they are live."""

    @property
    def every(self) -> float:
        """Seconds from flip to flip."""
        return self.stimulus_s + self.blank_s


class Cut(_Section):
    """What is decoded of a trial, seconds from the flip."""

    start: float
    stop: float
    mean: bool = False
    """Whether the samples of an epoch are averaged, channel by channel: for volumes around a response's peak."""


class VoxelSettings(_Section):
    """Which voxels are read; chosen on training trials alone."""

    count: Annotated[int, Field(ge=1)]
    """How many."""
    by: Literal["activation", "encoding"] = "encoding"
    """By the mean answer over its deviation (HYPER), or by how well the latents predict a voxel."""


class ReadoutSettings(_Section):
    """Which readout of `models.readouts.family`, and its options."""

    name: str = "ridge"
    options: dict[str, JsonValue] = {}


class HyperConfig(_Section):
    """A training file of kind ``hyper-insilico``."""

    kind: Literal["hyper-insilico"]
    name: str
    title: str = ""
    seed: int
    generator: Path
    """Folder of the generator's package, from the file's own."""
    stimuli: Path
    """Where the test pictures are written, from the file's own folder."""
    participant: Participant
    trials: Timing
    pipeline: tuple[dict[str, JsonValue], ...]
    epoch: Cut
    voxels: VoxelSettings | None = None
    """Without it every channel is read."""
    readout: ReadoutSettings = ReadoutSettings()

    @model_validator(mode="after")
    def _voxels_have_one_value(self) -> Self:
        if self.voxels is not None and not self.epoch.mean:
            raise ValueError("[voxels] chooses among voxels of one value a trial: set mean = true in [epoch]")
        return self


def parse_hyper(values: Mapping[str, Any], where: str) -> HyperConfig:
    """Read what a bundle carries of its training file: all but the paths, which are those of another place.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    try:
        return HyperConfig.model_validate({"generator": Path(), "stimuli": Path(), **values})
    except ValidationError as error:
        raise ConfigError(f"{where} cannot be used:\n{describe_errors(error)}") from None


def load_hyper(path: Path) -> HyperConfig:
    """Read a training file; its paths start from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    config = load_settings(path, HyperConfig, "training")
    folder = path.resolve().parent
    places = {"generator": folder / config.generator, "stimuli": folder / config.stimuli}
    return config.model_copy(update=places)
