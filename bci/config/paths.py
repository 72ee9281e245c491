"""A path in a settings file is one that a file system can have."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

#: Bytes of one name, and of a path in a file; the folder before it may have as many.
_LONGEST_NAME, _LONGEST = 255, 2048


def _possible(path: Path) -> Path:
    names = [os.fsencode(name) for name in path.parts]
    if any(len(name) > _LONGEST_NAME or b"\0" in name for name in names) or len(os.fsencode(path)) > _LONGEST:
        raise ValueError(
            f"expected a path of at most {_LONGEST} bytes, no name in it longer than {_LONGEST_NAME}, came "
            f"{str(path)[:60]!r}"
        )
    return path


#: A path that a file system can have.
PathText = Annotated[Path, AfterValidator(_possible)]
