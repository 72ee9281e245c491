"""Parts that training files share: sections that refuse unknown keys, kinds of numbers, the root of recordings."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bci.errors import ConfigError

Positive = Annotated[float, Field(gt=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]


class Section(BaseModel):
    """A section of a training file: frozen, without unknown keys, infinities or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DecoderFile(Section):
    """A DecoderFile is the training file of a decoder whose bundle may keep some of what was recorded."""

    keep_windows: bool = True
    """Whether up to 16 recorded windows, a participant's data, lie in the bundle; without them a card computes in
    float32 alone."""


class RecordedFile(Section):
    """A RecordedFile is one recording of a training file; what the recording says of itself need not be stated."""

    path: str
    """Below the data root, with forward slashes."""
    rate: Positive | None = None
    """Samples per second, for files that do not say (.npy, .npz)."""
    channels: tuple[str, ...] | None = None
    """Channels to read, in this order; of a file that names none, labels for all."""
    unit: str | None = None
    """Unit of the values, for files that do not say."""

    @field_validator("path")
    @classmethod
    def _stays_below_the_root(cls, path: str) -> str:
        if Path(path).is_absolute() or ".." in Path(path).parts or not path:
            raise ValueError("a recording is named by its path below the data root")
        return path


class ExpectedSignal(Section):
    """An ExpectedSignal is the signal that a bundle will expect."""

    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    """Picked from the recordings by label."""
    unit: str = "uV"
    """Unit of the values."""
    any_amplitude: bool = False
    """Whether to go on where channels move by a hundred times more or less than anything recorded of a brain does in
    this unit, which is refused otherwise: the unit is most likely misstated."""


class ArraySignal(ExpectedSignal):
    """An ArraySignal is an `ExpectedSignal`, or of arrays what is known of one."""

    channels: tuple[str, ...] = ()
    """Picked from the recordings by label. Of arrays, those of X in its order; features have none."""


def find_data_root(named: Path | None, *, needed: bool = True) -> Path:
    """Return the folder that recordings' paths start from: `named`, else $BCI_DATA, else ../shared/data.

    Raises
    ------
    ConfigError
        If it is no folder, and is `needed`.
    """
    root = named or Path(os.environ.get("BCI_DATA") or "../shared/data")
    if needed and not root.is_dir():
        raise ConfigError(
            f"expected the folder of the recordings, came {root}, which is none. "
            "Name it with --data FOLDER or in the environment variable BCI_DATA."
        )
    return root
