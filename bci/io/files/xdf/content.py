"""The Content of an XDF file's chunks, read with suspicion: streams, stamps, counts, and what contradicts itself."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.io.files import safe_xml
from bci.io.files.checksums import ChunkSum
from bci.io.files.xdf.wire import BOUNDARY, FORMATS, OF_A_STREAM, Tag, sample_dtype

_NO_STAMPS = np.empty(0)


@dataclass(frozen=True, slots=True)
class Header:
    """What a stream says of itself.

    Attributes
    ----------
    xml : bytes
        As it stands in the file.
    name, source_id : str
        Its name, and its device.
    channels : int
        Values per sample.
    kind : str
        Format of a value: ``"float32"`` … ``"string"``.
    rate, speed : float
        Samples per second, 0 when irregular; how many times faster than that they were played.
    exact : bool
        Whether its stamps are the samples' own times.
    """

    xml: bytes
    name: str
    source_id: str
    channels: int
    kind: str
    rate: float
    speed: float
    exact: bool

    @classmethod
    def read(cls, xml: bytes) -> Self:
        """Read a header.

        Raises
        ------
        ValueError
            If it describes no stream that there can be.
        """
        root = _xml(xml)
        try:
            header = cls(
                xml=xml,
                name=root.findtext("name") or "",
                source_id=root.findtext("source_id") or "",
                channels=int(root.findtext("channel_count") or ""),
                kind=root.findtext("channel_format") or "",
                rate=float(root.findtext("nominal_srate") or ""),
                speed=float(root.findtext("desc/bci/speed") or 1),
                exact=root.findtext("desc/bci/exact_stamps") == "1",
            )
        except ValueError as error:
            raise ValueError(f"a stream's header has a number that is none: {error}") from None
        known = header.kind in FORMATS or header.kind == "string"
        if (
            not known
            or header.channels < 1
            or not 0 <= header.rate < math.inf
            or not 0 < header.speed < math.inf
        ):
            raise ValueError(
                f"a stream's header claims {header.channels} channels of {header.kind!r} at {header.rate} Hz"
            )
        return header

    @property
    def longest_step(self) -> float:
        """Seconds between two stamps that are no gap yet; infinite when irregular."""
        if not self.rate:
            return math.inf
        tolerance = 0.5 / self.rate if self.exact else max(10 / self.rate, 0.1)
        return (1 / self.rate + tolerance) / self.speed


@dataclass(slots=True)
class StreamState:
    """One stream, as far as its chunks have been read.

    Attributes
    ----------
    samples, gaps, backwards, missing : int
        Samples read; steps between stamps that are gaps, or negative; samples that the rig's own count passes over.
    footer : bool
        Whether its footer has been read; `footer_count` is the number of samples it states.
    """

    header: Header
    samples: int = 0
    gaps: int = 0
    backwards: int = 0
    missing: int = 0
    footer: bool = False
    footer_count: int | None = None
    last: float = math.nan
    next: int | None = None

    def add(self, stamps: NDArray[np.float64], line: ChunkSum | None) -> None:
        """Count samples, and compare their stamps and counts with those before."""
        if line is not None:
            if self.next is not None:
                self.missing += max(0, line.first - self.next)
            self.next = line.first + line.samples
        if not len(stamps):
            return
        steps = np.diff(stamps, prepend=self.last)
        self.backwards += int(np.count_nonzero(steps < 0))
        self.gaps += int(np.count_nonzero(steps > self.header.longest_step))
        self.samples += len(stamps)
        self.last = float(stamps[-1])

    def skip(self, line: ChunkSum) -> None:
        """Pass over a damaged chunk: what it held is damage, neither a gap nor missing."""
        self.last = math.nan
        self.next = line.first + line.samples


@dataclass(slots=True)
class Content:
    """All streams of a file, as far as it has been read."""

    streams: dict[int, StreamState] = field(default_factory=dict)

    def take(
        self, tag: int, content: bytes, line: ChunkSum | None, copies: Mapping[int, bytes]
    ) -> tuple[int, NDArray[np.float64]]:
        """Read one chunk.

        Parameters
        ----------
        tag : int
            What it holds.
        content : bytes
            What stands behind its tag.
        line : ChunkSum or None
            What its checksum's line says of it.
        copies : mapping of int to bytes
            Second copies of headers, for streams whose own is damaged.

        Returns
        -------
        stream : int
            Whose it is; 0 for none.
        stamps : (n,) float64
            Stamps of the samples in it.

        Raises
        ------
        ValueError
            If it contradicts itself.
        """
        if tag == Tag.BOUNDARY and content != BOUNDARY:
            raise ValueError("a boundary chunk holds something else")
        if tag == Tag.FILE_HEADER:
            _xml(content)
        if tag not in OF_A_STREAM:
            return 0, _NO_STAMPS
        (stream,) = struct.unpack_from("<I", content)
        if tag == Tag.STREAM_HEADER:
            if stream in self.streams:
                raise ValueError(f"a second header for stream {stream}")
            self.streams[stream] = StreamState(Header.read(content[4:]))
            return stream, _NO_STAMPS
        if stream not in self.streams:
            if stream not in copies:
                raise ValueError(f"it belongs to stream {stream}, whose header cannot be read")
            self.streams[stream] = StreamState(Header.read(copies[stream]))
        state = self.streams[stream]
        if tag == Tag.SAMPLES:
            stamps = read_stamps(state.header, content, 4, state.last)
            if line is not None and line.samples != len(stamps):
                raise ValueError(
                    f"it holds {len(stamps)} samples where its checksum's line says {line.samples}"
                )
            state.add(stamps, line)
            return stream, stamps
        if tag == Tag.CLOCK_OFFSET:
            if len(content) != 20:
                raise ValueError(f"a clock offset of {len(content)} bytes")
            return stream, _NO_STAMPS
        count = _xml(content[4:]).findtext("sample_count") or ""
        state.footer, state.footer_count = True, int(count) if count.strip().isdecimal() else None
        return stream, _NO_STAMPS


def read_stamps(header: Header, content: bytes, at: int, last: float) -> NDArray[np.float64]:
    """Return the stamps of a chunk of samples, after checking that it holds what it claims.

    Parameters
    ----------
    header : Header
        Of the stream.
    content : bytes
        Of the chunk.
    at : int
        Where the number of samples stands in it.
    last : float
        Stamp of the sample before, from which those that have none are counted on; NaN when unknown.

    Raises
    ------
    ValueError
        If the samples do not fill the chunk exactly, or a stamp is unknown or no number.
    """
    n, at = _number(content, at)
    size = len(content) - at
    rows = _rows(header, content, at, n)
    if rows is not None:
        return _finite(rows["stamp"].astype(np.float64))
    if n > size:
        raise ValueError(f"it claims {n} samples in {size} bytes")
    return _finite(_walk_stamps(header, content, at, n, last))


def read_values(header: Header, content: bytes, at: int = 4) -> NDArray[Any]:
    """Return the values of a chunk of numbers whose samples all have stamps, as our own recorder writes them.

    Parameters
    ----------
    header, content, at
        As in `read_stamps`.

    Returns
    -------
    (n, channels) array of the stream's type; a view of `content`

    Raises
    ------
    ValueError
        If the samples do not fill the chunk exactly, or one has no stamp.
    """
    n, at = _number(content, at)
    rows = _rows(header, content, at, n)
    if rows is None:
        raise ValueError(f"it does not hold the {n} stamped samples of {header.kind} that it claims")
    return np.asarray(rows["values"])


def _rows(header: Header, content: bytes, at: int, n: int) -> NDArray[np.void] | None:
    """Return the samples of a chunk of numbers if every one has a stamp, else None."""
    if header.kind == "string":
        return None
    layout = sample_dtype(np.dtype(FORMATS[header.kind]), header.channels)
    if n * layout.itemsize != len(content) - at:
        return None
    rows = np.frombuffer(content, layout, n, at) if n else np.empty(0, layout)
    return rows if np.all(rows["stamped"] == 8) else None


def _walk_stamps(header: Header, content: bytes, at: int, n: int, last: float) -> NDArray[np.float64]:
    """Go through samples of text, or with stamps left out, one by one."""
    period = 1 / header.rate if header.rate else 0.0
    values = 0 if header.kind == "string" else np.dtype(FORMATS[header.kind]).itemsize * header.channels
    stamps = np.empty(n)
    for i in range(n):
        stamped = content[at] if at < len(content) else -1
        if stamped not in (0, 8) or at + 1 + stamped > len(content):
            raise ValueError(f"its sample {i} of {n} begins with no stamp")
        last = struct.unpack_from("<d", content, at + 1)[0] if stamped else last + period
        stamps[i] = last
        at += 1 + stamped + values
        if header.kind == "string":
            for _ in range(header.channels):
                width, at = _number(content, at)
                at += width
    if at != len(content):
        raise ValueError(f"it claims {n} samples, which do not fill it exactly")
    return stamps


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Return an integer of variable length and where it ends."""
    width = content[at] if at < len(content) else 0
    end = at + 1 + width
    if width not in (1, 4, 8) or end > len(content):
        raise ValueError("a length in it is damaged")
    return int.from_bytes(content[at + 1 : end], "little"), end


def _finite(stamps: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.all(np.isfinite(stamps)):
        raise ValueError("a stamp in it is no number, or counts on from a chunk that is damaged")
    return stamps


def _xml(text: bytes) -> safe_xml.Element:
    return safe_xml.parse(text.decode("utf-8", "replace").encode(), "utf-8")
