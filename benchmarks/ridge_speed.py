"""Ridge with one penalty per target, against himalaya and scikit-learn at the same task in the same run.

1050 trials × 4096 voxels → 512 latents, penalties chosen from the same grid, two threads at most. scikit-learn's
``RidgeCV(alpha_per_target=True)`` leaves one out as we do, so predictions must agree; himalaya's ``KernelRidgeCV``
chooses by five folds, so its penalties may differ and its agreement is printed for what it is. The contenders take
turns, and the best of the rounds counts: what else runs on a machine only ever adds time.

::

    python -m benchmarks.ridge_speed [--quick] [--json]
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from threadpoolctl import threadpool_limits

from benchmarks.report import (
    machine_facts,
    median_range,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from models.readouts.ridge_solver import fit_ridge

SHAPE = (1050, 4096, 512)
ALPHAS = np.logspace(1, 6, 11)
Array = NDArray[np.floating[Any]]
#: Fits a model and returns its function of prediction.
Contender = Callable[[Array, Array], Callable[[Array], Array]]


def ours(brain: Array, latents: Array) -> Callable[[Array], Array]:
    """Fit with this project's solver."""
    fit = fit_ridge(brain, latents, ALPHAS)
    return lambda new: new @ fit.weights + fit.intercept


def scikit_learn(brain: Array, latents: Array) -> Callable[[Array], Array]:
    """Fit with scikit-learn, leaving one out."""
    return RidgeCV(ALPHAS, alpha_per_target=True).fit(brain, latents).predict


def himalaya(brain: Array, latents: Array) -> Callable[[Array], Array]:
    """Fit with himalaya, five folds, by the linear kernel that it advises for fewer trials than voxels."""
    mean, target = brain.mean(0), latents.mean(0)
    model = KernelRidgeCV(alphas=ALPHAS, kernel="linear", cv=5).fit(brain - mean, latents - target)
    return lambda new: model.predict(new - mean) + target


CONTENDERS: dict[str, Contender] = {"ours": ours, "scikit-learn": scikit_learn, "himalaya": himalaya}


def plant(dtype: type) -> tuple[Array, Array, Array]:
    """Draw training and test trials whose latents are encoded with different strengths."""
    trials, voxels, count = SHAPE
    rng = np.random.default_rng(4)
    latents = rng.standard_normal((trials + 200, count))
    weights = (
        rng.standard_normal((count, voxels)) * np.linspace(0.05, 1.5, count)[:, None] * np.sqrt(0.3 / count)
    )
    brain = (latents @ weights + rng.standard_normal((trials + 200, voxels)) + 0.5).astype(dtype)
    return brain[:trials], latents[:trials].astype(dtype), brain[trials:]


def compare(dtype: type, rounds: int) -> dict[str, Any]:
    """Run the contenders in turn, after one unmeasured turn each; return seconds and differences."""
    brain, latents, new = plant(dtype)
    for fit in CONTENDERS.values():
        fit(brain[:64, :64], latents[:64, :8])
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    processor: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    predicted: dict[str, Array] = {}
    for number in range(rounds):
        for name, fit in CONTENDERS.items():
            gc.collect()
            started, used = time.perf_counter(), time.process_time()
            predict = fit(brain, latents)
            seconds[name].append(time.perf_counter() - started)
            processor[name].append(time.process_time() - used)
            predicted[name] = predict(new)
            progress(f"{np.dtype(dtype)}, round {number + 1}, {name}: {seconds[name][-1]:.2f} s")
    peers = [name for name in CONTENDERS if name != "ours"]
    return {
        "seconds": {name: median_range(values) for name, values in seconds.items()},
        "processor_seconds": {name: min(values) for name, values in processor.items()},
        "ratio": min(seconds["ours"]) / min(min(seconds[name]) for name in peers),
        "difference": {name: float(np.abs(predicted["ours"] - predicted[name]).max()) for name in peers},
    }


def main(arguments: list[str] | None = None) -> int:
    """Run and print; exit status 1 where something is not met."""
    parser = argparse.ArgumentParser(prog="benchmarks.ridge_speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two rounds")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    options = parser.parse_args(arguments)
    rounds = 2 if options.quick else 5
    with threadpool_limits(2):
        results = {str(np.dtype(dtype)): compare(dtype, rounds) for dtype in (np.float64, np.float32)}
    checks = {}
    for dtype, result in results.items():
        checks[f"{dtype}: time over the faster peer's ≤ 1"] = (f"{result['ratio']:.2f}", result["ratio"] <= 1)
        away = result["difference"]["scikit-learn"]
        checks[f"{dtype}: predictions from scikit-learn's ≤ 1e-5"] = (f"{away:.1e}", away <= 1e-5)
    facts = machine_facts(("scipy", "scikit-learn", "himalaya"))
    if not options.json:
        print_machine(facts)
        print(f"\n{' × '.join(map(str, SHAPE))}, two threads, {rounds} rounds:\n")
        print_table(
            ("input", "solver", "median s", "range", "processor s", "largest difference from ours"),
            [
                (
                    dtype,
                    name,
                    f"{t['median']:.2f}",
                    f"{t['low']:.2f} to {t['high']:.2f}",
                    f"{result['processor_seconds'][name]:.2f}",
                    f"{result['difference'][name]:.1e}" if name in result["difference"] else "",
                )
                for dtype, result in results.items()
                for name, t in result["seconds"].items()
            ],
        )
        print()
        print_table(
            ("", "came", ""),
            [(what, came, "met" if ok else "NOT MET") for what, (came, ok) in checks.items()],
        )
        print()
    met = all(ok for _, ok in checks.values())
    print_last_line(
        {"benchmark": "ridge_speed", "quick": options.quick, "met": met, "results": results, "machine": facts}
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
