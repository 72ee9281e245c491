"""Unpacked sizes of compressed files (.gz, the MAT file in an EEGLAB .set), checked before a reader opens them."""

import gzip
import struct
import zlib
from pathlib import Path

from bci.errors import RecordingError

#: A file may unpack to so many times its size, or to so many bytes if that is more.
_MOST_UNPACKED = 20
_SMALL = 64 << 20

_HEADER = 128
_COMPRESSED = 15
_PIECE = 1 << 16


def check_gzip(path: Path) -> None:
    """Refuse a gzip file that unpacks to far more than its size. The file is unpacked in pieces; none is kept.

    Raises
    ------
    RecordingError
        If it unpacks to more than allowed, or is damaged.
    """
    size = path.stat().st_size
    limit = max(_SMALL, _MOST_UNPACKED * size)
    unpacked = 0
    try:
        with gzip.open(path) as file:
            while piece := file.read(_PIECE):
                unpacked += len(piece)
                if unpacked > limit:
                    raise RecordingError(
                        f"{path.name} is {size} bytes and unpacks to more than {limit}: refused"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"{path.name} is damaged: {error}") from error


def check_mat(path: Path) -> None:
    """Refuse a MAT 5 file that unpacks to far more than its size.

    The file is unpacked in pieces; none is kept. Other kinds of MAT file are left to their reader.

    Raises
    ------
    RecordingError
        If it unpacks to more than allowed.
    """
    size = path.stat().st_size
    limit = max(_SMALL, _MOST_UNPACKED * size)
    unpacked = 0
    with path.open("rb") as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER or header[126:128] not in (b"IM", b"MI"):
            return
        order = "<" if header[126:128] == b"IM" else ">"
        while len(tag := file.read(8)) == 8:
            kind, nbytes = struct.unpack(order + "II", tag)
            if kind != _COMPRESSED:
                file.seek(nbytes, 1)
                continue
            inflate = zlib.decompressobj()
            while nbytes and (piece := file.read(min(nbytes, _PIECE))):
                nbytes -= len(piece)
                while piece:
                    try:
                        unpacked += len(inflate.decompress(piece, _PIECE))
                    except zlib.error as error:
                        raise RecordingError(f"{path.name} is damaged: {error}") from error
                    piece = inflate.unconsumed_tail
                    if unpacked > limit:
                        raise RecordingError(
                            f"{path.name} is {size} bytes and unpacks to more than {limit}: refused. If it is "
                            "sound, save it with its data in a separate .fdt file."
                        )
