"""Trials of known classes: the epochs around the markers of recordings, cut by the code of a live session."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError, counted
from bci.io.files.recording import Recording, is_uncertain
from bci.signal.pipeline import Pick, Pipeline
from bci.signal.types import Signal
from models.datasets.array_signal import signal_of_arrays
from models.datasets.arrays import ArrayTrials, open_arrays, require_flat, text_of
from models.datasets.bids import open_bids
from models.datasets.epochs import usable_epochs
from models.datasets.recordings import Opened, defects_of, open_recordings, require_alike
from models.datasets.session_settings import ArraySettings
from models.datasets.sessions import open_sessions
from models.systems.events.settings import EventsConfig

#: Of each class.
FEWEST_TRIALS = 2

#: How long a text that is looked for may be to be named in a refusal: a dozen pictures' names are not.
_SAID = 40

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class EventTrials:
    """An EventTrials holds the epochs of known classes, in order of time.

    Attributes
    ----------
    epochs : (n, length, *output.shape) float32
        As a live decoder gets them.
    classes : (n,) int64
        The class of each, by its place in the training file.
    run : (n,) int64
        Which recording.
    start, end : (n,) int64
        The samples of the recording that each was computed from, filter memory aside: first, and one past the last.
    index : (n,) int64
        Output count of the sample that each marker was put on.
    left_out : mapping of str to int
        Events without a usable epoch, by reason: ``gap``, ``unsettled``, ``bad`` …; and ``other markers``.
    signal : Signal
        What the bundle will expect.
    data : mapping of str to str
        SHA-256 of every recording, by its path.
    labels : tuple of str
        The classes.
    rate : float
        Samples of an epoch per second.
    defects : tuple of str
        What the recordings say of themselves, a sentence each.
    simulated : bool
        Whether the signal of any of them was simulated.
    shown : (n,) int64
        Which picture, or other text of a marker, each is the answer to.
    named_runs : tuple of str
        What runs are called, where they are not files.
    """

    epochs: NDArray[np.float32]
    classes: Integers
    run: Integers
    start: Integers
    end: Integers
    index: Integers
    left_out: Mapping[str, int]
    signal: Signal
    data: Mapping[str, str]
    labels: tuple[str, ...]
    rate: float
    defects: tuple[str, ...] = ()
    simulated: bool = False
    shown: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    named_runs: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def runs(self) -> tuple[str, ...]:
        """What each run is called."""
        return self.named_runs or tuple(self.data)


def cut_trials(config: EventsConfig, root: Path) -> EventTrials:
    """Cut the epochs of every recording or session of a training file, or take those of arrays.

    Raises
    ------
    RecordingError
        If a recording is missing, cannot be read, is of another rate or unit, or there are fewer than two trials of a
        class.
    """
    if config.arrays is not None:
        return trials_of_arrays(config, config.arrays, root)
    left_out: Counter[str] = Counter()
    names, opened, rate = _opened(config, root, left_out)
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    picked = Pipeline((Pick(config.signal.channels), *pipeline.steps))
    rows = [
        row
        for run, (name, (recording, _)) in enumerate(zip(names, opened, strict=True))
        for row in _cut(config, run, name, recording, picked, left_out)
    ]
    texts = list(dict.fromkeys(row.text for row in rows))
    place_of = {text: place for place, text in enumerate(texts)}
    markers = Counter(event.text for recording, _ in opened for event in recording.markers)
    require_trials(config.classes, [row.place for row in rows], left_out, "markers", markers)
    signal = config.expected(rate)
    return EventTrials(
        np.stack([row.samples for row in rows]),
        *(np.array(column, np.int64) for column in zip(*(row.facts for row in rows), strict=True)),
        shown=np.array([place_of[row.text] for row in rows], np.int64),
        left_out=dict(left_out),
        signal=signal,
        data={name: digest for name, (_, digest) in zip(names, opened, strict=True)},
        labels=config.labels,
        rate=pipeline.output(signal).rate,
        defects=defects_of(opened),
        simulated=any(recording.simulated for recording, _ in opened),
    )


def require_trials(
    wanted: Mapping[str, str],
    places: Sequence[int],
    left_out: Mapping[str, int],
    what: str,
    texts: Mapping[str, int],
) -> None:
    """Refuse trials of which a class has fewer than two.

    Parameters
    ----------
    wanted : mapping of str to str
        Classes, in their order, and the text that is looked for of each.
    places : sequence of int
        The class of each trial, by its place among them.
    left_out : mapping of str to int
        Trials that are not used, by reason.
    what, texts
        What says the class of each: ``markers``, ``values of y``; and how often each of them is there.

    Raises
    ------
    RecordingError
        Saying what is there.
    """
    counts = np.bincount(np.asarray(places, np.int64), minlength=len(wanted))
    few = [
        f"{n} of {label!r}{f' ({text!r})' if text not in ('', label) and len(text) <= _SAID else ''}"
        for (label, text), n in zip(wanted.items(), counts, strict=True)
        if n < FEWEST_TRIALS
    ]
    if few:
        seen = ", ".join(f"{text!r} ({n})" for text, n in Counter(texts).most_common(8)) or "none"
        raise RecordingError(
            f"expected at least {FEWEST_TRIALS} trials of each class, came {', '.join(few)}; left out: "
            f"{counted(left_out)}. The {what} there: {seen}. Set [classes] to match them."
        )


def trials_of_arrays(config: EventsConfig, arrays: ArraySettings, root: Path) -> EventTrials:
    """Return the trials of arrays, each of the class that its ``y`` says.

    Raises
    ------
    RecordingError
        If arrays are missing or do not fit each other or the training file, or there are fewer than two trials of a
        class.
    """
    given = open_arrays(arrays, root)
    require_flat(given.what, arrays.y)
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    epoch, length = config.epoch, given.samples.shape[1]
    signal, said = signal_of_arrays(
        given, arrays, "EEG", config.signal, pipeline, lambda rate: round((epoch.stop - epoch.start) * rate)
    )
    _require_readable(config, given, signal)
    texts = [text_of(value) for value in given.what]
    place_of = {text: _place_of_class(config, text, arrays.y) for text in dict.fromkeys(texts)}
    known = [text for text, place in place_of.items() if place is not None]
    kept = np.isin(texts, known)
    left_out = Counter(given.left_out)
    if not kept.all():
        left_out["of no class"] = int((~kept).sum())
    rows = [text for text in texts if text in set(known)]
    classes = np.array([place_of[text] for text in rows], np.int64)
    require_trials(config.classes, classes, left_out, f"values of {arrays.y}", Counter(texts))
    ratio = pipeline.ratio(signal) if signal.rate else 1
    ends = given.ends()[kept]
    return EventTrials(
        given.samples[kept],
        classes,
        given.run[kept],
        (ends - length) * ratio,
        ends * ratio,
        ends - length,
        dict(left_out),
        signal,
        given.data,
        config.labels,
        pipeline.output(signal).rate if signal.rate else 0.0,
        (*given.defects, *said),
        shown=np.array([known.index(text) for text in rows], np.int64),
        named_runs=given.runs,
    )


def _require_readable(config: EventsConfig, given: ArrayTrials, signal: Signal) -> None:
    """Refuse a readout that needs time or a rate where arrays have none."""
    for readout in getattr(config.readout, "among", (config.readout,)):
        if given.features and (readout.name != "block_means" or readout.block != 1):
            raise RecordingError(
                f"readout: expected block_means with block = 1 for features, which have no time, came {readout.name}. "
                "Leave [readout] out."
            )
        if readout.name == "canonical_correlation" and not signal.rate:
            raise RecordingError(
                "[data.arrays] rate: expected it, for canonical_correlation compares with frequencies, came none."
            )


def _place_of_class(config: EventsConfig, text: str, what: str) -> int | None:
    """Return the class that a marker or a value is of, by its place; None where it is of none."""
    labels = config.labels_of(text)
    if len(labels) > 1:
        raise RecordingError(
            f"{what}: marker {text!r} is of {' and '.join(labels)}. Set [classes] so that each marker is of one."
        )
    return config.labels.index(labels[0]) if labels else None


def _opened(
    config: EventsConfig, root: Path, left_out: Counter[str]
) -> tuple[list[str], list[Opened], float]:
    """Open the recordings or the sessions: their paths, what they hold, and their rate."""
    if config.data is None:
        opened, rate = open_recordings(config.recordings, root, config.signal)
        return [settings.path for settings in config.recordings], opened, rate
    if config.data.bids is not None:
        names, found = open_bids(config.data.bids, root, config.signal.channels)
        return names, *require_alike(found, names, config.signal)
    sessions = open_sessions(config.data, root)
    for one in sessions:
        left_out.update(one.left_out)
    names = [one.path for one in sessions]
    opened, rate = require_alike([(one.recording, one.digest) for one in sessions], names, config.signal)
    return names, opened, rate


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    samples: NDArray[np.float32]
    place: int
    run: int
    start: int
    end: int
    index: int
    text: str

    @property
    def facts(self) -> tuple[int, int, int, int, int]:
        return self.place, self.run, self.start, self.end, self.index


def _cut(
    config: EventsConfig,
    run: int,
    name: str,
    recording: Recording,
    pipeline: Pipeline,
    left_out: Counter[str],
) -> Iterator[_Row]:
    """Yield the usable epochs of one recording, and count the others."""
    wanted = []
    for event in recording.markers:
        if is_uncertain(event):
            left_out["uncertain time"] += 1
            continue
        place = _place_of_class(config, event.text, name)
        if place is None:
            left_out["other markers"] += 1
        else:
            wanted.append((event, place))
    place_of = {event.text: place for event, place in wanted}
    ratio = pipeline.ratio(recording.signal)
    cut = usable_epochs(
        recording,
        pipeline,
        [event for event, _ in wanted],
        left_out,
        start=config.epoch.start,
        stop=config.epoch.stop,
    )
    for epoch in cut:
        window = epoch.window
        end = window.last_sample + 1
        yield _Row(
            window.samples.astype(np.float32),
            place_of[epoch.event.text],
            run,
            end - len(window.samples) * ratio,
            end,
            epoch.index,
            epoch.event.text,
        )
