"""A .npy file, NumPy's format for one array, is read here once its header was compared with its size.

NumPy itself takes the header at its word: a hundred bytes that claim 10^15 numbers end in a MemoryError.
"""

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bci.io.files.regular import Refuse, require_regular

Shape = tuple[int, ...]

#: Kinds of array that are plain values: truth values, whole and real numbers.
PLAIN = "biuf"

#: NumPy's own limit, bytes.
LONGEST_HEADER = 10_000
#: Bytes of the largest array that is read whole, and of all arrays of one archive.
LARGEST, _LARGEST_ARCHIVE = 1 << 30, 1 << 31


def read_header(
    name: str, file: IO[bytes], size: int, refuse: Refuse, *, kinds: str = "fiu"
) -> tuple[int, np.dtype[np.generic], Shape, bool]:
    """Return (header bytes, dtype, shape, Fortran order) of a .npy of `size` bytes; the data must fit exactly.

    Parameters
    ----------
    name : str
        What errors call the file.
    file : binary file
        At its beginning; afterwards at the first number.
    size : int
        Bytes of the whole.
    refuse : callable
        Makes the error to raise.
    kinds : str
        NumPy's letters for the kinds of number that are taken.

    Raises
    ------
    BciError
        What `refuse` makes, if the header is damaged, claims another size, or its elements are no such numbers.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file, max_header_size=LONGEST_HEADER)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError, EOFError) as error:
        raise refuse(
            f"{name} is not a NumPy array file, or its header is damaged. Get it again from its origin, or save it "
            "with numpy.save."
        ) from error
    if dtype.kind not in kinds:
        why = (
            "it would need pickle, which can run code" if dtype.hasobject else "only real numbers can be read"
        )
        raise refuse(f"{name} holds elements of type {dtype}: {why}. Save it as float32.")
    offset = file.tell()
    claimed = dtype.itemsize
    for n in shape:
        claimed *= n
    if not shape or min(shape) < 0 or claimed != size - offset:
        raise refuse(
            f"{name}: its header claims an array of shape {shape} and type {dtype}, {claimed} bytes, and "
            f"{size - offset} bytes follow. The file is cut short or damaged; get it again from its origin."
        )
    return offset, dtype, shape, fortran


def load_array(path: Path, refuse: Refuse, *, largest: int = LARGEST, kinds: str = PLAIN) -> NDArray[Any]:
    """Return the array of a .npy file: numbers or truth values, never objects; `kinds` as in `read_header`.

    Raises
    ------
    BciError
        What `refuse` makes, if it is missing, no regular file, too large, damaged, or holds something else.
    """
    size = require_regular(path, refuse, largest=largest)
    try:
        with path.open("rb") as file:
            read_header(path.name, file, size, refuse, kinds=kinds)
            file.seek(0)
            array: NDArray[Any] = np.lib.format.read_array(
                file, allow_pickle=False, max_header_size=LONGEST_HEADER
            )
    except (OSError, ValueError) as error:
        raise refuse(f"{path} cannot be read: {error}") from None
    return array


def load_arrays(
    path: Path, refuse: Refuse, *, kinds: str = PLAIN, only: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a .npz archive by name, `only` some or all; `kinds` as in `read_header`.

    Raises
    ------
    BciError
        As `load_array`, and where it unpacks to more than 2 GiB.
    """
    size = require_regular(path, refuse)
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                one for one in archive.infolist() if only is None or one.filename.removesuffix(".npy") in only
            ]
            unpacked = sum(member.file_size for member in members)
            if unpacked > _LARGEST_ARCHIVE:
                raise refuse(
                    f"{path} is {size} bytes and claims to unpack to {unpacked}: at most {_LARGEST_ARCHIVE} are read."
                )
            for member in members:
                where = f"{path.name}:{member.filename}"
                with archive.open(member) as file:
                    read_header(where, file, member.file_size, refuse, kinds=kinds)
                with archive.open(member) as file:
                    arrays[member.filename.removesuffix(".npy")] = np.lib.format.read_array(
                        file, allow_pickle=False, max_header_size=LONGEST_HEADER
                    )
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise refuse(f"{path} is not a sound .npz archive: {error}") from error
    return arrays
