"""The chunks of an XDF file, walked before a reader believes their lengths.

Format: github.com/sccn/xdf/wiki/Specifications, version 1.0. A chunk is its length, a tag and its content;
a sample is 0, or 8 and a stamp of 8 bytes, and then its values.
"""

import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bci.errors import RecordingError
from bci.io.files import safe_xml

_FILE_HEADER, _STREAM_HEADER, _SAMPLES, _CLOCK_OFFSET, _FOOTER = 1, 2, 3, 4, 6
_WITH_STREAM = (2, 3, 4, 6)
_KNOWN = range(1, 7)
_ITEM = {"float32": 4, "double64": 8, "int64": 8, "int32": 4, "int16": 2, "int8": 1, "string": 0}
#: A text costs Python some hundred bytes where the file may spend two.
_MOST_TEXTS = 1_000_000
#: pyxdf keeps some 200 bytes of each. Ten streams' footers hold half a million a day, with an offset every 5 s.
_MOST_ELEMENTS = 4_000_000
#: pyxdf takes a buffer of one sample even for a chunk of none; a picture of 1000 x 1000 in colour has fewer values.
MOST_CHANNELS = 1 << 22
#: pyxdf fits a line through them a thousand times over. A recorder writes one every 5 s: ten days.
_MOST_OFFSETS = 200_000


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
    offsets: int = 0


@dataclass(slots=True)
class _Found:
    """What the chunks so far add up to."""

    streams: dict[int, _Stream] = field(default_factory=dict)
    texts: int = 0
    elements: int = 0

    def check_xml(self, where: str, text: bytes, encoding: str | None = None) -> None:
        """Refuse XML that a reader would pay for; the elements of a whole file count together."""
        try:
            self.elements += safe_xml.count(text, encoding)
        except ValueError as error:
            raise RecordingError(f"{where}: {error}; the file is damaged, or made to do harm") from None
        if self.elements > _MOST_ELEMENTS:
            raise RecordingError(
                f"{where}: the file's headers and footers have more than {_MOST_ELEMENTS} elements"
            )


def check_chunks(path: Path) -> Walk:
    """Walk over all chunks and check every size that a reader would believe.

    Memory stays within a few times the file's largest chunk, whatever the file claims.

    Raises
    ------
    RecordingError
        If this is no XDF file, or a chunk claims what it cannot hold.
    """
    size = path.stat().st_size
    found = _Found()
    with path.open("rb") as file:
        if file.read(4) != b"XDF:":
            raise RecordingError(f"{path.name} does not begin like an XDF file")
        at = 4
        while at < size:
            length = _length(file)
            content = file.tell()
            if length is None or content + length > size:
                return Walk(at, (f"the file ends within a chunk; its last {size - at} bytes are not played",))
            _check_chunk(f"{path.name}, byte {at}", file, content, length, found)
            if found.texts > _MOST_TEXTS:
                raise RecordingError(f"{path.name} holds more than {_MOST_TEXTS} texts: refused")
            at = content + length
            file.seek(at)
    return Walk(size, ())


def _check_chunk(where: str, file: IO[bytes], content: int, length: int, found: _Found) -> None:
    """Check the chunk whose tag is next in the file."""
    tag = struct.unpack("<H", file.read(2))[0] if length >= 2 else 0
    if tag not in _KNOWN or (tag in _WITH_STREAM and length < 6):
        raise RecordingError(f"{where}: no chunk of {length} bytes has tag {tag}; the file is damaged")
    if tag == _FILE_HEADER:
        found.check_xml(where, file.read(length - 2))
    if tag not in _WITH_STREAM:
        return
    (stream_id,) = struct.unpack("<I", file.read(4))
    if tag == _STREAM_HEADER:
        # Readers take this one for UTF-8 whatever it says of itself.
        text = file.read(length - 6).decode("utf-8", "replace").encode()
        found.check_xml(where, text, "utf-8")
        found.streams[stream_id] = _stream(where, safe_xml.parse(text, "utf-8"))
        return
    if stream_id not in found.streams:
        raise RecordingError(f"{where}: a chunk of a stream, {stream_id}, that has no header before")
    stream = found.streams[stream_id]
    if tag == _SAMPLES:
        n = _check_samples(where, stream, file, content + length)
        found.texts += 0 if stream.item else n * stream.channels
    elif tag == _FOOTER:
        found.check_xml(where, file.read(length - 6))
    elif tag == _CLOCK_OFFSET:
        stream.offsets += 1
        if length != 22 or stream.offsets > _MOST_OFFSETS:
            raise RecordingError(
                f"{where}: clock offset {stream.offsets} of stream {stream.name!r} has {length} bytes; expected 22, "
                f"and at most {_MOST_OFFSETS} of them; the file is damaged"
            )


def _length(file: IO[bytes]) -> int | None:
    """Read a variable-length integer; None at the end of the file or where none stands."""
    width = file.read(1)
    if not width or width[0] not in (1, 4, 8):
        return None
    digits = file.read(width[0])
    return int.from_bytes(digits, "little") if len(digits) == width[0] else None


def _stream(where: str, info: safe_xml.Element) -> _Stream:
    try:
        stream = _Stream(
            name=info.findtext("name") or "",
            channels=int(info.findtext("channel_count") or ""),
            item=_ITEM[info.findtext("channel_format") or ""],
        )
        rate = float(info.findtext("nominal_srate") or "")
    except (ValueError, KeyError) as error:
        raise RecordingError(
            f"{where}: a stream's header cannot be read ({error}); the file is damaged"
        ) from error
    if not 1 <= stream.channels <= MOST_CHANNELS or not math.isfinite(rate) or rate < 0:
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
    if stream.item and n * (9 + values) == size and body[:: 9 + values] == b"\x08" * n:
        return size  # numbers with a stamp each, as recorders write them
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
