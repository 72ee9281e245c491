"""What every training file shares: kinds of numbers, and the folder that recordings' paths start from."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bci.errors import ConfigError

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


def find_data_root(named: Path | None) -> Path:
    """Return the folder that recordings' paths start from: `named`, else $BCI_DATA, else ../shared/data.

    Raises
    ------
    ConfigError
        If it is no folder.
    """
    root = named or Path(os.environ.get("BCI_DATA") or "../shared/data")
    if not root.is_dir():
        raise ConfigError(
            f"expected the folder of the recordings, came {root}, which is none. "
            "Name it with --data FOLDER or in the environment variable BCI_DATA."
        )
    return root
