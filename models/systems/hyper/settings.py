"""A training file of HYPER in silico describes a simulated experiment, a generator, and the readout between them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, JsonValue, model_validator

from bci.config.paths import PathText
from bci.config.toml import check_settings, load_settings
from bci.io.shipped import locate
from bci.signal.pipeline import Pipeline, step_name
from bci.signal.volumes.trial_betas import SingleTrialBetas
from models.insilico.settings import Cut, Participant, Timing
from models.readouts.settings import ReadoutSettings, VoxelSettings
from models.settings import DecoderFile

#: Name of the step that gives a beta of each trial, and which of its settings training fills in.
BETAS, FILLED = step_name(SingleTrialBetas), ("mean", "spread")


class HyperConfig(DecoderFile):
    """A HyperConfig is a training file of kind ``hyper-insilico``."""

    kind: Literal["hyper-insilico"]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What the bundle is called."""
    title: str = ""
    """One sentence about it, for people."""
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    """Of pictures, trials and everything that is drawn at random."""
    generator: PathText
    """Folder of the generator's package, from the file's own; or the name of a shipped one."""
    stimuli: PathText
    """Where the test pictures are written, from the file's own folder."""
    scan: PathText | None = None
    """Of a participant in a scanner: where the reference volume and the mask for live sessions are written."""
    participant: Participant
    trials: Timing
    pipeline: tuple[dict[str, JsonValue], ...]
    """Steps from signal to epoch, as a bundle holds them."""
    epoch: Cut
    voxels: VoxelSettings | None = None
    """Without it every channel is read."""
    readout: ReadoutSettings = ReadoutSettings()
    size: Literal["chosen", "keep", "rescale"] = "keep"
    """What is done to the length of what is read before it is drawn; chosen, on held-out trials of the training."""

    @model_validator(mode="after")
    def _voxels_have_one_value(self) -> Self:
        if self.voxels is not None and not self.epoch.mean:
            raise ValueError("[voxels] chooses among voxels of one value a trial: set mean = true in [epoch]")
        return self

    @property
    def betas(self) -> SingleTrialBetas | None:
        """The step that gives the beta of each trial; None where the pipeline has none."""
        steps = Pipeline.from_json([dict(step) for step in self.pipeline]).steps
        return next((step for step in steps if isinstance(step, SingleTrialBetas)), None)

    @model_validator(mode="after")
    def _scanned_as_a_whole(self) -> Self:
        if self.participant.scanner is None:
            if isinstance(self.trials.blank_s, tuple):
                raise ValueError(
                    f"[trials] blank_s: expected one, came {len(self.trials.blank_s)}; only runs of a "
                    "[participant.scanner] take turns"
                )
            return self
        if self.participant.modality != "fmri" or self.scan is None:
            raise ValueError(
                'a [participant.scanner] is of modality = "fmri", and needs scan, a folder for its reference volume '
                f"and mask; came modality {self.participant.modality!r} and scan {str(self.scan)!r}"
            )
        if self.betas is None:
            raise ValueError(
                "a scanned participant is read by betas: end [[pipeline]] with single_trial_betas"
            )
        return self


Config = TypeVar("Config", bound=HyperConfig)


def parse_hyper(values: Mapping[str, Any], where: str) -> HyperConfig:
    """Read the training settings that a bundle carries; see `parse_as`."""
    return parse_as(HyperConfig, values, where)


def load_hyper(path: Path) -> HyperConfig:
    """Read a training file; see `load_as`."""
    return load_as(HyperConfig, path)


def parse_as(model: type[Config], values: Mapping[str, Any], where: str) -> Config:
    """Read the training settings that a bundle carries: all but the paths, which are those of another machine.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    places: dict[str, Any] = {"generator": Path(), "stimuli": Path()}
    who = values.get("participant")
    if isinstance(who, Mapping) and who.get("scanner") is not None:
        places["scan"] = Path()
    return check_settings({**places, **values}, model, where)


def load_as(model: type[Config], path: Path) -> Config:
    """Read a training file; its paths start from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    config = load_settings(path, model, "training")
    folder = path.resolve().parent
    places = {"generator": locate(config.generator, folder, "bundles"), "stimuli": folder / config.stimuli}
    if config.scan is not None:
        places["scan"] = folder / config.scan
    return config.model_copy(update=places)


def portable(config: Any) -> dict[str, Any]:
    """Return the settings of a training file with a pipeline for a bundle: without paths and what training fills in."""
    pipeline = [
        {key: value for key, value in step.items() if key not in FILLED or step["step"] != BETAS}
        for step in config.pipeline
    ]
    return config.model_dump(mode="json", exclude={"generator", "stimuli", "scan"}) | {"pipeline": pipeline}
