"""Framing divides an XDF file into chunks: each is its length, a tag for its kind, and its content.

Format: github.com/sccn/xdf/wiki/Specifications, version 1.0. A length is a byte that says how many bytes it takes,
then the length itself, little-endian. Only the standard library is imported here: the capped child that walks a file
first must start fast.
"""

from enum import IntEnum
from typing import IO, NamedTuple

MAGIC = b"XDF:"

#: What a reader that has lost its way looks for.
BOUNDARY = bytes.fromhex("43a546dccbf5410fb30ed5467383cbe4")

_WIDTHS = (1, 4, 8)


class Tag(IntEnum):
    """A Tag is the kind of a chunk."""

    FILE_HEADER = 1
    STREAM_HEADER = 2
    SAMPLES = 3
    CLOCK_OFFSET = 4
    BOUNDARY = 5
    STREAM_FOOTER = 6


_TAGS = frozenset(Tag)

#: Chunks whose content begins with the id of a stream, four bytes.
OF_A_STREAM = frozenset({Tag.STREAM_HEADER, Tag.SAMPLES, Tag.CLOCK_OFFSET, Tag.STREAM_FOOTER})


class ChunkHead(NamedTuple):
    """A ChunkHead gives the place of a whole chunk, as its own length states it.

    Attributes
    ----------
    offset, length : int
        Where in the file, bytes.
    body : int
        Bytes before its content.
    tag : int
        What it says that it holds; 0 where it is too short for a tag.
    """

    offset: int
    length: int
    body: int
    tag: int

    @property
    def size(self) -> int:
        """Bytes of its content, behind the tag."""
        return self.length - self.body

    @property
    def end(self) -> int:
        """Where the next chunk begins."""
        return self.offset + self.length

    @property
    def possible(self) -> bool:
        """Whether there is such a tag, and room for the stream's id where one has to stand."""
        return self.tag in _TAGS and self.size >= (4 if self.tag in OF_A_STREAM else 0)


def read_head(file: IO[bytes], at: int, end: int) -> ChunkHead | None:
    """Return the chunk that begins at byte `at`; None where no length stands, or it leads past `end`."""
    file.seek(at)
    start = file.read(11)  # a width, the longest length and a tag
    width = start[0] if start else 0
    if width not in _WIDTHS or len(start) <= width:
        return None
    length = 1 + width + int.from_bytes(start[1 : 1 + width], "little")
    if at + length > end:
        return None
    body = 3 + width
    tag = int.from_bytes(start[1 + width : body], "little") if length >= body else 0
    return ChunkHead(at, length, body, tag)


def read_number(content: bytes, at: int) -> tuple[int, int]:
    """Return the integer of variable length at `at`, and where it ends.

    Raises
    ------
    ValueError
        If none stands there.

    Examples
    --------
    >>> read_number(bytes([1, 18]), 0), read_number(bytes([4, 44, 1, 0, 0]), 0)
    ((18, 2), (300, 5))
    """
    width = content[at] if at < len(content) else 0
    end = at + 1 + width
    if width not in _WIDTHS or end > len(content):
        raise ValueError("a length in it is damaged")
    return int.from_bytes(content[at + 1 : end], "little"), end
