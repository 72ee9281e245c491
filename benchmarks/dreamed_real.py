"""Dreamed readouts and ridge on real recordings, where a dream has little to go by, and which of them is taken.

    python -m benchmarks.dreamed_real [--data FOLDER] [--sets n170-1,n170-2,p300,…] [--shuffled N] [--json]

No recording at hand holds pictures with the answers to each. So what was shown is given pictures by the generator of
faces: each class has a latent of its own, and grip force moves along the line from one latent to another. An
encoding model learns how the recorded brain answers these pictures, dreams many more, and its linear readout
(`name = "dreamed"`) reads a latent, of which the likeness to those is scored: area under the curve of classes,
correlation of numbers, the mean of the folds. Ridge to the same latents stands beside it. The readouts of every fold,
and the choice between dreaming and ridge, are fitted to other runs. The choice must be no more than one standard error
worse than the better of the two, by resampling blocks of ten seconds (of two, of the force, which lasts nineteen)
within each fold. Exit status 1 where it is. Of two classes a second error stands beside it, by pairs of trials:
without bias however few they are, which resampled trials are not, where they are independent, which epochs that follow
closely are not.

With `--shuffled` all of it is done again N times with the classes of trials exchanged within each fold (numbers are
moved round in it), so that nothing can be read: how far below the better of two noises the choice of one lies then, and
in how many of these the same standard error is missed.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.shipped import SHIPPED
from benchmarks.own_data import CONFIGS, n170
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.generators.package import GeneratorPackage
from models.metrics.ranks import area_difference_variance, class_area
from models.readouts.dreamed import Dreamed
from models.readouts.family import build_readout
from models.settings import find_data_root
from models.systems.events.folds import folds_of
from models.systems.events.settings import EventsConfig, load_events
from models.systems.events.trials import EventTrials, cut_trials
from models.systems.numbers.readout import correlation, features_of
from models.systems.numbers.settings import load_numbers
from models.systems.numbers.trials import contiguous_folds, cut_windows

Floats = NDArray[np.float64]
Rows = NDArray[np.integer[Any]]

#: How many pictures are dreamed, and which latents stand for classes.
_DREAMS, _SEED = 4000, 12
#: Blocks that are resampled, seconds, of epochs and of windows; and how often.
_BLOCK_S, _SHORT_S, _RESAMPLES = 10.0, 2.0, 400
#: The flicker of the lights, Hz, and how many harmonics of each are looked at.
_FLICKER_HZ, _HARMONICS = (13, 17, 21), 2
#: A half of the fists' thirty trials is fewer than an encoding model is fitted to.
_FIST_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A Recorded holds trials of a real recording, what is to be read of each, and folds.

    Attributes
    ----------
    brain : (n, features)
    weights : (n, k) float64
        Of the latent of each class in what was shown: one is 1, or they divide it, of numbers from 0 to 1.
    runs : (n,) int
        Runs, or contiguous parts where there is one.
    block : (n,) int
        Which block of some seconds; blocks are resampled.
    folds : list of (fitted, scored)
        Rows.
    """

    brain: Floats
    weights: Floats
    runs: Rows
    block: Rows
    folds: list[tuple[Rows, Rows]]

    def shows(self, rows: Rows) -> NDArray[np.bool_]:
        """Return which latents are in what was shown in some trials: (k,)."""
        found: NDArray[np.bool_] = (self.weights[rows] > 0).any(axis=0)
        return found

    def score(self, likeness: Floats, rows: Rows) -> float:
        """Return the area under the curve of classes, or the correlation of numbers, for some trials.

        Each fold is scored by itself: readouts of two folds answer at lengths of their own.
        """
        classes = bool(np.isin(self.weights, (0.0, 1.0)).all())
        found = []
        for _, scored in self.folds:
            own = rows[np.isin(rows, scored)]
            shown, read = self.weights[own], likeness[own]
            if classes:
                found.append(class_area(read, shown.argmax(axis=1)))
            else:
                found.append(correlation(shown[:, 1], read[:, 1] - read[:, 0]))
        return float(np.mean(found))


def of_classes(
    config: EventsConfig, root: Path, features: Callable[[EventTrials], Floats] | None = None
) -> Recorded:
    """Return the epochs of a training file, every sample of them or some features."""
    trials = cut_trials(config, root)
    folds = [(fold.fit, fold.score) for fold in folds_of(config, trials)]
    block = trials.run * 1000 + (trials.start / trials.signal.rate / _BLOCK_S).astype(int)
    # Of two runs one is left to fit to, and to choose on: parts of it are held out in turn.
    part = np.arange(len(trials)) * 10 // len(trials)
    runs = trials.run if trials.run.max() > 1 else part
    flat = trials.epochs.reshape(len(trials), -1).astype(np.float64)
    weights = np.eye(len(trials.labels))[trials.classes]
    return Recorded(flat if features is None else features(trials), weights, runs, block, folds)


def faces_and_houses(subject: int, root: Path) -> Recorded:
    """Return the epochs of one person."""
    return of_classes(n170(subject, root), root)


def flashes(root: Path) -> Recorded:
    """Return the epochs around single flashes, attended or not."""
    return of_classes(load_events(CONFIGS / "p300-train.toml"), root)


def flicker(root: Path) -> Recorded:
    """Return the power at the lights' frequencies and their harmonics, its logarithm, of each electrode."""

    def power(trials: EventTrials) -> Floats:
        n = trials.epochs.shape[1]
        bins = [round(n / trials.rate * f * h) for f in _FLICKER_HZ for h in range(1, _HARMONICS + 1)]
        spectrum = np.fft.rfft(trials.epochs.astype(np.float64), axis=1)[:, bins]
        return np.log(np.abs(spectrum) ** 2).reshape(len(trials), -1)

    return of_classes(load_events(CONFIGS / "ssvep-train.toml"), root, power)


def fists(root: Path) -> Recorded:
    """Return the power of the rhythms over the motor cortex, its logarithm, of each electrode."""
    config = load_events(CONFIGS / "fists-train.toml").model_copy(update={"folds": _FIST_FOLDS})
    return of_classes(config, root, lambda trials: np.log(trials.epochs.astype(np.float64).var(axis=1)))


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
    weights = np.stack([1 - force, force], axis=1)
    return Recorded(features_of(trials.windows, log=True), weights, runs, block, folds)


#: By name, how each set is cut.
SETS: dict[str, Callable[[Path], Recorded]] = {
    "n170-1": lambda root: faces_and_houses(1, root),
    "n170-2": lambda root: faces_and_houses(2, root),
    "p300": flashes,
    "ssvep": flicker,
    "fists": fists,
    "grip": grip,
}


def read(recorded: Recorded, package: GeneratorPackage) -> tuple[dict[str, Floats], list[str]]:
    """Return how like the latent of each class every trial is read by each readout, and what each fold took."""
    k = recorded.weights.shape[1]
    ends = np.random.default_rng(_SEED).standard_normal((k, package.spec.latent))
    latents = recorded.weights @ ends
    likeness = {name: np.zeros(recorded.weights.shape) for name in ("ridge", "dreamed", "chosen")}
    taken = []
    for fitted, scored in recorded.folds:

        def like(
            name: str, fitted: Rows = fitted, scored: Rows = scored, **options: Any
        ) -> tuple[Any, Floats]:
            own = {"dreams": _DREAMS} | options if name == "dreamed" else {}
            readout = build_readout(name, generator=package, **own)
            readout.fit(recorded.brain[fitted], latents[fitted], runs=recorded.runs[fitted])
            # Less half the distance from each: the nearest latent is the likest.
            return readout, readout.predict(recorded.brain[scored]) @ ends.T - (ends**2).sum(axis=1) / 2

        likeness["ridge"][scored] = like("ridge")[1]
        chosen, own = like("dreamed")
        assert isinstance(chosen, Dreamed)
        taken.append(chosen.choice_.taken)
        likeness["chosen"][scored] = own
        likeness["dreamed"][scored] = own if chosen.choice_.dreamed else like("dreamed", always=True)[1]
    return likeness, taken


def error_by_pairs(recorded: Recorded, one: Floats, other: Floats) -> float | None:
    """Return the standard error of the difference of two scores by pairs of trials, or None but for two classes."""
    if recorded.weights.shape[1] != 2 or not np.isin(recorded.weights, (0.0, 1.0)).all():
        return None
    variances = [
        area_difference_variance(
            recorded.weights[rows, 0] > 0, *(_first(read[rows]) for read in (one, other))
        )
        for _, rows in recorded.folds
    ]
    return float(np.sqrt(max(np.sum(variances), 0.0)) / len(variances))


def _first(likeness: Floats) -> Floats:
    """Return how much likelier the first of two classes is: (n, 2) to (n,)."""
    difference: Floats = likeness[:, 0] - likeness[:, 1]
    return difference


def shuffled(recorded: Recorded, seed: int) -> Recorded:
    """Return the trials with their classes exchanged within each fold, or their numbers moved round in it."""
    random = np.random.default_rng([_SEED, seed])
    classes = bool(np.isin(recorded.weights, (0.0, 1.0)).all())
    weights = recorded.weights.copy()
    for _, rows in recorded.folds:
        n = len(rows)
        order = (
            random.permutation(n) if classes else np.roll(np.arange(n), random.integers(n // 4, n - n // 4))
        )
        weights[rows] = recorded.weights[rows[order]]
    return replace(recorded, weights=weights)


def resampled(recorded: Recorded) -> Iterator[Rows]:
    """Yield trials of blocks drawn with replacement within each fold, until no fold lacks a class."""
    random = np.random.default_rng(0)
    folds = [
        [scored[recorded.block[scored] == one] for one in np.unique(recorded.block[scored])]
        for _, scored in recorded.folds
    ]

    def drawn(blocks: Sequence[Rows]) -> Rows:
        every = recorded.shows(np.concatenate(blocks))
        while True:
            rows = np.concatenate([blocks[k] for k in random.integers(0, len(blocks), len(blocks))])
            if (recorded.shows(rows) >= every).all():
                return rows

    for _ in range(_RESAMPLES):
        yield np.concatenate([drawn(blocks) for blocks in folds])


def measure(recorded: Recorded, package: GeneratorPackage) -> dict[str, Any]:
    """Score the readouts, and the choice beside the better of them."""
    likeness, taken = read(recorded, package)
    every = np.concatenate([scored for _, scored in recorded.folds])
    scores = {name: recorded.score(one, every) for name, one in likeness.items()}
    better = max(("ridge", "dreamed"), key=scores.__getitem__)
    less = []
    for rows in resampled(recorded):
        less.append(recorded.score(likeness["chosen"], rows) - recorded.score(likeness[better], rows))
    error = float(np.std(less))
    return {
        "trials": len(every), "scores": scores, "taken": taken, "better": better,
        "below_better": scores[better] - scores["chosen"], "standard_error": error,
        "error_by_pairs": error_by_pairs(recorded, likeness["chosen"], likeness[better]),
        "met": scores[better] - scores["chosen"] <= error + 1e-12,
    }  # fmt: skip


def control(recorded: Recorded, package: GeneratorPackage, below: float, times: int) -> dict[str, Any]:
    """Measure shuffled classes, and how often the choice lies as far below the better of two as with the real ones."""
    found = []
    for seed in range(times):
        found.append(measure(shuffled(recorded, seed), package))
        progress(f"  shuffled {seed}: {found[-1]['scores']}")
    gaps = [one["below_better"] for one in found]
    return {
        "times": times, "below_better": gaps, "mean": float(np.mean(gaps)), "largest": max(gaps),
        "missed": sum(not one["met"] for one in found),
        "at_least_as_far": sum(gap >= below - 1e-12 for gap in gaps),
        "scores": [one["scores"] for one in found],
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
    parser.add_argument("--shuffled", type=int, default=0, help="how often classes are shuffled, besides")
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
        recorded = SETS[name](root)
        found[name] = measure(recorded, package)
        if asked.shuffled:
            below = found[name]["below_better"]
            found[name]["shuffled"] = control(recorded, package, below, asked.shuffled)
    facts = machine_facts(["scikit-learn"])
    if not asked.json:
        print_machine(facts)
        print_table(
            ("set", "trials", "ridge", "dreamed", "chosen", "below the better", "standard error", "by pairs", "taken"),
            [
                (
                    name, str(one["trials"]), *(f"{one['scores'][key]:.3f}" for key in ("ridge", "dreamed", "chosen")),
                    f"{one['below_better']:.3f}{'' if one['met'] else ' NOT MET'}", f"{one['standard_error']:.3f}",
                    "" if one["error_by_pairs"] is None else f"{one['error_by_pairs']:.3f}", "; ".join(one["taken"]),
                )
                for name, one in found.items()
            ],
        )  # fmt: skip
        if asked.shuffled:
            _print_shuffled(found)
    print_last_line({"sets": found, "met": all(one["met"] for one in found.values()), "machine": facts})
    return 0 if all(one["met"] for one in found.values()) else 1


def _print_shuffled(found: Mapping[str, Mapping[str, Any]]) -> None:
    print()
    print_table(
        ("set", "shuffled", "below the better: mean", "largest", "as far as the real one", "missed"),
        [
            (
                name, str(own["times"]), f"{own['mean']:.3f}", f"{own['largest']:.3f}",
                str(own["at_least_as_far"]), str(own["missed"]),
            )
            for name, own in ((name, one["shuffled"]) for name, one in found.items())
        ],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
