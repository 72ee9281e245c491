"""Responses: a participant's answers to a whole training or test set: trials × voxels, or trials × samples × channels.

The pictures go through the cortex in batches; the rest is the same code as live: the same noise, eye positions,
lapses, adaptation and latencies for the same session, volume by volume and sample by sample.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.sim.betas import TrialBetas
from bci.sim.cortex.gaze import Pictures
from bci.sim.electrodes import SPAN as WAVES_SPAN
from bci.sim.electrodes import ElectrodeParticipant
from bci.sim.hrf import SPAN
from bci.sim.observer import Moment
from bci.sim.voxels import VoxelParticipant

#: Volumes that go into the least squares at once.
_BLOCK = 128

Array = NDArray[np.float64]
Drives = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """A Responses holds a participant's answers to a run of pictures.

    Attributes
    ----------
    values : (trials, voxels) or (trials, samples, channels) float32
        Betas in percent, or epochs in microvolt.
    clean : same shape, float32
        `values` without noise.
    moments : list of Moment
        The participant's state at each trial.
    drives : (trials, units) float32
        The population's drives at each trial, after adaptation and lapses.
    gain : (trials, voxels) float32, or None
        How much a unit drive of a trial adds to its own beta.
    noise_variance : (trials,) float64, or None
        Variance of each beta's noise, relative to that of the volumes.
    first : (trials,) int64, or None
        Sample that each epoch begins with.
    """

    values: NDArray[np.float32]
    clean: NDArray[np.float32]
    moments: list[Moment]
    drives: Drives
    gain: Drives | None = None
    noise_variance: Array | None = None
    first: NDArray[np.int64] | None = None


def respond(
    participant: VoxelParticipant | ElectrodeParticipant,
    pictures: Pictures,
    onsets: ArrayLike | None = None,
    *,
    seconds: float | None = None,
) -> Responses:
    """Show pictures to a participant from the start of its session, each followed by the empty screen.

    Parameters
    ----------
    participant : VoxelParticipant or ElectrodeParticipant
        The participant; its session is begun again.
    pictures : (n, h, w, 3) uint8
        One per trial.
    onsets : (n,) float64, optional
        Seconds after the first sample, ascending; by default every 4.5 s in a scanner (after 6 s), otherwise every
        second.
    seconds : float, optional
        How long each picture stays, at most until the next; by default 1.5 s in a scanner, otherwise 0.5 s.

    Raises
    ------
    ValueError
        If the onsets do not ascend, or their number is not that of the pictures.
    """
    scanner = isinstance(participant, VoxelParticipant)
    if onsets is None:
        onsets = 6.0 + 4.5 * np.arange(len(pictures)) if scanner else 1.0 + np.arange(len(pictures))
    starts = np.asarray(onsets, np.float64)
    if starts.shape != (len(pictures),) or not len(starts):
        raise ValueError(f"{len(pictures)} pictures need as many onsets, got {starts.shape}")
    if starts[0] < 0 or np.any(np.diff(starts) <= 0):
        raise ValueError("onsets are seconds after the first sample and ascend")
    ends = starts + (seconds or (1.5 if scanner else 0.5))
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    participant.reset()
    moments, drives = participant.observer.watch(pictures, starts)
    if isinstance(participant, VoxelParticipant):
        return _betas(participant, starts, ends, moments, drives)
    return _epochs(participant, starts, moments, drives)


def _betas(
    participant: VoxelParticipant, onsets: Array, ends: Array, moments: list[Moment], drives: Drives
) -> Responses:
    tr, voxels = participant.tr, drives.shape[1]
    volumes = math.ceil((ends[-1] + SPAN / 2) / tr) + 1
    betas = TrialBetas(onsets, ends, tr, volumes, 2 * voxels)
    changes = sorted(
        [(on, i) for i, on in enumerate(onsets)] + [(off, -1) for i, off in enumerate(ends)],
        # Where one picture replaces another, the end of the first comes first.
        key=lambda change: (change[0], change[1] >= 0),
    )
    empty = np.zeros(voxels, np.float32)
    # The answer without noise goes through the same least squares, beside the answer with noise.
    values = np.empty((_BLOCK, 2 * voxels), np.float32)
    at = 0
    for first in range(0, volumes, _BLOCK):
        end = min(first + _BLOCK, volumes)
        for k, row in zip(range(first, end), values, strict=False):
            while at < len(changes) and changes[at][0] <= k * tr:
                time, trial = changes[at]
                participant.change(drives[trial] if trial >= 0 else empty, time)
                at += 1
            row[:voxels] = participant.evoked(k * tr)
            row[voxels:] = row[:voxels] + participant.noise_percent * participant.noise.next()
        betas.add(first, values[: end - first])
    solved = betas.solve()
    gain = np.zeros((len(onsets), voxels), np.float32)
    for i, (on, off) in enumerate(zip(onsets, ends, strict=True)):
        weights = betas.weights(i)
        for k in range(betas.first[i], betas.first[i] + len(betas.expected[i])):
            gain[i] += np.float32(weights[k]) * participant.response(k * tr - on, k * tr - off)
    return Responses(
        values=solved[:, voxels:].astype(np.float32),
        clean=solved[:, :voxels].astype(np.float32),
        moments=moments,
        drives=drives,
        gain=gain * participant.scale,
        noise_variance=betas.noise_variance(participant.noise),
    )


def _epochs(
    participant: ElectrodeParticipant, onsets: Array, moments: list[Moment], drives: Drives
) -> Responses:
    rate, channels = participant.signal.rate, participant.signal.shape[0]
    # The sample nearest to the flip, as an epoch that is cut around its marker begins.
    first = np.floor(onsets * rate + 0.5).astype(np.int64)
    n = round(WAVES_SPAN * rate)
    waves = participant.waves(drives)
    values = np.empty((len(onsets), n, channels), np.float32)
    clean = np.zeros_like(values)
    for i, begin in enumerate(first):
        times = np.arange(begin, begin + n) / rate
        j = i
        while j >= 0 and onsets[i] - onsets[j] < WAVES_SPAN:
            if drives[j].any():
                clean[i] += participant.evoked(
                    waves[j], times - onsets[j], participant.jitter(moments[j].number)
                )
            j -= 1
        j = i + 1
        while j < len(onsets) and onsets[j] < times[-1]:
            if drives[j].any():
                clean[i] += participant.evoked(
                    waves[j], times - onsets[j], participant.jitter(moments[j].number)
                )
            j += 1
        values[i] = clean[i] + participant.background(int(begin), int(begin) + n)
    return Responses(values, clean, moments, drives, first=first)
