"""A training file of reconstruction by gradient: a simulated experiment, a generator, the network that is matched."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import model_validator

from models.readouts.settings import ReadoutSettings
from models.systems.hyper.settings import HyperConfig, load_as, parse_as


class GradientConfig(HyperConfig):
    """A GradientConfig is a training file of kind ``gradient``; its sections are those of ``hyper-insilico``."""

    # A kind of its own in place of the one it inherits: the only key whose values do not overlap.
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
    """Read the training settings that a bundle carries; see `models.systems.hyper.settings.parse_as`."""
    return parse_as(GradientConfig, values, where)


def load_gradient(path: Path) -> GradientConfig:
    """Read a training file; see `models.systems.hyper.settings.load_as`."""
    return load_as(GradientConfig, path)
