"""A Walk goes through an XDF file piece by piece, damaged pieces included.

Where checksums stand beside the file they state where each chunk begins, so damage to a length costs that chunk
alone. Without them, a walk that meets damage goes on at the next boundary chunk.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bci.errors import RecordingError
from bci.io.files.checksums import BadLine, ChunkSum, HeaderCopy, read_sums, sums_path
from bci.io.files.regular import require_regular
from bci.io.files.xdf import wire as xdf_wire
from bci.io.files.xdf.framing import BOUNDARY, MAGIC, Tag, read_head

_BLOCK = 1 << 20

#: No recorder writes longer chunks; what claims to be one is not loaded.
LARGEST_BODY = 64 << 20

_BOUNDARY_CHUNK = xdf_wire.boundary()


@dataclass(frozen=True, slots=True)
class Piece:
    """A Piece is one chunk, or a stretch of the file that is no readable chunk.

    Attributes
    ----------
    offset, length : int
        Where, bytes.
    body : int
        Bytes before its content.
    tag : int
        What it holds; 0 where there is trouble.
    line : ChunkSum or None
        What the checksums say of it.
    trouble : str
        Why it cannot be read; empty when it can.
    """

    offset: int
    length: int
    body: int = 0
    tag: int = 0
    line: ChunkSum | None = None
    trouble: str = ""


class Walk:
    """A Walk goes through one file; it is a context manager, iterated once.

    Attributes
    ----------
    has_sums : bool
        Whether there are checksums beside it.
    bad_lines : int
        Lines of them that are damaged, or contradict the lines before.
    headers : dict
        Second copies of the streams' headers, as far as the walk has come.

    Raises
    ------
    RecordingError
        If there is no such regular file, or it is no XDF file.
    """

    def __init__(self, path: Path) -> None:
        require_regular(path, RecordingError)
        self._sums = sums_path(path)
        self.has_sums = self._sums.is_file()
        self.bad_lines = 0
        self.headers: dict[int, bytes] = {}
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise RecordingError(f"{path} cannot be read: {error}") from error
        self._size = path.stat().st_size
        self._magic = self._file.read(len(MAGIC))
        if self._magic != MAGIC and not self.has_sums:
            self._file.close()
            raise RecordingError(f"{path.name} does not begin like an XDF file")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Piece]:
        """Yield every piece, in order; together they are the whole file."""
        if self._magic != MAGIC:
            yield Piece(0, min(len(MAGIC), self._size), trouble="the file does not begin with XDF:")
        at = len(MAGIC)
        for line in read_sums(self._sums) if self.has_sums else ():
            match line:
                case BadLine():
                    self.bad_lines += 1
                case HeaderCopy():
                    self.headers[line.stream] = line.xml
                case ChunkSum() if line.offset < at:
                    self.bad_lines += 1
                case ChunkSum():
                    yield from self._unlisted(at, min(line.offset, self._size))
                    yield self.listed(line)
                    at = line.offset + line.length
        yield from self._unlisted(at, self._size)

    def content(self, piece: Piece) -> bytes:
        """Return the content of a chunk, after its tag.

        Raises
        ------
        ValueError
            If it is larger than any recorder makes one.
        """
        size = piece.length - piece.body
        if size > LARGEST_BODY:
            raise ValueError(f"a chunk of {piece.length} bytes is larger than any recorder makes one")
        self._file.seek(piece.offset + piece.body)
        return self._file.read(size)

    def bytes_of(self, piece: Piece) -> bytes:
        """Return a whole chunk as it stands in the file; `content` has judged its size."""
        self._file.seek(piece.offset)
        return self._file.read(piece.length)

    def listed(self, line: ChunkSum) -> Piece:
        """Return the chunk that a line of the checksums is about, wherever the walk is."""
        end = line.offset + line.length
        if end > self._size:
            there = max(0, self._size - line.offset)
            return Piece(line.offset, there, line=line, trouble="the file ends before this chunk does")
        crc, remaining = 0, line.length
        self._file.seek(line.offset)
        while remaining > 0:
            block = self._file.read(min(remaining, _BLOCK))
            crc = zlib.crc32(block, crc)
            remaining -= len(block)
        if crc != line.crc:
            return Piece(line.offset, line.length, line=line, trouble="its checksum does not fit")
        piece = self._chunk(line.offset, end)
        if piece is None or piece.length != line.length:
            return Piece(
                line.offset, line.length, line=line, trouble="it is no chunk, though its checksum fits"
            )
        return Piece(piece.offset, piece.length, piece.body, piece.tag, line)

    def _unlisted(self, at: int, end: int) -> Iterator[Piece]:
        """Yield what lies between `at` and `end`, where nothing vouches for the chunks."""
        while at < end:
            piece = self._chunk(at, end)
            if piece is not None:
                yield piece
                at += piece.length
                continue
            resume = self._next_boundary(at + 1, end)
            what = (
                "the file ends within a chunk"
                if resume == end == self._size
                else "it cannot be read as chunks"
            )
            yield Piece(at, resume - at, trouble=what)
            at = resume

    def _chunk(self, at: int, end: int) -> Piece | None:
        """Return the chunk at `at`, if what stands there looks like one that ends by `end`."""
        head = read_head(self._file, at, end)
        if head is None or not head.possible or (head.tag == Tag.BOUNDARY and head.size < len(BOUNDARY)):
            return None
        return Piece(at, head.length, head.body, head.tag)

    def _next_boundary(self, at: int, end: int) -> int:
        """Return where the next boundary chunk begins; `end` where there is none."""
        overlap = len(_BOUNDARY_CHUNK) - 1
        while at < end:
            self._file.seek(at)
            block = self._file.read(min(_BLOCK, end - at))
            place = block.find(_BOUNDARY_CHUNK)
            if place >= 0:
                return at + place
            if len(block) <= overlap:
                break
            at += len(block) - overlap
        return end
