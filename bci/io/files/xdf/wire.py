"""The bytes of XDF as a recorder writes them: chunks of headers, samples, clock offsets, boundaries and footers.

How a file is cut into chunks is `bci.io.files.xdf.framing`'s; how a sample lies in one, `bci.io.files.xdf.layout`'s.
"""

import contextlib
import math
import re
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from xml.etree import ElementTree

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.io.files import safe_xml
from bci.io.files.xdf.framing import BOUNDARY, Tag
from bci.io.lsl.metadata import StreamInfo, write_info

# A control character cannot stand in XML 1.0, not even escaped.
_CONTROL = re.compile(r"&#(?:[0-8]|0[0-8]|1[124-9]|2[0-9]|3[01]);|[\x00-\x08\x0b\x0c\x0e-\x1f]")


def number(value: int) -> bytes:
    r"""Return an integer of variable length.

    >>> number(18), number(300)
    (b'\x01\x12', b'\x04,\x01\x00\x00')
    """
    if value < 1 << 8:
        return struct.pack("<BB", 1, value)
    return struct.pack("<BI", 4, value) if value < 1 << 32 else struct.pack("<BQ", 8, value)


def chunk(tag: Tag, *parts: bytes) -> bytes:
    """Return a whole chunk with this content."""
    return b"".join((chunk_head(tag, sum(map(len, parts))), *parts))


def chunk_head(tag: Tag, size: int) -> bytes:
    """Return the first bytes of a chunk with `size` bytes of content."""
    return number(2 + size) + struct.pack("<H", tag)


def stream_chunk(tag: Tag, stream: int, *parts: bytes) -> bytes:
    """Return a whole chunk of one stream."""
    return chunk(tag, struct.pack("<I", stream), *parts)


def file_header() -> bytes:
    """Return the chunk that a file begins with."""
    now = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
    info = f'<?xml version="1.0"?><info><version>1.0</version><datetime>{now}</datetime></info>'
    return chunk(Tag.FILE_HEADER, info.encode())


def stream_header(info: StreamInfo) -> bytes:
    """Return the XML that describes a stream, in the words that Lab Streaming Layer itself uses.

    The sender's own description is kept as it was sent, nested.
    """
    root = ElementTree.fromstring(_CONTROL.sub(" ", write_info(info).as_xml()))
    for name, text in (("uid", info.uid), ("hostname", info.host)):
        element = root.find(name)
        if element is not None:
            element.text = _CONTROL.sub(" ", text)
    desc = root.find("desc")
    if info.desc and desc is not None:
        # liblsl hands on names of elements that XML does not allow; then what was understood has to do.
        with contextlib.suppress(ValueError):
            description = safe_xml.parse(_CONTROL.sub(" ", info.desc).encode(), "utf-8")
            root.remove(desc)
            root.append(description)
    xml: bytes = ElementTree.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0"?>' + xml


def samples(stream: int, values: NDArray[np.generic], stamps: ArrayLike) -> bytearray:
    """Return a chunk of numbers, each sample with its own stamp.

    Parameters
    ----------
    stream : int
        Whose they are.
    values : (n, *shape) array
        Of the type that the stream's header states.
    stamps : (n,) float64
        As the sender gave them.
    """
    n = len(values)
    layout = sample_dtype(values.dtype, math.prod(values.shape[1:]))
    head = (
        chunk_head(Tag.SAMPLES, 4 + len(number(n)) + n * layout.itemsize)
        + struct.pack("<I", stream)
        + number(n)
    )
    # One piece of memory, filled in place: a copy of records takes thirty times as long as one of bytes, and every
    # further megabyte costs its page faults.
    piece = bytearray(len(head) + n * layout.itemsize)
    piece[: len(head)] = head
    rows = np.frombuffer(piece, layout, offset=len(head))
    rows["stamped"] = 8
    rows["stamp"] = stamps
    rows["values"] = values.reshape(n, -1)
    return piece


def sample_dtype(dtype: np.dtype[np.generic], channels: int) -> np.dtype[np.void]:
    """Return the packed layout of one stamped sample."""
    little = dtype.newbyteorder("<")
    return np.dtype([("stamped", "u1"), ("stamp", "<f8"), ("values", little, (channels,))])


def texts(stream: int, values: Sequence[str], stamps: Sequence[float]) -> bytes:
    """Return a chunk of text: as many values for each stamp as the stream has channels, one sample after the other."""
    rows = []
    each, over = divmod(len(values), len(stamps))
    if over:
        raise ValueError(f"{len(stamps)} stamps go with as many samples of text, got {len(values)} texts")
    for at, stamp in enumerate(stamps):
        rows.append(struct.pack("<Bd", 8, stamp))
        for text in values[at * each : (at + 1) * each]:
            encoded = text.encode()
            rows += [number(len(encoded)), encoded]
    return stream_chunk(Tag.SAMPLES, stream, number(len(stamps)), *rows)


def clock_offset(stream: int, collected: float, offset: float) -> bytes:
    """Return a chunk that says how far a sender's clock is behind.

    Parameters
    ----------
    stream : int
        Whose clock.
    collected : float
        When it was compared, seconds on the sender's own clock: readers fit offsets over the stamps as sent.
    offset : float
        Seconds to add to the sender's stamps.
    """
    return stream_chunk(Tag.CLOCK_OFFSET, stream, struct.pack("<dd", collected, offset))


def boundary() -> bytes:
    """Return the chunk from which reading can go on behind damage."""
    return chunk(Tag.BOUNDARY, BOUNDARY)


def stream_footer(
    stream: int, first: float, last: float, count: int, offsets: Iterable[tuple[float, float]]
) -> bytes:
    """Return the chunk that closes a stream.

    Parameters
    ----------
    stream : int
        Which.
    first, last : float
        Stamps of its first and last sample; NaN without any.
    count : int
        Samples.
    offsets : iterable of (float, float)
        Every clock offset: when collected, and its size.
    """
    listed = "".join(f"<offset><time>{t!r}</time><value>{v!r}</value></offset>" for t, v in offsets)
    ends = (
        f"<first_timestamp>{first!r}</first_timestamp><last_timestamp>{last!r}</last_timestamp>"
        if count
        else ""
    )
    xml = (
        f'<?xml version="1.0"?><info>{ends}<sample_count>{count}</sample_count>'
        f"<clock_offsets>{listed}</clock_offsets></info>"
    )
    return stream_chunk(Tag.STREAM_FOOTER, stream, xml.encode())
