"""A training file of reconstruction by gradient: a simulated experiment, a generator, the network that is matched."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from bci.config.toml import check_settings, load_settings
from bci.io.shipped import locate
from models.readouts.settings import ReadoutSettings
from models.systems.hyper.settings import HyperConfig


class GradientConfig(HyperConfig):
    """A GradientConfig is a training file of kind ``gradient``; its sections are those of ``hyper-insilico``."""

    kind: Literal["gradient"]  # type: ignore[assignment]
    """Which kind it is."""
    readout: ReadoutSettings = ReadoutSettings(name="distilled")
    """The distilled network; its options say which features are matched, and how."""
    size: Literal["chosen", "keep", "rescale"] = "keep"
    """What is done to the length of what the distilled network answers, before it is drawn."""

    @model_validator(mode="after")
    def _distilled(self) -> Self:
        if self.readout.name != "distilled":
            raise ValueError(
                f"kind = 'gradient' trains the readout 'distilled', came {self.readout.name!r}: others are of kind = "
                "'hyper-insilico'"
            )
        return self


def parse_gradient(values: Mapping[str, Any], where: str) -> GradientConfig:
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
    return check_settings({**places, **values}, GradientConfig, where)


def load_gradient(path: Path) -> GradientConfig:
    """Read a training file; its paths start from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    config = load_settings(path, GradientConfig, "training")
    folder = path.resolve().parent
    places = {"generator": locate(config.generator, folder, "bundles"), "stimuli": folder / config.stimuli}
    if config.scan is not None:
        places["scan"] = folder / config.scan
    return config.model_copy(update=places)
