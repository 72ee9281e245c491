"""Multiscale local decoders on a planted visual cortex: regressors, scales, coefficients.

    python -m benchmarks.miyawaki [--regressors NAME …] [--best 500] [--quick] [--json]

1500 voxels with receptive fields over 10 × 10 pixels at SNR .05, 1000 random pictures to fit to, ten figures with ten
responses each to read; three seeds (`--quick`: one). Coefficients are learned on predictions of runs that were held
out. Must reach: with orthogonal matching pursuit, learned coefficients at least 5 points of accuracy above 1 × 1 alone;
the best regressor .88 of the oracle's accuracy above one half and .92 of its correlation; learned no less accurate than
equal coefficients for every regressor; two ways of learning alike to 1 % of the squared error. Beside each accuracy
stands that of an empty picture: figures are mostly background.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.systems.miyawaki import combination as combined
from models.systems.miyawaki.data import open_data
from models.systems.miyawaki.planted import plant
from models.systems.miyawaki.regressors import BEST
from models.systems.miyawaki.scores import score
from models.systems.miyawaki.settings import MiyawakiConfig, Regressor
from models.systems.miyawaki.train import fit

NAMES = get_args(Regressor)
POINTS, OF_ACCURACY, OF_R, SAME = 0.05, 0.88, 0.92, 0.01


def measure(name: str, seed: int, best: int) -> dict[str, Any]:
    """Fit and score one regressor on one planted cortex."""
    config = MiyawakiConfig.model_validate(
        {"kind": "miyawaki", "name": name, "regressor": name, "seed": seed, "best": best}
    )
    data = open_data(config, Path())  # planted: no file is read
    fitted = fit(config, data, lambda done, text: progress(f"{name}, seed {seed}: {text}"))
    bases, read, shown = fitted.bases, fitted.decoders(data.test_voxels), data.shown[data.which]
    alone = np.zeros(len(bases.shapes))
    alone[0] = 1.0
    ways = {
        "1 x 1": combined.combine(bases, alone),
        "equal": combined.equal(bases),
        "scales": fitted.combination,
        "descended": combined.descend(bases, fitted.held, data.pictures),
        "elements": combined.learn_elements(bases, fitted.held, data.pictures),
    }
    low, high = combined.bootstrap(bases, fitted.held, data.pictures, seed=seed)
    oracle = score(shown, plant(config.data.voxels, config.data.snr, seed).read(data.test_voxels))
    return {
        "regressor": name,
        "seed": seed,
        "figures": {way: score(shown, made(read)) for way, made in ways.items()},
        "held_out_error": {
            way: score(data.pictures, made(fitted.held))["error"] for way, made in ways.items()
        },
        "coefficients": fitted.combination.coefficients.tolist(),
        "interval": [low.tolist(), high.tolist()],
        "oracle": oracle,
    }


def judge(rows: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """Say which of the bars are reached, by means over seeds."""
    names = sorted({row["regressor"] for row in rows})

    def mean(name: str, way: str, what: str) -> float:
        return float(np.mean([row["figures"][way][what] for row in rows if row["regressor"] == name]))

    def error(name: str, way: str) -> float:
        return float(np.mean([row["held_out_error"][way] for row in rows if row["regressor"] == name]))

    oracle = {what: float(np.mean([row["oracle"][what] for row in rows])) for what in ("accuracy", "r")}
    best = max(mean(name, way, "accuracy") for name in names for way in ("scales", "elements"))
    best_r = max(mean(name, way, "r") for name in names for way in ("scales", "elements"))
    verdict = {
        "accuracy of the best": best - 0.5 >= OF_ACCURACY * (oracle["accuracy"] - 0.5),
        "r of the best": best_r >= OF_R * oracle["r"],
        "learned no less accurate than equal": all(
            mean(name, "scales", "accuracy") >= mean(name, "equal", "accuracy") for name in names
        ),
        "two ways alike": all(
            abs(error(name, "descended") - error(name, "scales")) <= SAME * error(name, "scales")
            for name in names
        ),
    }
    if "omp" in names:
        verdict["matching pursuit above 1 x 1"] = (
            mean("omp", "scales", "accuracy") >= mean("omp", "1 x 1", "accuracy") + POINTS
        )
    return verdict


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; exit status 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.miyawaki", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--regressors", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--best", type=int, default=BEST, help="voxels that are kept for a rectangle")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    options = parser.parse_args(arguments)
    seeds = range(1 if options.quick else 3)
    rows = [measure(name, seed, options.best) for name in options.regressors for seed in seeds]
    verdict, facts = judge(rows), machine_facts(("scikit-learn",))
    if not options.json:
        print_machine(facts)
        table = []
        for row in rows:
            figures = row["figures"]
            accuracy = [
                f"{100 * figures[way]['accuracy']:.1f}" for way in ("1 x 1", "equal", "scales", "elements")
            ]
            table.append(
                [row["regressor"], str(row["seed"]), *accuracy, f"{100 * figures['scales']['balanced']:.1f}",
                 f"{figures['scales']['r']:.3f}", " ".join(f"{v:.2f}" for v in row["coefficients"]),
                 f"{100 * row['oracle']['accuracy']:.1f}, {row['oracle']['r']:.3f}"]
            )  # fmt: skip
        background = 100 * rows[0]["figures"]["equal"]["background"]
        header = [
            "regressor",
            "seed",
            "1 x 1",
            "equal",
            "scales",
            "elements",
            "balanced",
            "r",
            "coefficients",
            "oracle",
        ]
        print_table(header, table)
        print(f"accuracies in percent; an empty picture has {background:.1f}")
        for what, reached in verdict.items():
            print(f"{'met' if reached else 'MISSED'}: {what}")
    met = all(verdict.values())
    print_last_line({"benchmark": "miyawaki", "machine": facts, "rows": rows, "verdict": verdict, "met": met})
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
