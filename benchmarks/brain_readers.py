"""All brain readers on the same trials: every system, dreamed readouts and baselines, with chance, ceiling and oracle.

::

    python -m benchmarks.brain_readers [--part readers] [--out runs/brain-readers] [--data FOLDER] [--effort 1]
    python -m benchmarks.brain_readers --part efficiency [--json]

``readers`` is `bci compare --systems`, what ``configs/systems-compare.toml`` names. Two sets: the participant in silico
(400 training trials of EEG at SNR .4, 24 other pictures six times each, single trials), and recorded EEG to faces and
houses, for which two drawn faces stand (four runs to learn from, two to read). ``--out`` holds the page, the sheets of
pictures and the units, so that a run that was killed goes on. ``--effort .3`` makes updates and dreams .3 as many.

``efficiency``: one worker and two of a Dask cluster on this machine compute the same 16 units, folds of a ridge; of
three turns the fastest counts. Two must be at least .8 of twice as fast as one. Beside it stand processes without a
cluster: what the machine gives at all. Exit status 1 where they are not.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.shipped import SHIPPED
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.clusters import open_cluster
from models.comparison.systems import compare_systems
from models.comparison.systems_page import ranking, score_names
from models.readouts.family import build_readout
from models.units import Unit, run_units

UNITS, TRIALS, VOXELS, LATENTS, TURNS, LEAST = 16, 400, 600, 64, 3, 0.8


def fit_planted(seed: int, brain: NDArray[np.float64], latents: NDArray[np.float64]) -> dict[str, Any]:
    """Fit a ridge with a few trials left out, by the seed; return what it reads of them."""
    out = np.random.default_rng(seed).permutation(len(brain))[:100]
    kept = np.setdiff1d(np.arange(len(brain)), out)
    read = build_readout("ridge").fit(brain[kept], latents[kept]).predict(brain[out])
    return {"r": float(np.corrcoef(read.ravel(), latents[out].ravel())[0, 1])}


def efficiency() -> dict[str, Any]:
    """Time the same units on one worker and on two, and on processes without a cluster; their start does not count."""
    random = np.random.default_rng(0)
    latents = random.standard_normal((TRIALS, LATENTS))
    brain = latents @ random.standard_normal((LATENTS, VOXELS)) + 20 * random.standard_normal(
        (TRIALS, VOXELS)
    )
    given = {"brain": brain, "latents": latents}
    seconds: dict[str, list[float]] = {}

    def turns(name: str, **where: Any) -> None:
        for turn in range(TURNS + 1):
            units = [
                Unit(f"fold {k}", {"seed": k}) for k in range(UNITS if turn else 4)
            ]  # the first turn warms up
            with tempfile.TemporaryDirectory() as folder:
                began = time.perf_counter()
                run_units(units, fit_planted, Path(folder), given=given, **where)
                if turn:
                    seconds.setdefault(name, []).append(time.perf_counter() - began)
        progress(f"{name}: {min(seconds[name]):.1f} s")

    for workers in (1, 2):
        turns(f"without a cluster, {workers}", jobs=workers)
        with open_cluster("local", workers) as client:
            turns(f"workers, {workers}", cluster=client.scheduler.address)
    shares = {
        name: min(seconds[f"{name}, 1"]) / (2 * min(seconds[f"{name}, 2"]))
        for name in ("workers", "without a cluster")
    }
    return {
        "seconds": seconds, "efficiency": shares["workers"], "bare": shares["without a cluster"],
        "met": shares["workers"] >= LEAST,
    }  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Compare, or time; print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.brain_readers", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--part", choices=("readers", "efficiency"), default="readers")
    parser.add_argument("--file", type=Path, default=SHIPPED["configs"] / "systems-compare.toml")
    parser.add_argument("--out", type=Path, default=Path("runs/brain-readers"))
    parser.add_argument(
        "--data", type=Path, help="folder of the recordings; else $BCI_DATA, else ../shared/data"
    )
    parser.add_argument("--effort", type=float, help="share of updates and dreams; else what the file says")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one machine-readable last line")
    asked = parser.parse_args(words)
    facts = machine_facts(["scikit-learn", "torch"])
    print_machine(facts)
    if asked.part == "efficiency":
        found = efficiency()
        print(
            f"two workers: {found['efficiency']:.2f} of twice one "
            f"(at least {LEAST}: {'met' if found['met'] else 'MISSED'}); "
            f"two processes without a cluster {found['bare']:.2f}"
        )
        if asked.json:
            print_last_line({"benchmark": "brain_readers", "part": asked.part, "machine": facts, **found})
        return 0 if found["met"] else 1
    report = compare_systems(
        asked.file,
        asked.out,
        effort=asked.effort,
        jobs=asked.jobs,
        data_root=asked.data,
        progress=lambda _, text: progress(text),
    )
    for one in report["sets"]:
        print(
            f"\n{one['title']}: {one['trials']} trials of {one['pictures']} pictures; {one['ceiling']}; "
            f"oracle {one['oracle']}"
        )
        names = score_names(one)
        print_table(["reader", *names, "p"], [_line(title, row, names) for title, row in ranking(one)])
    if asked.json:
        print_last_line(
            {"benchmark": "brain_readers", "part": asked.part, "machine": facts, "sets": report["sets"]}
        )
    return 0


def _line(title: str, row: Any, names: Sequence[str]) -> list[str]:
    if "scores" not in row:
        return [title, f"refused: {row['refused']}", *[""] * len(names)]
    cells = [
        f"{row['scores'][name]['score']:.3f} ({row['scores'][name]['low']:.3f} to {row['scores'][name]['high']:.3f})"
        for name in names
    ]
    p = row["scores"]["two-way"]["p"]
    return [title, *cells, "" if p is None else f"{p:.4f}"]


if __name__ == "__main__":
    sys.exit(main())
