"""A training file of HYPER's release names its folder, a subject, the generator, and one of the paper's models."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from bci.config.paths import PathText
from bci.config.toml import check_settings, load_settings
from bci.io.shipped import locate
from models.datasets.hyper import GENERATOR
from models.readouts.settings import ReadoutSettings
from models.settings import Count, DecoderFile, Positive, Section


class ModelSettings(Section):
    """What the readout is asked to get right: the latent, a layer's activations, or both; nine models in the paper."""

    latent: bool = True
    """Whether the latent counts."""
    layer: Annotated[int, Field(ge=1, le=1000)] | None = None
    """The generator's layer whose activations count, from 1; the paper's are 4, 9, 14 and 19."""
    crop: Count | None = None
    """Side of the centre of those activations that counts; all of it when left out."""

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not self.latent and self.layer is None:
            raise ValueError("expected latent = true, a layer, or both, came neither")
        if self.crop is not None and self.layer is None:
            raise ValueError("crop is of a layer's activations: name a layer")
        return self

    def __str__(self) -> str:
        """Return its name, as the paper has it."""
        layer = "" if self.layer is None else f"layer {self.layer}"
        return " and ".join((["latent"] if self.latent else []) + ([layer] if layer else []))


class HyperReleaseConfig(DecoderFile):
    """A HyperReleaseConfig is a training file of kind ``hyper-release``."""

    kind: Literal["hyper-release"]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What the bundle is called."""
    title: str = ""
    """One sentence about it, for people."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of chance."""
    data: PathText
    """Folder of the release below the data root: ``data_1.dat``, ``stimuli/``, ``bounds/``."""
    subject: Literal[1, 2] = 1
    """Whose responses."""
    simulated: bool = False
    """That no brain was measured: the responses are planted."""
    generator: PathText
    """Folder of the generator's package, from the file's own; or the name of a shipped one."""
    latents_of: str = GENERATOR
    """Name of the generator whose latents the release holds; a package of another name is refused."""
    model: ModelSettings = ModelSettings()
    readout: ReadoutSettings = ReadoutSettings(name="dense")
    size: Literal["keep", "rescale"] = "rescale"
    """The length of what is read, before it is drawn: kept, or rescaled to that of the generator's latents."""
    tr: Positive = 1.5
    """Seconds from volume to volume."""

    @model_validator(mode="after")
    def _a_gradient_where_a_layer_counts(self) -> Self:
        if self.model.layer is not None and self.readout.name != "dense":
            raise ValueError(
                f"[model] layer needs a readout that is fitted through the generator: name = 'dense' in [readout], "
                f"came {self.readout.name!r}"
            )
        return self


def parse_release(values: Mapping[str, Any], where: str) -> HyperReleaseConfig:
    """Read the training settings that a bundle carries: all but the generator's place, which is of another machine.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    return check_settings({"generator": Path(), **values}, HyperReleaseConfig, where)


def load_release(path: Path) -> HyperReleaseConfig:
    """Read a training file; the generator's path starts from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    config = load_settings(path, HyperReleaseConfig, "training")
    place = locate(config.generator, path.resolve().parent, "bundles")
    return config.model_copy(update={"generator": place})
