"""Checksums of a recording, a line for each chunk in a file beside it, and the manifest that closes the recording.

``recording.xdf.sums`` is text that only grows. Each line ends with its own CRC-32, eight hexadecimal digits,
over everything before the last space, so that damage to this file is told from damage to the recording::

    bci-sums 1 <name of the recording> <crc>
    S <stream> <the stream's header, XML in base64> <crc>
    C <offset> <length> <tag> <stream> <first> <samples> <CRC-32 of the chunk> <crc>

A chunk is `length` bytes at `offset`, its own length and tag included. `first` is the count, on the rig, of a
chunk's first sample: where it is not where the chunk before ended, samples were lost before they could be
recorded. Chunks of no stream have stream, first and samples 0. An ``S`` line is a second copy of a header,
without which a stream cannot be read. CRC-32 finds every damage of up to 32 bits in a row for certain and misses
1 in 4·10⁹ of the others; it is no protection against forgery.

``recording.xdf.manifest.json`` is written when the recording is closed: its size, chunks, samples per stream,
the BLAKE2b hash of the checksums, and a hash of itself.
"""

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = "bci-sums 1"

#: Longer lines are not read: a header is some hundred bytes a channel, and base64 adds a third.
_LONGEST_LINE = 64 << 20

_CRC = re.compile(rb"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class ChunkSum:
    """A ChunkSum is the checksum line of one chunk.

    Attributes
    ----------
    offset, length : int
        Place of the chunk in the file, bytes.
    tag : int
        XDF's number for the kind of chunk.
    stream : int
        XDF's number of the stream; 0 for chunks of no stream.
    first, samples : int
        Count of its first sample on the rig, and number of samples; 0 unless the chunk holds samples.
    crc : int
        CRC-32 of its bytes.
    """

    offset: int
    length: int
    tag: int
    stream: int
    first: int
    samples: int
    crc: int

    def line(self) -> bytes:
        """Return it as a line of the file."""
        return _signed(
            f"C {self.offset} {self.length} {self.tag} {self.stream} {self.first} {self.samples} {self.crc:08x}"
        )


@dataclass(frozen=True, slots=True)
class HeaderCopy:
    """A HeaderCopy is the second copy of a stream's header, XML."""

    stream: int
    xml: bytes

    def line(self) -> bytes:
        """Return it as a line of the file."""
        return _signed(f"S {self.stream} {base64.b64encode(self.xml).decode()}")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A BadLine stands for a line of checksums that is damaged or unfinished."""

    number: int


def sums_path(recording: Path) -> Path:
    """Return the path of a recording's checksums, also while the recording is still called ``.partial``."""
    return recording.with_name(_final(recording) + ".sums")


def manifest_path(recording: Path) -> Path:
    """Return the path of a recording's manifest."""
    return recording.with_name(_final(recording) + ".manifest.json")


def first_line(recording: Path) -> bytes:
    """Return the first line of a recording's checksums."""
    return _signed(f"{FORMAT} {_final(recording).replace(' ', '_')}")


def read_sums(path: Path) -> Iterator[ChunkSum | HeaderCopy | BadLine]:
    """Yield the lines of a file of checksums, parsed; a line that is damaged or unfinished as a `BadLine`."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            read = _read(line)
            if isinstance(read, ChunkSum | HeaderCopy):
                yield read
            elif read is None or number > 1:
                yield BadLine(number)


def hash_of(path: Path) -> str:
    """Return the BLAKE2b hash of a file, 64 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sign(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with the hash of itself under ``self``."""
    plain = json.dumps(manifest, sort_keys=True, ensure_ascii=False).encode()
    return {**manifest, "self": hashlib.blake2b(plain, digest_size=16).hexdigest()}


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Return a recording's manifest, or None when it is damaged."""
    if path.stat().st_size > _LONGEST_LINE:
        return None
    try:
        manifest = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict):
        return None
    bare = {key: value for key, value in manifest.items() if key != "self"}
    return bare if sign(bare) == manifest else None


def _final(recording: Path) -> str:
    return recording.name.removesuffix(".partial")


def _signed(text: str) -> bytes:
    return f"{text} {zlib.crc32(text.encode()):08x}\n".encode()


def _read(line: bytes) -> ChunkSum | HeaderCopy | str | None:
    """Return a parsed line; the recording's name for the first line, None for a damaged one."""
    text, _, crc = line.rstrip(b"\n").rpartition(b" ")
    if not line.endswith(b"\n") or not _CRC.fullmatch(crc) or int(crc, 16) != zlib.crc32(text):
        return None
    match text.split(b" "):
        case [b"C", *words] if len(words) == 7:
            try:
                offset, length, tag, stream, first, samples = map(int, words[:6])
                chunk = ChunkSum(offset, length, tag, stream, first, samples, int(words[6], 16))
            except ValueError:
                return None
            return chunk if min(chunk.offset, chunk.length, chunk.samples) >= 0 else None
        case [b"S", stream, coded]:
            try:
                return HeaderCopy(int(stream), base64.b64decode(coded, validate=True))
            except (ValueError, binascii.Error):
                return None
        case _:
            return text.decode(errors="replace") if text.startswith(FORMAT.encode()) else None
