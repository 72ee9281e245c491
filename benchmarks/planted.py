"""Planted samples are known samples that a benchmark sends, and later compares with a recording of them.

Channel 0 carries the sample number modulo `WRAP`, the others a second of noise, again and again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.io.files.xdf.content import Header
from bci.io.files.xdf.framing import Tag
from bci.io.files.xdf.layout import FORMATS
from bci.io.files.xdf.walk import Walk
from bci.io.files.xdf.wire import sample_dtype

#: Channel 0 counts modulo this: float32 holds every integer below 2²⁴, and sums of two counts stay exact.
WRAP = 1 << 23

#: Gives samples `first` to `end`, (end - first, channels) float32.
Samples = Callable[[int, int], NDArray[np.float32]]


def noise(channels: int, rows: int) -> NDArray[np.float32]:
    """Return the noise that is sent again and again, (rows, channels)."""
    return np.random.default_rng(0).standard_normal((rows, channels), np.float32)


def planted(block: NDArray[np.float32]) -> Samples:
    """Return the function that gives the samples of a source, made of one block of noise.

    >>> planted(noise(2, 3))(2, 6)[:, 0].tolist()
    [2.0, 3.0, 4.0, 5.0]
    """

    def samples(first: int, end: int) -> NDArray[np.float32]:
        numbers = np.arange(first, end)
        rows = block[numbers % len(block)]
        rows[:, 0] = numbers % WRAP
        return rows

    return samples


@dataclass(frozen=True)
class ReadBack:
    """A ReadBack is the comparison of a recording with the samples sent.

    Attributes
    ----------
    samples : int
        Samples of the stream in the file.
    wrong : int
        Samples that differ from those sent at their place: lost, doubled, out of order or changed.
    payload : int
        Bytes of the samples' values alone.
    """

    samples: int
    wrong: int
    payload: int


def read_back(path: Path, name: str, sent: Samples) -> ReadBack:
    """Read one stream of a recording, chunk by chunk, and compare it with the samples sent.

    Raises
    ------
    RecordingError
        If it is no XDF file.
    """
    at = wrong = 0
    stream, dtype = -1, np.dtype("V1")
    with Walk(path) as walk:
        for piece in walk:
            if piece.tag not in (Tag.STREAM_HEADER, Tag.SAMPLES):
                continue
            content = walk.content(piece)
            number = int.from_bytes(content[:4], "little")
            if piece.tag == Tag.STREAM_HEADER:
                header = Header.read(content[4:])
                if header.name == name:
                    stream, dtype = number, sample_dtype(np.dtype(FORMATS[header.kind]), header.channels)
            elif number == stream:
                # Behind the stream's number stand the width of a number, and that number of samples.
                rows = np.frombuffer(content, dtype, offset=5 + content[4])
                expected = sent(at, at + len(rows))
                wrong += int(np.count_nonzero((rows["values"] != expected).any(axis=1)))
                at += len(rows)
    return ReadBack(at, wrong, at * dtype["values"].itemsize if at else 0)
