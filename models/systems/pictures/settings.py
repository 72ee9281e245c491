"""A training file of pictures: sessions in which pictures of known latents were shown, their generator, a readout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, model_validator

from bci.config.paths import PathText
from bci.config.toml import check_settings, load_settings
from bci.io.shipped import locate
from bci.signal.types import Signal
from models.datasets.session_settings import SessionsSettings
from models.insilico.settings import Cut
from models.readouts.settings import ReadoutSettings
from models.settings import ArraySignal, DecoderFile


class PicturesConfig(DecoderFile):
    """A PicturesConfig is a training file of kind ``pictures``."""

    kind: Literal["pictures"]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    """What the bundle is called."""
    title: str = ""
    """One sentence about it, for people."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of folds and of everything that is drawn at random."""
    data: SessionsSettings
    """Sessions of ours in which the pictures were shown; or arrays, whose y is the latent of each trial's picture."""
    generator: PathText
    """Folder of the generator's package, from the file's own; or the name of a shipped one. It drew the pictures."""
    signal: ArraySignal = ArraySignal()
    pipeline: tuple[dict[str, JsonValue], ...] = ()
    """Steps from signal to epoch, as a bundle holds them."""
    epoch: Cut = Cut(start=0.0, stop=1.0)
    """To be stated, but of arrays of which no stream's rate is."""
    readout: ReadoutSettings = ReadoutSettings()
    size: Literal["chosen", "keep", "rescale"] = "chosen"
    """The length of what is read: kept, rescaled to that of the generator's latents, or chosen by the pictures drawn of
    held-out trials of the training; a readout that holds none out keeps it."""
    folds: Annotated[int, Field(ge=2, le=50)] = 5
    """Folds of pictures: what is scored was read by what never saw that picture."""

    @model_validator(mode="after")
    def _of_sessions(self) -> Self:
        if self.data.bids is not None:
            raise ValueError(
                "data: pictures of known latents stand in arrays, or in sessions of ours; came bids"
            )
        arrays = self.data.arrays
        if arrays is None and not self.signal.channels:
            raise ValueError("signal.channels: expected the channels that are read, came none")
        if "epoch" not in self.model_fields_set and (arrays is None or arrays.rate is not None):
            raise ValueError("epoch: expected start and stop of an epoch in seconds, came none")
        return self

    def expected(self, rate: float) -> Signal:
        """Return the signal that a bundle made of sessions of this rate expects."""
        channels = self.signal.channels
        return Signal("EEG", rate, (len(channels),), channels, self.signal.unit)


def parse_pictures(values: Mapping[str, Any], where: str) -> PicturesConfig:
    """Read the training settings that a bundle carries: all but the generator's place, which is of another machine.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    return check_settings({"generator": Path(), **values}, PicturesConfig, where)


def load_pictures_file(path: Path) -> PicturesConfig:
    """Read a training file; the generator's path starts from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    config = load_settings(path, PicturesConfig, "training")
    return config.model_copy(update={"generator": locate(config.generator, path.resolve().parent, "bundles")})
