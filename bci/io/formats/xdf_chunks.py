"""The chunks of an XDF file, walked before a reader believes their lengths.

Format: github.com/sccn/xdf/wiki/Specifications, version 1.0. A chunk is its length, a tag and its content;
a sample is 0, or 8 and a stamp of 8 bytes, and then its values.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from bci.errors import RecordingError

_STREAM_HEADER, _SAMPLES = 2, 3
_WITH_STREAM = (2, 3, 4, 6)
_KNOWN = range(1, 7)
_ITEM = {"float32": 4, "double64": 8, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "string": 0}
#: A string sample costs Python some hundred bytes where the file may spend three.
_MOST_STRINGS = 1_000_000


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk over the file found.

    Attributes
    ----------
    sound : int
        Bytes up to the end of the last whole chunk.
    defects : tuple of str
        What is missing behind it.
    """

    sound: int
    defects: tuple[str, ...]


@dataclass(slots=True)
class _Stream:
    name: str
    channels: int
    item: int


def check_chunks(path: Path) -> Walk:
    """Walk over all chunks and check every size that a reader would believe.

    Raises
    ------
    RecordingError
        If this is no XDF file, or a chunk claims what it cannot hold.
    """
    size = path.stat().st_size
    streams: dict[int, _Stream] = {}
    strings = 0
    with path.open("rb") as file:
        if file.read(4) != b"XDF:":
            raise RecordingError(f"{path.name} does not begin like an XDF file")
        at = 4
        while at < size:
            length = _length(file)
            content = file.tell()
            if length is None or content + length > size:
                return Walk(at, (f"the file ends within a chunk; its last {size - at} bytes are not played",))
            where = f"{path.name}, byte {at}"
            tag = struct.unpack("<H", file.read(2))[0] if length >= 2 else 0
            if tag not in _KNOWN or (tag in _WITH_STREAM and length < 6):
                raise RecordingError(
                    f"{where}: no chunk of {length} bytes has tag {tag}; the file is damaged"
                )
            if tag in _WITH_STREAM:
                stream_id = struct.unpack("<I", file.read(4))[0]
                if tag == _STREAM_HEADER:
                    streams[stream_id] = _stream(where, file.read(length - 6))
                elif stream_id not in streams:
                    raise RecordingError(
                        f"{where}: a chunk of a stream, {stream_id}, that has no header before"
                    )
                elif tag == _SAMPLES:
                    stream = streams[stream_id]
                    n = _check_samples(where, stream, file, content + length)
                    strings += n if stream.item == 0 else 0
            if strings > _MOST_STRINGS:
                raise RecordingError(f"{path.name} holds more than {_MOST_STRINGS} text samples: refused")
            at = content + length
            file.seek(at)
    return Walk(size, ())


def _length(file: IO[bytes]) -> int | None:
    """Read a variable-length integer; None at the end of the file or where none stands."""
    width = file.read(1)
    if not width or width[0] not in (1, 4, 8):
        return None
    digits = file.read(width[0])
    return int.from_bytes(digits, "little") if len(digits) == width[0] else None


def _stream(where: str, xml: bytes) -> _Stream:
    try:
        info = ElementTree.fromstring(xml.decode("utf-8", "replace"))
        stream = _Stream(
            name=info.findtext("name") or "",
            channels=int(info.findtext("channel_count") or ""),
            item=_ITEM[info.findtext("channel_format") or ""],
        )
        rate = float(info.findtext("nominal_srate") or "")
    except (ElementTree.ParseError, ValueError, KeyError) as error:
        raise RecordingError(
            f"{where}: a stream's header cannot be read ({error}); the file is damaged"
        ) from error
    if stream.channels < 1 or not math.isfinite(rate) or rate < 0:
        raise RecordingError(f"{where}: a stream of {stream.channels} channels at {rate} Hz cannot be played")
    return stream


def _check_samples(where: str, stream: _Stream, file: IO[bytes], end: int) -> int:
    """Return how many samples a chunk holds, after walking over every one of them."""
    n = _length(file)
    body = file.read(max(0, end - file.tell()))
    if n is None or n > len(body) or _walk_samples(stream, body, n) != len(body):
        raise RecordingError(
            f"{where}: a chunk of stream {stream.name!r} claims {n} samples of {stream.channels} channels in "
            f"{len(body)} bytes, which do not hold them; the file is damaged"
        )
    return n


def _walk_samples(stream: _Stream, body: bytes, n: int) -> int:
    """Return where the last of `n` samples ends, or -1 when one cannot be where it should."""
    at, size, values = 0, len(body), stream.channels * stream.item
    for _ in range(n):
        if at >= size or body[at] not in (0, 8):
            return -1
        at += 1 + body[at] + values
        if not stream.item:
            for _ in range(stream.channels):
                width = body[at] if at < size else 0
                if width not in (1, 4, 8):
                    return -1
                at += 1 + width + int.from_bytes(body[at + 1 : at + 1 + width], "little")
    return at
