"""Registration of a session's reference volume to another session's: error, and failures that were not said.

Each trial displaces a head by up to 15 mm and 10° and gives it another brightness: a gain of .5 to 2, an uneven field
of the second order, and noise of its own. Three in seven cannot be saved and must be said to have failed, or come out
right: a mirrored head, half of the slices gone, or a turn of 50 to 90 degrees. A failure is *unsaid* when the median
error over the brain is above 1 mm, or the head is mirrored, and no fault is given.

::

    OMP_NUM_THREADS=1 python -m benchmarks.fmri_registration [--series FOLDER] [--trials N] [--picture FILE] [--json]
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from threadpoolctl import threadpool_limits

from bci.signal.volumes.realign import brain
from bci.signal.volumes.registration import edges_picture, laid_on, register
from bci.signal.volumes.rigid import displacement, matrix_of, moved, voxel_sizes_mm
from bci.sim.scanner.head import head_affine, head_volume
from benchmarks.fmri_motion import SHAPE, VOXEL_MM, read_series
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)

Array = NDArray[np.floating[Any]]

SHIFT_MM, TURN_DEG = 15.0, 10.0
#: From here on an error is a failure, millimetre.
WRONG_MM = 1.0
#: Of the trials, those whose like cannot be found: none of these is counted among the errors.
HOPELESS = ("", "", "", "", "mirrored", "half gone", "far away")


@dataclass(frozen=True)
class Head:
    """A Head is what is displaced: a reference, its affine, and a way of drawing it moved."""

    name: str
    still: Array
    affine: Array
    formula: bool

    def drawn(self, motion: Array) -> Array:
        """Return it after a motion."""
        if self.formula:
            return head_volume(self.still.shape, self.affine, motion)
        back = np.linalg.inv(self.affine) @ np.linalg.inv(motion) @ self.affine
        shifted = ndimage.affine_transform(self.still, back[:3, :3], back[:3, 3], order=5, mode="constant")
        return np.asarray(shifted, np.float32)


def direction(rng: np.random.Generator, largest: float) -> Array:
    """Return a vector of any direction and a length even up to `largest`."""
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector) * rng.uniform(0.0, largest)


def uneven(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return a field of brightness of the second order, its logarithm's terms with a standard deviation of .2."""
    x, y, z = np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in shape), indexing="ij")
    terms = np.stack([x, y, z, x * y, x * x, z * z])
    return np.exp(np.tensordot(rng.normal(0.0, 0.2, len(terms)), terms, axes=1))


def trial(head: Head, kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """Displace, register, and say how wrong that was."""
    turn = np.radians(direction(rng, TURN_DEG))
    if kind == "far away":
        turn = turn / np.linalg.norm(turn) * np.radians(rng.uniform(50.0, 90.0))
    where = brain(head.still, voxel_sizes_mm(head.affine))
    points = moved(np.argwhere(where).astype(float), head.affine)
    true = matrix_of(np.concatenate([direction(rng, SHIFT_MM), turn]), points.mean(axis=0))
    moving = head.drawn(true)
    if kind == "mirrored":
        moving = moving[::-1]
    if kind == "half gone":
        moving = np.where(np.arange(moving.shape[2]) < moving.shape[2] // 2, 0.0, moving)
    bright = float(np.percentile(head.still, 90))
    fixed = head.still + rng.normal(0.0, bright / 50.0, head.still.shape)
    moving = moving * uneven(moving.shape, rng) * rng.uniform(0.5, 2.0)
    moving = moving + rng.normal(
        0.0, float(np.percentile(moving, 90)) / rng.uniform(20.0, 60.0), moving.shape
    )
    begun = time.process_time()
    found = register(fixed, head.affine, moving, head.affine)
    seconds = time.process_time() - begun
    return {
        "kind": kind, "seconds": seconds, "fault": found.fault, "found": found, "volumes": (fixed, moving),
        "error": float(np.median(displacement(points, found.matrix, true))),
    }  # fmt: skip


def measure(
    head: Head, trials: int, rng: np.random.Generator
) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    """Return the line of a table, the figures, and the last trial that could be saved."""
    done = [trial(head, HOPELESS[n % len(HOPELESS)], rng) for n in range(trials)]
    fair = [one for one in done if not one["kind"]]
    errors = [one["error"] for one in fair if not one["fault"]]
    # In a mirrored head there is no right place: any registration without a fault is a failure that is not said.
    unsaid = [
        one for one in done if not one["fault"] and (one["error"] > WRONG_MM or one["kind"] == "mirrored")
    ]
    figures = {
        "error_mm": percentiles(errors, (50, 95)), "fair": len(fair),
        "said_to_fail": sum(bool(o["fault"]) for o in fair),
        "faults": [one["fault"] for one in fair if one["fault"]],
        "hopeless": len(done) - len(fair), "hopeless_said": sum(bool(o["fault"]) for o in done if o["kind"]),
        "unsaid": [(one["kind"], round(one["error"], 2)) for one in unsaid],
        "cpu_s": percentiles([one["seconds"] for one in done], (50, 95)),
    }  # fmt: skip
    row = [
        head.name, str(len(fair)), f"{np.median(errors):.3f}", f"{np.percentile(errors, 95):.3f}", f"{max(errors):.3f}",
        str(figures["said_to_fail"]), f"{figures['hopeless_said']} of {figures['hopeless']}", str(len(unsaid)),
        f"{figures['cpu_s']['p50']:.2f}",
    ]  # fmt: skip
    return row, figures, fair[-1]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--series", type=Path, nargs="*", default=[], help="folders of real series")
    options.add_argument("--trials", type=int, default=200, help="of each head")
    options.add_argument("--picture", type=Path, help="where to write both edges of the last trial")
    options.add_argument("--json", action="store_true", help="only the last line")
    chosen = options.parse_args(words)
    rng = np.random.default_rng(0)
    facts = machine_facts(("scipy",))
    affine = head_affine(SHAPE, VOXEL_MM)
    heads = [Head("simulated head", head_volume(SHAPE, affine), affine, True)]
    for folder in chosen.series:
        series, own = read_series(folder)
        heads.append(Head(folder.name, series.mean(axis=0), own, False))
    rows, figures = [], {}
    with threadpool_limits(1):
        for head in heads:
            progress(head.name)
            row, figures[head.name], last = measure(head, chosen.trials, rng)
            rows.append(row)
            if chosen.picture:
                fixed, moving = last["volumes"]
                laid = laid_on(fixed.shape, head.affine, moving, head.affine, last["found"].matrix)
                Image.fromarray(edges_picture(fixed, laid, head.affine)).save(chosen.picture)
    if not chosen.json:
        print_machine(facts)
        print(
            f"\nup to {SHIFT_MM:g} mm and {TURN_DEG:g}°, another brightness and noise; median error over the brain\n"
        )
        print_table(
            [
                "head",
                "trials",
                "median mm",
                "p95 mm",
                "largest mm",
                "said to fail",
                "hopeless said",
                "unsaid",
                "cpu s",
            ],
            rows,
        )
    print_last_line({"benchmark": "fmri_registration", "machine": facts, "heads": figures})


if __name__ == "__main__":
    main()
