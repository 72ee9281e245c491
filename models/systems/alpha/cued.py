"""Cued recordings: one recording in which a participant was told, block by block, which of two states to be in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.errors import RecordingError
from bci.io.files.recording import Recording, chunks, is_uncertain, sample_at
from bci.signal.windows import windows
from models.systems.alpha.calibration_file import END, CalibrationConfig, Plan
from models.systems.alpha.fitting import Trials
from models.systems.alpha.recordings import CHUNK, source_span, stack

#: A block with less than this share of the windows of the fullest one is left out.
_FULL_ENOUGH = 0.5
_FEWEST_PAIRS = 4


@dataclass(frozen=True, slots=True)
class CuedBlock:
    """A CuedBlock is samples `first` to ``end - 1`` of a recording, with the participant cued to `state`, 0 or 1."""

    state: int
    first: int
    end: int


def cued_blocks(config: CalibrationConfig, recording: Recording) -> list[CuedBlock]:
    """Return the blocks that the recording's markers cue, in order; other markers are passed over.

    A block whose cue is of uncertain time is left out; the block before ends there all the same.

    Raises
    ------
    RecordingError
        If the recording has no end.
    """
    if recording.n is None:
        raise RecordingError(f"{recording.name}: expected a recording with an end, came one without")
    states = {state.label: number for number, state in enumerate(config.states)}
    cues = [marker for marker in recording.markers if marker.text in states or marker.text == END]
    starts = [sample_at(recording, marker.time) for marker in cues] + [recording.n]
    left_out = round(config.blocks.left_out_s * recording.signal.rate)
    return [
        CuedBlock(states[marker.text], starts[k] + left_out, starts[k + 1])
        for k, marker in enumerate(cues)
        if marker.text != END and not is_uncertain(marker) and starts[k] + left_out < starts[k + 1]
    ]


def uncertain_cues(config: CalibrationConfig, recording: Recording) -> int:
    """Return how many blocks are left out because the time of their cue is not known well enough."""
    labels = {state.label for state in config.states}
    return sum(marker.text in labels and is_uncertain(marker) for marker in recording.markers)


def pairs_of(states: NDArray[np.bool_], block: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pair that each window is held out with: the k-th block of one state with the k-th of the other.

    Parameters
    ----------
    states : (n,) bool
        The same for all windows of a block.
    block : (n,) int64
        In time order.

    Examples
    --------
    >>> pairs_of(np.array([False, True, True, False]), np.array([0, 1, 1, 4])).tolist()
    [0, 0, 0, 1]
    """
    pair = np.zeros(len(block), np.int64)
    for state in (False, True):
        own = states == state
        pair[own] = np.unique(block[own], return_inverse=True)[1]
    return pair


def cut_cued(
    config: CalibrationConfig, plan: Plan, recording: Recording
) -> tuple[Trials, NDArray[np.int64], int]:
    """Return the windows that lie in a block, the block of each, and how many were left out as unsettled or bad.

    The pipeline runs through the whole recording as it does live, so a block begins with its filters settled.

    Raises
    ------
    RecordingError
        If fewer than four blocks of a state hold enough usable windows.
    """
    blocks = cued_blocks(config, recording)
    picked = plan.picked
    ratio = picked.ratio(recording.signal)
    length, hop = plan.recipe.window.length, plan.recipe.window.hop
    cut, of, spans, dropped = [], [], [], 0
    at = 0
    for window in windows(chunks(recording, CHUNK), picked, length=length, hop=hop):
        start, end = source_span(window, ratio)
        while at < len(blocks) and blocks[at].end < end:
            at += 1
        if at == len(blocks):
            break
        if start < blocks[at].first:
            continue
        if window.settled and not window.bad.any():
            cut.append(window)
            of.append(at)
            spans.append((start, end))
        else:
            dropped += 1
    counts = np.bincount(np.array(of, np.int64), minlength=len(blocks))
    usable = [k for k in range(len(blocks)) if counts[k] >= max(1.0, _FULL_ENOUGH * counts.max(initial=0))]
    of_state = [[k for k in usable if blocks[k].state == state] for state in (0, 1)]
    if min(map(len, of_state)) < _FEWEST_PAIRS:
        labels = " and ".join(
            f"{len(ks)} of {s.label!r}" for ks, s in zip(of_state, config.states, strict=True)
        )
        raise RecordingError(
            f"{recording.name}: expected at least {_FEWEST_PAIRS} blocks of each state with usable windows, came "
            f"{labels} ({dropped} windows were unsettled or masked). Look at the signal with bci quality, then record "
            "again."
        )
    kept = np.flatnonzero(np.isin(of, usable))
    block = np.array(of, np.int64)[kept]
    states = np.array([bool(blocks[k].state) for k in block])
    starts, ends = np.array(spans, np.int64)[kept].T
    trials = Trials(
        stack([cut[i] for i in kept]),
        states,
        np.zeros(len(kept), np.int64),
        starts,
        ends,
        pairs_of(states, block),
    )
    return trials, block, dropped + len(of) - len(kept)
