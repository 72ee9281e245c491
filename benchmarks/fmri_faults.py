"""Faults of a scanner's files, injected into a run: which status each gets, and what becomes of the other volumes.

::

    python -m benchmarks.fmri_faults [--volumes 60] [--tr 0.5] [--kind mosaic]

A simulated scanner writes a phantom's run into a folder in real time, with two faults of every kind; a watched folder
and an intake, as `bci volumes watch` has them, read it. Printed are the statuses, whether every untouched volume is at
its place with its voxels, the evenness of the stamps, and how long after its last byte a volume was placed.
"""

import argparse
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np

from bci.io.volumes.folder import WatchedFolder
from bci.io.volumes.gate import PlacedVolume, VolumeStatus
from bci.io.volumes.intake import Intake
from bci.memory.lsl_clock import LslClock
from bci.sim.scanner.phantom import phantom, phantom_series
from bci.sim.scanner.scanner import Fault, Format, SimulatedScanner
from benchmarks.report import machine_facts

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
    """Write a run and read it, in real time."""
    clock = LslClock()
    series = phantom_series((64, 64, 18), tr=tr, total=volumes)
    placed: list[PlacedVolume] = []
    with tempfile.TemporaryDirectory() as folder:
        with WatchedFolder(Path(folder), clock) as watched:
            intake = Intake(first_number=1)
            scanner = SimulatedScanner(Path(folder), series, clock, kind=kind, faults=faults)
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


def main() -> None:
    """Inject, and print what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volumes", type=int, default=60)
    parser.add_argument("--tr", type=float, default=0.5)
    parser.add_argument("--kind", choices=get_args(Format), default="mosaic")
    chosen = parser.parse_args()
    print(machine_facts())
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
