"""A Content checks and accumulates the chunks of an XDF file: streams, stamps, counts, and contradictions."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.io.files import safe_xml
from bci.io.files.checksums import ChunkSum
from bci.io.files.xdf.framing import BOUNDARY, OF_A_STREAM, Tag, read_number
from bci.io.files.xdf.gaps import Gaps
from bci.io.files.xdf.layout import FORMATS, STAMP_BYTES, Layout
from bci.io.files.xdf.wire import sample_dtype

_NO_STAMPS = np.empty(0)


@dataclass(frozen=True, slots=True)
class Header:
    """A Header describes one stream of an XDF file.

    Attributes
    ----------
    xml : bytes
        The header as in the file.
    layout : Layout
        How its samples lie in the file.
    source_id : str
        Its device.
    speed : float
        How many times faster than its rate it was played.
    exact : bool
        Whether its stamps are the samples' own times.
    """

    xml: bytes
    layout: Layout
    source_id: str
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
        layout = Layout.read(root)
        speed = root.findtext("desc/bci/speed") or "1"
        try:
            known = 0 < float(speed) < math.inf
        except ValueError:
            known = False
        if not known:
            raise ValueError(f"a stream's header claims that it was played at {speed!r} times real time")
        return cls(
            xml=xml,
            layout=layout,
            source_id=root.findtext("source_id") or "",
            speed=float(speed),
            exact=root.findtext("desc/bci/exact_stamps") == "1",
        )

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.layout.name

    @property
    def channels(self) -> int:
        """Values per sample."""
        return self.layout.channels

    @property
    def kind(self) -> str:
        """Format of a value: ``"float32"`` … ``"string"``."""
        return self.layout.kind

    @property
    def rate(self) -> float:
        """Samples per second, 0 when irregular."""
        return self.layout.rate


@dataclass(slots=True)
class StreamState:
    """A StreamState holds the counts of one stream over the chunks read so far.

    Attributes
    ----------
    samples, backwards, missing : int
        Samples read; steps between stamps that are negative; samples that the rig's own count passes over.
    gaps : Gaps
        Gaps in its stamps, by its own rule.
    footer : bool
        Whether its footer has been read; `footer_count` is the number of samples it states.
    """

    header: Header
    samples: int = 0
    backwards: int = 0
    missing: int = 0
    footer: bool = False
    footer_count: int | None = None
    last: float = math.nan
    next: int | None = None
    gaps: Gaps = field(init=False)

    def __post_init__(self) -> None:
        self.gaps = Gaps(self.header.rate, self.header.speed, self.header.exact)

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
        self.gaps.add(stamps)
        self.samples += len(stamps)
        self.last = float(stamps[-1])

    def skip(self, line: ChunkSum) -> None:
        """Pass over a damaged chunk: its samples count as damaged, neither as a gap nor as missing."""
        self.last = math.nan
        self.next = line.first + line.samples
        self.gaps.skip()


@dataclass(slots=True)
class Content:
    """A Content holds the state of all streams of a file over the chunks read so far."""

    streams: dict[int, StreamState] = field(default_factory=dict)

    def take(
        self, tag: int, content: bytes, line: ChunkSum | None, copies: Mapping[int, bytes]
    ) -> tuple[int, NDArray[np.float64]]:
        """Read one chunk.

        Parameters
        ----------
        tag : int
            XDF's number for the kind of chunk.
        content : bytes
            The chunk's bytes after its tag.
        line : ChunkSum or None
            The chunk's line among the checksums.
        copies : mapping of int to bytes
            Second copies of headers, for streams whose own is damaged.

        Returns
        -------
        stream : int
            Number of the chunk's stream; 0 for none.
        stamps : (n,) float64
            Stamps of the samples in it.

        Raises
        ------
        ValueError
            If the chunk contradicts itself.
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
        Header of the stream.
    content : bytes
        Content of the chunk.
    at : int
        Place of the number of samples in the content.
    last : float
        Stamp of the sample before, from which those that have none are counted on; NaN when unknown.

    Raises
    ------
    ValueError
        If the samples do not fill the chunk exactly, or a stamp is unknown or no number.
    """
    n, at = read_number(content, at)
    size = len(content) - at
    rows = _rows(header, content, at, n)
    if rows is not None:
        return _finite(rows["stamp"].astype(np.float64))
    if n > size:
        raise ValueError(f"it claims {n} samples in {size} bytes")
    period = 1 / header.rate if header.rate else 0.0
    stamps = np.empty(n)
    done = 0
    for place, count, stamp in header.layout.runs(content, at, n):
        run = stamps[done : done + count]
        if not stamp:
            run[:] = np.add.accumulate([last, *(period,) * count])[1:]
        elif count == 1:
            run[0] = struct.unpack_from("<d", content, place + 1)[0]
        else:
            each = STAMP_BYTES + header.layout.value_bytes
            run[:] = np.ndarray((count,), "<f8", content, place + 1, (each,))
        last = run[-1]
        done += count
    return _finite(stamps)


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
    n, at = read_number(content, at)
    rows = _rows(header, content, at, n)
    if rows is None:
        raise ValueError(f"it does not hold the {n} stamped samples of {header.kind} that it claims")
    return np.asarray(rows["values"])


def _rows(header: Header, content: bytes, at: int, n: int) -> NDArray[np.void] | None:
    """Return the samples of a chunk of numbers if every one has a stamp, else None."""
    if not header.layout.all_stamped(content, at, n):
        return None
    layout = sample_dtype(np.dtype(FORMATS[header.kind]), header.channels)
    return np.frombuffer(content, layout, n, at) if n else np.empty(0, layout)


def _finite(stamps: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.all(np.isfinite(stamps)):
        raise ValueError("a stamp in it is no number, or counts on from a chunk that is damaged")
    return stamps


def _xml(text: bytes) -> safe_xml.Element:
    return safe_xml.parse(text.decode("utf-8", "replace").encode(), "utf-8")
