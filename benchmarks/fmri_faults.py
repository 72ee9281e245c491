"""Faults of a scanner's files, injected into a run: which status each gets, and what becomes of the other volumes.

::

    python -m benchmarks.fmri_faults [--volumes 60] [--tr 0.5] [--kind mosaic]
    python -m benchmarks.fmri_faults --betas [--kind mosaic]

A simulated scanner writes a phantom's run into a folder in real time, with two faults of every kind; a watched folder
and an intake, as `bci volumes watch` has them, read it. Printed are the statuses, whether every untouched volume is at
its place with its voxels, the evenness of the stamps, and how long after its last byte a volume was placed.

With --betas it is the head of a simulated participant who looks at pictures, TR 0.1 s, decoded from motion to beta with
and without the faults. A trial is untouched where none of its own volumes was lost. Betas of trials before which none
was lost must be the same to the bit. Those after a loss rest on a model of fewer volumes: a row of the design is
missing, so that they differ from the clean run's whatever computes them, and each must correlate with that of the clean
run, over voxels, by .99 or more. What they must equal are betas of the clean run's volumes with these rows left out: to
the bit by the live code, and to 1e-6 of a trial's largest beta by least squares in one piece, a design matrix for each
trial, by a routine that the pipeline does not use.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from bci.io.volumes.folder import WatchedFolder
from bci.io.volumes.gate import PlacedVolume, VolumeStatus
from bci.io.volumes.intake import Intake
from bci.io.volumes.outlet import values_of
from bci.io.volumes.volume import ImagingSeries
from bci.memory.lsl_clock import LslClock
from bci.signal.epochs import Epochs
from bci.signal.pipeline import Pipeline
from bci.signal.run import Run
from bci.signal.types import Event, Signal, Window
from bci.signal.volumes.motion import motion_regressors
from bci.signal.volumes.responses import drifts
from bci.signal.volumes.trial_betas import SingleTrialBetas
from bci.sim.cortex.reference import reference_pictures
from bci.sim.participant import make_participant
from bci.sim.scanner.phantom import phantom, phantom_series
from bci.sim.scanner.scanned import ScannedParticipant, scan_series
from bci.sim.scanner.scanned import scan as scan_head
from bci.sim.scanner.scanner import Fault, Format, SimulatedScanner
from benchmarks.report import machine_facts
from models.insilico.scans import MASK, run_of

#: Least correlation over voxels of a beta after a lost volume with that of the clean run.
ALIKE = 0.99

#: Largest difference of a beta from least squares in one piece, in the largest beta of its trial.
EQUAL = 1e-6

#: What a fault must become: inside the stream at its place, and beside it for each file.
DECLARED: dict[Fault, tuple[VolumeStatus, VolumeStatus | None]] = {
    "missing": (VolumeStatus.GAP, None),
    "duplicate": (VolumeStatus.OK, VolumeStatus.DUPLICATE),
    "truncated": (VolumeStatus.PARTIAL, None),
    "half-written": (VolumeStatus.OK, None),
    "late": (VolumeStatus.GAP, VolumeStatus.LATE),
    "swapped": (VolumeStatus.LATE, None),
    "foreign": (VolumeStatus.OK, VolumeStatus.FOREIGN),
}


#: What cannot be told of NIfTI: a file that is cut short is read in no part.
DECLARED_NIFTI: dict[Fault, tuple[VolumeStatus, VolumeStatus | None]] = DECLARED | {
    "truncated": (VolumeStatus.GAP, VolumeStatus.PARTIAL)
}


def scan(
    kind: Format, volumes: int, tr: float, faults: dict[int, Fault]
) -> tuple[list[PlacedVolume], SimulatedScanner]:
    """Write a phantom's run and read it, in real time."""
    return scan_files(phantom_series((64, 64, 18), tr=tr, total=volumes), kind, faults)


def scan_files(
    series: ImagingSeries,
    kind: Format,
    faults: dict[int, Fault],
    values: Callable[[ImagingSeries, int], np.ndarray] = phantom,
    speed: float = 1.0,
) -> tuple[list[PlacedVolume], SimulatedScanner]:
    """Write any run and read it, at its pace."""
    clock, tr = LslClock(), series.tr / speed
    placed: list[PlacedVolume] = []
    with tempfile.TemporaryDirectory() as folder:
        with WatchedFolder(Path(folder), clock) as watched:
            intake = Intake(first_number=1, speed=speed)
            scanner = SimulatedScanner(
                Path(folder), series, clock, kind=kind, faults=faults, values=values, speed=speed
            )
            end = float("inf")
            while clock.now() < end:
                scanner.step()
                if scanner.over and end == float("inf"):
                    end = clock.now() + 3 * tr
                watched.give_up = intake.patience
                for piece in watched.poll():
                    now = clock.now()
                    placed += (
                        intake.give_up(piece, now) if isinstance(piece, str) else intake.offer(piece, now)
                    )
                placed += intake.tick(clock.now())
                watched.wait(max(0.0, min(0.02, scanner.next_due - clock.now())))
    return placed, scanner


#: The participant's head and what is decoded of it: seconds of its time; a trial takes four or five volumes.
SPEED, TRIAL_S, WAIT_S, FIRST_S, RUN = 15.0, 6.1, 7.5, 30.0, 240
PIPELINE = (
    {"step": "motion_correction", "mask": MASK, "voxels": 512},
    {"step": "single_trial_betas", "onsets": "events", "wait_s": WAIT_S, "volumes": RUN, "duration_s": 1.5,
     "drift": "polynomial", "order": 2},
)  # fmt: skip


def look_at_pictures() -> tuple[ScannedParticipant, np.ndarray, np.ndarray]:
    """Return a participant in a scanner, the volumes of a run (n, x, y, z), and the onsets of its trials."""
    pictures = reference_pictures(16, 32, seed=3)
    inner = make_participant("fmri", subject=1, session=0, units=512, snr=0.2, reference=pictures)
    scanned = ScannedParticipant(inner, 0, voxel_mm=9.0)
    onsets = np.arange(FIRST_S, RUN * inner.tr - WAIT_S - 3.0, TRIAL_S)
    changes = []
    for number, onset in enumerate(onsets.tolist()):
        changes += [(pictures[number % len(pictures)], onset), (np.full_like(pictures[0], 128), onset + 1.5)]
    return scanned, np.array(list(scan_head(scanned, changes, RUN))), onsets


def betas(
    run: Run, signal: Signal, volumes: np.ndarray, onsets: np.ndarray
) -> dict[float, np.ndarray | None]:
    """Return the beta of each trial by its onset, (voxels,); None of one that must not be trusted."""
    pipeline = Pipeline.from_json([dict(step) for step in PIPELINE]).for_run(run)
    cutter = Epochs(signal, pipeline, start=WAIT_S, stop=WAIT_S + 1.5)
    events = [Event(float(onset), "stimulus") for onset in onsets]
    found: dict[float, np.ndarray | None] = {}
    for place, volume in enumerate(volumes):
        times, bad = np.array([place / signal.rate]), np.zeros((1, *signal.flag_shape), bool)
        chunk = Window(signal, place, volume[None], times, bad, place, reset="" if place else "start")
        for epoch in cutter.push(chunk, () if place else events):
            trusted = not epoch.window.bad.any()
            found[epoch.event.time] = epoch.window.samples[0] if trusted else None
    return found


def batch_betas(
    run: Run, signal: Signal, volumes: np.ndarray, onsets: np.ndarray, left_out: np.ndarray
) -> dict[float, np.ndarray]:
    """Return betas by the definition of LSS, in one piece: (voxels,) of each trial whose beta is given in the run.

    Parameters
    ----------
    left_out : (n,) int64
        Places of volumes that are no rows of the design.
    """
    aligned = Pipeline.from_json([dict(PIPELINE[0])]).for_run(run).start(signal)
    times, bad = np.arange(len(volumes)) / signal.rate, np.zeros((len(volumes), *signal.flag_shape), bool)
    chunk = Window(signal, 0, volumes, times, bad, len(volumes) - 1, reset="start")
    voxels = aligned(chunk).samples.astype(np.float64)
    (motion,) = (side.samples for side in aligned.take_sides(chunk))
    step = SingleTrialBetas(**{key: value for key, value in PIPELINE[1].items() if key != "step"})
    grid = step.grid(signal)
    # To a microsecond, as the step takes them: points of the fine grid lie at multiples of 30 ms.
    answers = {onset: grid.column(round(onset, 6), step.duration_s) for onset in onsets.tolist()}
    slow = drifts("polynomial", step.volumes, grid.tr_s, order=step.order)
    nuisance = np.column_stack([np.ones(step.volumes), slow, motion_regressors(motion)])
    found = {}
    for onset, own in answers.items():
        last = int(np.ceil(onset * signal.rate - 0.5)) + round(step.wait_s * signal.rate)
        rows = np.setdiff1d(np.arange(last + 1), left_out)
        others = np.sum([one for at, one in answers.items() if at <= last * grid.tr_s], axis=0) - own
        design = np.column_stack([own, others, nuisance])[rows]
        sizes = np.linalg.norm(design, axis=0)
        used = sizes > 0
        betas = np.linalg.lstsq(design[:, used] / sizes[used], voxels[rows], rcond=None)[0]
        found[onset] = betas[0] / sizes[0]
    return found


def compare_betas(kind: Format) -> int:
    """Inject faults into the run of a participant; print what became of its betas; return 0 if all is well."""
    scanned, volumes, onsets = look_at_pictures()
    run = run_of(scanned)
    clean = betas(run, scanned.signal, volumes.astype(np.float32), onsets)
    series = replace(scan_series(9.0, 1.5, "faults"), total=RUN)
    rng = np.random.default_rng(2)
    places = rng.permutation(np.arange(100, RUN - 20, 9))[: 2 * len(DECLARED)]
    faults: dict[int, Fault] = dict(zip(places.tolist(), [*DECLARED, *DECLARED], strict=False))
    placed, _ = scan_files(series, kind, faults, lambda _, index: volumes[index], SPEED)
    came = np.stack(
        [values_of(one, series.shape) for one in sorted(placed, key=lambda p: p.seq) if one.seq >= 0]
    )
    lost = np.flatnonzero(np.isnan(came).any(axis=(1, 2, 3)))
    print(
        f"{len(came)} of {RUN} volumes, {len(faults)} faults from volume {min(faults)} on, {len(lost)} volumes lost"
    )
    faulty = betas(run, scanned.signal, came, onsets)
    volumes = volumes.astype(np.float32)
    without = volumes.copy()
    without[lost] = np.nan
    live = betas(run, scanned.signal, without, onsets)
    batch = batch_betas(run, scanned.signal, volumes, onsets, lost)
    same, wrong, touched, alike, exact, apart = 0, 0, 0, [], 0, []
    for onset, beta in clean.items():
        own = range(int(onset / 1.5), int((onset + WAIT_S) / 1.5) + 1)
        other = faulty.get(onset)
        if beta is None or set(own) & set(lost):
            touched += 1
        elif other is None:
            wrong += 1
        elif not any(lost < own[0]):
            same += np.array_equal(beta, other)
            wrong += not np.array_equal(beta, other)
        else:
            alike.append(float(np.corrcoef(beta, other)[0, 1]))
            exact += np.array_equal(other, live[onset])
            apart.append(float(np.abs(other - batch[onset]).max() / np.abs(batch[onset]).max()))
    wrong += sum(value < ALIKE for value in alike) + sum(value > EQUAL for value in apart)
    wrong += len(alike) - exact
    print(
        f"{len(clean)} trials, {touched} of them touched or not trusted in the clean run; of the others {same} "
        f"before a loss equal to the bit, {len(alike)} after one correlate by {np.median(alike):.4f} (least "
        f"{min(alike):.4f}) with the clean run's"
    )
    print(
        f"of the clean run's volumes without the lost ones, {exact} of these {len(alike)} are equal to the bit by the "
        f"live code, and within {max(apart):.1e} of least squares in one piece; {wrong} wrong"
    )
    return int(wrong > 0 or len(came) != RUN)


def main() -> None:
    """Inject, and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volumes", type=int, default=60)
    parser.add_argument("--tr", type=float, default=0.5)
    parser.add_argument("--kind", choices=get_args(Format), default="mosaic")
    parser.add_argument("--betas", action="store_true")
    chosen = parser.parse_args()
    print(machine_facts())
    if chosen.betas:
        raise SystemExit(compare_betas(chosen.kind))
    rng = np.random.default_rng(1)
    # Every fourth place at most, so that no fault hides another one.
    places = rng.permutation(np.arange(4, chosen.volumes - 4, 4))[: 2 * len(DECLARED)]
    faults = dict(zip(places.tolist(), [*DECLARED, *DECLARED], strict=False))
    burst = {chosen.volumes - 3: "burst", chosen.volumes - 2: "burst"}
    placed, scanner = scan(chosen.kind, chosen.volumes, chosen.tr, faults | burst)
    published = {one.seq: one for one in placed if one.seq >= 0}
    aside = {(one.index, one.status) for one in placed if one.seq < 0}
    wrong = 0
    for place, fault in sorted(faults.items()):
        inside, beside = (DECLARED_NIFTI if chosen.kind == "nifti" else DECLARED)[fault]
        came = published[place].status
        good = came is inside and (beside is None or any(status is beside for _, status in aside))
        wrong += not good
        extra = "" if beside is None else f", beside it {beside.word}"
        words = came.word + (extra if good else f" WRONG, expected {inside.word}{extra}")
        print(f"volume {place:3d} {fault:13s} {words}")
    untouched = [seq for seq in range(chosen.volumes) if seq not in faults]
    same = sum(
        seq in published
        and published[seq].volume is not None
        and np.array_equal(published[seq].volume.data, phantom(published[seq].series, seq))
        for seq in untouched
    )
    stamps = np.array([published[seq].stamp for seq in sorted(published)])
    waits = [
        published[seq].arrived - scanner.written[seq]
        for seq in untouched
        if seq not in burst and seq in published
    ]
    print(f"{len(faults) - wrong} of {len(faults)} faults with their declared status")
    print(f"{same} of {len(untouched)} other volumes at their places, every voxel equal")
    print(f"stamps {np.diff(stamps).min():.6f} to {np.diff(stamps).max():.6f} s apart, TR {chosen.tr:g} s")
    print(
        f"last byte to placed: p50 {1e3 * np.median(waits):.1f} ms, p95 {1e3 * np.percentile(waits, 95):.1f} ms"
    )
    raise SystemExit(1 if wrong or same < len(untouched) else 0)


if __name__ == "__main__":
    main()
