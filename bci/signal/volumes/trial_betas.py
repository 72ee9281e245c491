"""SingleTrialBetas turns rows of voxels into the beta of each trial: the last step before epochs of one volume.

At every volume it gives the beta of the newest trial whose wait is over, of the volumes up to this one. An epoch of
one volume that begins `wait_s` after the onset holds exactly that trial's beta. The wait is that of blood, and belongs
to no latency of the machine.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.run import Design, Run
from bci.signal.step import (
    Hertz,
    Kernel,
    Seconds,
    Step,
    check_channels,
    check_positive,
    check_regular,
    check_whole,
)
from bci.signal.steps.filters import HighPass
from bci.signal.types import Flags, Samples, Signal
from bci.signal.volumes.motion import motion_regressors
from bci.signal.volumes.nuisance import voxels_of_sets
from bci.signal.volumes.responses import Drift, ResponseGrid, drifts
from bci.signal.volumes.single_trials import BetaKind, SingleTrials
from bci.signal.volumes.slice_trials import SliceTrials
from bci.signal.volumes.trial_scores import TrialsBefore, TrialScores

#: A volume of which a larger part must not be trusted is left out of the model.
MOST_BAD = 0.5

#: A voxel of whose volumes a larger part was marked has betas that are marked.
MOST_MARKED = 0.1

#: The longest run, volumes: a design of so many rows is built for each beta.
LONGEST = 20_000


@dataclass(frozen=True)
class SingleTrialBetas:
    """SingleTrialBetas estimates a beta for each trial in each voxel (LSS), causally; see `single_trials.SingleTrials`.

    A volume more than half of whose voxels are marked (the head has moved too far) is left out of the model, and a beta
    is marked while fewer than `freedom` degrees of freedom are left. It remembers the run: a gap begins a new model,
    with onsets where they were.
    """

    wait_s: Seconds
    """From the onset of a trial to the volume at which its beta is given."""
    volumes: int
    """Volumes of the planned run, over which responses and drifts are laid."""
    onsets: str = "design"
    """Where onsets are from: ``design``, planned in the session's ``[run] design``, or ``events``, the markers that
    epochs are cut around."""
    duration_s: Seconds = 0.0
    """How long a trial lasts whose onset is an event; a design has durations of its own."""
    kind: str = "beta"
    """What is given: beta, t or z."""
    motion: bool = True
    """Whether the six parameters of the MotionCorrection before are nuisance of the model."""
    drift: str = "cosine"
    """Slow courses in the model: cosine, polynomial or none."""
    cutoff_s: Seconds = 128.0
    """Shortest period that cosines take for drift."""
    order: int = 2
    """Highest power of polynomials."""
    freedom: int = 10
    """Degrees of freedom that must be left for a beta that is trusted."""
    warm_up: int = 0
    """Trials after which betas are given as z-scores over the trials so far, and until which they are marked; 0 for
    betas as they are."""
    frozen: bool = True
    """Whether mean and spread of these z-scores stay those of the warm-up; otherwise they go on growing."""
    trained: int = 0
    """Betas are given as z-scores from the first trial on: so many trials of training, with `mean` and `spread`, stand
    before a run's own. 0 for none."""
    mean: tuple[float, ...] = ()
    """Of each voxel's betas in training, which fills it in."""
    spread: tuple[float, ...] = ()
    """Standard deviation of each voxel's betas in training, which fills it in."""
    physiology: bool = False
    """Whether the columns of the PhysiologicalNoise before are nuisance of the model."""
    high_pass_hz: Hertz = 0.0
    """Edge of a HighPass before: the whole model passes it as the data have. 0 for none; behind a filter that the model
    knows nothing of, betas depend on how far apart trials are and on how long the run lasts."""
    high_pass_order: int = 1
    """Order of that filter."""

    @property
    def recalls(self) -> int:
        """The planned run."""
        return self.volumes

    @property
    def scored(self) -> bool:
        """Whether betas are given as z-scores over trials."""
        return bool(self.warm_up or self.trained)

    @property
    def before(self) -> TrialsBefore | None:
        """What training leaves to z-scores over trials."""
        return TrialsBefore(self.trained, self.mean, self.spread) if self.trained else None

    def scores(self, voxels: int) -> TrialScores:
        """Return what gives the betas of a run as z-scores, at its beginning."""
        return TrialScores(voxels, self.warm_up, self.frozen, self.before)

    def output(self, signal: Signal) -> Signal:
        """Return a signal of betas, as many as voxels."""
        check_channels(self, signal)
        check_regular(self, signal)
        check_positive(self, wait_s=self.wait_s, cutoff_s=self.cutoff_s, duration_s=self.duration_s or 1.0)
        check_whole(self, 3, LONGEST, volumes=self.volumes)
        check_whole(self, 0, 20, order=self.order)
        check_whole(self, 1, LONGEST, freedom=self.freedom)
        check_whole(self, 0, LONGEST, warm_up=self.warm_up)
        check_whole(self, 0, LONGEST, trained=self.trained)
        if self.trained or self.mean or self.spread:
            TrialsBefore(self.trained, self.mean, self.spread).check(signal.shape[0])
        check_positive(self, high_pass_hz=self.high_pass_hz or 1.0)
        if self.high_pass_hz and (self.motion or self.physiology):
            raise ConfigError(
                "SingleTrialBetas: responses, the constant and drift pass the filter of high_pass_hz, motion and "
                "physiology do not: expected motion = false and physiology = false, came true"
            )
        self.grid(signal)
        for name, value, choices in (
            ("onsets", self.onsets, ("design", "events")),
            ("kind", self.kind, get_args(BetaKind)),
            ("drift", self.drift, get_args(Drift)),
        ):
            if value not in choices:
                raise ConfigError(
                    f"SingleTrialBetas: {name} must be one of {', '.join(choices)}, got {value!r}"
                )
        # A stream of z-scores over trials is no stream of betas.
        unit = f"z of {self.kind}" if self.scored else self.kind
        return replace(signal, unit=unit, dtype="float32")

    def grid(self, signal: Signal, begin: int = 0) -> ResponseGrid:
        """Return the responses that are predicted at the volumes of `signal`, whose filter began at volume `begin`."""
        passes = None
        if self.high_pass_hz:
            passes = HighPass(self.high_pass_hz, self.high_pass_order).sections(signal)
        return ResponseGrid(self.volumes, 1.0 / signal.rate, passes, begin)

    def steady(self, grid: ResponseGrid) -> NDArray[np.float64]:
        """Return the constant and slow courses at all volumes of the planned run: (volumes, columns)."""
        # A setting is text; `output` has refused any that is no Drift.
        kind: Drift = self.drift  # type: ignore[assignment]
        slow = drifts(kind, self.volumes, grid.tr_s, self.cutoff_s, self.order)
        return grid.filtered(np.column_stack([np.ones(self.volumes), slow]))

    def start(self, signal: Signal) -> Kernel:
        """Return the stage at work; one with a design of a session refuses its first sample without `with_run`."""
        self.output(signal)
        return _Undesigned(self.motion) if self.onsets == "design" else _Estimating(self, signal, None)

    def with_run(self, run: Run) -> Step:
        """Return the step with the session's design.

        Raises
        ------
        ConfigError
            If it needs one and there is none.
        """
        if self.onsets == "events":
            return self
        if run.design is None:
            raise ConfigError(
                'expected planned trials in [run] design, came none. Name a table there, or set onsets = "events" in '
                "the bundle's step."
            )
        return _Planned(self, run.design)


@dataclass(frozen=True, eq=False)
class _Planned:
    """A _Planned is a `SingleTrialBetas` with the session's design."""

    settings: SingleTrialBetas
    design: Design

    @property
    def recalls(self) -> int:
        """The planned run."""
        return self.settings.recalls

    def output(self, signal: Signal) -> Signal:
        out = self.settings.output(signal)
        places = [_place(onset, signal.rate) for onset in self.design.onsets]
        if any(after <= before for before, after in pairwise(places)):
            raise ConfigError(
                "expected planned onsets in order, a volume or more apart, came closer ones. Give one trial a volume."
            )
        if places and not 0 <= min(places) <= max(places) < self.settings.volumes:
            raise ConfigError(
                f"expected planned onsets within the {self.settings.volumes} volumes of the run "
                f"({self.settings.volumes / signal.rate:g} s), came {self.design.onsets.min():g} to "
                f"{self.design.onsets.max():g} s"
            )
        return out

    def start(self, signal: Signal) -> Kernel:
        self.output(signal)
        return _Estimating(self.settings, signal, self.design)


def _place(onset_s: float, rate: float) -> int:
    """Return the volume nearest to an onset, the earlier of two: where an epoch puts it as well.

    >>> [_place(onset, 0.5) for onset in (4.0, 4.9, 5.0, 5.1)]
    [2, 2, 2, 3]
    """
    return math.ceil(onset_s * rate - 0.5)


class _Undesigned:
    """An _Undesigned stands for a step whose trials are not known yet, and refuses samples."""

    ratio = 1
    settle = 0

    def __init__(self, motion: bool) -> None:
        self.hears = "motion" if motion else ""

    def reset(self, first: int) -> None:
        """Have nothing to forget."""

    def hear(self, rows: Samples) -> None:
        """Have no use for motion."""

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        """Refuse samples: ConfigError."""
        raise ConfigError(
            "this pipeline estimates betas of planned trials, which only a session fixes: name a table in [run] "
            "design, or call Pipeline.for_run first"
        )


@dataclass(eq=False)
class _Due:
    """A _Due is a trial whose beta is given at volume `volume`, the last that it waits for."""

    number: int
    volume: int


class _Estimating:
    ratio = 1
    settle = 0

    def __init__(self, settings: SingleTrialBetas, signal: Signal, design: Design | None) -> None:
        self.hears = "motion" if settings.motion else ""
        self.hears_events = design is None
        self._settings, self._design = settings, design
        self._tr_s = 1.0 / signal.rate
        self._wait = round(settings.wait_s * signal.rate)
        self._voxels = signal.shape[0]
        self._signal = signal
        self._grid = settings.grid(signal)
        self._steady = settings.steady(self._grid)
        self._heard: Samples = np.zeros((0, 6))
        self.confounded, self._width = settings.physiology, 0
        self._sets: list[NDArray[np.intp]] = []
        self._columns: Samples = np.zeros((0, 1, 0))
        self.reset(0)

    def share(self, width: int, sets: NDArray[np.intp] | None) -> None:
        """Take how many columns of physiology come for which voxels."""
        self._width, self._sets = width, voxels_of_sets(sets, self._voxels)
        self.reset(0)

    def confound(self, columns: Samples) -> None:
        """Take the columns of physiology of the next volumes."""
        self._columns = columns

    def reset(self, first: int) -> None:
        """Forget the volumes; planned trials and the count of volumes stay."""
        if self._grid.begins != first:
            self._grid = self._settings.grid(self._signal, first)
            self._steady = self._settings.steady(self._grid)
        columns = self._steady.shape[1] + (6 if self.hears else 0) + self._width
        self._fit: SingleTrials | SliceTrials = (
            SliceTrials(self._grid, columns, self._sets)
            if self._sets
            else SingleTrials(self._grid, columns, self._voxels)
        )
        self._next = first
        self._due: list[_Due] = []
        self._scores = self._settings.scores(self._voxels) if self._settings.scored else None
        self._marked: NDArray[np.int_] = np.zeros(self._voxels, int)
        self._beta: NDArray[np.float32] = np.zeros(self._voxels, np.float32)
        self._beta_bad: Flags = np.ones(self._voxels, bool)
        if self._design is not None:
            for onset, duration in zip(self._design.onsets, self._design.durations, strict=True):
                self._tell(_place(onset, 1.0 / self._tr_s), onset, duration)

    def begin_trial(self, index: int, lag_s: float) -> None:
        """Tell of an event at `lag_s` after volume `index`, its nearest; called in order."""
        # To a microsecond: sums of stamps end beside the points of the fine grid that they mean.
        self._tell(index, round(index * self._tr_s + lag_s, 6), self._settings.duration_s)

    def _tell(self, index: int, onset_s: float, duration_s: float) -> None:
        self._due.append(_Due(self._fit.begin(float(onset_s), float(duration_s)), index + self._wait))

    def hear(self, rows: Samples) -> None:
        """Take the motion of the next volumes, (n, 6 or more)."""
        self._heard = motion_regressors(rows)

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        out = np.empty((len(samples), self._voxels), np.float32)
        flags = np.empty(out.shape, bool)
        for place, row in enumerate(samples):
            volume, marked = self._next, None if bad is None else bad[place]
            self._next += 1
            if volume < self._settings.volumes:
                nuisance = np.concatenate([self._steady[volume], *self._heard[place : place + 1]])
                if self._sets:
                    own = self._columns[place]
                    nuisance = np.column_stack([np.tile(nuisance, (len(own), 1)), own])
                self._take(volume, row, marked, nuisance)
                self._give(volume)
            else:
                self._beta_bad = np.ones(self._voxels, bool)
            out[place], flags[place] = self._beta, self._beta_bad
        return out, flags if flags.any() else None

    def _take(self, volume: int, row: Samples, marked: Flags | None, nuisance: Samples) -> None:
        if marked is not None:
            if marked.mean() > MOST_BAD:
                return
            self._marked += marked
        self._fit.add(volume, nuisance, np.ascontiguousarray(row))

    def _give(self, volume: int) -> None:
        ready = [due for due in self._due if due.volume <= volume]
        self._due = [due for due in self._due if due.volume > volume]
        for due in ready:
            kind: BetaKind = self._settings.kind  # type: ignore[assignment]  # checked by output
            beta = None
            if due is ready[-1] and self._fit.degrees_of_freedom(due.number) >= self._settings.freedom:
                beta = self._fit.estimate(due.number, kind)
            self._fit.forget(due.number)
            if beta is None:
                self._beta_bad = np.ones(self._voxels, bool)
                continue
            self._beta_bad = self._marked > MOST_MARKED * self._fit.volumes
            self._beta = beta.astype(np.float32)
            if self._scores is not None:
                self._beta, self._beta_bad = self._scores(self._beta, self._beta_bad)
