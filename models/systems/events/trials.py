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
from models.datasets.bids import open_bids
from models.datasets.epochs import usable_epochs
from models.datasets.recordings import Opened, defects_of, open_recordings, require_alike
from models.datasets.sessions import open_sessions
from models.systems.events.settings import EventsConfig

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

    def __len__(self) -> int:
        return len(self.classes)


def cut_trials(config: EventsConfig, root: Path) -> EventTrials:
    """Cut the epochs of every recording of a training file.

    Raises
    ------
    RecordingError
        If a recording is missing, cannot be read, is of another rate or unit, or there are fewer than two trials of a
        class.
    """
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
    counts = Counter(config.labels[row.place] for row in rows)
    few = [f"{counts[label]} of {label!r}" for label in config.labels if counts[label] < 2]
    if few:
        markers = Counter(event.text for recording, _ in opened for event in recording.markers)
        seen = ", ".join(f"{text!r} ({n})" for text, n in markers.most_common(8)) or "none"
        raise RecordingError(
            f"expected at least 2 trials of each class, came {', '.join(few)}; left out: {counted(left_out)}. "
            f"The markers there: {seen}. Set [classes] to match them."
        )
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


def _opened(
    config: EventsConfig, root: Path, left_out: Counter[str]
) -> tuple[list[str], list[Opened], float]:
    """Open the recordings or the sessions: their paths, what they hold, and their rate."""
    if config.data is None:
        opened, rate = open_recordings(config.recordings, root, config.signal.unit)
        return [settings.path for settings in config.recordings], opened, rate
    if config.data.bids is not None:
        names, found = open_bids(config.data.bids, root, config.signal.channels)
        return names, *require_alike(found, names, config.signal.unit)
    sessions = open_sessions(config.data, root)
    for one in sessions:
        left_out.update(one.left_out)
    names = [one.path for one in sessions]
    opened, rate = require_alike([(one.recording, one.digest) for one in sessions], names, config.signal.unit)
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
        labels = config.labels_of(event.text)
        if len(labels) > 1:
            raise RecordingError(
                f"{name}: marker {event.text!r} is of {' and '.join(labels)}. "
                "Set [classes] so that each marker is of one."
            )
        if labels:
            wanted.append((event, config.labels.index(labels[0])))
        else:
            left_out["other markers"] += 1
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


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A Fold is one split of the trials: rows to fit on, and rows to score on."""

    fit: NDArray[np.intp]
    score: NDArray[np.intp]


def folds_of(config: EventsConfig, trials: EventTrials) -> Sequence[Fold]:
    """Return contiguous folds; trials that share a sample with a scored one are not fitted on.

    Raises
    ------
    RecordingError
        If a fold would have a class to fit that it has no trials of.
    """
    rows = np.arange(len(trials))
    if config.folds == "recordings":
        parts = [rows[trials.run == run] for run in range(len(trials.data))]
        if len(parts) < 2:
            raise RecordingError(
                'folds = "recordings" needs at least two recordings or sessions, came one. Set folds to a number.'
            )
    elif config.folds == "pictures":
        parts = picture_parts(trials, config.seed)
    else:
        parts = np.array_split(rows, config.folds)
    folds = []
    for part in parts:
        fit = _others(trials, part) if config.folds == "pictures" else apart_from(trials, part)
        missing = [label for k, label in enumerate(config.labels) if not (trials.classes[fit] == k).any()]
        if missing or not len(part):
            raise RecordingError(
                f"expected trials of every class beside each of {len(parts)} folds, came a fold without "
                f"{', '.join(missing) or 'trials'}. Use fewer folds, or more recordings."
            )
        folds.append(Fold(fit, part))
    return folds


#: Folds of pictures, at most; and how many pictures of a class it takes to hold some out.
_PICTURE_FOLDS, _FEWEST_PICTURES = 5, 2


def picture_parts(trials: EventTrials, seed: int) -> list[NDArray[np.intp]]:
    """Return parts of the trials that share no picture, each with pictures of every class.

    Raises
    ------
    RecordingError
        If a class has one picture alone.
    """
    of_class = [np.unique(trials.shown[trials.classes == one]) for one in range(len(trials.labels))]
    few = [
        f"{len(own)} of {label!r}"
        for label, own in zip(trials.labels, of_class, strict=True)
        if len(own) < _FEWEST_PICTURES
    ]
    if few:
        raise RecordingError(
            f'folds = "pictures": expected at least {_FEWEST_PICTURES} pictures of each class, so that some '
            f"can be held out, came {', '.join(few)}. Show more pictures, or set folds to a number."
        )
    random = np.random.default_rng(seed)
    n = min(_PICTURE_FOLDS, *map(len, of_class))
    groups = [np.array_split(random.permutation(own), n) for own in of_class]
    return [
        np.flatnonzero(np.isin(trials.shown, np.concatenate([group[fold] for group in groups])))
        for fold in range(n)
    ]


def _others(trials: EventTrials, part: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows that are not of a part, and share no sample with any row of it."""
    apart = np.ones(len(trials), bool)
    apart[part] = False
    for row in part:
        near = (trials.end > trials.start[row]) & (trials.start < trials.end[row])
        apart &= ~(near & (trials.run == trials.run[row]))
    return np.flatnonzero(apart)


def apart_from(trials: EventTrials, part: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the rows that are not of a contiguous part and share no sample with the stretch that it covers."""
    apart = np.ones(len(trials), bool)
    apart[part] = False
    for run in np.unique(trials.run[part]):
        own = part[trials.run[part] == run]
        first, last = trials.start[own].min(), trials.end[own].max()
        apart &= ~((trials.run == run) & (trials.end > first) & (trials.start < last))
    return np.flatnonzero(apart)
