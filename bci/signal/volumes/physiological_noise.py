"""PhysiologicalNoise makes columns of a model of what a pulse and a belt said up to each volume, as volumes come.

They are those of `bci.signal.volumes.physiology`, RETROICOR's phases at the time of each slice and respiration volume
per time, by the traces up to the volume alone: beats and breaths after the last are taken to go on as before. Steps
behind it that fit models take them as nuisance (``physiology = true``).

What is heard comes from another stream than the volumes, and may be late. How much of it each volume heard is a side
output, ``physiology``, so that the same columns are made again from a recording.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.beside import Heard
from bci.signal.run import Run
from bci.signal.step import Kernel, Seconds, Step, check_regular, check_whole
from bci.signal.types import Flags, Samples, Signal
from bci.signal.volumes.physiology import (
    RVT_LAGS_S,
    breath_volume,
    cardiac_phase,
    peaks_s,
    respiratory_phase,
)
from bci.signal.volumes.rigid import Affine, moved

Array = NDArray[np.float64]

#: Columns of the side output: which volume; which samples of the other stream were new to it, by their count, and how
#: many; when the newest of all was taken, seconds from the volume's stamp; then what they say.
FIRST, COUNT, NEWEST = "heard_first", "heard", "newest_s"
COLUMNS = ("volume", FIRST, COUNT, NEWEST, "pulse_per_minute", "breaths_per_minute", "breath_volume")

#: What is remembered of the traces, and how much must be there before they say anything, seconds.
MEMORY_S, LEAST_S = 120.0, 10.0

#: Samples a second that are looked at; of faster traces means are taken.
LOOKED_AT_HZ = 100.0

#: HeardTraces that end so long before the volume does say nothing of it, seconds.
LATE_S = 1.0

#: Samples whose number and time disagree by more begin anew: some are missing in between, seconds.
JUMP_S = 0.1


@dataclass(frozen=True)
class PhysiologicalNoise:
    """PhysiologicalNoise hears a pulse, a belt, or both, beside the volumes, which pass unchanged.

    The session names their stream in ``[decoder] physiology``. Columns are zero until ten seconds with three beats, or
    breaths, have been heard, and for a volume that hears nothing of the last second: it goes on without, and is marked.
    """

    pulse: str = ""
    """Label of the channel with the pulse; empty for none. A beat is a peak."""
    breath: str = ""
    """Label of the channel with the belt; empty for none. Breathing in goes up."""
    mask: str = ""
    """Name of the mask whose voxels come in rows, each with the time of its slice; empty where all slices share the
    time of the volume's middle."""
    slice_times_s: tuple[Seconds, ...] = ()
    """When each slice is taken, from the bottom of the array's third axis up, seconds after the volume's begin; needed
    with a mask. `bci volumes info --json` prints those of a run."""
    pulse_harmonics: int = 2
    """A sine and a cosine each of the heart's phase."""
    breath_harmonics: int = 2
    """A sine and a cosine each of the phase of breathing."""
    breath_volume: bool = True
    """Whether respiration volume per time is taken as well, at lags of 0 to 20 s."""
    margin_s: Seconds = 0.2
    """The traces are waited for to so long before the end of a volume; what lies behind is extrapolated."""

    @property
    def width(self) -> int:
        """Columns of each slice."""
        pulse = 2 * self.pulse_harmonics if self.pulse else 0
        breath = 2 * self.breath_harmonics + len(RVT_LAGS_S) * self.breath_volume if self.breath else 0
        return pulse + breath

    def output(self, signal: Signal) -> Signal:
        """Return `signal` itself."""
        check_regular(self, signal)
        check_whole(self, 0, 8, pulse_harmonics=self.pulse_harmonics, breath_harmonics=self.breath_harmonics)
        tr = 1.0 / signal.rate
        times = np.array(self.slice_times_s, np.float64)
        if not self.width or self.pulse == self.breath:
            raise ConfigError(
                "PhysiologicalNoise: expected pulse, breath or both, the labels of two channels, and a column of them; "
                f"came pulse {self.pulse!r} and breath {self.breath!r}"
            )
        if bool(self.mask) != bool(len(times)) or not ((times >= 0) & (times < tr)).all():
            raise ConfigError(
                "PhysiologicalNoise: expected a mask and the time of each slice, within the TR of "
                f"{tr:g} s, or neither; came mask {self.mask!r} and {len(times)} times. Read them from the files."
            )
        if not 0 <= self.margin_s < tr:
            raise ConfigError(
                f"PhysiologicalNoise: expected margin_s from 0 to the TR of {tr:g} s, came {self.margin_s!r}"
            )
        return signal

    def start(self, signal: Signal) -> Kernel:
        """Return the stage at work, for one whose slices are not known until the session names the mask."""
        self.output(signal)
        return _Hearing(self, signal, None, np.array([0.5 / signal.rate]))

    def with_run(self, run: Run) -> Step:
        """Return the step with the slice of each voxel.

        Raises
        ------
        ConfigError
            If the session has no such mask, or another number of slices.
        """
        if not self.mask:
            return self
        return _Sliced(self, voxel_slices(run, self.mask, len(self.slice_times_s)))


def is_heard(newest_s: float, tr_s: float) -> bool:
    """Return whether what a volume heard reaches to its last second; NaN stands for nothing.

    >>> is_heard(1.8, 2.0), is_heard(0.9, 2.0), is_heard(float("nan"), 2.0)
    (True, False, False)
    """
    return newest_s >= tr_s - LATE_S


def voxel_slices(run: Run, mask: str, slices: int) -> NDArray[np.intp]:
    """Return in which slice of today's volumes each voxel of a mask lies, (voxels,).

    Raises
    ------
    ConfigError
        If the volumes have another number of slices.
    """
    places = np.argwhere(run.mask(mask)).astype(np.float64)
    there = run.mask(mask).shape[2]
    if run.trained is not None:
        reference, affine = run.aligned_to()
        grid: Affine = np.asarray(run.trained.to_today @ run.trained.affine, np.float64)
        places, there = moved(moved(places, grid), np.linalg.inv(affine)), reference.shape[2]
    if there != slices:
        raise ConfigError(
            f"PhysiologicalNoise: expected slice_times_s of {there} slices, came {slices}. Read them from the files of "
            "this series."
        )
    return np.clip(np.rint(places[:, 2]), 0, slices - 1).astype(np.intp)


@dataclass(frozen=True, eq=False)
class _Sliced:
    """A _Sliced is a `PhysiologicalNoise` with the slice of each voxel."""

    settings: PhysiologicalNoise
    slices: NDArray[np.intp]

    def output(self, signal: Signal) -> Signal:
        if signal.shape != self.slices.shape:
            raise ConfigError(
                f"PhysiologicalNoise: expected rows of the {len(self.slices)} voxels of mask {self.settings.mask!r}, "
                f"came samples of the shape {signal.shape}. Put it behind the step that takes the mask."
            )
        return self.settings.output(signal)

    def start(self, signal: Signal) -> Kernel:
        self.output(signal)
        # Slices that are taken together share their columns.
        times, sets = np.unique(np.array(self.settings.slice_times_s)[self.slices], return_inverse=True)
        return _Hearing(self.settings, signal, sets.reshape(-1), times)


class _Hearing:
    ratio = 1
    settle = 0

    def __init__(
        self, settings: PhysiologicalNoise, signal: Signal, sets: NDArray[np.intp] | None, times_s: Array
    ) -> None:
        # Half a second of a processor, which the first volume with ten seconds of a pulse would wait for.
        import_module("scipy.signal")
        self.side = Signal("physiology", signal.rate, (len(COLUMNS),), COLUMNS, "", "float64")
        self.labels = tuple(label for label in (settings.pulse, settings.breath) if label)
        self.width = settings.width
        self.margin_s = settings.margin_s
        self.sets = sets
        self.columns: Samples = np.zeros((0, len(times_s), settings.width))
        self._settings, self._tr_s, self._times_s = settings, 1.0 / signal.rate, times_s
        self._heard: Sequence[Heard] = ()
        self.reset(0)

    def reset(self, first: int) -> None:
        """Forget what was heard."""
        self._first = self._next = first
        self._rows: list[Array] = []
        self._traces = HeardTraces(len(self.labels))
        self._usual: float | None = None

    def hear_beside(self, heard: Sequence[Heard]) -> None:
        """Take what the next volumes hear, one for each."""
        self._heard = heard

    def __call__(self, samples: Samples, bad: Flags | None) -> tuple[Samples, Flags | None]:
        heard, self._heard = self._heard, ()
        if len(heard) != len(samples):
            raise ConfigError(
                "this pipeline hears a pulse or breathing on another stream, which only a session has: name it in "
                "[decoder] physiology"
            )
        self.columns = np.zeros((len(samples), len(self._times_s), self.width))
        for place, new in enumerate(heard):
            self._traces.add(new, self._next * self._tr_s)
            says = np.full(3, np.nan)
            if is_heard(new.newest_s, self._tr_s):
                self._fill(self.columns[place], says, self._next * self._tr_s)
            head = (float(self._next), float(new.first), float(len(new.samples)), new.newest_s)
            self._rows.append(np.array([*head, *says]))
            self._next += 1
        return samples, bad

    def _fill(self, columns: Array, says: Array, volume_s: float) -> None:
        """Write the columns of one volume, (sets, width), and what the traces say of it."""
        rate, start_s = self._traces.rate, self._traces.start_s
        at = volume_s + self._times_s - start_s
        settings, place = self._settings, 0
        if settings.pulse:
            trace = self._traces.of(0)
            beats = _peaks("pulse", trace, rate)
            if len(beats) >= 3:
                says[0] = 60.0 / float(np.median(np.diff(beats)))
                _waves(columns[:, place:], cardiac_phase(beats, at), settings.pulse_harmonics)
            place += 2 * settings.pulse_harmonics
        if settings.breath:
            trace = self._traces.of(len(self.labels) - 1)
            tops = _peaks("breath", trace, rate)
            if len(tops) >= 3 and len(_peaks("breath", -trace, rate)):
                says[1] = 60.0 / float(np.median(np.diff(tops)))
                _waves(columns[:, place:], respiratory_phase(trace, rate, at), settings.breath_harmonics)
                volumes = breath_volume(trace, rate, at[:, None] - np.array(RVT_LAGS_S))
                says[2] = float(volumes[:, 0].mean())
                # Around the first that is known: what was before it counts as the same.
                self._usual = says[2] if self._usual is None else self._usual
                if settings.breath_volume:
                    columns[:, place + 2 * settings.breath_harmonics :] = volumes - self._usual

    def take_side(self) -> tuple[int, Samples]:
        """Return the rows since the last time, and the count of the first."""
        first, self._first = self._first, self._next
        rows, self._rows = np.array(self._rows).reshape(-1, len(COLUMNS)), []
        return first, rows


def _peaks(kind: str, trace: Array, rate: float) -> Array:
    return np.empty(0) if len(trace) < LEAST_S * rate or not np.ptp(trace) else peaks_s(kind, trace, rate)


def _waves(columns: Array, phase: Array, order: int) -> None:
    for k in range(order):
        columns[:, 2 * k], columns[:, 2 * k + 1] = np.cos((k + 1) * phase), np.sin((k + 1) * phase)


class HeardTraces:
    """HeardTraces holds the newest seconds of what is heard, at `LOOKED_AT_HZ` or less, on the seconds of the run.

    Attributes
    ----------
    rate : float
        Samples a second; 1 before any has come.
    start_s : float
        Seconds from the run's first volume to the first sample that is held.
    """

    def __init__(self, channels: int) -> None:
        self.rate, self.start_s = 1.0, 0.0
        self._held: Array = np.zeros((0, channels))
        self._rest: Array = np.zeros((0, channels))
        self._end_s = 0.0

    def of(self, channel: int) -> Array:
        """Return one trace, (n,)."""
        return np.ascontiguousarray(self._held[:, channel])

    def add(self, new: Heard, volume_s: float) -> None:
        """Take what a volume that began at `volume_s` heard; samples that are missing in between begin anew."""
        if not len(new.samples):
            return
        end_s = volume_s + new.newest_s
        if abs(end_s - self._end_s - len(new.samples) / new.rate) > JUMP_S:
            self._held, self._rest = self._held[:0], self._rest[:0]
        self._end_s = end_s
        block = max(1, int(new.rate // LOOKED_AT_HZ))
        self.rate = new.rate / block
        rows = np.concatenate([self._rest, _finite(new.samples, self._held)])
        whole = len(rows) // block * block
        self._rest = rows[whole:]
        means = rows[:whole].reshape(-1, block, rows.shape[1]).mean(axis=1)
        self._held = np.concatenate([self._held, means])[-round(MEMORY_S * self.rate) :]
        # A mean stands for the middle of its block.
        last_s = end_s - (len(self._rest) + (block - 1) / 2.0) / new.rate
        self.start_s = last_s - (len(self._held) - 1) / self.rate


def _finite(samples: Samples, before: Array) -> Array:
    """Return samples (n, channels) with the last good value in place of what is no number."""
    joined = np.concatenate([before[-1:] if len(before) else np.zeros((1, samples.shape[1])), samples])
    at = np.where(np.isfinite(joined), np.arange(len(joined))[:, None], 0)
    held: Array = np.take_along_axis(joined, np.maximum.accumulate(at, axis=0), axis=0)[1:]
    return held
