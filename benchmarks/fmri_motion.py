"""Rigid motion of fMRI volumes: error against injected motions, time of a volume, agreement on real series.

The truth is injected in two ways, neither by an interpolator of ours. A simulated head (64 × 64 × 36) is a formula,
drawn anew for every motion. The mean of each real series whose head lies still is moved by a spline of the fifth order,
and both ends of the stack are cut off after it, so that what leaves and enters is what a scanner would have seen. Noise
is added to reference and volume. SimpleITK does the same task on the same volumes in the same run, with all voxels of
the brain and with a fifth of them; each contender has one thread.

On the series themselves the truth is not known: what is printed is how far ours and SimpleITK with all voxels are apart
over the brain, once with the volumes as they are and once with them brought to the reference's brightness, which mean
squares need. Which of them is right is asked of the pictures: the correlation of the brain's voxels with the reference
after each motion, by a spline of the fifth order that neither uses. Volumes that ours says it cannot follow are listed,
not compared. A series of which some are, or whose brightness changes, gives one more task with a known truth: its
reference, moved; and moved and dimmed by as much. There, and on the series at one brightness, SimpleITK interpolates by
a cubic spline as well: where slices are thick, it matters. Times are of the processor, so that
what else runs on a machine does not count; those of the clock stand in the last line.

::

    OMP_NUM_THREADS=1 python -m benchmarks.fmri_motion [--series FOLDER ...] [--reference N] [--trials N] [--json]
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from threadpoolctl import threadpool_limits

from bci.io.volumes.files import read_image
from bci.io.volumes.slices import SliceAssembler
from bci.io.volumes.volume import SliceImage
from bci.signal.volumes.motion import Reslicer
from bci.signal.volumes.realign import Realigner, brain
from bci.signal.volumes.rigid import angle_deg, displacement, matrix_of, moved, voxel_sizes_mm
from bci.sim.scanner.head import head_affine, head_volume
from benchmarks.contenders.sitk_rigid import SitkRealigner
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)

Array = NDArray[np.floating[Any]]

SHAPE, VOXEL_MM = (64, 64, 36), (3.0, 3.0, 3.5)
#: Motions are even between minus and plus these.
SHIFT_MM, TURN_DEG = 5.0, 5.0
#: Mean over standard deviation in time of a voxel of the simulated head's brain.
TSNR = 70.0
#: A series whose volumes are brighter or darker than the reference by more is a task of its own.
UNEVEN = 0.02
#: SimpleITK's contenders, and the part of the voxels that they compare.
PEERS = {"SimpleITK, all voxels": 1.0, "SimpleITK, a fifth": 0.2}


@dataclass
class Task:
    """A Task is a reference and a way of making volumes whose motion is known.

    Attributes
    ----------
    volume : callable
        From a motion and a source of random numbers to a volume (x, y, z).
    spline : bool
        Whether SimpleITK interpolates by a cubic spline as well.
    """

    name: str
    reference: Array
    affine: Array
    volume: Callable[[Array, np.random.Generator], Array]
    errors: dict[str, list[Array]] = field(default_factory=dict)
    ms: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    spline: bool = False


def simulated(rng: np.random.Generator) -> Task:
    """Return the task of the head that is a formula."""
    affine = head_affine(SHAPE, VOXEL_MM)
    still = head_volume(SHAPE, affine)
    sd = float(np.median(still[still > 200])) / TSNR

    def volume(motion: Array, numbers: np.random.Generator) -> Array:
        return np.asarray(head_volume(SHAPE, affine, motion) + numbers.normal(0, sd, SHAPE).astype("f4"))

    return Task("simulated head 64 × 64 × 36", volume(np.eye(4), rng), affine, volume)


def resampled(name: str, series: Array, affine: Array, rng: np.random.Generator) -> Task:
    """Return the task of a real series' mean, moved by a spline of the fifth order."""
    mean = series.mean(axis=0)
    sizes = voxel_sizes_mm(affine)
    where = brain(mean, sizes)
    sd = float(np.median(np.diff(series, axis=0).std(axis=0)[where])) / np.sqrt(2.0)
    ends = min(round(13.0 / float(sizes[2])), mean.shape[2] // 5)
    kept = slice(ends, mean.shape[2] - ends)
    cut = affine.copy()
    cut[:3, 3] = moved(np.array([[0.0, 0.0, ends]]), affine)[0]

    def volume(motion: Array, numbers: np.random.Generator) -> Array:
        back = np.linalg.inv(affine) @ np.linalg.inv(motion) @ affine
        shifted = ndimage.affine_transform(mean, back[:3, :3], back[:3, 3], order=5, mode="nearest")
        return np.asarray((shifted + numbers.normal(0, sd, mean.shape))[:, :, kept], np.float32)

    shape = " × ".join(map(str, (*mean.shape[:2], kept.stop - kept.start)))
    return Task(f"{name}, moved, {shape}", volume(np.eye(4), rng), cut, volume)


def dimmed(name: str, reference: Array, affine: Array, gain: float, rng: np.random.Generator) -> Task:
    """Return the task of a real volume, moved by a spline of the fifth order and brighter or darker by `gain`."""
    still = resampled(name, np.stack([reference, reference]), affine, rng)
    sd = float(np.median(reference[brain(reference, voxel_sizes_mm(affine))])) / TSNR

    def volume(motion: Array, numbers: np.random.Generator) -> Array:
        moved_volume = still.volume(motion, numbers)
        return np.asarray(gain * moved_volume + numbers.normal(0, sd, moved_volume.shape), np.float32)

    words = f"{name}, reference, moved, × {gain:.2f}"
    return Task(words, still.reference, still.affine, volume, spline=True)


def likeness(volume: Array, motion: Array, reference: Array, affine: Array, mask: NDArray[np.bool_]) -> float:
    """Return how the masked voxels of a volume correlate with the reference's once its motion is undone."""
    to_voxels = np.linalg.inv(affine) @ motion @ affine
    places = moved(np.argwhere(mask).astype(float), to_voxels).T
    values = ndimage.map_coordinates(volume.astype(float), places, order=5, mode="nearest")
    return float(np.corrcoef(values, reference[mask])[0, 1])


def inject(task: Task, trials: int, rng: np.random.Generator) -> None:
    """Let both contenders find motions that are known."""
    mask = brain(task.reference, voxel_sizes_mm(task.affine))
    points = moved(np.argwhere(mask).astype(float), task.affine)
    ours = Realigner(task.reference, task.affine)
    peers = {
        name: SitkRealigner(task.reference, task.affine, mask, ours.centre, part)
        for name, part in PEERS.items()
    }
    if task.spline:
        peers["SimpleITK, spline"] = SitkRealigner(
            task.reference, task.affine, mask, ours.centre, spline=True
        )
    reslice = Reslicer(mask, task.affine)
    for trial in range(trials):
        six = np.concatenate(
            [rng.uniform(-SHIFT_MM, SHIFT_MM, 3), np.radians(rng.uniform(-TURN_DEG, TURN_DEG, 3))]
        )
        true = matrix_of(six, ours.centre)
        volume = task.volume(true, rng)
        found, took = timed(lambda v=volume: ours(v))
        task.ms.setdefault("reslice", []).append(timed(lambda v=volume, m=found.matrix: reslice(v, m))[1])
        if found.fault:
            task.faults.append(f"trial {trial}: {found.words}")
        given = {"ours": (found.matrix, took)}
        given |= {name: timed(lambda v=volume, p=peer: p(v)) for name, peer in peers.items()}
        for name, (matrix, seconds) in given.items():
            task.errors.setdefault(name, []).append(displacement(points, matrix, true))
            task.ms.setdefault(name, []).append(seconds)


def timed(call: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """Return what a call gives, and its milliseconds by the processor and by the clock."""
    begun = time.process_time(), time.perf_counter()
    given = call()
    return given, (1e3 * (time.process_time() - begun[0]), 1e3 * (time.perf_counter() - begun[1]))


def read_series(folder: Path) -> tuple[Array, Array]:
    """Return the volumes (n, x, y, z) float32 of a folder of DICOM or NIfTI files in their order, and the affine."""
    found, assembler = [], SliceAssembler(60.0)
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        for piece in read_image(path):
            found += assembler.offer(piece, 0.0) if isinstance(piece, SliceImage) else [piece]
    found.sort(key=lambda volume: volume.index)
    return np.stack([volume.data for volume in found]).astype(np.float32), found[0].series.affine


@dataclass
class Agreement:
    """An Agreement is how far the two are apart on one real series, and what ours would not follow.

    Attributes
    ----------
    apart, apart_even, apart_spline : list of float
        Medians over the brain, millimetre; `apart_even` with volumes of the reference's brightness for SimpleITK,
        `apart_spline` with a cubic spline instead of its linear interpolation too.
    likeness : dict of str to list of float
        Correlation with the reference: not moved, after ours, after SimpleITK's of both kinds.
    gain : float
        Median brightness of what was followed, over the reference's.
    followed : list of dict
        Of each volume that was: its ``place``, ``gain``, shift and turn by ours (``mm``, ``degrees``), ``apart_mm``.
    """

    name: str
    apart: list[float] = field(default_factory=list)
    apart_even: list[float] = field(default_factory=list)
    apart_spline: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    peer_ms: list[float] = field(default_factory=list)
    likeness: dict[str, list[float]] = field(default_factory=dict)
    gain: float = 1.0
    followed: list[dict[str, float]] = field(default_factory=list)


def agree(name: str, series: Array, affine: Array, reference: int) -> Agreement:
    """Let both contenders follow a real series against one of its volumes."""
    still = series[reference]
    ours = Realigner(still, affine)
    mask = brain(still, voxel_sizes_mm(affine))
    points = moved(np.argwhere(mask).astype(float), affine)
    theirs = SitkRealigner(still, affine, mask, ours.centre)
    by_spline = SitkRealigner(still, affine, mask, ours.centre, spline=True)
    out, gains = Agreement(name), []
    for place, volume in enumerate(series):
        if place == reference:
            continue
        found, took = timed(lambda v=volume: ours(v))
        out.ms.append(took[0])
        if found.fault:
            out.refused.append(f"volume {place}: {found.words}")
            continue
        peer, peer_took = timed(lambda v=volume: theirs(v))
        out.peer_ms.append(peer_took[0])
        gains.append(float(volume[mask].mean() / still[mask].mean()))
        even = theirs(volume / gains[-1])
        out.apart.append(float(np.median(displacement(points, found.matrix, peer))))
        out.apart_even.append(float(np.median(displacement(points, found.matrix, even))))
        fine = by_spline(volume / gains[-1])
        out.apart_spline.append(float(np.median(displacement(points, found.matrix, fine))))
        shift, turn = float(np.linalg.norm(found.parameters[:3])), angle_deg(found.matrix)
        out.followed.append(
            {"place": place, "gain": gains[-1], "mm": shift, "degrees": turn, "apart_mm": out.apart[-1]}
        )
        motions = {"not moved": np.eye(4), "ours": found.matrix, "SimpleITK": peer, "SimpleITK, even": even}
        for which, motion in motions.items():
            value = likeness(volume, motion, still, affine, mask)
            out.likeness.setdefault(which, []).append(value)
    out.gain = float(np.median(gains))
    return out


def gains_of(agreement: Agreement) -> list[float]:
    """Return the brightnesses at which a reference is moved: none where all volumes are as bright and followed."""
    uneven = abs(agreement.gain - 1.0) > UNEVEN
    return ([1.0] if uneven or agreement.refused else []) + ([agreement.gain] if uneven else [])


def rows_of(task: Task) -> list[list[str]]:
    """Return the lines of a task's table."""
    rows = []
    for name, parts in task.errors.items():
        errors, ms = np.concatenate(parts), np.array(task.ms[name])[:, 0]
        whole = ms + np.array(task.ms["reslice"])[:, 0] if name == "ours" else None
        rows.append(
            [
                task.name,
                name,
                f"{np.median(errors):.3f}",
                f"{np.percentile(errors, 95):.3f}",
                f"{np.median(ms):.1f}",
                f"{np.percentile(ms, 95):.1f}",
                "" if whole is None else f"{np.median(whole):.1f}",
            ]
        )
    return rows


def likeness_words(agreement: Agreement, which: str) -> str:
    """Return the median correlation, and in how many volumes that of ours is higher."""
    ours, theirs = np.array(agreement.likeness["ours"]), np.array(agreement.likeness[which])
    higher = "" if which == "ours" else f" ({np.count_nonzero(ours > theirs)} of {len(ours)})"
    return f"{np.median(theirs):.4f}{higher}"


def summary_of(task: Task) -> dict[str, Any]:
    """Return a task's figures for the last line."""
    times = {
        name: {
            "cpu_ms": percentiles(np.array(pairs)[:, 0], (50, 95)),
            "clock_ms": percentiles(np.array(pairs)[:, 1], (50, 95)),
        }
        for name, pairs in task.ms.items()
    }
    errors = {name: percentiles(np.concatenate(parts), (50, 95)) for name, parts in task.errors.items()}
    ours = times["ours"]["cpu_ms"]["p50"]
    faster = {name: times[name]["cpu_ms"]["p50"] / ours for name in PEERS}
    return {"error_mm": errors, "times": times, "times_faster_than": faster, "faults": task.faults}


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--series", type=Path, nargs="*", default=[], help="folders of real series")
    options.add_argument(
        "--reference",
        type=int,
        default=0,
        help="place of the volume that those of a real series are compared with",
    )
    options.add_argument("--trials", type=int, default=40)
    options.add_argument("--json", action="store_true", help="only the last line")
    chosen = options.parse_args(words)
    rng = np.random.default_rng(0)
    facts = machine_facts(("scipy", "SimpleITK"))
    real = {folder.name: read_series(folder) for folder in chosen.series}
    with threadpool_limits(1):
        agreements = [agree(name, *found, chosen.reference) for name, found in real.items()]
        still = [a.name for a in agreements if not a.refused]
        tasks = [simulated(rng), *[resampled(name, *real[name], rng) for name in still]]
        tasks += [
            dimmed(a.name, real[a.name][0][chosen.reference], real[a.name][1], gain, rng)
            for a in agreements
            for gain in gains_of(a)
        ]
        for task in tasks:
            progress(task.name)
            inject(task, chosen.trials, rng)
    if not chosen.json:
        print_machine(facts)
        print(
            f"\n{chosen.trials} motions, ±{SHIFT_MM:g} mm and ±{TURN_DEG:g}° about each axis; error over the brain\n"
        )
        header = ["volumes", "by", "median mm", "p95 mm", "cpu ms median", "cpu ms p95", "with reslicing"]
        print_table(header, [row for task in tasks for row in rows_of(task)])
        print()
        if agreements:
            print_table(
                ["series", "compared", "apart, median mm", "largest mm", "median mm, even", "largest mm, even",
                 "median mm, spline", "largest mm, spline",
                 "ours ms", "SimpleITK ms", "not followed"],
                [
                    [
                        a.name, str(len(a.apart)), f"{np.median(a.apart):.3f}", f"{max(a.apart):.3f}",
                        f"{np.median(a.apart_even):.3f}", f"{max(a.apart_even):.3f}",
                        f"{np.median(a.apart_spline):.3f}", f"{max(a.apart_spline):.3f}",
                        f"{np.median(a.ms):.1f}", f"{np.median(a.peer_ms):.1f}", str(len(a.refused)),
                    ]
                    for a in agreements
                ],
            )  # fmt: skip
            print("\ncorrelation with the reference: median, and in how many volumes ours is the higher\n")
            print_table(
                ["series", *agreements[0].likeness],
                [[a.name, *[likeness_words(a, which) for which in a.likeness]] for a in agreements],
            )
        for line in [f"{a.name}, {words}" for a in agreements for words in a.refused]:
            print(line)
    print_last_line(
        {
            "benchmark": "fmri_motion",
            "machine": facts,
            "injected": {task.name: summary_of(task) for task in tasks},
            "series": {
                a.name: {
                    "apart_mm": percentiles(a.apart, (50, 95)),
                    "not_followed": a.refused,
                    "followed": a.followed,
                    "apart_even_mm": percentiles(a.apart_even, (50, 95)),
                    "apart_spline_mm": percentiles(a.apart_spline, (50, 95)),
                    "likeness": {which: float(np.median(v)) for which, v in a.likeness.items()},
                }
                for a in agreements
            },
        }
    )


if __name__ == "__main__":
    main()
