"""Dreamed readouts and ridge on real recordings, where a dream has little to go by, and which of them is taken.

    python -m benchmarks.dreamed_real [--data FOLDER] [--sets n170-1,n170-2,grip] [--json]

No recording at hand holds pictures with the answers to each. So what was shown is given pictures by the generator of
faces: two of its points stand for faces and houses, and grip force moves along the line from one to the other. An
encoding model learns how the recorded brain answers these pictures, dreams many more, and its linear readout
(`name = "dreamed"`) reads the latent, of which the place along that line is scored: area under the curve of classes,
correlation of numbers, the mean of the folds. Ridge to the same latents stands beside it. The readouts of every fold,
and the choice between dreaming and ridge, are fitted to other runs. The choice must be no more than one standard error
worse than the better of the two, by resampling blocks of ten seconds (of two, of the force, which lasts nineteen)
within each fold. Exit status 1 where it is.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.shipped import SHIPPED
from benchmarks.own_data import CONFIGS, n170
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.generators.package import GeneratorPackage
from models.metrics.ranks import auc
from models.readouts.dreamed import Dreamed
from models.readouts.family import build_readout
from models.settings import find_data_root
from models.systems.events.folds import folds_of
from models.systems.events.trials import cut_trials
from models.systems.numbers.readout import correlation, features_of
from models.systems.numbers.settings import load_numbers
from models.systems.numbers.trials import contiguous_folds, cut_windows

Floats = NDArray[np.float64]
Rows = NDArray[np.integer[Any]]

#: How many pictures are dreamed, and what pairs of latents stand for.
_DREAMS, _SEED = 4000, 12
#: Blocks that are resampled, seconds, of epochs and of windows; and how often.
_BLOCK_S, _SHORT_S, _RESAMPLES = 10.0, 2.0, 400
SETS = ("n170-1", "n170-2", "grip")


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A Recorded holds trials of a real recording, what is to be read of each, and folds.

    Attributes
    ----------
    brain : (n, features)
    wanted : (n,) float64
        A class, 0 or 1, or a number from 0 to 1.
    runs : (n,) int
        Runs, or contiguous parts where there is one.
    block : (n,) int
        Which block of some seconds; blocks are resampled.
    folds : list of (fitted, scored)
        Rows.
    classes : bool
    """

    brain: Floats
    wanted: Floats
    runs: Rows
    block: Rows
    folds: list[tuple[Rows, Rows]]
    classes: bool

    def score(self, place: Floats, rows: Rows) -> float:
        """Return the area under the curve of classes, or the correlation of numbers, for some trials.

        Each fold is scored by itself: readouts of two folds answer at lengths of their own.
        """
        found = []
        for _, scored in self.folds:
            own = rows[np.isin(rows, scored)]
            wanted, said = self.wanted[own], place[own]
            found.append(auc(wanted > 0.5, said) if self.classes else correlation(wanted, said))
        return float(np.mean(found))


def faces_and_houses(subject: int, root: Path) -> Recorded:
    """Return the epochs of one person."""
    config = n170(subject, root)
    trials = cut_trials(config, root)
    folds = [(fold.fit, fold.score) for fold in folds_of(config, trials)]
    block = trials.run * 1000 + (trials.start / trials.signal.rate / _BLOCK_S).astype(int)
    # Of two runs one is left to fit to, and to choose on: parts of it are held out in turn.
    part = np.arange(len(trials)) * 10 // len(trials)
    runs = trials.run if trials.run.max() > 1 else part
    flat = trials.epochs.reshape(len(trials), -1).astype(np.float64)
    return Recorded(flat, (trials.classes == 0).astype(float), runs, block, folds, True)


def grip(root: Path) -> Recorded:
    """Return the windows of the grip force."""
    config = load_numbers(CONFIGS / "grip-train.toml")
    trials = cut_windows(config, root)
    folds = [
        (fold.fit, fold.score) for fold in contiguous_folds(trials, np.arange(len(trials)), config.folds)
    ]
    force = (trials.values - trials.values.min()) / np.ptp(trials.values)
    runs = np.arange(len(trials)) * 12 // len(trials)
    block = (trials.end / trials.signal.rate / _SHORT_S).astype(int)
    return Recorded(features_of(trials.windows, log=True), force, runs, block, folds, False)


def read(recorded: Recorded, package: GeneratorPackage) -> tuple[dict[str, Floats], list[str]]:
    """Return the place of each trial along the line by each readout, and what each fold took."""
    ends = np.random.default_rng(_SEED).standard_normal((2, package.spec.latent))
    latents = ends[0] + recorded.wanted[:, None] * (ends[1] - ends[0])
    places = {name: np.zeros(len(latents)) for name in ("ridge", "dreamed", "chosen")}
    taken = []
    for fitted, scored in recorded.folds:

        def place(
            name: str, fitted: Rows = fitted, scored: Rows = scored, **options: Any
        ) -> tuple[Any, Floats]:
            own = {"dreams": _DREAMS} | options if name == "dreamed" else {}
            readout = build_readout(name, generator=package, **own)
            readout.fit(recorded.brain[fitted], latents[fitted], runs=recorded.runs[fitted])
            along = (readout.predict(recorded.brain[scored]) - ends[0]) @ (ends[1] - ends[0])
            return readout, along

        places["ridge"][scored] = place("ridge")[1]
        chosen, along = place("dreamed")
        assert isinstance(chosen, Dreamed)
        taken.append(chosen.choice_.taken)
        places["chosen"][scored] = along
        places["dreamed"][scored] = along if chosen.choice_.dreamed else place("dreamed", always=True)[1]
    return places, taken


def resampled(recorded: Recorded) -> Iterator[Rows]:
    """Yield trials of blocks drawn with replacement within each fold, so that no fold is ever without any."""
    random = np.random.default_rng(0)
    folds = [
        [scored[recorded.block[scored] == one] for one in np.unique(recorded.block[scored])]
        for _, scored in recorded.folds
    ]
    for _ in range(_RESAMPLES):
        yield np.concatenate(
            [blocks[k] for blocks in folds for k in random.integers(0, len(blocks), len(blocks))]
        )


def measure(recorded: Recorded, package: GeneratorPackage) -> dict[str, Any]:
    """Score the readouts, and the choice beside the better of them."""
    places, taken = read(recorded, package)
    every = np.concatenate([scored for _, scored in recorded.folds])
    scores = {name: recorded.score(place, every) for name, place in places.items()}
    better = max(("ridge", "dreamed"), key=scores.__getitem__)
    less = []
    for rows in resampled(recorded):
        less.append(recorded.score(places["chosen"], rows) - recorded.score(places[better], rows))
    error = float(np.std(less))
    return {
        "trials": len(every), "scores": scores, "taken": taken, "better": better,
        "below_better": scores[better] - scores["chosen"], "standard_error": error,
        "met": scores[better] - scores["chosen"] <= error + 1e-12,
    }  # fmt: skip


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line; 1 where the choice is worse than it may be."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.dreamed_real",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data", type=Path, help="where the recordings are; else $BCI_DATA, else ../shared/data"
    )
    parser.add_argument("--sets", default=",".join(SETS), help=f"of {', '.join(SETS)}")
    parser.add_argument("--json", action="store_true", help="the last line alone")
    asked = parser.parse_args(words)
    names = asked.sets.split(",")
    if unknown := [name for name in names if name not in SETS]:
        parser.error(f"no set is called {', '.join(unknown)}; there are {', '.join(SETS)}")
    root = find_data_root(asked.data)
    package = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    found = {}
    for name in names:
        progress(name)
        recorded = grip(root) if name == "grip" else faces_and_houses(int(name[-1]), root)
        found[name] = measure(recorded, package)
    facts = machine_facts(["scikit-learn"])
    if not asked.json:
        print_machine(facts)
        print_table(
            ("set", "trials", "ridge", "dreamed", "chosen", "below the better", "standard error", "taken"),
            [
                (
                    name, str(one["trials"]), *(f"{one['scores'][key]:.3f}" for key in ("ridge", "dreamed", "chosen")),
                    f"{one['below_better']:.3f}{'' if one['met'] else ' NOT MET'}", f"{one['standard_error']:.3f}",
                    "; ".join(one["taken"]),
                )
                for name, one in found.items()
            ],
        )  # fmt: skip
    print_last_line({"sets": found, "met": all(one["met"] for one in found.values()), "machine": facts})
    return 0 if all(one["met"] for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
