"""Provenance of a result, as bundles, packages and reports state it: versions of libraries, hashes of arrays."""

import hashlib
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the version of Python and of each installed package."""
    return {"python": sys.version.split()[0]} | {name: version(name) for name in packages}


def digest(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of arrays as they lie in memory, type and shape included: 64 hexadecimal digits.

    >>> digest(np.zeros(2)) == digest(np.zeros((2, 1)))
    False
    """
    made = hashlib.sha256()
    for array in arrays:
        made.update(f"{array.dtype.str} {array.shape}\n".encode())
        made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()
