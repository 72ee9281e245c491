"""A comparison of systems names the sets of trials that every reader learns from and reads, and how it is scored."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bci.config.paths import PathText
from bci.config.toml import load_settings
from bci.errors import ConfigError
from bci.io.shipped import locate
from models.settings import Positive, Section


class SetOfTrials(Section):
    """A SetOfTrials is one set that all readers are compared on."""

    title: Annotated[str, Field(min_length=1)]
    """What the table calls it."""
    data: PathText
    """The training file of a system whose trials show pictures, from the file's own folder."""
    trials: Annotated[int, Field(ge=40, le=10_000_000)] | None = None
    """So many of its training trials, evenly over them; all by default."""


class SystemsConfig(Section):
    """A SystemsConfig is a file of kind ``comparison-of-systems``."""

    kind: Literal["comparison-of-systems"]
    name: str
    """What the comparison is called."""
    sets: Annotated[tuple[SetOfTrials, ...], Field(min_length=1)]
    """The sets; each has a table of its own."""
    readers: tuple[str, ...] = ()
    """Titles of the readers to compare; all by default."""
    side: Annotated[int, Field(ge=16, le=512, multiple_of=16)] = 32
    """Height and width at which pictures are compared, pixels."""
    others: Annotated[int, Field(ge=40, le=1_000_000)] = 2000
    """Further pictures of the generator, for readers that learn pictures first or look for the likeliest."""
    effort: Positive = 1.0
    """Less than 1 makes updates and dreams of readers that have some so many fewer."""
    permutations: Annotated[int, Field(ge=10, le=1_000_000)] = 2000
    """Exchanges of pictures, and resamples of them."""
    chunk: Annotated[int, Field(ge=10, le=1_000_000)] = 500
    """Exchanges, or resamples, of one unit."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of further pictures, readers, exchanges and resamples."""


def load_systems(path: Path) -> SystemsConfig:
    """Read a comparison of systems; its paths start from its folder.

    Raises
    ------
    ConfigError
        Naming every key that is unknown or impossible, or titles that are there twice.
    """
    config = load_settings(path, SystemsConfig, "comparison")
    titles = [one.title for one in config.sets]
    if twice := {title for title in titles if titles.count(title) > 1}:
        raise ConfigError(
            f"{path}: expected sets of different titles, came {', '.join(sorted(twice))} twice."
        )
    sets = tuple(
        one.model_copy(update={"data": locate(one.data, path.resolve().parent, "configs")})
        for one in config.sets
    )
    return config.model_copy(update={"sets": sets})
