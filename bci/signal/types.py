"""The system's data types: Signal, Event, Window, Reconstruction, Mark, and their records in shared memory.

Time is axis 0 everywhere. Counts are absolute, start at 0 with the stream and never wrap; stamps are
float64 seconds on the session clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bci.signal.rates import FASTEST_HZ, SLOWEST_HZ, is_plausible

Samples = NDArray[Any]
Times = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Signal:
    """A Signal describes the samples of one stream.

    Attributes
    ----------
    name : str
        Name of the stream.
    rate : float
        Samples per second as the stream states it; 0 means irregular.
    shape : tuple of int
        Shape of one sample: ``(64,)`` for 64 channels, ``(x, y, z)`` for a volume.
    channels : tuple of str
        Labels along the sample's first axis, an empty one for a channel that has none; empty when no channel has one.
    unit : str
        Unit of the values, e.g. ``"uV"``; empty when unknown.
    dtype : str
        NumPy name of the sample type.
    """

    name: str
    rate: float
    shape: tuple[int, ...]
    channels: tuple[str, ...] = ()
    unit: str = ""
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not self.shape or any(n < 1 for n in self.shape):
            raise ValueError(
                f"signal {self.name!r}: every axis of a sample needs a size ≥ 1, got {self.shape}"
            )
        if not is_plausible(self.rate):
            raise ValueError(
                f"signal {self.name!r}: the rate is 0 (irregular), or {SLOWEST_HZ:g} to {FASTEST_HZ:g} Hz; got "
                f"{self.rate:g}"
            )
        if self.channels and len(self.channels) != self.shape[0]:
            raise ValueError(
                f"signal {self.name!r}: {len(self.channels)} channel labels for {self.shape[0]} channels"
            )

    @property
    def flag_shape(self) -> tuple[int, ...]:
        """Shape of the flags that say which values of one sample must not be trusted.

        One flag a channel, along the first axis; but one a voxel where a sample is a volume: three axes or more, and
        no channel labels along the first.

        >>> Signal("eeg", 250.0, (64,)).flag_shape, Signal("bold", 0.5, (4, 5, 6)).flag_shape
        ((64,), (4, 5, 6))
        """
        return self.shape if len(self.shape) > 2 and not self.channels else self.shape[:1]


class Lender(Protocol):
    """A Lender is a ring that gives views of its memory, which the writer may overwrite: check `holds` after use.

    Attributes
    ----------
    longest : int
        Samples that can be lent in one piece.
    """

    longest: int

    def lend(self, first: int, end: int) -> tuple[Samples, Times]:
        """Return views of samples `first` to `end`, which must be written, and of their times, without any check."""
        ...

    def holds(self, first: int) -> bool:
        """Return whether sample `first` and all after it are whole: neither overwritten nor being overwritten."""
        ...

    def vouched(self, first: int, end: int) -> bool:
        """Return whether the writer has seen that samples `first` to `end` are all finite; False when unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """An Event is a marker with its times, the same from the sender to the row in a report.

    Attributes
    ----------
    time : float
        Session seconds, corrected for the sender's clock.
    text : str
        The label as sent; markers that are numbers as decimal digits.
    code : int
        The integer, or 0 for a text that is no number.
    raw : float
        The sender's own stamp.
    trial : int
        Number of the experiment's trial whose stimulus this is, counted from 0; -1 when it belongs to none.
    uncertainty : float
        The most that `time` may be wrong by for want of knowing the sender's clock, seconds; 0 where the sender reads
        the clock that the session reads, NaN where it is not known. In a recording only markers bear one that were
        marked uncertain. Not compared: the same event stays the same.
    """

    time: float
    text: str
    code: int = 0
    raw: float = float("nan")
    trial: int = -1
    uncertainty: float = field(default=float("nan"), compare=False, repr=False)


@dataclass(slots=True, eq=False)
class Window:
    """A Window holds consecutive samples of one signal with their times and flags; no code assigns to its fields.

    A chunk that a source hands on is a Window as well. No Window spans a gap, an overrun or a clock reset. It is not
    frozen because a frozen one costs a process that has just slept twice as long to make, 15 µs more.

    Attributes
    ----------
    signal : Signal
        Description of the samples.
    first : int
        Absolute count of ``samples[0]`` in `signal`'s own counting.
    samples : (n, *signal.shape) array
        Read-only by convention.
    times : (n,) float64
        Session seconds of each sample.
    bad : (n, *signal.flag_shape) bool
        True where the value must not be trusted: it was missing, not finite, saturated, flat or an artefact,
        or a filter still remembers one that was.
    last_sample : int
        Absolute *source* count of the newest sample that this window depends on, also after decimation.
    settled : bool
        False while a filter still remembers the start of the stream or the last reset.
    skipped : int
        Windows of the same grid that were passed over immediately before this one because decoding was late.
    reset : str
        Why a new segment starts with ``samples[0]``; empty when it continues the one before.
    event : Event or None
        The event that an epoch was cut around; None for a sliding window and for a chunk.
    repeats : int
        Of how many epochs of one stimulus it is the mean (`bci.signal.repeats`); 1 where nothing is averaged.
    lender : Lender or None
        None when the window owns its arrays. Otherwise they are views of a ring: copy or use them, then check
        `intact`, and discard the result when it is False. The lender then counts the lost samples, and the next
        window begins a new segment. Samples lent by a stream are never flagged.
    """

    signal: Signal
    first: int
    samples: Samples
    times: Times
    bad: Flags
    last_sample: int
    settled: bool = True
    skipped: int = 0
    reset: str = ""
    lender: Lender | None = None
    event: Event | None = None
    repeats: int = 1

    @property
    def end(self) -> int:
        """Absolute count one past the last sample."""
        return self.first + len(self.samples)

    @property
    def intact(self) -> bool:
        """Whether the samples are still what they were when the window was made."""
        return self.lender is None or self.lender.holds(self.first)


#: The stages of one reconstruction, in order; a stamp that a stage has not reached yet is NaN.
STAGES = ("data", "arrived", "cut", "decoded", "published", "taken", "flipped")

#: What each interval between two stages is called in a latency table: name -> (from stage, to stage).
INTERVALS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "transport": ("data", "arrived"),
        "window": ("arrived", "cut"),
        "decode": ("cut", "decoded"),
        "publish": ("decoded", "published"),
        "handover": ("published", "taken"),
        "flip": ("taken", "flipped"),
        "total": ("data", "flipped"),
    }
)


#: Why a reconstruction is invalid whose filters still remember the start of the stream, or a gap.
SETTLING = "settling"


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """A Reconstruction is a decoder's result for one window.

    Attributes
    ----------
    image : (height, width, 3) uint8
        The picture; meaningless when not `valid`.
    latent : (d,) float32
        The point in the generator's latent space; of a decoder that makes no picture, its values: class probabilities,
        or one number (`bci.decoder.result`).
    confidence : float
        0 to 1, calibrated on held-out data; NaN when the decoder claims none.
    valid : bool
        False when the picture must not be shown.
    reason : str
        Why it is not valid; empty when it is.
    first, last_sample : int
        Absolute count of the window's first sample, and of the newest source sample behind it.
    skipped : int
        Windows passed over immediately before this one.
    event : Event or None
        The event that its epoch was cut around; None for a sliding window.
    stamps : mapping of str to float
        Session seconds at which each of `STAGES` was reached so far.
    repeats : int
        Of how many epochs of the event's stimulus the mean was decoded.
    """

    image: NDArray[np.uint8]
    latent: NDArray[np.float32]
    confidence: float
    valid: bool
    reason: str
    first: int
    last_sample: int
    skipped: int = 0
    stamps: Mapping[str, float] = field(default_factory=dict)
    event: Event | None = None
    repeats: int = 1


def code_of(text: str) -> int:
    """Return the whole number that a marker's text is, if it fits into 64 bits, else 0.

    >>> code_of("12"), code_of(" -3 "), code_of("T1"), code_of("1_0"), code_of("99999999999999999999")
    (12, -3, 0, 0, 0)
    """
    try:
        code = int(text.replace("_", "?"))
    except ValueError:
        return 0
    return code if -(2**63) <= code < 2**63 else 0


def number_text(value: "np.number[Any]") -> str:
    """Return a marker that was sent as a number as text: all its digits, and no point where it is whole.

    >>> number_text(np.float64(1000001)), number_text(np.float64(170000.5)), number_text(np.float32(0.1))
    ('1000001', '170000.5', '0.1')
    """
    return str(int(value)) if abs(value) < 2**63 and value == np.trunc(value) else str(value)


class MarkKind(IntEnum):
    """A MarkKind is the kind of a mark beside a stream; those that `starts_segment` reset the pipeline."""

    GAP = 1
    CLOCK_RESET = 2
    RECONNECT = 3
    DUPLICATE = 4
    CLOCK_OFFSET = 5
    STALLED = 6
    RESUMED = 7
    OVERRUN = 8
    PIPELINE_RESET = 9
    SKIPPED = 10
    DOUBLE = 11
    REFUSED = 12
    LOST = 13
    RESTART = 14
    LATCHED = 15
    EPOCH = 16
    EPOCH_LOST = 17
    UNSTAMPED = 18
    BEGUN = 19
    PAUSED = 20
    ABORTED = 21
    COMMAND = 22
    SWAPPED = 23
    MARKER_OFFSET = 24
    UNCERTAIN = 25
    VOLUME = 26
    UNTOLD = 27
    HEAD_LOST = 28
    UNHEARD = 29
    RETRACED = 30

    @property
    def starts_segment(self) -> bool:
        """Whether no window may span this mark."""
        return self in _SEGMENT_STARTERS


_SEGMENT_STARTERS = frozenset({MarkKind.GAP, MarkKind.CLOCK_RESET, MarkKind.RECONNECT, MarkKind.OVERRUN})

#: One mark in shared memory: `first` is the count of the first sample after it (of the engine's marks: the trial that
#: was under way or comes next), `count` how many samples or windows it concerns, `value` its size in seconds, `detail`
#: UTF-8.
MARK_DTYPE = np.dtype(
    [("kind", "i4"), ("first", "i8"), ("count", "i8"), ("time", "f8"), ("value", "f8"), ("detail", "S96")]
)

#: One event in shared memory; text longer than the field is cut, and `length` is that of all of it in bytes, -1 where
#: there is no event.
EVENT_DTYPE = np.dtype(
    [
        ("time", "f8"),
        ("raw", "f8"),
        ("code", "i8"),
        ("trial", "i8"),
        ("length", "i4"),
        ("text", "S244"),
        ("uncertainty", "f8"),
    ]
)

#: Provenance of one frame in the frame ring; `digest` is of the window, zeros unless the session audits; `event` is the
#: one that an epoch was cut around; `bundle` is which of the decoder's bundles made it, 0 the one it began
#: with; `repeats` of how many epochs of its stimulus it was read.
FRAME_DTYPE = np.dtype(
    [
        ("first", "i8"),
        ("last_sample", "i8"),
        ("skipped", "i8"),
        ("confidence", "f8"),
        ("valid", "u1"),
        ("reason", "S96"),
        ("stamps", "f8", (len(STAGES),)),
        ("digest", "u1", (16,)),
        ("event", EVENT_DTYPE),
        ("bundle", "i4"),
        ("repeats", "i4"),
    ]
)


class Shown(IntEnum):
    """A Shown is the kind of picture on the screen after a flip."""

    NEUTRAL = 0
    FRAME = 1
    FIXATION = 2
    STIMULUS = 3
    UPDATE = 4
    """Another picture of the stimulus before: feedback of what is read."""


#: One change of picture on the screen: `frame` is the count in the frame ring, or the number of a stimulus (-1 when
#: neither), `trial` the experiment's trial that the picture belongs to (-1 when none), `decoder` the place in the
#: session of the decoder that fed the display, `mode` how the picture was shown: ``phosphenes``, or empty for as it is.
SHOWN_DTYPE = np.dtype(
    [
        ("kind", "i4"),
        ("frame", "i8"),
        ("trial", "i8"),
        ("decoder", "i4"),
        ("flip", "f8"),
        ("reason", "S96"),
        ("mode", "S16"),
        ("info", FRAME_DTYPE),
    ]
)

#: The mode of a picture that was shown as phosphenes.
PHOSPHENES = "phosphenes"


def stamps_record(stamps: Mapping[str, float]) -> NDArray[np.float64]:
    """Lay stamps out in the order of `STAGES`, NaN where there is none: ``(len(STAGES),)`` float64."""
    return np.array([stamps.get(stage, np.nan) for stage in STAGES])


def event_record(event: Event | None) -> tuple[float, float, int, int, int, bytes, float]:
    """Return what `EVENT_DTYPE` holds of an event; `event_of` reads it again.

    >>> event_of(np.array(event_record(Event(2.5, "left", 7, 1.5, trial=3)), EVENT_DTYPE))
    Event(time=2.5, text='left', code=7, raw=1.5, trial=3)
    >>> event_of(np.array(event_record(None), EVENT_DTYPE)) is None
    True
    """
    if event is None:
        return _NO_EVENT
    return (
        event.time,
        event.raw,
        event.code,
        event.trial,
        len(event.text.encode()),
        cut_text(event.text, EVENT_DTYPE["text"].itemsize),
        event.uncertainty,
    )


_NO_EVENT = (float("nan"), float("nan"), 0, -1, -1, b"", float("nan"))


def event_of(record: Any) -> Event | None:
    """Return the event in a record of `EVENT_DTYPE`, or None where there is none."""
    if record["length"] < 0:
        return None
    text = bytes(record["text"]).rstrip(b"\0").decode(errors="replace")
    return Event(
        float(record["time"]),
        text,
        int(record["code"]),
        float(record["raw"]),
        int(record["trial"]),
        float(record["uncertainty"]),
    )


def cut_text(text: str, size: int) -> bytes:
    r"""Encode `text` as UTF-8 in at most `size` bytes without cutting a character in two.

    >>> cut_text("µV", 2)
    b'\xc2\xb5'
    """
    return text.encode()[:size].decode(errors="ignore").encode()
