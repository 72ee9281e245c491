"""Arrays: reading a signal from a NumPy .npy or .npz file, samples along axis 0.

An array states neither rate nor channels nor unit. The rate must be an argument, or be stated in a YAML file of
the same name beside it; channels without names are numbered from 1.
"""

import math
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.formats.file import FileRecording, agree, markers_in
from bci.io.files.formats.sidecar import Sidecar, read_sidecar
from bci.io.files.npy import LONGEST_HEADER, Shape, read_header
from bci.signal.rates import FASTEST_HZ, SLOWEST_HZ, is_plausible
from bci.signal.types import Event, Signal
from bci.signal.units import unit_name

#: An archive may unpack to this many times its size: float recordings deflate to a third at best, int16 ones
#: with silent channels somewhat better.
_MOST_UNPACKED = 20
#: Archives this small when unpacked need no such limit, bytes.
_SMALL = 16 << 20

Block = Callable[[int, int], NDArray[np.generic]]


def open_array(
    path: Path, rate: float | None, channels: Sequence[str] | None, unit: str | None, stream: str | None
) -> FileRecording:
    """Open a .npy or .npz file.

    In an archive the signal is the array named `stream`; else ``data``; else the only one that is not
    ``stim``. ``stim``, one whole number per sample, gives the markers: one where it changes to something
    other than zero, with the number as its text.

    Parameters
    ----------
    path : Path
        The file. A .npy stays on disk and is read block by block; a .npz is unpacked into memory.
    rate : float, optional
        Samples per second; needed unless the YAML beside the file states it.
    channels : sequence of str, optional
        One name per column.
    unit : str, optional
        Unit of the values; without it the unit is unknown, ``""``.
    stream : str, optional
        Name of the archive's array that holds the signal.

    Raises
    ------
    RecordingError
        If the file is damaged, claims more than it holds, needs pickle, or its rate is stated nowhere.
    """
    stim: NDArray[np.generic] | None = None
    defects: list[str] = []
    if path.suffix.casefold() == ".npz":
        data, stim, defects = _read_archive(path, stream)
        shape, block = data.shape, _rows_of(data)
    else:
        shape, block = _open_npy(path)
    sidecar = read_sidecar(path)
    if sidecar is not None and sidecar.rate is not None:
        agree(sidecar.name, "rate", rate, sidecar.rate)
        rate = sidecar.rate
    if rate is None:
        raise RecordingError(
            f"{path.name} does not say how many samples it has per second. Give the rate, in Hz (--rate)."
        )
    if not (rate and is_plausible(rate)):
        raise RecordingError(
            f"{path.name}: the rate is a number from {SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz, got {rate:g}"
        )
    if 0 in shape:
        raise RecordingError(f"{path.name} holds an empty array of shape {shape}: nothing to play")
    n, shape = shape[0], shape[1:] or (1,)
    labels = _labels(path, n, shape, channels, sidecar, defects)
    if unit is None:
        defects.append("no unit is stated: the values are played as they are")
    markers: list[Event] = []
    if stim is not None:
        if stim.shape != (n,) or stim.dtype.kind not in "iub":
            raise RecordingError(
                f"{path.name}: 'stim' must hold one whole number for each of {n} samples, "
                f"got {stim.dtype} of shape {stim.shape}"
            )
        markers = markers_in(stim, rate)
    signal = Signal(path.stem, float(rate), shape, labels, unit_name(unit or ""))
    return FileRecording(
        name=path.name,
        signal=signal,
        n=n,
        block=lambda first, end: block(first, end).reshape(end - first, *shape),
        markers=tuple(markers),
        defects=tuple(defects),
    )


def _labels(
    path: Path,
    n: int,
    shape: Shape,
    channels: Sequence[str] | None,
    sidecar: Sidecar | None,
    defects: list[str],
) -> tuple[str, ...]:
    columns = shape[0]
    if channels is not None:
        if len(channels) != columns:
            turned = " Time is axis 0: save the array transposed." if len(channels) == n else ""
            raise RecordingError(
                f"{path.name} has {columns} columns and {len(channels)} channel names were given.{turned}"
            )
        return tuple(channels)
    if len(shape) > 1:
        return ()
    if columns > n:
        defects.append(f"{columns} columns but {n} rows: is time really along axis 0?")
    numbered = tuple(str(i + 1) for i in range(columns))
    if sidecar is None or not sidecar.sensors:
        return numbered
    if len(sidecar.sensors) != columns:
        # It is unknown which name is missing, and a wrong guess would shift the names of all later columns.
        defects.append(
            f"{sidecar.name} names {len(sidecar.sensors)} sensors for {columns} columns; its names are not used "
            f"and the columns are numbered 1 to {columns}. Give the {columns} names in order to name them."
        )
        return numbered
    return sidecar.sensors


def _open_npy(path: Path) -> tuple[Shape, Block]:
    """Return (shape, reader of rows) of a .npy, after checking its header's claims against its size."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset, dtype, shape, fortran = read_header(path.name, file, size, RecordingError)
        if fortran and len(shape) > 1:
            # In Fortran order each row is spread over the whole file: load it.
            values = np.fromfile(file, dtype)
            return shape, _rows_of(values.reshape(shape, order="F"))
    width = math.prod(shape[1:])

    # Not mapped into memory: a mapped file that shrinks kills the process without a message.
    def block(first: int, end: int) -> NDArray[np.generic]:
        wanted = (end - first) * width
        values = np.fromfile(path, dtype, wanted, offset=offset + first * width * dtype.itemsize)
        if len(values) != wanted:
            raise RecordingError(f"{path.name} has become shorter since it was opened")
        return values

    return shape, block


def _rows_of(values: NDArray[np.generic]) -> Block:
    return lambda first, end: values[first:end]


def _read_archive(
    path: Path, stream: str | None
) -> tuple[NDArray[np.generic], NDArray[np.generic] | None, list[str]]:
    """Return (signal, ``stim`` or None, sentence on arrays that are not played) of a .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {i.filename.removesuffix(".npy"): i for i in archive.infolist()}
            arrays = sorted(members)
            signals = [a for a in arrays if a != "stim"]
            if stream is not None:
                chosen = stream
            else:
                chosen = "data" if "data" in members else signals[0] if len(signals) == 1 else ""
            if chosen not in members:
                raise RecordingError(
                    f"{path.name} holds the arrays {', '.join(arrays) or '(none)'}; expected one named "
                    f"{stream or 'data'!r}. Say which one is the signal (--stream)."
                )
            wanted = [members[chosen]] + ([members["stim"]] if "stim" in members and chosen != "stim" else [])
            unpacked, packed = sum(i.file_size for i in wanted), path.stat().st_size
            if unpacked > max(_SMALL, _MOST_UNPACKED * packed):
                raise RecordingError(
                    f"{path.name} is {packed} bytes and claims to unpack to {unpacked}: more than "
                    f"{_MOST_UNPACKED} times its size is refused. If it is sound, save it with numpy.savez."
                )
            read = [_read_member(f"{path.name}:{i.filename}", archive, i) for i in wanted]
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError) as error:
        raise RecordingError(f"{path.name} is not a sound .npz archive: {error}") from error
    left = [a for a in arrays if a not in (chosen, "stim")]
    notes = [f"not played: the arrays {', '.join(left)}"] if left else []
    return read[0], read[1] if len(read) > 1 else None, notes


def _read_member(name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[np.generic]:
    with archive.open(info) as file:
        read_header(name, file, info.file_size, RecordingError)
    with archive.open(info) as file:
        array: NDArray[np.generic] = np.lib.format.read_array(
            file, allow_pickle=False, max_header_size=LONGEST_HEADER
        )
        return array
