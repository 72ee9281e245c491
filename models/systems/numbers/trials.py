"""Windows with the number that stood at the end of each, cut by the code of a live session."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError, counted
from bci.io.files.recording import chunks
from bci.signal.pipeline import Pick, Pipeline
from bci.signal.types import Signal
from bci.signal.windows import windows
from models.datasets.array_signal import signal_of_arrays
from models.datasets.arrays import open_arrays, require_flat
from models.datasets.recordings import Opened, defects_of, open_recordings, require_alike
from models.datasets.session_settings import ArraySettings
from models.datasets.sessions import open_sessions
from models.systems.numbers.settings import NumbersConfig, WindowSettings

Floats = NDArray[np.float64]

#: Samples handed to the pipeline at once; the result does not depend on it.
_CHUNK = 256
#: Windows for each fold.
_FEWEST = 10


@dataclass(frozen=True, slots=True, eq=False)
class NumberTrials:
    """A NumberTrials holds windows of the signal and the number at the newest sample of each, in order of time.

    Attributes
    ----------
    windows : (n, length, *output.shape) float32
        As a live decoder gets them.
    values : (n,) float64
        The number.
    run : (n,) int64
        Which recording.
    end : (n,) int64
        Source sample of that recording, one past the newest behind the window.
    span : int
        Source samples that a window is computed from, filter memory aside.
    left_out : mapping of str to int
        Windows that are not used, by reason: ``unsettled``, ``bad``, ``no number``.
    signal : Signal
        What the bundle will expect.
    data : mapping of str to str
        SHA-256 of every recording, by its path.
    defects : tuple of str
        What the recordings say of themselves, a sentence each.
    named_runs : tuple of str
        What runs are called, where they are not files.
    """

    windows: NDArray[np.float32]
    values: Floats
    run: NDArray[np.int64]
    end: NDArray[np.int64]
    span: int
    left_out: Mapping[str, int]
    signal: Signal
    data: Mapping[str, str]
    defects: tuple[str, ...] = ()
    named_runs: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[str, ...]:
        """What each run is called."""
        return self.named_runs or tuple(self.data)

    @property
    def overlap(self) -> float:
        """How many windows there are for each that shares no sample with another."""
        apart = 0
        for run in np.unique(self.run):
            free = -math.inf
            for end in self.end[self.run == run]:
                if end >= free:
                    apart, free = apart + 1, end + self.span
        return len(self) / max(apart, 1)

    def __len__(self) -> int:
        return len(self.values)

    def of(self, rows: NDArray[np.intp]) -> "NumberTrials":
        """Return some of the windows, by their rows."""
        return replace(
            self, windows=self.windows[rows], values=self.values[rows], run=self.run[rows], end=self.end[rows]
        )

    @property
    def hop_s(self) -> float:
        """Seconds from one window to the next; infinity where arrays state no rate."""
        steps = np.diff(self.end[self.run == self.run[0]])
        return float(np.median(steps)) / self.signal.rate if self.signal.rate else math.inf


class Cutting(Protocol):
    """A Cutting is the part of a training file that says how windows are cut."""

    @property
    def window(self) -> WindowSettings:
        """Their length and hop."""
        ...

    @property
    def folds(self) -> int:
        """Into how many contiguous parts they are divided."""
        ...


def cut_windows(config: NumbersConfig, root: Path) -> NumberTrials:
    """Cut the windows of every recording of a training file.

    Raises
    ------
    RecordingError
        If a recording is missing, cannot be read, is of another rate or unit, lacks the number's channel, or is too
        short; or arrays do not fit.
    """
    if config.arrays is not None:
        return _readable(config, _windows_of_arrays(config, config.arrays, root))
    names, opened, rate = _open(config, root)
    signal = config.expected(rate)
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    picked = Pipeline((Pick(config.signal.channels), *pipeline.steps))
    columns = []
    for name, (recording, _) in zip(names, opened, strict=True):
        if config.target.channel not in recording.signal.channels:
            raise RecordingError(
                f"{name}: expected the number in a channel {config.target.channel!r}, came "
                f"{', '.join(recording.signal.channels[:12])}. Set target.channel."
            )
        columns.append(recording.signal.channels.index(config.target.channel))

    def value_at(run: int, sample: int) -> float:
        return float(opened[run][0].read(sample, sample + 1)[0, columns[run]])

    return _readable(config, cut_numbers(names, opened, signal, picked, config, value_at))


def cut_numbers(
    names: Sequence[str],
    opened: Sequence[Opened],
    signal: Signal,
    pipeline: Pipeline,
    cutting: Cutting,
    value_at: Callable[[int, int], float],
) -> NumberTrials:
    """Cut the windows of open recordings, each with the number that `value_at` its newest sample is.

    Parameters
    ----------
    names : sequence of str
        Of the recordings.
    opened : sequence of (recording, digest)
    signal : Signal
        What the bundle will expect.
    pipeline : Pipeline
        From a recording's signal to the windows.
    cutting : Cutting
        Length and hop of windows, and how many folds are wanted.
    value_at : callable
        Takes the place of a recording and a sample of it, and returns the number; one that is not finite is left out.

    Raises
    ------
    RecordingError
        If there are fewer than ten windows for a fold.
    """
    left_out: Counter[str] = Counter()
    rows, values, runs, ends = [], [], [], []
    for run, (recording, _) in enumerate(opened):
        feed = chunks(recording, _CHUNK, 0, recording.n)
        for window in windows(feed, pipeline, length=cutting.window.length, hop=cutting.window.hop):
            value = value_at(run, window.last_sample)
            reason = "" if window.settled else "unsettled"
            if window.bad.any():
                reason = "bad"
            elif not np.isfinite(value):
                reason = "no number"
            if reason:
                left_out[reason] += 1
                continue
            rows.append(window.samples.astype(np.float32))
            values.append(value)
            runs.append(run)
            ends.append(window.last_sample + 1)
    _require_enough(len(rows), cutting.folds, left_out)
    return NumberTrials(
        np.stack(rows),
        np.array(values),
        np.array(runs, np.int64),
        np.array(ends, np.int64),
        cutting.window.length * pipeline.ratio(opened[0][0].signal),
        dict(left_out),
        signal,
        {name: digest for name, (_, digest) in zip(names, opened, strict=True)},
        defects_of(opened),
    )


def _readable(config: NumbersConfig, trials: NumberTrials) -> NumberTrials:
    """Refuse a number that never varies, and means without a logarithm, where it is taken: no power is below zero."""
    if not np.ptp(trials.values):
        raise RecordingError(
            f"expected a number that varies, came {trials.values[0]:g} in each of {len(trials)} windows. Is it the "
            "right channel, or array?"
        )
    means = trials.windows.reshape(*trials.windows.shape[:2], -1).mean(axis=1)
    if config.readout.log and (below := float((means < 0).mean())):
        raise RecordingError(
            f"readout.log: expected powers, whose means are above zero, came {below:.1%} of means below it. Set "
            "readout.log = false, or let the pipeline make powers."
        )
    return trials


def _require_enough(n: int, folds: int, left_out: Mapping[str, int]) -> None:
    if n < _FEWEST * folds:
        raise RecordingError(
            f"expected at least {_FEWEST * folds} windows for {folds} folds, came {n}; left out: "
            f"{counted(left_out)}. Record longer, or set window and folds smaller."
        )


def _windows_of_arrays(config: NumbersConfig, arrays: ArraySettings, root: Path) -> NumberTrials:
    """Return the windows of arrays, each with the number that its ``y`` is."""
    given = open_arrays(arrays, root)
    require_flat(given.what, arrays.y)
    if given.what.dtype.kind == "U":
        raise RecordingError(
            f"[data.arrays] {arrays.y}: expected numbers, came text such as {str(given.what[0])!r}. Classes are read "
            "by kind = 'events'."
        )
    pipeline = Pipeline.from_json([dict(step) for step in config.pipeline])
    signal, said = signal_of_arrays(
        given, arrays, "LFP", config.signal, pipeline, lambda rate: config.window.length
    )
    _require_enough(len(given), config.folds, given.left_out)
    ratio = pipeline.ratio(signal) if signal.rate else 1
    return NumberTrials(
        given.samples,
        given.what.astype(np.float64),
        given.run,
        given.ends() * ratio,
        given.samples.shape[1] * ratio,
        given.left_out,
        signal,
        given.data,
        (*given.defects, *said),
        given.runs,
    )


def _open(config: NumbersConfig, root: Path) -> tuple[list[str], list[Opened], float]:
    """Open the recordings or the sessions: their paths, what they hold, and their rate."""
    if config.data is None:
        opened, rate = open_recordings(config.recordings, root, config.signal)
        return [one.path for one in config.recordings], opened, rate
    sessions = open_sessions(config.data, root, needs_trials=False)
    names = [one.path for one in sessions]
    found = [(one.recording, one.digest) for one in sessions]
    return names, *require_alike(found, names, config.signal)


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """A Fold is one split of the windows: rows to fit on, and rows to score on."""

    fit: NDArray[np.intp]
    score: NDArray[np.intp]


def contiguous_folds(trials: NumberTrials, rows: NDArray[np.intp], n: int) -> list[Fold]:
    """Return contiguous folds of some rows; windows that share a sample with a scored one are not fitted on."""
    folds = []
    for part in np.array_split(rows, n):
        apart = np.setdiff1d(rows, part)
        for run in np.unique(trials.run[part]):
            own = trials.end[part[trials.run[part] == run]]
            near = (trials.end[apart] > own.min() - trials.span) & (
                trials.end[apart] < own.max() + trials.span
            )
            apart = apart[~(near & (trials.run[apart] == run))]
        folds.append(Fold(apart, part))
    return folds
