"""Tracks: what of a session becomes streams of its recording, and in which form.

Samples and markers keep the stamps that their senders gave them, and get the clock offsets that turn those into
session time. What the rig itself did is stamped in session time: ``bci-marks`` (gaps, resets, losses),
``bci-decisions`` (provenance of every reconstruction), ``bci-latents`` and ``bci-flips``. The words that belong to
them are in the tables.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.files.xdf.layout import STAMP_BYTES
from bci.io.files.xdf.writer import LONGEST_CHUNK, XdfWriter
from bci.io.lsl.metadata import StreamInfo
from bci.live.backlog import Backlog
from bci.live.ring_reader import Take
from bci.memory.events import LONGEST_TEXT
from bci.memory.ring import Columns
from bci.signal.clock import Clock
from bci.signal.types import STAGES, MarkKind, Signal

MARK_CHANNELS = ("source", "kind", "first", "count", "value")
DECISION_CHANNELS = ("frame", "first", "last_sample", "skipped", "valid", "confidence", *STAGES[:5])
FLIP_CHANNELS = ("change", "kind", "frame", *STAGES, "decoder")

#: Makes samples (n, channels) float64 or float32, and stamps (n,), of the columns of a ring from a count on.
Values = Callable[[Columns, int], tuple[NDArray[Any], NDArray[np.float64]]]

#: Readers fit a line through a stream's clock offsets: one every so many seconds, also while it does not change,
#: keeps the noise of two neighbours from being drawn out, and lets them notice a clock that was set.
OFFSET_EVERY = 5.0

#: A change of a clock offset by more than this is written at once, seconds.
_JUMP = 1e-3


def longest_read(nbytes: int) -> int:
    """Return how many samples of `nbytes` each fit into one chunk of the file."""
    return max(1, LONGEST_CHUNK // (nbytes + STAMP_BYTES))


def own_stream(name: str, kind: str, channels: tuple[str, ...], **extra: str) -> StreamInfo:
    """Return the description of a stream of the rig's own doings: float64, irregular, in session time."""
    signal = Signal(name, 0.0, (len(channels),), channels, "", "float64")
    return StreamInfo(signal, name, kind=kind, extra=extra)


def marks_stream(sources: tuple[str, ...], roles: Mapping[int, str]) -> StreamInfo:
    """Return the description of the stream of marks: what its numbers stand for, and the role of each stream by its id.

    The roles stand here because the other streams' headers are kept as their senders wrote them.
    """
    return own_stream(
        "bci-marks",
        "Marks",
        MARK_CHANNELS,
        kinds=", ".join(f"{kind.value} {kind.name.lower()}" for kind in MarkKind),
        sources=", ".join(f"{i} {source}" for i, source in enumerate(sources)),
        roles=", ".join(f"{stream} {role}" for stream, role in roles.items()),
    )


def of_decoder(what: str, decoder: str | None = None) -> str:
    """Return the name of something of a decoder's; of the first decoder when none is named.

    >>> of_decoder("bci-latents"), of_decoder("bci-latents", "motor")
    ('bci-latents', 'bci-latents:motor')
    """
    return what if decoder is None else f"{what}:{decoder}"


def latent_stream(size: int, decoder: str | None = None) -> StreamInfo:
    """Return the description of a decoder's stream of latents: float32, `size` values each."""
    name = of_decoder("bci-latents", decoder)
    return StreamInfo(Signal(name, 0.0, (size,)), name, kind="Latents")


class Offsets:
    """The senders' clock offsets on their way into the file.

    Parameters
    ----------
    put : callable
        Takes (stream, time, offset) to be written.
    """

    def __init__(self, put: Callable[[int, float, float], None]) -> None:
        self._put = put
        self._newest: dict[int, float] = {}
        self._written = -np.inf

    def note(self, stream: int, time: float, offset: float) -> None:
        """Take a new offset into use; a jump is written at once, the rest at the next round."""
        before = self._newest.get(stream)
        self._newest[stream] = offset
        if before is None or abs(offset - before) > _JUMP:
            self._put(stream, time, offset)

    def tick(self, now: float) -> None:
        """Write every stream's offset, when it is time for a round."""
        if now - self._written >= OFFSET_EVERY:
            self._written = now
            for stream, offset in self._newest.items():
                self._put(stream, now, offset)


class Tracks:
    """Tracks take copies of rings' columns and write them in the background.

    Parameters
    ----------
    writer : XdfWriter
        The file; after the first copy only the backlog's thread touches it.
    backlog : Backlog
        What waits for the disk.
    clock : Clock
        The session clock.
    """

    def __init__(self, writer: XdfWriter, backlog: Backlog, clock: Clock) -> None:
        self._writer, self._backlog, self._clock = writer, backlog, clock
        self.offsets = Offsets(lambda *args: backlog.put(0, partial(writer.clock_offset, *args)))

    def samples(self, info: StreamInfo, first: int = 0) -> tuple[int, Take]:
        """Begin a stream of samples; return its id and what takes the columns of its ring."""
        stream = self._writer.add_stream(info, first)
        return stream, lambda columns, at: self._put(stream, columns["samples"], columns["raw"], at)

    def markers(self, info: StreamInfo, first: int = 0) -> tuple[int, Take]:
        """Begin a stream of markers, as text; return its id and what takes the columns of its ring.

        Of a stream of several channels, each marker is their texts with tabulators between them.
        """
        signal = Signal(info.signal.name, 0.0, info.signal.shape, info.signal.channels, dtype="str")
        each = signal.shape[0]
        described = replace(info, signal=signal, speed=1.0, exact_stamps=False, kind=info.kind or "Markers")
        stream = self._writer.add_stream(described, first)

        def take(columns: Columns, at: int) -> None:
            markers = columns["event"]
            texts = [bytes(text).decode(errors="replace") for text in markers["text"]]
            if each > 1:
                texts = [part for text in texts for part in _split(text, each)]
            stamps = [float(raw) for raw in markers["raw"]]
            # The offset that was used is what lies between a marker's two times.
            self.offsets.note(
                stream, float(markers["time"][-1]), float(markers["time"][-1] - markers["raw"][-1])
            )
            work = partial(self._writer.write_texts, stream, texts, stamps, at)
            self._backlog.put(len(stamps) * LONGEST_TEXT, work)

        return stream, take

    def own(self, info: StreamInfo, first: int | None = None) -> tuple[int, Callable[[Values], Take]]:
        """Begin a stream of the rig's own; return its id and what makes a taker of a `Values`.

        `first` is the count of the first event in its ring; None when several rings share the stream.
        """
        stream = self._writer.add_stream(info, first or 0)
        self.offsets.note(stream, self._clock.now(), 0.0)

        def taker(values: Values) -> Take:
            def take(columns: Columns, at: int) -> None:
                samples, stamps = values(columns, at)
                # An event without a time of its own is stamped when it came to our notice.
                stamps = np.where(np.isfinite(stamps), stamps, self._clock.now())
                self._put(stream, samples, stamps, None if first is None else at)

            return take

        return stream, taker

    def _put(self, stream: int, samples: NDArray[Any], stamps: NDArray[np.float64], at: int | None) -> None:
        """Have samples written, a chunk of the file at a time: what the disk refuses is asked again whole."""
        step = longest_read(samples.nbytes // len(samples))
        for begin in range(0, len(samples), step):
            part, times = samples[begin : begin + step], stamps[begin : begin + step]
            first = None if at is None else at + begin
            work = partial(self._writer.write, stream, part, times, first)
            self._backlog.put(part.nbytes + times.nbytes, work)


def _split(text: str, n: int) -> list[str]:
    r"""Return the texts of `n` channels that were joined to one marker; the last keeps what there is too much.

    >>> _split("a\tb", 2), _split("cut short", 2), _split("a\tb\tc", 2)
    (['a', 'b'], ['cut short', ''], ['a', 'b\tc'])
    """
    parts = text.split("\t", n - 1)
    return parts + [""] * (n - len(parts))


def mark_values(source: int) -> Values:
    """Return what turns marks into samples of `MARK_CHANNELS` and stamps."""

    def values(columns: Columns, first: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
        marks = columns["mark"]
        fields = [np.full(len(marks), source), *(marks[name] for name in MARK_CHANNELS[1:])]
        return _stacked(fields), marks["time"]

    return values


def decision_values(columns: Columns, first: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Turn frames into samples of `DECISION_CHANNELS`, stamped when they were published."""
    info = columns["info"]
    fields = [first + np.arange(len(info)), *(info[name] for name in DECISION_CHANNELS[1:6])]
    return _stacked([*fields, *info["stamps"][:, :5].T]), info["stamps"][:, STAGES.index("published")]


def latent_values(columns: Columns, first: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Turn frames into their latents, stamped when they were published."""
    return columns["latent"], columns["info"]["stamps"][:, STAGES.index("published")]


def flip_values(columns: Columns, first: int) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Turn changes of picture into samples of `FLIP_CHANNELS`, stamped at the flip."""
    shown = columns["shown"]
    fields = [first + np.arange(len(shown)), shown["kind"], shown["frame"]]
    return _stacked([*fields, *shown["info"]["stamps"].T, shown["decoder"]]), shown["flip"]


def _stacked(fields: list[NDArray[Any]]) -> NDArray[np.float64]:
    return np.stack([np.asarray(field, np.float64) for field in fields], axis=1)
