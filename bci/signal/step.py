"""A Step is the settings of one stage of a pipeline; its Kernel runs that stage.

Two definitions hold for every step of this package.

*Settled.* An output stamped with input sample ``j`` is free of input sample ``i`` when ``j - i > settle``,
and free of all samples before a reset at sample ``r`` when ``j >= r + settle``. For a step that remembers for ever
(an IIR filter) *free* means that the effect of a disturbance is at most `TOLERANCE` of its size. Steps that learn a run
(`RunningZScore`, `RemoveNuisance`, `SingleTrialBetas`) know all since the last reset: their outputs are marked until
enough is learned, and after a reset in the middle of a run they are others than without it.

*Same.* Output depends on the input samples and on the count at which the kernel was last reset, never on how
the samples were divided among calls. So a reduction runs along contiguous memory or over a block of fixed
size counted from sample zero.
"""

import math
from typing import Any, Protocol, runtime_checkable

from bci.errors import ConfigError
from bci.signal.run import Run
from bci.signal.types import Flags, Samples, Signal

#: Largest effect of a disturbance on outputs that count as free of it, as a part of its size.
TOLERANCE = 1e-3

#: Samples of a run that is not planned, for steps that learn it: fifteen minutes at a TR of 1.5 s.
LIKELY_RUN = 600

#: Settings in cycles per second, and in seconds.
Hertz = float
Seconds = float


class Kernel(Protocol):
    """A Kernel runs one step on one signal.

    Attributes
    ----------
    ratio : int
        Input samples per output sample.
    settle : int
        Input samples that a disturbance stays visible for, see the module.
    """

    ratio: int
    settle: int

    def reset(self, first: int) -> None:
        """Forget the past; the next sample is number `first`, counted at this step's input."""
        ...

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        """Take the next samples and return the outputs that follow; memory may be shared with the input.

        Parameters
        ----------
        samples : (n, *input.shape) array
            All finite; any memory layout; n may be 0.
        bad : (n, *input.flag_shape) bool, or None
            Which values must not be trusted; None says that all may be, at no cost.

        Returns
        -------
        samples : (m, *output.shape) array
        bad : (m, *output.flag_shape) bool, or None
        """
        ...


class Step(Protocol):
    """A Step holds the settings of one stage: a frozen dataclass of plain values."""

    def output(self, signal: Signal) -> Signal:
        """Return the step's output signal for an input `signal`; ConfigError when it does not fit."""
        ...

    def start(self, signal: Signal) -> Kernel:
        """Return the stage ready for `signal`; it must be reset before its first sample."""
        ...


@runtime_checkable
class RunStep(Protocol):
    """A RunStep needs something that the session fixes; see `bci.signal.run.Run`."""

    def output(self, signal: Signal) -> Signal:
        """Return the step's output signal for an input `signal`, as far as it is known without the session."""
        ...

    def with_run(self, run: Run) -> Step:
        """Return the same step for one session.

        Raises
        ------
        ConfigError
            If the session does not fix what the step needs; named.
        """
        ...


@runtime_checkable
class LearningStep(Protocol):
    """A LearningStep learns a run: what it gives rests on all samples since the last reset.

    Attributes
    ----------
    recalls : int
        Samples after which nothing is learned any more, or as many as a run is likely to have. A decoder that takes the
        place of a dead one runs those since the last reset again (`bci.live.resumption`), and a ring holds so many.
    """

    @property
    def recalls(self) -> int: ...  # noqa: D102


@runtime_checkable
class SideKernel(Protocol):
    """A SideKernel has a second output beside its samples, such as the quality of the signal.

    Attributes
    ----------
    side : Signal
        The second output, one sample for each input or for each block of inputs.
    """

    side: Signal

    def take_side(self) -> tuple[int, Samples]:
        """Return the second output since the last call: count of its first sample, and samples (n, *side.shape)."""
        ...


@runtime_checkable
class ListeningKernel(Protocol):
    """A ListeningKernel uses the second output of a stage before it.

    Attributes
    ----------
    hears : str
        Name of that output's signal; empty when it needs none.
    """

    hears: str

    def hear(self, rows: Samples) -> None:
        """Take the rows (n, ...) that belong to the next n samples, before these."""
        ...


@runtime_checkable
class EventKernel(Protocol):
    """An EventKernel is told of the events that epochs are cut around.

    Attributes
    ----------
    hears_events : bool
        Whether it wants to be.
    """

    hears_events: bool

    def begin_trial(self, index: int, lag_s: float) -> None:
        """Take an event at `lag_s` after sample `index`, its nearest, before a later sample than the event is run."""
        ...


def check_positive(step: object, **settings: Any) -> None:
    """Raise ConfigError unless every setting is a finite number above zero."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ConfigError(f"{type(step).__name__}: {name} must be a number above 0, got {value!r}")


def check_whole(step: object, low: int, high: int, **settings: Any) -> None:
    """Raise ConfigError unless every setting is a whole number from `low` to `high`."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(
                f"{type(step).__name__}: {name} must be a whole number from {low} to {high}, got {value!r}"
            )


def check_regular(step: object, signal: Signal) -> None:
    """Raise ConfigError if `signal` has no rate."""
    if signal.rate == 0:
        raise ConfigError(
            f"{type(step).__name__} needs a regular rate; signal {signal.name!r} is irregular. "
            "Take the step out for this stream."
        )


def check_channels(step: object, signal: Signal, at_least: int = 1) -> None:
    """Raise ConfigError unless a sample of `signal` is a row of at least so many channels."""
    if len(signal.shape) != 1 or signal.shape[0] < at_least:
        raise ConfigError(
            f"{type(step).__name__} needs samples that are a row of {at_least} or more channels; "
            f"those of {signal.name!r} have the shape {signal.shape}"
        )


def check_volume(step: object, signal: Signal) -> None:
    """Raise ConfigError unless a sample of `signal` is a volume."""
    if len(signal.shape) != 3:
        raise ConfigError(
            f"{type(step).__name__} needs samples that are volumes (x, y, z); those of {signal.name!r} have the shape "
            f"{signal.shape}"
        )
