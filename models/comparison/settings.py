"""A comparison file names the readouts to compare and their data."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bci.config.paths import PathText
from bci.config.toml import load_settings
from bci.errors import ConfigError
from bci.io.shipped import locate
from models.readouts.settings import ReadoutSettings, VoxelSettings
from models.settings import Section


class Entry(ReadoutSettings):
    """An Entry is one readout of the table."""

    title: str = ""
    """What the table calls it; its name when empty."""


class ComparisonConfig(Section):
    """A ComparisonConfig is a file of kind ``comparison``."""

    kind: Literal["comparison"]
    name: str
    """What the comparison is called."""
    data: PathText
    """The training file of a system, from the file's own folder: its training trials are compared on."""
    trials: Annotated[int, Field(ge=40, le=10_000_000)] | None = None
    """So many of its training trials, evenly over the session; all of them by default."""
    readouts: Annotated[tuple[Entry, ...], Field(min_length=1)]
    """The readouts to compare."""
    voxels: VoxelSettings | None = None
    """Chosen inside each fold; those of `data` by default, where it chooses any."""
    candidates: Annotated[int, Field(ge=2, le=100_000)] = 24
    """Among how many pictures trials are identified, beside two."""
    oracle_trials: Annotated[int, Field(ge=0, le=1_000_000)] = 60
    """How many trials the oracle is asked about; 0 for none."""
    permutations: Annotated[int, Field(ge=10, le=1_000_000)] = 1000
    """And resamples."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of permutations and resamples."""


def load_comparison(path: Path) -> ComparisonConfig:
    """Read a comparison file; its path starts from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible.
    """
    config = load_settings(path, ComparisonConfig, "comparison")
    names = [entry.title or entry.name for entry in config.readouts]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(
            f"{path}: expected readouts of different titles, came {', '.join(sorted(twice))} twice. Give each a title."
        )
    return config.model_copy(update={"data": locate(config.data, path.resolve().parent, "configs")})
