"""How well dreamed readouts read the two shipped participants in silico, beside ridge and their targets.

    python -m benchmarks.dreamed [--part targets] [--seeds 3] [--kind eeg fmri] [--readout NAME …] [--quick] [--json]

Training session 0, scored on session 1: 24 pictures, shown six times each, single trials and the mean of six; all else
is as in ``configs/hyper-insilico-train.toml`` and ``configs/hyper-insilico-fmri-train.toml``. A seed draws other
pictures. Parts: ``targets``, three seeds; ``pixels``, the only features are the brightness and colour of 8×8 cells;
``snr``, each signal-to-noise ratio of docs/participant.md; ``trials``, 150, 350 and 1050 of them; ``slow``, one seed,
the first trial of each picture: how far the quick readout is from the most probable latent and from weighted samples.
In ``snr`` and ``trials`` no dreamed readout may be below ridge by more than a standard error of their difference over
pictures, and where the ratio is 0 it must be inside chance. Exit status 1 where something is missed.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.participant_snr import SNRS
from benchmarks.report import (
    machine_facts,
    median_range,
    print_last_line,
    print_machine,
    print_table,
    progress,
)
from models.encoding.features import BANKS
from models.encoding.quick_and_slow import SAMPLES, QuickAndSlow
from models.generators.package import GeneratorPackage
from models.insilico.learned import learned
from models.insilico.trials import HELD_OUT, TRAINING, Set, answers, design, participant_of
from models.metrics.calibration import coverage, falls_with_confidence
from models.metrics.identification import correlation_table, wins
from models.metrics.latents import cosine
from models.readouts.dreamed import Dreamed
from models.readouts.family import build_readout
from models.readouts.interface import Readout
from models.readouts.voxels import choose_voxels
from models.systems.hyper.settings import load_hyper

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
FILES = {"eeg": "hyper-insilico-train.toml", "fmri": "hyper-insilico-fmri-train.toml"}

#: What the mean over seeds must reach, by kind and figure.
TARGETS: Mapping[str, Mapping[str, float]] = {
    "eeg": {"n_way": 0.55, "two_way": 0.935, "cosine": 0.26, "mean_n_way": 0.70, "likelihood": 0.88},
    "fmri": {"n_way": 0.46, "two_way": 0.91, "mean_n_way": 0.68},
}
PIXELS = {"eeg": {"n_way": 0.42}}
#: Between which the 90 % intervals must cover, below which the confidence's p must be, seconds of fit and dreams.
COVERED, P, SECONDS = (0.87, 0.93), 0.01, 480.0
TRIALS = (150, 350, 1050)


@dataclass(frozen=True)
class DreamCase:
    """A DreamCase is one experiment to be read.

    Attributes
    ----------
    kind : str
    seed : int
    snr : float, optional
        Another than the training file's.
    trials : int, optional
        Fewer than the training file's, evenly over the session.
    banks : tuple of str
    quick : bool
        Fewer trials, dreams and updates.
    """

    kind: str
    seed: int
    snr: float | None = None
    trials: int | None = None
    banks: tuple[str, ...] = tuple(BANKS)
    quick: bool = False


def show(case: DreamCase, package: GeneratorPackage) -> tuple[Set, Set, NDArray[np.uint8]]:
    """Return the trials to fit, those to score, and the pictures of these, one a trial."""
    config = load_hyper(CONFIGS / FILES[case.kind])
    who = config.participant
    config = config.model_copy(
        update={"participant": who.model_copy(update={"snr": who.snr if case.snr is None else case.snr})}
    )
    plan = design(config, package.spec.latent, np.random.default_rng(case.seed))
    pictures = package.draw(plan.latents)
    reference = pictures[plan.reference]
    looked = participant_of(config, reference, TRAINING)
    config, fitted = learned(config, looked, pictures[plan.train], plan.latents[plan.train])
    looked = participant_of(config, reference, HELD_OUT)
    held = answers(config, looked, pictures[plan.shown], plan.latents[plan.shown])
    if case.trials is not None:
        few = np.unique(np.linspace(0, len(fitted.brain) - 1, case.trials).astype(int))
        fitted = Set(fitted.brain[few], fitted.latents[few], fitted.runs[few])
    if config.voxels is not None:
        mask = choose_voxels(
            fitted.brain, config.voxels.count, subject="", by=config.voxels.by, latents=fitted.latents
        )
        fitted, held = (Set(mask(one.brain), one.latents, one.runs) for one in (fitted, held))
    return fitted, held, package.draw(held.latents)


def measure(case: DreamCase, names: Sequence[str], package: GeneratorPackage) -> Iterator[dict[str, Any]]:
    """Yield a row for each readout of one experiment, ridge first."""
    fitted, held, pictures = show(case, package)
    ridge: NDArray[np.float64] | None = None
    for name in ("ridge", *names):
        progress(f"{case}: {name}")
        began = time.process_time()
        readout = build_readout(name, generator=package, **_options(name, case))
        readout.fit(fitted.brain, fitted.latents, runs=fitted.runs)
        took = time.process_time() - began
        row = score(readout, held)
        own = row.pop("by_picture")
        ridge = own if ridge is None else ridge
        # The readouts are scored on the same trials: the difference is compared, picture by picture.
        less = own - ridge
        row |= {
            "kind": case.kind,
            "seed": case.seed,
            "snr": case.snr,
            "trials": len(fitted.brain),
            "readout": name,
            "seconds": took,
            "above_ridge": float(less.mean()),
            "error_of_difference": float(less.std(ddof=1) / np.sqrt(len(less))),
        }
        if isinstance(readout, Dreamed):
            which = np.unique(held.latents, axis=0, return_inverse=True)[1].ravel()
            first = np.unique(which, return_index=True)[1]
            logs = readout.log_likelihood(held.brain, pictures[first])
            row |= {
                "likelihood": float((logs.argmax(axis=1) == which).mean()),
                "taken": readout.choice_.taken,
                "held_out_cosines": readout.choice_.cosines,
            }
            if readout.choice_.variance is not None:
                row |= {"own_variance": str(readout.choice_.variance)}
        yield row


def score(readout: Readout, held: Set) -> dict[str, Any]:
    """Score single trials of held-out pictures, their means, and how sure the readout is."""
    predicted = readout.predict(held.brain)
    candidates, which = np.unique(held.latents, axis=0, return_inverse=True)
    which = which.ravel()
    n, k = len(predicted), len(candidates)
    table = correlation_table(candidates, predicted)
    right = wins(table, k)[np.arange(n), which]
    means = np.stack([held.brain[which == c].mean(axis=0) for c in range(k)])
    of_means = correlation_table(candidates, readout.predict(means))
    cosines = cosine(held.latents, predicted)
    rho, p = falls_with_confidence(1 - cosines, readout.confidence(held.brain))
    posterior = readout.posterior(held.brain)
    return {
        "n": n,
        "two_way": float(wins(table, 2)[np.arange(n), which].mean()),
        "n_way": float(right.mean()),
        "cosine": float(cosines.mean()),
        "mean_two_way": float(np.diag(wins(of_means, 2)).mean()),
        "mean_n_way": float(np.diag(wins(of_means, k)).mean()),
        "confidence_rho": rho,
        "confidence_p": 1.0 if p is None else p,
        "covered": coverage(held.latents, posterior.mean, posterior.sd, 0.9),
        "by_picture": np.bincount(which, cosines) / np.bincount(which),
        "chance_two_way": _chance(table, which),
    }


def _chance(table: NDArray[np.float64], which: NDArray[np.int64]) -> tuple[float, float]:
    """Return the central 95 % of two-way identification when pictures are exchanged for each other."""
    random, right = np.random.default_rng(0), wins(table, 2)
    rows = np.arange(len(table))
    drawn = [right[rows, random.permutation(table.shape[1])[which]].mean() for _ in range(1000)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _options(name: str, case: DreamCase) -> dict[str, Any]:
    if not name.startswith("dreamed"):
        return {}
    options: dict[str, Any] = {"banks": case.banks}
    if case.quick:
        options |= {"dreams": 4000}
        options |= {"steps": 600, "folds": 1} if name == "dreamed-network" else {}
    return options


def cases(part: str, kinds: Sequence[str], seeds: Sequence[int], *, quick: bool) -> Iterator[DreamCase]:
    """Yield the experiments of a part."""
    for kind in kinds:
        few = 350 if quick else None
        if part == "targets":
            yield from (DreamCase(kind, seed, trials=few, quick=quick) for seed in seeds)
        elif part == "pixels":
            banks = ("brightness", "colour")
            yield from (DreamCase(kind, seed, trials=few, banks=banks, quick=quick) for seed in seeds)
        elif part == "snr":
            snrs = SNRS[kind][::3] if quick else SNRS[kind]
            yield from (DreamCase(kind, seeds[0], snr=snr, trials=few, quick=quick) for snr in snrs)
        else:
            yield from (
                DreamCase(kind, seeds[0], trials=n, quick=quick) for n in TRIALS[: 2 if quick else None]
            )


def judge(part: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what had to be reached, what was, and whether it was."""
    found: list[dict[str, Any]] = []

    def add(row: Mapping[str, Any], what: str, wanted: str, came: Any, met: bool) -> None:
        found.append(
            {
                "kind": row["kind"],
                "readout": row["readout"],
                "what": what,
                "wanted": wanted,
                "came": came,
                "met": met,
            }
        )

    dreamed = [row for row in rows if row["readout"].startswith("dreamed")]
    if part in ("targets", "pixels"):
        for kind, name in dict.fromkeys((row["kind"], row["readout"]) for row in dreamed):
            own = [row for row in dreamed if (row["kind"], row["readout"]) == (kind, name)]
            for figure, least in (TARGETS if part == "targets" else PIXELS).get(kind, {}).items():
                values = [row[figure] for row in own]
                came = {"mean": float(np.mean(values))} | median_range(values)
                add(own[0], figure, f"≥ {least:g}", came, came["mean"] >= least)
            if part == "targets":
                covered = [row["covered"] for row in own]
                low, high = COVERED
                inside = all(low <= one <= high for one in covered)
                add(own[0], "90 % intervals cover", f"{low:g} to {high:g}", median_range(covered), inside)
                ps = [row["confidence_p"] for row in own]
                add(own[0], "confidence against error, p", f"< {P:g}", median_range(ps), max(ps) < P)
                seconds = [row["seconds"] for row in own]
                add(
                    own[0],
                    "fit, s of one core",
                    f"≤ {SECONDS:g}",
                    median_range(seconds),
                    max(seconds) <= SECONDS,
                )
    for row in dreamed:
        where = (
            f"snr {row['snr']:g}" if row["snr"] is not None else f"{row['trials']} trials, seed {row['seed']}"
        )
        least = -row["error_of_difference"]
        add(
            row,
            f"cosine above ridge, {where}",
            f"≥ {least:.3f}",
            row["above_ridge"],
            row["above_ridge"] >= least,
        )
        if row["snr"] == 0:
            low, high = row["chance_two_way"]
            inside = low <= row["two_way"] <= high
            add(row, f"two-way, {where}", f"{low:.3f} to {high:.3f}", row["two_way"], inside)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; exit status 1 where something is missed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.dreamed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", default="targets", choices=["targets", "pixels", "snr", "trials", "slow"])
    parser.add_argument("--seeds", type=int, default=3, help="how many designs")
    parser.add_argument("--kind", nargs="+", default=list(FILES), choices=list(FILES))
    parser.add_argument("--readout", nargs="+", default=["dreamed-network"], help="beside ridge")
    parser.add_argument(
        "--quick", action="store_true", help="one seed, 350 trials, 4000 dreams: not the figures"
    )
    parser.add_argument("--json", action="store_true", help="print only the last line")
    options = parser.parse_args(words)
    package = GeneratorPackage.load(load_hyper(CONFIGS / FILES["eeg"]).generator)
    first = load_hyper(CONFIGS / FILES["eeg"]).seed
    seeds = [first, *range(1, 1 if options.quick else options.seeds)]
    if options.part == "slow":
        return slow_readings(options.kind, seeds[0], package, quick=options.quick)
    rows: list[dict[str, Any]] = []
    for case in cases(options.part, options.kind, seeds, quick=options.quick):
        rows += measure(case, options.readout, package)
        progress(f"  {_line(rows[-1])}")
    found = judge(options.part, rows)
    met = all(one["met"] for one in found)
    facts = machine_facts(("torch", "scikit-learn"))
    if not options.json:
        print_machine(facts)
        _print_tables(rows, found)
    print_last_line(
        {
            "benchmark": "dreamed",
            "part": options.part,
            "quick": options.quick,
            "met": met,
            "rows": rows,
            "judged": found,
            "machine": facts,
        }
    )
    return 0 if met or options.quick else 1


def slow_readings(kinds: Sequence[str], seed: int, package: GeneratorPackage, *, quick: bool) -> int:
    """Print what two slow ways read of the first trial of each picture, beside the dreamed network; return 0."""
    rows: list[dict[str, Any]] = []
    for kind in kinds:
        case = DreamCase(kind, seed, trials=350 if quick else None, quick=quick)
        progress(f"{case}: slowly")
        fitted, held, _ = show(case, package)
        readout = build_readout("dreamed-network", generator=package, **_options("dreamed-network", case))
        assert isinstance(readout, Dreamed)
        readout.fit(fitted.brain, fitted.latents, runs=fitted.runs)
        candidates, which = np.unique(held.latents, axis=0, return_inverse=True)
        first = np.unique(which.ravel(), return_index=True)[1]
        brain, belief = held.brain[first], readout.posterior(held.brain[first])
        slow, answers = readout.slow()
        compared = QuickAndSlow.of(slow, answers(brain), belief.mean, belief.sd)
        rows += [{"kind": kind} | row for row in compared.score(candidates, which.ravel()[first])]
    print_table(
        [
            "kind",
            "way",
            "two way",
            "n way",
            "cosine",
            "cosine with quick",
            "s a trial",
            f"of {SAMPLES} samples count",
        ],
        [
            [row["kind"], row["way"]]
            + [
                "" if row[name] is None else f"{row[name]:.3g}"
                for name in ("two_way", "n_way", "cosine", "from_quick", "seconds", "effective")
            ]
            for row in rows
        ],
    )
    print_last_line(
        {"benchmark": "dreamed", "part": "slow", "quick": quick, "rows": rows, "machine": machine_facts()}
    )
    return 0


_FIGURES = ("two_way", "n_way", "cosine", "mean_two_way", "mean_n_way", "covered", "confidence_p", "seconds")


def _line(row: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {row[name]:.3g}" for name in (*_FIGURES, "likelihood") if name in row)


def _print_tables(rows: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> None:
    header = ["kind", "seed", "SNR", "trials", "readout", *(name.replace("_", " ") for name in _FIGURES)]
    header += ["likelihood", "taken"]
    lines = [
        [
            row["kind"],
            str(row["seed"]),
            "" if row["snr"] is None else f"{row['snr']:g}",
            str(row["trials"]),
            row["readout"],
            *(f"{row[name]:.3g}" for name in _FIGURES),
            f"{row['likelihood']:.3f}" if "likelihood" in row else "",
            str(row.get("taken", "")),
        ]
        for row in rows
    ]
    print()
    print_table(header, lines)
    print()
    judged = [
        [
            one["kind"],
            one["readout"],
            one["what"],
            one["wanted"],
            _words(one["came"]),
            "" if one["met"] else "NOT MET",
        ]
        for one in found
    ]
    print_table(["kind", "readout", "what", "wanted", "came", ""], judged)


def _words(came: Any) -> str:
    if not isinstance(came, Mapping):
        return f"{came:.3f}"
    centre = came.get("mean", came["median"])
    return f"{centre:.3g} ({came['low']:.3g} to {came['high']:.3g})"


if __name__ == "__main__":
    sys.exit(main())
