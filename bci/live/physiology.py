"""LivePhysiology lets a decoder of volumes hear a pulse and a belt on another stream of the session."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import Overrun
from bci.live.sides import side_role
from bci.memory.board import Row
from bci.memory.marks import write_mark
from bci.memory.program import Program
from bci.memory.ring import Ring
from bci.memory.stream import Stream
from bci.signal.beside import Heard
from bci.signal.clock import Clock
from bci.signal.labels import find_channels
from bci.signal.pipeline import RunningPipeline
from bci.signal.types import MarkKind, Times, Window
from bci.signal.volumes.physiological_noise import COLUMNS, COUNT, FIRST, NEWEST, is_heard

#: How often it is looked for while a volume waits for it, seconds.
_LOOK_S = 0.005

#: What the newest volumes heard is kept for a bundle that takes the place of another.
_KEPT = 64


class LivePhysiology:
    """LivePhysiology gives each volume what has come on the other stream by the end of its acquisition.

    That is there when the volume is, as a rule. Where it is not, the volume waits for half a TR at the most; and after
    a volume that waited in vain none waits until the stream is there again.

    Parameters
    ----------
    stream : Stream
        What is heard.
    clock : Clock
        The session clock.
    speed : float
        How many times as fast as a scanner's the volumes come.
    tick : callable
        Called while it waits; False ends the wait.
    told : (n, `COLUMNS`) float64, optional
        What the volumes of a dead predecessor heard, as it said beside them: a volume that is run again hears the same.
    """

    def __init__(
        self,
        stream: Stream,
        clock: Clock,
        speed: float,
        tick: Callable[[], bool],
        told: NDArray[np.float64] | None = None,
    ) -> None:
        self._stream, self._clock, self._speed, self._tick = stream, clock, speed, tick
        self._at = stream.samples.oldest
        self._newest = float("nan")
        self._behind = False
        self._kept: dict[int, Heard] = {}
        self._told: dict[int, tuple[int, int, float]] = {}
        self._heard_to = 0  # by the volumes of a predecessor
        for row in () if told is None else told:
            first, count, newest_s = (float(row[COLUMNS.index(name)]) for name in (FIRST, COUNT, NEWEST))
            self._told[int(row[0])] = int(first), int(count), newest_s
            self._heard_to = max(self._heard_to, int(first + count))
        self._at = max(self._at, self._heard_to)
        if self._heard_to and stream.samples.holds(self._at - 1):
            self._newest = float(stream.samples.read(self._at - 1, self._at)["times"][0])

    @classmethod
    def of(cls, program: Program) -> Self:
        """Return that of a decode program whose session names one; of a successor, with what was heard before it."""
        told = None
        if program.restart:
            rows = program.stream(side_role("physiology")).samples
            parts = range(rows.oldest, rows.count, rows.max_window)
            told = np.concatenate(
                [np.zeros((0, len(COLUMNS)))]
                + [rows.read(at, min(rows.count, at + rows.max_window))["samples"] for at in parts]
            )
        return cls(program.stream("physiology"), program.clock, program.spec["speed"], program.tick, told)

    def recalls(self, begin: int, end: int) -> bool:
        """Whether what the volumes from `begin` to before `end` heard is still in shared memory.

        A predecessor had no time to say it of the last; these hear by the same rule again.
        """
        ring, newest = self._stream.samples, max(self._told, default=-1)
        told = [self._told.get(volume) for volume in range(begin, min(end, newest + 1))]
        return ring.holds(self._heard_to) and all(
            row is not None and (not row[1] or ring.holds(row[0])) for row in told
        )

    def connect(self, pipeline: RunningPipeline) -> None:
        """Let a pipeline hear, if a step of it wants to.

        Raises
        ------
        ConfigError
            If the stream has no channel that it hears.
        """
        kernel = pipeline.beside.kernel
        if kernel is not None:
            places = np.array(find_channels(self._stream.signal, kernel.labels))
            lasts_s = (1.0 / pipeline.signal.rate - kernel.margin_s) / self._speed
            half_s = 0.5 / pipeline.signal.rate / self._speed
            pipeline.beside.hears_with = partial(self._hear, places, lasts_s, half_s)

    def _hear(
        self, places: NDArray[np.intp], lasts_s: float, patience_s: float, first: int, times: Times
    ) -> list[Heard]:
        heard = []
        for volume, stamp in enumerate(times.tolist(), first):
            if volume not in self._kept:
                self._kept[volume] = self._hear_once(volume, stamp, stamp + lasts_s, patience_s)
                self._kept.pop(volume - _KEPT, None)
            whole = self._kept[volume]
            heard.append(Heard(whole.first, whole.samples[:, places], whole.rate, whole.newest_s))
        return heard

    def _hear_once(self, volume: int, stamp: float, until: float, patience_s: float) -> Heard:
        """Return what a volume hears on all channels: what it heard of a predecessor, or what is new."""
        told = self._told.get(volume)
        if told is None:
            self._wait(until, patience_s)
            return self._take(stamp, until)
        first, count, newest_s = told
        ring, end = self._stream.samples, first + count
        try:
            parts = [
                np.asarray(ring.read(at, min(end, at + ring.max_window))["samples"], np.float64)
                for at in range(first, end, ring.max_window)
            ]
        except Overrun:
            parts, newest_s = [], float("nan")
        nothing = np.zeros((0, *self._stream.signal.shape))
        return Heard(first, np.concatenate([nothing, *parts]), self._stream.signal.rate, newest_s)

    def _wait(self, until: float, patience_s: float) -> None:
        """Wait until samples up to a session time have come."""
        ring, deadline = self._stream.samples, self._clock.now() + patience_s
        while not self._has(until) and not ring.finished and not self._behind:
            if self._clock.now() >= deadline or not self._tick():
                break
            self._clock.sleep_until(self._clock.now() + _LOOK_S)
        self._behind = not self._has(until)

    def _has(self, until: float) -> bool:
        ring = self._stream.samples
        return bool(ring.count) and float(ring.read(ring.count - 1, ring.count)["times"][0]) >= until

    def _take(self, stamp: float, until: float) -> Heard:
        """Return the samples up to a session time that no volume has heard before."""
        ring = self._stream.samples
        parts: list[NDArray[np.float64]] = []
        end = ring.count
        first = at = self._at
        while at < end:
            try:
                part = ring.read(at, min(end, at + ring.max_window))
            except Overrun as overrun:
                # What is missing in between shows in the times, and the traces begin anew.
                parts, first = [], min(end, overrun.first + overrun.lost)
                at = first
                continue
            n = int(np.searchsorted(part["times"], until, "right"))
            parts.append(np.asarray(part["samples"][:n], np.float64))
            at += n
            if n:
                self._newest = float(part["times"][n - 1])
            if n < len(part["times"]):
                break
        self._at = at
        channels = self._stream.signal.shape[0]
        samples = np.concatenate(parts) if parts else np.zeros((0, channels))
        newest_s = (self._newest - stamp) * self._speed
        return Heard(first, samples, self._stream.signal.rate, newest_s)


class UnheardVolumes:
    """UnheardVolumes marks each volume that heard no physiology, and says when it is gone and when it is back.

    Parameters
    ----------
    row : Row
        The decoder's: ``unheard`` counts.
    marks : Ring
        Gets an ``unheard`` mark for each.
    clock : Clock
        The session clock.
    log : logging.Logger
        Told of both.
    """

    def __init__(self, row: Row, marks: Ring, clock: Clock, log: logging.Logger) -> None:
        self._row, self._marks, self._clock, self._log = row, marks, clock, log
        self._lasts = 0

    def hear(self, window: Window) -> None:
        """Take the newest rows of one side output; one that is not of PhysiologicalNoise is passed over."""
        if window.signal.channels != COLUMNS:
            return
        for place, row in enumerate(window.samples):
            volume, newest_s = window.first + place, float(row[COLUMNS.index(NEWEST)])
            if is_heard(newest_s, 1.0 / window.signal.rate):
                if self._lasts:
                    self._log.warning(
                        "physiology is back at volume %d, after %d volumes", volume, self._lasts
                    )
                self._lasts = 0
                continue
            self._row["unheard"] += 1
            write_mark(self._marks, MarkKind.UNHEARD, volume, count=1, time=self._clock.now(), value=newest_s)
            if not self._lasts:
                self._log.warning("no physiology at volume %d: it is used without", volume)
            self._lasts += 1
