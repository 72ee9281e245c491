"""A run of volumes, from files that a scanner writes to samples in a consumer's hands: whole, in order, how late.

::

    python -m benchmarks.fmri_pipeline --series FOLDER [--speed 1]
    python -m benchmarks.fmri_pipeline --whole-brain [--volumes 60]
    python -m benchmarks.fmri_pipeline --betas [--trials 20] [--voxels 42000]

The run's files are copied into a folder at their pace by `bci volumes replay --to`, read and published by `bci volumes
watch`, each a process of its own, and received here over Lab Streaming Layer. Printed are what came, whether every
volume equals the file's, and the time from the last byte of a volume on disk until it was received. --whole-brain makes
a run of 91×109×91 voxels (902,629) at a TR of 0.8 s. This is the acquisition half: no motion correction, no model.
--betas goes on to the beta and the picture on the display (`benchmarks.fmri_beta_latency`).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

from bci.io.lsl.irregular import IrregularSource
from bci.io.lsl.source import LslSource
from bci.io.volumes.outlet import META_COLUMNS, run_source_id
from bci.io.volumes.run_on_disk import files_by_place, volumes_of
from bci.memory.lsl_clock import LslClock
from bci.memory.stream import Stream
from benchmarks.fmri_beta_latency import measure_betas
from benchmarks.report import machine_facts

WHOLE, TR = (91, 109, 91), 0.8


def make_whole_brain(folder: Path, volumes: int) -> None:
    """Write a run of noise on the grid of the 2 mm MNI template, as NIfTI files."""
    rng = np.random.default_rng(2)
    affine = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
    for index in range(volumes):
        image = nibabel.Nifti1Image(rng.integers(0, 4096, WHOLE).astype(np.int16), affine)
        image.header.set_xyzt_units("mm", "sec")
        image.header["pixdim"][4] = TR
        (folder / f"vol_{index + 1:05d}.nii").write_bytes(image.to_bytes())


def measure(run: Path, speed: float) -> int:
    """Play a run through files, processes and network; print what came; return 0 where nothing was lost."""
    truth = list(volumes_of(run))
    truth.sort(key=lambda volume: volume.index)
    tr = truth[0].series.tr / speed
    names = files_by_place(run)
    clock, wall = LslClock(), time.time
    with tempfile.TemporaryDirectory() as folder:
        # The folder's own name is part of a NIfTI run's identity.
        into = Path(folder) / run.resolve().name
        into.mkdir()
        name = f"benchmark-{os.getpid()}"
        bci = [sys.executable, "-m", "bci", "volumes"]
        pace = ["--tr", str(truth[0].series.tr)]
        watch = subprocess.Popen(
            [*bci, "watch", str(into), "--source-id", name, "--wait", "30", "--speed", str(speed), *pace],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert watch.stdout is not None
            print(watch.stdout.readline().strip())
            play = subprocess.Popen(
                [*bci, "replay", str(run), "--to", str(into), "--speed", str(speed), *pace],
                stdout=subprocess.DEVNULL,
            )
            source_id = run_source_id(name, truth[0].series)
            got, arrived, records = receive(clock, source_id, len(truth), tr)
            play.wait(60)
            offset = wall() - clock.now()
            written: dict[int, float] = {}
            for place, path in names:
                stamp = (into / path.name).stat().st_mtime - offset
                written[place] = max(written.get(place, 0.0), stamp)
        finally:
            watch.terminate()
            watch.wait(10)
    equal = sum(np.array_equal(values, volume.data) for values, volume in zip(got, truth, strict=False))
    print(
        f"{len(truth)} volumes of {'×'.join(map(str, truth[0].series.shape))} every {tr:g} s; received {len(got)}, "
        f"equal to the file's {equal}"
    )
    statuses = records[:, META_COLUMNS.index("status")] if len(records) else np.zeros(0)
    print(f"records {len(records)}, not ok {int((statuses != 0).sum())}")
    waits = np.array(
        [1e3 * (when - written[volume.index]) for when, volume in zip(arrived, truth, strict=False)]
    )
    # What waited for the consumer to connect says nothing of the line.
    settled = waits[min(5, len(waits) // 4) :] if speed <= 2 else waits[len(waits) // 4 :]
    print(
        f"last byte on disk to received: p50 {np.median(settled):.1f} ms, p95 {np.percentile(settled, 95):.1f} ms, "
        f"most {settled.max():.1f} ms ({len(settled)} volumes)"
    )
    return int(equal != len(truth))


def receive(
    clock: LslClock, source_id: str, count: int, tr: float
) -> tuple[list[np.ndarray], list[float], np.ndarray]:
    """Return volumes, when each was here, and records."""
    got: list[np.ndarray] = []
    arrived: list[float] = []
    with (
        LslSource(source_id, clock=clock, timeout=60, data_age_limit=60) as raw,
        IrregularSource(raw.info.extra["meta_source_id"], clock=clock, timeout=20) as meta,
        Stream.private(meta.signal, 60.0) as particulars,
    ):
        until = clock.now() + 20 + 1.5 * count * tr
        while len(got) < count and clock.now() < until:
            window = raw.pull(0.05)
            if window is not None:
                now = clock.now()
                got += list(window.samples)
                arrived += [now] * len(window.samples)
            meta.pull_into(particulars, 0.0)
        for _ in range(20):
            meta.pull_into(particulars, 0.05)
        n = particulars.samples.count
        records = (
            particulars.samples.read(max(0, n - particulars.samples.max_window), n)["samples"]
            if n
            else np.zeros((0, 1))
        )
    return got, arrived, records


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--series", type=Path)
    what.add_argument("--whole-brain", action="store_true")
    what.add_argument("--betas", action="store_true")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--volumes", type=int, default=60)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--voxels", type=int, default=42_000)
    chosen = parser.parse_args()
    print(machine_facts())
    if chosen.betas:
        raise SystemExit(measure_betas(chosen.trials, chosen.voxels))
    if chosen.series is not None:
        raise SystemExit(measure(chosen.series, chosen.speed))
    with tempfile.TemporaryDirectory() as folder:
        make_whole_brain(Path(folder), chosen.volumes)
        raise SystemExit(measure(Path(folder), chosen.speed))


if __name__ == "__main__":
    main()
