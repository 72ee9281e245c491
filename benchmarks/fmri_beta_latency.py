"""From a volume that is complete on disk to its beta, and to the picture on the display, across real processes.

::

    python -m benchmarks.fmri_pipeline --betas [--trials 20] [--voxels 42000]

A simulated scanner writes 64×64×36 volumes of a moving head at a TR of 1 s; `bci volumes watch` publishes them, and a
session takes out motion, reslices the voxels, filters, estimates a beta for each trial (LSS) and draws it with the 64²
generator of the shipped faces. The readout is not trained: its work is a trained one's. Printed are, for each trial,
the times since the last byte of its last volume was on disk, and apart from them the wait for the response of blood.
"""

import csv
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bci.decoder.bundle import save_bundle
from bci.decoder.spec import BundleSpec, EpochSpec, GraphSpec, ImageSpec, SignalSpec
from bci.io.shipped import SHIPPED
from bci.io.volumes.nifti import nifti_bytes
from bci.io.volumes.outlet import run_source_id
from bci.io.volumes.volume import ImagingSeries
from bci.memory.lsl_clock import LslClock
from bci.signal.volumes.rigid import grid_points, matrix_of
from bci.sim.scanner.head import head_affine, head_volume
from bci.sim.scanner.scanner import SimulatedScanner
from benchmarks.fresh_bundle import readout_graph

SHAPE, SIZES_MM, TR, WAIT_S = (64, 64, 36), (3.2, 3.2, 3.4), 1.0, 6.0
TRIAL_S, LEAD_S, LATENT = 9.5, 12.0, 64
NAME = "beta-latency"


def heads(count: int) -> list[np.ndarray]:
    """Return volumes of a head that moves a little, int16."""
    rng = np.random.default_rng(4)
    affine = head_affine(SHAPE, SIZES_MM)
    made = []
    for place in range(count):
        motion = matrix_of(np.array([0.1, -0.1, 0.05, 0.001, 0.0, -0.001]) * (place % 5), np.zeros(3))
        values = 3.0 * head_volume(SHAPE, affine, motion) + rng.normal(0, 10, SHAPE)
        made.append(np.clip(np.rint(values), 0, 4095).astype(np.int16))
    return made


def write_session(folder: Path, source_id: str, reference: np.ndarray, voxels: int, trials: int) -> Path:
    """Write bundle, masks, pictures and session file; return the last."""
    affine = head_affine(SHAPE, SIZES_MM)
    nearness = np.linalg.norm(grid_points(SHAPE, affine) / np.array([68.0, 86.0, 60.0]), axis=1)
    mask = np.zeros(int(np.prod(SHAPE)), np.uint8)
    mask[np.argsort(nearness)[:voxels]] = 1
    for name, values in {"reference": reference, "brain": mask.reshape(SHAPE)}.items():
        (folder / f"{name}.nii.gz").write_bytes(gzip.compress(nifti_bytes(values, affine, TR)))
    pipeline = (
        {"step": "motion_correction", "mask": "brain", "voxels": voxels},
        {"step": "high_pass", "low": 0.1, "order": 1},
        {"step": "single_trial_betas", "onsets": "events", "wait_s": WAIT_S, "volumes": 600, "duration_s": 1.0,
         "drift": "none", "motion": False},
    )  # fmt: skip
    spec = BundleSpec(
        name=NAME,
        signal=SignalSpec(name="BOLD-raw", rate=1 / TR, shape=SHAPE),
        pipeline=pipeline,
        window=EpochSpec(start=WAIT_S, stop=WAIT_S + TR, markers="stimulus .*"),
        latent=LATENT,
        image=ImageSpec(height=64, width=64),
        graphs=(
            GraphSpec(file="readout.onnx", role="readout"),
            GraphSpec(file="generator.onnx", role="generator"),
        ),
    )
    generator = SHIPPED["bundles"] / "hyper-insilico-fmri" / "generator.onnx"
    save_bundle(
        folder / "bundle",
        spec,
        {"readout.onnx": readout_graph(1, voxels, LATENT), "generator.onnx": generator},
    )
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(1)
    for number in range(trials):
        noise = rng.integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(folder / "pictures" / f"{number:03d}.png")
    path = folder / "session.toml"
    path.write_text(
        f"""
name = "{NAME}"
network = "lab"
[stream]
source_id = {json.dumps(source_id)}
timeout_s = 120
[decoder]
bundle = "bundle"
[display]
kind = "headless"
max_png = 0
contact_sheet = 0
[run]
reference = "reference.nii.gz"
masks = {{ brain = "brain.nii.gz" }}
[experiment]
folder = "pictures"
stimulus_s = 1.0
feedback_s = 8.0
blank_s = 0.5
lead_in_s = {LEAD_S}
"""
    )
    return path


def measure_betas(trials: int, voxels: int) -> int:
    """Run the session and print its latencies; return 0 where they are within their targets."""
    clock, volumes = LslClock(), heads(20)
    planned = 60 + int(LEAD_S + TRIAL_S * trials + 30)
    affine = head_affine(SHAPE, SIZES_MM)
    series = ImagingSeries("2.25.1000000000000", SHAPE, affine, TR, "int16", total=planned, number=1)
    bci = [sys.executable, "-m", "bci"]
    with tempfile.TemporaryDirectory() as place:
        folder, incoming = Path(place), Path(place) / "incoming"
        incoming.mkdir()
        path = write_session(folder, run_source_id(NAME, series), volumes[0], voxels, trials)
        watch = subprocess.Popen(
            [*bci, "volumes", "watch", str(incoming), "--source-id", NAME, "--wait", "120"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert watch.stdout is not None
            watch.stdout.readline()
            session = subprocess.Popen(
                [*bci, "run", str(path), "--out", str(folder / "out"), "--json"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            scanner = SimulatedScanner(incoming, series, clock, values=lambda _, index: volumes[index % 20])
            while session.poll() is None and not scanner.over:
                scanner.step()
                clock.sleep_until(min(clock.now() + 0.05, scanner.next_due))
            out, _ = session.communicate(timeout=60)
        finally:
            watch.terminate()
            watch.wait(10)
        result = json.loads(out.splitlines()[-1])
        return _report(Path(result["session"]), scanner.written, voxels, result)


def _report(session: Path, written: dict[int, float], voxels: int, result: dict[str, object]) -> int:
    with (session / "frames.csv").open(newline="") as file:
        frames = list(csv.DictReader(file))
    with (session / "shown.csv").open(newline="") as file:
        flips = {
            int(row["frame"]): float(row["flip"]) for row in csv.DictReader(file) if row["kind"] == "frame"
        }
    on_disk = np.array([written[int(row["last_sample"])] for row in frames])
    times = {
        "beta": np.array([float(row["cut"]) for row in frames]) - on_disk,
        "picture drawn": np.array([float(row["decoded"]) for row in frames]) - on_disk,
        "picture at its flip": np.array(
            [
                flips[int(row["frame"])] - then
                for row, then in zip(frames, on_disk, strict=True)
                if int(row["frame"]) in flips
            ]
        ),
    }
    print(
        f"{result['samples']} volumes of {'×'.join(map(str, SHAPE))}, {voxels} voxels, TR {TR:g} s; "
        f"{len(frames)} trials"
    )
    for name, seconds in times.items():
        p50, p95 = 1e3 * np.percentile(seconds, [50, 95]) if len(seconds) else (np.nan, np.nan)
        print(f"complete on disk to {name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms ({len(seconds)} trials)")
    waits = [float(row["data"]) + TR - float(row["event_time"]) for row in frames]
    print(
        f"apart from that: {np.median(waits):.1f} s from the flip to the end of the volume that its beta waits for"
    )
    beta, flip = times["beta"], times["picture at its flip"]
    within = len(flip) and np.percentile(beta, 95) <= 0.15 and np.percentile(flip, 95) <= 0.25
    return int(not within)
