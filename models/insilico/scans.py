"""Scanned runs of a simulated experiment: volumes of a head, decoded as they come, as a session would.

Every run of the scanner begins with its lead-in, and its pipeline begins anew. The reference is volume 0 of a session,
and the decoder's mask holds the participant's voxels as they lay in the training session; in a session with the head
elsewhere they are found again by registration.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from bci.signal.epochs import Epochs
from bci.signal.pipeline import Pipeline
from bci.signal.run import Run, TrainedGrid
from bci.signal.types import Event, Signal, Window
from bci.signal.volumes.registration import register
from bci.sim.scanner.scanned import ScannedParticipant, Volume, scan
from models.insilico.layout import Layout, layout_of
from models.insilico.settings import InSilico
from models.insilico.whole_run import Betas, WholeRun

Pictures = NDArray[np.uint8]

#: Name of the mask of the participant's voxels.
MASK = "visual"


def run_of(participant: ScannedParticipant, trained: ScannedParticipant | None = None) -> Run:
    """Return what a session of the participant fixes: its reference, and the mask of its voxels.

    Parameters
    ----------
    participant : ScannedParticipant
        In the session's position; its session is begun again.
    trained : ScannedParticipant, optional
        In the position of the training session, on whose grid the mask is; absent means that this is it.

    Raises
    ------
    ConfigError
        If the two references cannot be registered.
    """
    reference = reference_of(participant)
    masks = {MASK: participant.mask()}
    if trained is None:
        return Run(reference=reference, masks=masks, affine=participant.affine)
    before = Run(reference=reference_of(trained), masks=masks, affine=trained.affine)
    return _registered(reference, participant, before)


def _registered(reference: NDArray[np.float32], participant: ScannedParticipant, before: Run) -> Run:
    """Return what a session with this reference fixes, whose masks are on the grid of the session before."""
    volume, affine = before.aligned_to()
    found = register(volume, affine, reference, participant.affine)
    if found.fault:
        raise ConfigError(
            f"expected the head of the training session in this one's reference, came none: {found.fault}"
        )
    grid = TrainedGrid(affine, found.matrix, volume)
    return Run(reference=reference, masks=before.masks, affine=participant.affine, trained=grid)


def reference_of(participant: ScannedParticipant) -> NDArray[np.float32]:
    """Return volume 0 of its session, before any picture: (x, y, z) float32."""
    participant.reset()
    reference = participant.read(1)[0].astype(np.float32)
    participant.reset()
    return reference


def scanned_epochs(
    setup: InSilico,
    participant: ScannedParticipant,
    pictures: Pictures,
    run: Run,
    whole: Betas | None = None,
    positions: Sequence[Sequence[float]] = (),
) -> list[Window]:
    """Return the epoch of each picture through the bundle's pipeline, as the decoder gets them, run by run.

    Parameters
    ----------
    run : Run
        As `run_of` returns it.
    whole : list, optional
        Takes the trials' betas of each whole run, (trials, voxels): least squares over all of its volumes.
    positions : sequence of position, optional
        Where the head lies in each run, which take turns; each is registered to the reference of `run`. Absent: where
        it lies now.

    Raises
    ------
    ConfigError
        If the reference of a position cannot be registered.
    """
    runs = [_run_elsewhere(participant, position, run) for position in positions] or [run]
    volumes = scan_of(setup, participant, pictures, positions)
    return cut_volumes(setup, participant.signal, volumes, len(pictures), runs, whole)


def _run_elsewhere(participant: ScannedParticipant, position: Sequence[float], run: Run) -> Run:
    """Return what a run with the head at a position fixes; `run` is of the session on whose grid the masks are."""
    participant.lie(position)
    return _registered(reference_of(participant), participant, run)


def scan_of(
    setup: InSilico,
    participant: ScannedParticipant,
    pictures: Pictures,
    positions: Sequence[Sequence[float]] = (),
) -> Iterator[Volume]:
    """Yield the volumes of all runs in which these pictures are shown; the rest is as of `scanned_epochs`."""
    layout = layout_of(setup, len(pictures))
    volumes = scan(participant, _changes(setup, layout, pictures), int(layout.volumes.sum()))
    for number, count in enumerate(layout.volumes.tolist()):
        if positions:
            participant.lie(positions[number % len(positions)])
        yield from islice(volumes, count)


def cut_volumes(
    setup: InSilico,
    signal: Signal,
    volumes: Iterator[NDArray[Any]],
    trials: int,
    runs: Sequence[Run],
    whole: Betas | None = None,
) -> list[Window]:
    """Return the epoch of each of so many trials from the volumes of their runs; the rest is as of `scanned_epochs`.

    Parameters
    ----------
    runs : sequence of Run
        What each run fixes; they take turns.
    """
    layout = layout_of(setup, trials)
    steps = Pipeline.from_json([dict(step) for step in setup.pipeline])
    pipelines = [steps.for_run(run) for run in runs]
    windows: list[Window] = []
    for number, count in enumerate(layout.volumes.tolist()):
        onsets = layout.onsets[layout.runs == number]
        markers = [Event(float(onset), "stimulus") for onset in onsets]
        pipeline = pipelines[number % len(pipelines)]
        cutter = Epochs(signal, pipeline, start=setup.epoch.start, stop=setup.epoch.stop)
        fitted = None if whole is None else WholeRun(pipeline, signal, onsets)
        for chunk in _chunks(signal, volumes, count):
            windows += [epoch.window for epoch in cutter.push(chunk, () if chunk.first else markers)]
            if fitted is not None:
                fitted.add(chunk)
        if fitted is not None and whole is not None:
            whole.append(fitted.betas())
    if len(windows) < trials:
        raise ConfigError(
            f"{trials} stimuli gave {len(windows)} epochs: [epoch] does not fit into the trials' timing"
        )
    return windows


def _changes(setup: InSilico, layout: Layout, pictures: Pictures) -> list[tuple[Pictures, float]]:
    grey = np.full(pictures.shape[1:], 128, np.uint8)
    changes: list[tuple[Pictures, float]] = [(grey, 0.0)]
    for picture, onset in zip(pictures, layout.since_beginning, strict=True):
        changes += [(picture, float(onset)), (grey, float(onset + setup.trials.stimulus_s))]
    return changes


def _chunks(signal: Signal, volumes: Iterator[NDArray[Any]], count: int) -> Iterator[Window]:
    """Yield the volumes of one run, one a chunk."""
    for first in range(count):
        samples = next(volumes).astype(np.float32)[np.newaxis]
        times = np.array([first / signal.rate])
        bad = np.zeros((1, *signal.flag_shape), bool)
        yield Window(signal, first, samples, times, bad, first, reset="" if first else "start")
