"""A FileRecording is one signal from a file, with its stamps, its markers and the file's defects."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError, RecordingError, nearest
from bci.signal.foreign import on_one_line
from bci.signal.labels import find_channels, label_key, numbered
from bci.signal.types import Event, Signal, Times

Samples32 = NDArray[np.float32]

#: Length assumed for a gap where nothing tells the true one, seconds.
UNKNOWN_GAP_S = 1.0


@dataclass(frozen=True, eq=False)
class FileRecording:
    """A FileRecording is one recorded signal; it fulfils `bci.io.files.recording.Recording`.

    Attributes
    ----------
    name : str
        The file's name.
    signal : Signal
        Rate, channels and unit of the samples that `read` returns, float32.
    n : int
        Number of samples.
    block : callable
        ``block(first, end)`` reads samples: (end - first, *signal.shape), any real type.
    markers : tuple of Event
        In order; seconds from the recording's first sample.
    defects : tuple of str
        Faults of the file and parts of it that are not played, a sentence each.
    segments : tuple of (int, int)
        Runs without a gap: first sample and one past the last.
    stamps : (n,) float64, optional
        Seconds from the first sample; absent where samples are evenly spaced within a segment.
    starts : tuple of float, optional
        Without stamps: time of each segment's first sample, seconds from the first sample.
    header : mapping
        The signal's stream header, nested as in the file: every element a list; empty where the format has none.
    simulated : bool
        Whether the file states that its signal was simulated.
    place : callable, optional
        ``place(samples)``: seconds of places in the file, in samples from the first that stands in it; without it the
        file's samples are the recording's.
    first_count : int
        Number of the file's first sample, as files of events beside it count.
    """

    name: str
    signal: Signal
    n: int
    block: Callable[[int, int], NDArray[np.generic]]
    markers: tuple[Event, ...] = ()
    defects: tuple[str, ...] = ()
    segments: tuple[tuple[int, int], ...] = ()
    stamps: Times | None = None
    starts: tuple[float, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False
    place: Callable[[NDArray[np.generic]], Times] | None = None
    first_count: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise RecordingError(f"{self.name} holds no samples: nothing to play")
        labels = tuple(map(on_one_line, self.signal.channels))
        if labels != self.signal.channels:
            changed = [new for old, new in zip(self.signal.channels, labels, strict=True) if old != new]
            words = f"labels held characters that are not seen; the channels are called {listed(changed)}"
            object.__setattr__(self, "defects", (*self.defects, words))
        signal = replace(self.signal, name=on_one_line(self.signal.name), channels=labels)
        object.__setattr__(self, "signal", signal)
        if not self.segments:
            object.__setattr__(self, "segments", ((0, self.n),))
        object.__setattr__(self, "markers", tuple(sorted(self.markers, key=lambda m: m.time)))

    def read(self, first: int, end: int) -> Samples32:
        """Return samples `first` to `end`: (end - first, *signal.shape) float32, a new array."""
        self._check(first, end)
        return np.array(self.block(first, end), np.float32, order="C")

    def times(self, first: int, end: int) -> Times:
        """Return the times of samples `first` to `end`: (end - first,) float64 seconds from the first sample."""
        self._check(first, end)
        if self.stamps is not None:
            return self.stamps[first:end].copy()
        samples = np.arange(first, end)
        if not self.starts:
            return samples / self.signal.rate
        begins = np.array([begin for begin, _ in self.segments])
        at = np.searchsorted(begins, samples, "right") - 1
        return np.asarray(np.array(self.starts)[at] + (samples - begins[at]) / self.signal.rate)

    def markers_between(self, start: float, stop: float) -> tuple[Event, ...]:
        """Return the markers with ``start ≤ time < stop``, seconds from the first sample."""
        at = bisect_left(self.markers, start, key=lambda m: m.time)
        return self.markers[at : bisect_left(self.markers, stop, key=lambda m: m.time)]

    def _check(self, first: int, end: int) -> None:
        if not 0 <= first <= end <= self.n:
            raise ValueError(f"{self.name} has samples 0 to {self.n}; asked for {first} to {end}")


def nested(header: Mapping[str, Any], *names: str) -> list[Any]:
    """Return all entries of a nested header at the path `names`; an empty list where the path does not exist.

    >>> nested({"desc": [{"cap": ["large"]}, None, "words"]}, "desc", "cap")
    ['large']
    """
    elements: list[Any] = [header]
    for name in names:
        elements = [
            item for element in elements if isinstance(element, Mapping) for item in element.get(name) or []
        ]
    return elements


def text_at(header: Mapping[str, Any], *names: str) -> str:
    """Return the first text of a nested header at the path `names`; empty where there is none.

    >>> text_at({"type": ["EEG"]}, "type"), text_at({"type": [None]}, "type"), text_at({}, "desc", "cap")
    ('EEG', '', '')
    """
    return next((text.strip() for text in nested(header, *names) if isinstance(text, str)), "")


def unique(labels: Sequence[str], defects: list[str]) -> tuple[str, ...]:
    """Return labels with equal ones numbered, and say so.

    >>> defects = []
    >>> unique(["Cz", "Pz", "Cz"], defects), defects
    (('Cz-0', 'Pz', 'Cz-1'), ['channels of the same label are numbered: Cz'])
    """
    twice = [label for label, n in Counter(labels).items() if n > 1]
    if twice:
        defects.append(f"channels of the same label are numbered: {listed(twice)}")
    return numbered(labels)


#: A name that is longer is cut where it is listed, characters.
_LONGEST_NAME = 60


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names separated by commas, at most `most` of them.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    text = ", ".join(
        name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names[:most]
    )
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def markers_in(codes: NDArray[np.generic], rate: float, previous: float = 0.0, first: int = 0) -> list[Event]:
    """Return a marker wherever a trigger channel changes to something other than zero.

    Parameters
    ----------
    codes : (n,) array
        Values of the trigger channel, whole numbers.
    rate : float
        Samples per second.
    previous : float
        The value before ``codes[0]``.
    first : int
        Absolute count of ``codes[0]``.

    Examples
    --------
    >>> [(m.time, m.code) for m in markers_in(np.array([0, 2, 2, 0, 1]), rate=2.0)]
    [(0.5, 2), (2.0, 1)]
    """
    samples, values = changes_in(codes, previous, first)
    return [
        Event(time=sample / rate, text=str(code), code=code)
        for sample, code in zip(samples.tolist(), values.tolist(), strict=True)
    ]


def changes_in(
    codes: NDArray[np.generic], previous: float = 0.0, first: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where a trigger channel changes to something other than zero: (samples, codes); see `markers_in`."""
    values = np.rint(np.nan_to_num(np.asarray(codes, np.float64)))
    change = np.diff(values, prepend=previous) != 0
    at = np.flatnonzero(change & (values != 0))
    return first + at, values[at].astype(np.int64)


def agree(name: str, what: str, asked: object, stated: object) -> None:
    """Refuse an argument that contradicts what the file itself states.

    Raises
    ------
    RecordingError
        If both are known and differ.
    """
    if asked is not None and asked != stated:
        raise RecordingError(
            f"{name} states its own {what}, {stated!r}; {asked!r} was given. Leave it out: the file's is used."
        )


def chosen(recording: FileRecording, channels: Sequence[str] | None) -> FileRecording:
    """Return a recording of the channels that are asked for, in their order; all where none are.

    Spellings of one channel (``O1``, ``O1..``, ``EEG O1-REF``) are the same; it is called as it is asked for.

    Raises
    ------
    RecordingError
        If the recording has no such channel, or two, or one is named twice.
    """
    stated = recording.signal.channels
    if channels is None or tuple(channels) == stated:
        return recording
    if not channels:
        raise RecordingError(f"{recording.name}: expected the names of channels, came none")
    keys = Counter(map(label_key, channels))
    if twice := [label for label in channels if keys[label_key(label)] > 1]:
        raise RecordingError(f"{recording.name}: expected each channel once, came {listed(twice)}")
    try:
        places = np.array(find_channels(recording.signal, channels), np.intp)
    except ConfigError:
        has = Counter(map(label_key, stated))
        wrong = next(label for label in channels if has[label_key(label)] != 1)
        raise RecordingError(
            f"{recording.name} states its own channels, {listed(stated, 80)}; {wrong!r} names "
            f"{has[label_key(wrong)] or 'none'} of them{nearest(wrong, stated)}. Choose among these."
        ) from None
    every = recording.block
    return replace(
        recording,
        signal=replace(recording.signal, shape=(len(places),), channels=tuple(channels)),
        block=lambda first, end: every(first, end)[:, places],
    )
