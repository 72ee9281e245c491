"""Planted latents: readouts on data from a known encoding model, compared with its oracle and with naive baselines.

512 latents drive 4096 voxels linearly at a signal-to-noise ratio of .2 per voxel, 1050 training trials once each; test
trials average 14 presentations or show one. Noise is independent, or half of its variance lies in 30 shared factors.

::

    python -m benchmarks.planted_latents [--quick] [--json] [--adam]
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.metrics.calibration import coverage
from models.metrics.latents import cosine, r_squared, scaled_r_squared
from models.readouts.bayes import InvertedEncoder
from models.readouts.linear import LinearReadout
from models.readouts.solvers import LeastSquares, PseudoInverse, Ridge

LATENTS, VOXELS, TRAINING, TESTS, RUNS = 512, 4096, 1050, 400, 10
SNR, FACTORS = 0.2, 30
REPEATS = (14, 1)
SEEDS = (0, 1, 2)
ALPHAS = tuple(float(alpha) for alpha in np.logspace(2, 6, 17))

Array = NDArray[np.float32]
#: R² and cosine that METHODS prints, one seed: (noise, repeats) of each readout.
PRINTED: dict[str, dict[tuple[str, int], tuple[float, float]]] = {
    "inverted encoder": {
        ("independent", 14): (0.60, 0.77),
        ("independent", 1): (0.25, 0.50),
        ("shared", 14): (0.64, 0.86),
        ("shared", 1): (0.41, 0.64),
    },
    "ridge": {
        ("independent", 14): (0.34, 0.72),
        ("independent", 1): (0.22, 0.47),
        ("shared", 14): (0.53, 0.81),
        ("shared", 1): (0.39, 0.62),
    },
    "least squares by pseudo-inverse": {
        ("independent", 14): (0.40, 0.73),
        ("independent", 1): (0.22, 0.48),
        ("shared", 14): (0.53, 0.80),
        ("shared", 1): (0.33, 0.58),
    },
    "dense layer, Adam": {("independent", 14): (0.22, 0.71)},
    "oracle": {
        ("independent", 14): (0.95, 0.98),
        ("independent", 1): (0.60, 0.77),
        ("shared", 14): (0.98, 0.99),
        ("shared", 1): (0.74, 0.86),
    },
}


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A Planted is a data set from a known encoding model.

    Attributes
    ----------
    weights : (d, voxels) float32
    factors : (k, voxels) float32
    private : float
        Variance of one presentation that each voxel does not share with others.
    latents, brain : (n, d), (n, voxels) float32
        Training trials.
    test_latents : (m, d) float32
    tests : mapping of int to (m, voxels) float32
        Test trials by the presentations that each averages.
    """

    weights: Array
    factors: Array
    private: float
    latents: Array
    brain: Array
    test_latents: Array
    tests: dict[int, Array]


def plant(seed: int, noise: str) -> Planted:
    """Draw a data set; equal seeds give equal data."""
    rng = np.random.default_rng([seed, 4096])

    def normal(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    weights = normal(LATENTS, VOXELS) * np.float32(np.sqrt(SNR / LATENTS))
    count, private = (FACTORS, 0.5) if noise == "shared" else (0, 1.0)
    factors = normal(count, VOXELS) * np.float32(np.sqrt((1 - private) / max(count, 1)))

    def measure(latents: Array, repeats: int) -> Array:
        n = len(latents)
        scatter = np.float32(np.sqrt(private)) * normal(n, VOXELS) + normal(n, count) @ factors
        return latents @ weights + scatter / np.float32(np.sqrt(repeats))

    latents, test_latents = normal(TRAINING, LATENTS), normal(TESTS, LATENTS)
    brain = measure(latents, 1)
    tests = {repeats: measure(test_latents, repeats) for repeats in REPEATS}
    return Planted(weights, factors, private, latents, brain, test_latents, tests)


def whitened(world: Planted) -> NDArray[np.float64]:
    """Return Wᵀ-side information: the weights times the inverse noise covariance of one presentation, (d, voxels)."""
    w, f = world.weights.astype(np.float64), world.factors.astype(np.float64) / world.private
    inner = np.eye(len(f)) + f @ world.factors.T
    return w / world.private - (w @ f.T) @ np.linalg.solve(inner, f)


def oracle(world: Planted, repeats: int) -> tuple[NDArray[np.float64], float]:
    """Return the posterior mean under the true model, and the R² that theory gives it: 1 − tr[(WΣ⁻¹Wᵀn + I)⁻¹]/d."""
    information = whitened(world) * repeats
    covariance = np.linalg.inv(np.eye(LATENTS) + information @ world.weights.T)
    theory = 1 - float(np.trace(covariance)) / LATENTS
    return world.tests[repeats] @ (covariance @ information).T, theory


def score(truth: Array, predicted: NDArray[Any], rng: np.random.Generator) -> dict[str, float]:
    """Score predictions of latents, beside the same predictions shuffled over trials."""
    predicted = np.asarray(predicted, np.float64)
    shuffled = predicted[rng.permutation(len(predicted))]
    return {
        "r2": r_squared(truth, predicted),
        "r2_scaled": scaled_r_squared(truth, predicted),
        "cosine": float(cosine(truth, predicted).mean()),
        "shuffled": float(cosine(truth, shuffled).mean()),
    }


def readouts(adam: bool) -> dict[str, Callable[[], Any]]:
    """Return the readouts that are compared."""
    built: dict[str, Callable[[], Any]] = {
        "inverted encoder": InvertedEncoder,
        "ridge": lambda: LinearReadout(Ridge(ALPHAS)),
        "least squares by pseudo-inverse": lambda: LinearReadout(LeastSquares()),
        "encoder, pseudo-inverted": lambda: LinearReadout(PseudoInverse(ALPHAS)),
    }
    if adam:
        from models.readouts.dense import Dense

        built["dense layer, Adam"] = lambda: LinearReadout(Dense(), folds=2)
    return built


def measure(seed: int, noise: str, adam: bool) -> list[dict[str, Any]]:
    """Fit and score every readout on one data set."""
    world, rows = plant(seed, noise), []
    rng = np.random.default_rng(seed)
    for repeats in REPEATS:
        mean, theory = oracle(world, repeats)
        rows.append(
            {
                "readout": "oracle",
                "repeats": repeats,
                "theory": theory,
                **score(world.test_latents, mean, rng),
            }
        )
    for name, build in readouts(adam).items():
        started = time.perf_counter()
        fitted = build().fit(world.brain, world.latents, runs=np.arange(TRAINING) * RUNS // TRAINING)
        seconds = time.perf_counter() - started
        for repeats in REPEATS:
            belief = fitted.posterior(world.tests[repeats], repeats=repeats)
            row = {"readout": name, "repeats": repeats, "seconds": seconds}
            row |= score(world.test_latents, belief.mean, rng)
            row |= {"coverage": coverage(world.test_latents, belief.mean, belief.sd, 0.9)}
            row |= {"confidence": float(fitted.confidence(world.tests[repeats], repeats=repeats).mean())}
            if isinstance(fitted, InvertedEncoder):
                row["rank"] = fitted.noise_.rank
            rows.append(row)
    return [{"seed": seed, "noise": noise, **row} for row in rows]


def judge(rows: list[dict[str, Any]]) -> list[tuple[str, str, str, bool]]:
    """Compare with the targets: (what, needed, worst of all seeds, met)."""

    def of(name: str, noise: str, repeats: int, key: str) -> list[float]:
        return [
            r[key]
            for r in rows
            if (r["readout"], r["noise"], r["repeats"]) == (name, noise, repeats) and key in r
        ]

    def above(noise: str, repeats: int, key: str, other: str, other_key: str) -> float:
        pairs = zip(
            of("inverted encoder", noise, repeats, key), of(other, noise, repeats, other_key), strict=True
        )
        return min(ours - theirs for ours, theirs in pairs)

    gap = max(abs(r["r2"] - r["theory"]) for r in rows if r["readout"] == "oracle")
    checks = [("oracle, distance from theory in R²", "≤ .01", gap, gap <= 0.01)]
    r2, cos = (min(of("inverted encoder", "independent", 14, key)) for key in ("r2", "cosine"))
    checks += [
        ("independent, 14: R²", "≥ .57", r2, r2 >= 0.57),
        ("independent, 14: cosine", "≥ .76", cos, cos >= 0.76),
    ]
    for other in ("ridge", "least squares by pseudo-inverse", "encoder, pseudo-inverted"):
        margin = above("independent", 14, "r2", other, "r2_scaled")
        checks.append(
            (f"independent, 14: R² above {other} after the best scalar", "≥ .03", margin, margin >= 0.03)
        )
    for repeats in REPEATS:
        for key, title in (("r2", "R²"), ("cosine", "cosine")):
            margin = above("shared", repeats, key, "ridge", key)
            checks.append((f"shared, {repeats}: {title} above ridge", "> 0", margin, margin > 0))
    for noise in ("independent", "shared"):
        for repeats in REPEATS:
            covered = of("inverted encoder", noise, repeats, "coverage")
            worst = max(covered, key=lambda share: abs(share - 0.9))
            checks.append(
                (f"{noise}, {repeats}: 90 % intervals cover", ".87 to .93", worst, 0.87 <= worst <= 0.93)
            )
    shuffled = max(abs(r["shuffled"]) for r in rows)
    checks.append(("shuffled cosine, any readout", "< .02", shuffled, shuffled < 0.02))
    return [(what, needed, f"{value:.3f}", bool(met)) for what, needed, value, met in checks]


def main(arguments: list[str] | None = None) -> int:
    """Run and print; exit status 1 where something is not met."""
    parser = argparse.ArgumentParser(prog="benchmarks.planted_latents", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    parser.add_argument(
        "--adam", action="store_true", help="fit the dense layer by Adam too: some minutes a world"
    )
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    seeds = SEEDS[:1] if options.quick else SEEDS
    for seed in seeds:
        for noise in ("independent", "shared"):
            progress(f"seed {seed}, {noise} noise")
            rows += measure(seed, noise, options.adam and seed == 0 and noise == "independent")
    checks = judge(rows)
    facts = machine_facts(("scipy", "scikit-learn"))
    if not options.json:
        print_machine(facts)
        print(f"\n{len(seeds)} seeds, {TESTS} test trials, median (METHODS, one seed):\n")
        print_table(*table(rows))
        print()
        print_table(
            ("", "needed", "worst seed", ""), [(w, n, v, "met" if m else "NOT MET") for w, n, v, m in checks]
        )
        print()
    met = all(check[3] for check in checks)
    print_last_line(
        {
            "benchmark": "planted_latents",
            "quick": options.quick,
            "met": met,
            "checks": [dict(zip(("what", "needed", "came", "met"), check, strict=True)) for check in checks],
            "rows": rows,
            "machine": facts,
        }
    )
    return 0 if met else 1


def table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return header and lines: the median over seeds beside what METHODS prints."""
    header = [
        "noise",
        "repeats",
        "readout",
        "R²",
        "cosine",
        "METHODS",
        "R² scaled",
        "90 % covers",
        "says",
        "rank",
        "fit s",
    ]
    lines = []
    places = dict.fromkeys((r["noise"], r["repeats"], r["readout"]) for r in rows)
    for noise, repeats, name in sorted(places, key=lambda place: (place[0], -place[1])):
        mine = [r for r in rows if (r["noise"], r["repeats"], r["readout"]) == (noise, repeats, name)]

        def median(key: str, form: str = ".3f", mine: list[dict[str, Any]] = mine) -> str:
            return format(float(np.median([r[key] for r in mine])), form) if key in mine[0] else ""

        printed = PRINTED.get(name, {}).get((noise, repeats))
        lines.append(
            [
                noise,
                str(repeats),
                name,
                median("r2"),
                median("cosine"),
                f"{printed[0]:.2f} / {printed[1]:.2f}" if printed else "",
                median("r2_scaled"),
                median("coverage"),
                median("confidence"),
                ",".join(str(r["rank"]) for r in mine if "rank" in r),
                median("seconds", ".1f"),
            ]
        )
    return header, lines


if __name__ == "__main__":
    sys.exit(main())
