"""Parts that training files share: sections that refuse unknown keys, kinds of numbers, the root of recordings."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bci.errors import ConfigError

Positive = Annotated[float, Field(gt=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]


class Section(BaseModel):
    """A section of a training file: frozen, without unknown keys, infinities or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
