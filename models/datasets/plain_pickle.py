"""Plain pickles are read here without running any code that they name: numbers only.

A pickle is a program. This reader lets it build lists, tuples, dictionaries, text, numbers and NumPy arrays of numbers;
any other class or function is refused by name before it is imported.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from bci.errors import DataError
from bci.io.files.regular import require_regular

#: Functions and classes that a pickled array needs, under the names of old and new versions of NumPy.
_ALLOWED = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        *(
            (f"numpy.{core}.multiarray", name)
            for core in ("core", "_core")
            for name in ("_reconstruct", "scalar")
        ),
        *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
        ("_codecs", "encode"),
    }
)

#: Levels of lists within lists that are counted; an array has at most 64 axes.
_DEEPEST = 70

#: Larger files are refused, because a pickle is read into memory whole.
_LARGEST = 4_000_000_000


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        if module == "_codecs":
            return _latin1
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


def _latin1(text: str, encoding: str) -> bytes:
    """Return bytes that Python 2 pickled as text."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


def load_plain(path: Path) -> Any:
    """Return the content of a pickle file.

    Raises
    ------
    DataError
        If the file is missing, too large, damaged, or holds anything but numbers.
    """
    require_regular(path, DataError, largest=_LARGEST)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from None
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle can raise any exception
        raise DataError(
            f"{path} is not a pickle of plain numbers: {error}. A pickle can run anything, so nothing but arrays, "
            "lists and numbers is taken from one."
        ) from None


def as_floats(values: Any, what: str, path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return values of a pickle as float32.

    Raises
    ------
    DataError
        If the values are no numbers, or their shapes differ.
    """
    # Every number of an honest pickle has its bytes in the file; lists that hold one list many times have not.
    if _count(values, {}) > path.stat().st_size:
        raise DataError(
            f"{path}: expected {what} as numbers that the file holds, came more than it has bytes."
        )
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.asarray(None, object)
    if array.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: expected {what} as numbers of one shape, came {array.dtype} of {type(values).__name__}."
        )
    return array.astype(np.float32)


def _count(values: Any, counted: dict[int, int], depth: int = 0) -> int:
    """Return how many numbers nested lists and arrays hold, each list counted as often as it stands there."""
    if isinstance(values, np.ndarray):
        return int(values.size)
    if not isinstance(values, list | tuple) or depth > _DEEPEST:
        return 1
    if id(values) not in counted:
        counted[id(values)] = sum(_count(item, counted, depth + 1) for item in values)
    return counted[id(values)]
