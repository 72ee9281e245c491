"""A Pipeline is the settings of the steps that a signal passes before windows are cut; a RunningPipeline runs them.

Output sample ``k`` depends on source samples up to ``(k + 1) * ratio - 1`` and is stamped with the time of that
one, counted from the start of the stream, wherever chunks begin or filters were reset. A value that is not finite, or
beyond `LARGEST`, never enters a step: the last good value takes its place, and every output it can influence is
marked.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from bci.errors import ConfigError, nearest
from bci.signal.beside import Beside, Tap, Tapped
from bci.signal.measured import LARGEST, all_measured
from bci.signal.run import Run
from bci.signal.step import EventKernel, Kernel, LearningStep, ListeningKernel, RunStep, SideKernel, Step
from bci.signal.steps.features import BandCovariance, BandPower, Covariance
from bci.signal.steps.filters import BandPass, Decimate, HighPass, LowPass, Notch
from bci.signal.steps.masking import Artefact, Flat, Saturation
from bci.signal.steps.montage import Bipolar, CommonAverage, Pick, Relabel, Scale
from bci.signal.types import Flags, Samples, Signal, Times, Window
from bci.signal.volumes.dvars import Dvars
from bci.signal.volumes.mask import MaskVolume
from bci.signal.volumes.motion import MotionCorrection
from bci.signal.volumes.nuisance import MarkSpikes, RemoveNuisance
from bci.signal.volumes.physiological_noise import PhysiologicalNoise
from bci.signal.volumes.regions import RegionMeans
from bci.signal.volumes.running import RunningZScore, TemporalSnr
from bci.signal.volumes.slice_timing import SliceTiming
from bci.signal.volumes.smoothing import SmoothVoxels
from bci.signal.volumes.trial_betas import SingleTrialBetas

__all__ = ["STEPS", "Pick", "Pipeline", "RunningPipeline", "step_name"]

#: Every step a bundle may name.
STEPS: tuple[type[Any], ...] = (
    BandPass, HighPass, LowPass, Notch, Decimate, CommonAverage, Bipolar, Pick, Scale, Saturation, Flat,
    Artefact, BandPower, BandCovariance, Covariance, Relabel, MaskVolume, Dvars,
    MotionCorrection, SingleTrialBetas, RunningZScore, TemporalSnr, RegionMeans, RemoveNuisance, MarkSpikes,
    SliceTiming, SmoothVoxels, PhysiologicalNoise,
)  # fmt: skip


def step_name(step: type[Any]) -> str:
    """Return the name of a kind of step as bundles write it.

    >>> step_name(CommonAverage)
    'common_average'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", step.__name__).lower()


#: Steps of one pipeline; each starts with buffers of its own.
MOST_STEPS = 64

_BY_NAME = {step_name(step): step for step in STEPS}


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """A Pipeline is a list of steps; the empty pipeline passes every sample on.

    Examples
    --------
    >>> eeg = Signal("eeg", 160.0, (3,), ("O1", "Oz", "O2"), "uV")
    >>> pipeline = Pipeline([Pick(("O1", "O2")), BandPower(((8, 13),), block=16)])
    >>> pipeline.output(eeg).shape, pipeline.output(eeg).rate, pipeline.ratio(eeg)
    ((2, 1), 10.0, 16)
    >>> Pipeline.from_json(pipeline.to_json()) == pipeline
    True
    """

    steps: tuple[Step, ...] = ()

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        object.__setattr__(self, "steps", tuple(steps))

    def for_run(self, run: Run) -> Self:
        """Return the pipeline for one session, with the parts of its `Run` that steps need.

        Raises
        ------
        ConfigError
            If a step needs what the session does not fix; named.
        """
        return type(self)([step.with_run(run) if isinstance(step, RunStep) else step for step in self.steps])

    def output(self, signal: Signal) -> Signal:
        """Return the pipeline's output signal for an input `signal`.

        Raises
        ------
        ConfigError
            If a step does not fit the signal it is given.
        """
        for step in self.steps:
            signal = step.output(signal)
        return dataclasses.replace(signal, dtype="float32") if self.steps else signal

    def ratio(self, signal: Signal) -> int:
        """Return how many samples of `signal` make one output sample."""
        return self.start(signal).ratio

    def start(self, signal: Signal) -> "RunningPipeline":
        """Return the pipeline ready for `signal`."""
        return RunningPipeline(self, signal)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the steps as JSON holds them: ``{"step": "band_pass", "low": 8, ...}``."""
        return [{"step": step_name(type(s)), **_as_lists(dataclasses.asdict(s))} for s in self.steps]  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, steps: Sequence[Mapping[str, Any]]) -> Self:
        """Return the pipeline that `to_json` wrote.

        Raises
        ------
        ConfigError
            If a step or one of its settings is unknown, missing or impossible, named; or there are too many.
        """
        if len(steps) > MOST_STEPS:
            raise ConfigError(
                f"expected a pipeline of at most {MOST_STEPS} steps, came {len(steps)}. Leave some out."
            )
        return cls([_step_from_json(place, step) for place, step in enumerate(steps)])


def _as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _as_lists(v) for k, v in value.items()}
    return [_as_lists(v) for v in value] if isinstance(value, list | tuple) else value


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def _step_from_json(place: int, written: Any) -> Step:
    where = f"step {place + 1} of the pipeline"
    if not isinstance(written, Mapping):
        raise ConfigError(f'{where}: expected {{"step": name, ...settings}}, got {written!r}')
    settings = dict(written)
    name = settings.pop("step", None)
    if not isinstance(name, str) or name not in _BY_NAME:
        near = nearest(str(name), _BY_NAME)
        raise ConfigError(
            f"{where}: there is no step {name!r}{near}; there are {', '.join(sorted(_BY_NAME))}"
        )
    kind = _BY_NAME[name]
    fields = dataclasses.fields(kind)
    unknown = sorted(set(settings) - {f.name for f in fields})
    missing = [f.name for f in fields if f.default is dataclasses.MISSING and f.name not in settings]
    if unknown or missing:
        free = [f.name for f in fields if f.name not in settings]
        words = [f"no setting {', '.join(one + nearest(one, free) for one in unknown)}"] if unknown else []
        words += [f"a setting {', '.join(missing)} that is not given"] if missing else []
        raise ConfigError(
            f"{where} ({name}) has {' and '.join(words)}; it takes {', '.join(f.name for f in fields)}"
        )
    try:
        step: Step = kind(**{key: _as_tuples(value) for key, value in settings.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where} ({name}): {error}") from None
    return step


class RunningPipeline:
    """A RunningPipeline runs a pipeline on one signal.

    Attributes
    ----------
    signal, output : Signal
        Input and output.
    ratio : int
        Source samples per output sample.
    plain : bool
        Whether there are no steps: the output is the input, in the same memory where all is finite.
    settle : int
        Source samples after a reset or a bad sample until its influence is gone (see `bci.signal.step`).
    settled_from : int
        Count of the first source sample since the last reset whose output is settled.
    beside : Beside
        What its steps hear of another stream.
    recalls : int
        Source samples since a reset that steps go on to learn from; 0 where none learns a run.
    """

    def __init__(self, pipeline: Pipeline, signal: Signal) -> None:
        self.signal = signal
        self.output = pipeline.output(signal)
        self.plain = not pipeline.steps
        self._kernels: list[Kernel] = []
        #: Kernels with a side output, and how many source samples make one sample of it; what each said since it
        #: was last taken.
        self._speakers: list[tuple[SideKernel, int]] = []
        self._said: list[list[tuple[int, Samples]]] = []
        #: For each kernel: itself as one that hears, the speaker that it hears, and its own place among speakers.
        self._links: list[tuple[ListeningKernel | None, int, int]] = []
        self.beside = Beside()
        self.ratio, self.settle, self.recalls = 1, 0, 0
        self._takes_rows = -1
        for step in pipeline.steps:
            kernel = step.start(signal)
            self._link(kernel)
            before, signal = signal, step.output(signal)
            if len(before.shape) == 3 and len(signal.shape) == 1:
                self._takes_rows = len(self._kernels)
            self._kernels.append(kernel)
            self.settle += kernel.settle * self.ratio
            if isinstance(step, LearningStep):
                self.recalls = max(self.recalls, step.recalls * self.ratio)
            self.ratio *= kernel.ratio
        self._told = [one for one in self._kernels if isinstance(one, EventKernel) and one.hears_events]
        if self._told and self.ratio != 1:
            raise ConfigError(
                "a pipeline that is told of events must not decimate: take the step that does out"
            )
        self.settled_from = 0
        self._next = -1
        self._held: Samples = np.zeros((1, *self.signal.shape), self.signal.dtype)

    def _link(self, kernel: Kernel) -> None:
        """Note what a kernel hears and whether it speaks.

        Raises
        ------
        ConfigError
            If what it needs is not said before it, once for each of its samples.
        """
        listener = kernel if isinstance(kernel, ListeningKernel) and kernel.hears else None
        heard = speaks = -1
        if listener is not None:
            names = [one.side.name if ratio == self.ratio else "" for one, ratio in self._speakers]
            if listener.hears not in names:
                raise ConfigError(
                    f"a step of this pipeline needs {listener.hears!r} for each of its samples, which no step before "
                    "it gives: put the step that does before it, with no decimation between them, or set motion = false"
                )
            heard = names.index(listener.hears)
        if isinstance(kernel, SideKernel):
            speaks = len(self._speakers)
            self._speakers.append((kernel, self.ratio))
            self._said.append([])
        self._links.append((listener, heard, speaks))
        self.beside.link(kernel, self.ratio)

    @property
    def hears_events(self) -> bool:
        """Whether a step wants to be told of events; then samples are run one at a time (`begin_trial`)."""
        return bool(self._told)

    def begin_trial(self, index: int, lag_s: float) -> None:
        """Tell of an event at `lag_s` seconds after output sample `index`, the newest or the next one at the latest."""
        for kernel in self._told:
            kernel.begin_trial(index, lag_s)

    def tap_rows(self, take: Tap) -> None:
        """Hand on what the step gives that takes voxels of volumes: count of the first, rows (n, voxels), flags."""
        if self._takes_rows >= 0:
            self._kernels[self._takes_rows] = Tapped(self._kernels[self._takes_rows], take)

    @property
    def sides(self) -> tuple[Signal, ...]:
        """The side outputs of steps, such as quality: one signal for each step that has one."""
        return tuple(kernel.side for kernel, _ in self._speakers)

    def take_sides(self, chunk: Window) -> Iterator[Window]:
        """Yield the side outputs for `chunk`, which was run last; in the order of `sides`."""
        for (kernel, ratio), said in zip(self._speakers, self._said, strict=True):
            first = said[0][0] if said else 0
            samples = (
                np.concatenate([rows for _, rows in said]) if said else np.zeros((0, *kernel.side.shape))
            )
            said.clear()
            times = chunk.times if ratio == 1 else chunk.times[-(chunk.first + 1) % ratio :: ratio]
            n = len(samples)
            bad = np.zeros((n, *kernel.side.flag_shape), bool)
            yield Window(kernel.side, first, samples, times[len(times) - n :], bad, (first + n) * ratio - 1)

    def reset(self, first: int) -> None:
        """Forget the past; the next source sample is number `first`."""
        self._next = first
        self._held = np.zeros((1, *self.signal.shape), self.signal.dtype)
        self.settled_from = first + self.settle
        for said in self._said:
            said.clear()
        for kernel in self._kernels:
            kernel.reset(first)
            first //= kernel.ratio

    def __call__(self, chunk: Window) -> Window:
        """Return the output that follows from the next samples; it may be empty.

        The pipeline resets itself where `chunk.reset` says so, or where the chunk does not continue the one before.

        Parameters
        ----------
        chunk : Window
            Consecutive samples of `signal`.

        Returns
        -------
        Window
            Of `output`, counted in its own samples; `reset` as in the chunk, also when it resets for a
            discontinuity. Memory may be shared with the chunk.
        """
        first, samples, times, bad, reset = self.run(chunk)
        if bad is None:
            bad = np.zeros((len(samples), *self.output.flag_shape), bool)
        last = (first + len(samples)) * self.ratio - 1
        return Window(self.output, first, samples, times, bad, last, reset=reset)

    def run(self, chunk: Window) -> tuple[int, Samples, Times, Flags | None, str]:
        """Run the next samples as a call does, and return (first, samples, times, bad or None, reset).

        None for `bad` says that every value may be trusted. `bci.signal.windows.Windows` uses this form.
        """
        reset = chunk.reset
        if chunk.first != self._next:
            reset = reset or "discontinuity"
        if reset:
            self.reset(chunk.first)
        ratio, times = self.ratio, chunk.times
        self._next += len(times)
        samples, bad = self._finite(chunk)
        if self._kernels:
            self.beside.before(chunk.first, times)
            for kernel, (listener, heard, speaks) in zip(self._kernels, self._links, strict=True):
                if listener is not None:
                    listener.hear(self._said[heard][-1][1])
                samples, bad = kernel(samples, bad)
                self.beside.after(kernel)
                if speaks >= 0:
                    self._said[speaks].append(self._speakers[speaks][0].take_side())
            samples = samples.astype(np.float32)
        if ratio > 1:
            times = times[-(chunk.first + 1) % ratio :: ratio]
        return chunk.first // ratio, samples, times, bad, reset

    def passes(self, chunk: Window) -> bool:
        """Take a chunk that goes on behind the last and is vouched for, where there are no steps; else do nothing.

        What `run` would give for it is the chunk itself.
        """
        lender = chunk.lender
        if not self.plain or chunk.reset or lender is None or chunk.first != self._next:
            return False
        if not lender.vouched(chunk.first, chunk.end) or not chunk.intact:
            return False
        self._next = chunk.end
        self._held = chunk.samples[-1:]
        return True

    def _finite(self, chunk: Window) -> tuple[Samples, Flags | None]:
        """Replace values that are not finite, or beyond `LARGEST`, by the last good value, and flag them."""
        samples, lender, flags = chunk.samples, chunk.lender, None
        if not len(samples):
            return samples, None
        if lender is not None:
            if lender.vouched(chunk.first, chunk.end) or all_measured(samples):
                # The ring keeps it until the next chunk has come, or the next chunk begins with a reset.
                self._held = samples[-1:]
                return samples, None
        else:
            flags = chunk.bad if np.count_nonzero(chunk.bad) else None
            if all_measured(samples):
                self._held = samples[-1:].copy()
                return samples, flags
        n = len(samples)
        finite = np.abs(samples.astype(np.float64)) <= LARGEST
        at = np.arange(1, n + 1).reshape(n, *(1,) * (samples.ndim - 1))
        source = np.maximum.accumulate(np.where(finite, at, 0), axis=0)
        joined = np.concatenate([self._held, samples])
        held = np.take_along_axis(joined, source, axis=0)
        self._held = held[-1:].copy()
        odd = np.asarray(~finite.reshape(n, *self.signal.flag_shape, -1).all(axis=-1))
        return held, odd if flags is None else odd | flags
