"""Decoders of one's own data: public recordings read offline, fold by fold, and each fold live, with equal scores.

Faces and houses (N170, two people), single flashes (P300), flickering lights (SSVEP), fists made and imagined, theta of
a hippocampus, grip force. Of each: readouts that never saw a fold, beside chance; then a bundle for each fold, its
recording played through the whole line at `--speed`, and the score of what the live decoder wrote beside that of the
same readout offline on the same trials. Of the scored trials some are *valid* live; of those decoded some were
*refused*: a busy machine passes windows over, which are neither. `bci reproduce` decodes each session again and must
find every frame equal to the bit.

::

    python -m benchmarks.own_data [--data FOLDER] [--sets n170-1,grip] [--speed 4] [--offline] [--json]
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bci.decoder.bundle import save_bundle
from benchmarks.live_folds import (
    bundle_without,
    number_bundle_without,
    play,
    refused,
    scored_live,
    windows_read,
)
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.metrics.ranks import class_area
from models.settings import find_data_root
from models.systems.events.choice import settle
from models.systems.events.drawing import open_drawing
from models.systems.events.folds import Fold, folds_of
from models.systems.events.readout import fit
from models.systems.events.scoring import score
from models.systems.events.settings import (
    BlockMeansSettings,
    EventsConfig,
    RecordingSettings,
    TangentSpaceSettings,
    load_events,
)
from models.systems.events.trials import EventTrials, cut_trials
from models.systems.numbers import readout as numbers_readout
from models.systems.numbers import train as numbers_train
from models.systems.numbers.settings import load_numbers
from models.systems.numbers.trials import contiguous_folds, cut_windows
from models.systems.rhythm.readout import fit_rhythm
from models.systems.rhythm.scoring import phase_locking, score_rhythm
from models.systems.rhythm.settings import load_rhythm
from models.systems.rhythm.train import bundle_of_rhythm
from models.systems.rhythm.trials import cut_rhythm

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
#: Live and offline compute alike but for the last digits of single precision; orders, and so areas, are equal.
AREA_TOLERANCE, NUMBER_TOLERANCE = 1e-9, 1e-4


@dataclass(frozen=True, slots=True)
class Target:
    """A Target is a score that must be reached, and where it is found in a set's result."""

    what: str
    least: float
    of: Callable[[dict[str, Any]], float]


def n170(subject: int, root: Path) -> EventsConfig:
    """Return the training file of one person; that of the second names the other recordings."""
    config = load_events(CONFIGS / "n170-train.toml")
    files = sorted((root / f"n170_muse/subject000{subject}").glob("*/*.csv"))
    recordings = tuple(
        RecordingSettings(path=str(file.relative_to(root).as_posix()), channels=("TP9", "TP10"), unit="uV")
        for file in files
    )
    return config.model_copy(update={"recordings": recordings})


def p300(readout: BlockMeansSettings | TangentSpaceSettings) -> EventsConfig:
    """Return the training file of the flashes with a readout."""
    return load_events(CONFIGS / "p300-train.toml").model_copy(update={"readout": readout, "shuffles": 40})


def of_classes(config: EventsConfig, root: Path, speed: float | None) -> dict[str, Any]:
    """Score classes offline, and live where a speed is given."""
    trials = cut_trials(config, root)
    folds = folds_of(config, trials)
    offline = score(config, trials, folds)
    right = [(int(part["right"]), int(part["n"])) for part in _counted(config, trials, folds)]
    result: dict[str, Any] = {"offline": offline, "right": right, "trials": len(trials), "live": []}
    for place, fold in enumerate(folds) if speed else ():
        progress(f"{config.name}: fold {place + 1} of {len(folds)} through the line")
        with tempfile.TemporaryDirectory(prefix="bci-own-") as work:
            result["live"].append(_class_fold(config, trials, fold, root, Path(work), speed or 1.0))
    return result


def _counted(config: EventsConfig, trials: EventTrials, folds: Sequence[Fold]) -> list[dict[str, int]]:
    """Return how many trials of each fold are read as their class."""
    counted = []
    for fold in folds:
        readout = fit(trials, fold.fit, settle(config.readout, trials, fold.fit).readout)
        read = readout.scores(trials.epochs[fold.score]).argmax(axis=1)
        counted.append({"right": int((read == trials.classes[fold.score]).sum()), "n": len(fold.score)})
    return counted


def _class_fold(
    config: EventsConfig, trials: EventTrials, fold: Fold, root: Path, work: Path, speed: float
) -> dict[str, Any]:
    drawing = open_drawing(config, root, CONFIGS)
    readout, bundle = bundle_without(fold, config, trials, drawing, work / "bundle")
    (run,) = np.unique(trials.run[fold.score])
    played = play(bundle, config.recordings[run], root.resolve(), work, speed)
    own = np.flatnonzero(trials.run == run)
    rows, live, offline = scored_live(played, trials, fold.score, readout)
    whole = len(rows) > 1 and len(np.unique(trials.classes[rows])) == len(trials.labels)
    areas = [class_area(side, trials.classes[rows]) if whole else float("nan") for side in (live, offline)]
    return {
        "live": areas[0],
        "offline": areas[1],
        "valid": len(rows) / len(fold.score),
        "refused": refused(played, trials.end[fold.score]),
        "right": int((live.argmax(axis=1) == trials.classes[rows]).sum()),
        "frames": len(played.frames),
        "lost": played.lost,
        "events": len(own),
        "reproduced": played.reproduced,
        "samples_lost": played.samples_lost,
        "status": played.status,
    }


def of_numbers(root: Path, speed: float | None) -> dict[str, Any]:
    """Score the grip force offline, and live where a speed is given."""
    config = load_numbers(CONFIGS / "grip-train.toml")
    trials = cut_windows(config, root)
    folds = contiguous_folds(trials, np.arange(len(trials)), config.folds)
    result: dict[str, Any] = {
        "offline": numbers_train.score(config, trials, folds), "trials": len(trials), "live": [],
    }  # fmt: skip
    pooled: list[np.ndarray[Any, Any]] = []
    for place, fold in enumerate(folds) if speed else ():
        progress(f"{config.name}: fold {place + 1} of {len(folds)} through the line")
        with tempfile.TemporaryDirectory(prefix="bci-own-") as work:
            readout, bundle = number_bundle_without(fold, config, trials, Path(work) / "bundle")
            played = play(bundle, config.recordings[0], root.resolve(), Path(work), speed or 1.0)
        rows, latents = windows_read(played, trials, fold)
        live, offline = latents[:, 0], readout(trials.windows[rows])
        pooled.append(np.stack([trials.values[rows], live, offline]))
        result["live"].append(
            {
                "live": numbers_readout.correlation(live, trials.values[rows]),
                "offline": numbers_readout.correlation(offline, trials.values[rows]),
                "valid": len(rows) / len(fold.score),
                "refused": refused(played, trials.end[fold.score]),
                **asdict(replace(played, frames=())),
                "frames": len(played.frames),
            }
        )
    if pooled:
        true, live, offline = np.concatenate(pooled, axis=1)
        result["pooled"] = {
            "live": numbers_readout.correlation(live, true), "offline": numbers_readout.correlation(offline, true),
        }  # fmt: skip
    return result


def of_rhythm(root: Path, speed: float | None) -> dict[str, Any]:
    """Score the phase of theta offline, and live where a speed is given."""
    config = load_rhythm(CONFIGS / "theta-train.toml")
    trials = cut_rhythm(config, root)
    folds = contiguous_folds(trials.cut, np.arange(len(trials)), config.folds)
    offline, _ = score_rhythm(config, trials, folds)
    result: dict[str, Any] = {"offline": offline, "trials": len(trials), "live": []}
    for place, fold in enumerate(folds) if speed else ():
        progress(f"{config.name}: fold {place + 1} of {len(folds)} through the line")
        readout = fit_rhythm(trials, fold.fit, config.readout)
        own = trials.of(fold.fit)
        novelty = numbers_train.fit_novelty(
            readout, own.cut, contiguous_folds(own.cut, np.arange(len(own)), 4)
        )
        with tempfile.TemporaryDirectory(prefix="bci-own-") as work:
            spec, files = bundle_of_rhythm(config, trials, readout, novelty, offline)
            bundle = save_bundle(Path(work) / "bundle", spec.model_copy(update={"scores": {}}), files)
            played = play(bundle, config.recordings[0], root.resolve(), Path(work), speed or 1.0)
        rows, latents = windows_read(played, trials.cut, fold)
        true = trials.analytic[rows]
        result["live"].append(
            {
                "live": phase_locking(np.exp(1j * latents[:, 0]), true),
                "offline": phase_locking(readout(trials.cut.windows[rows]), true),
                "valid": len(rows) / len(fold.score),
                "refused": refused(played, trials.cut.end[fold.score]),
                **asdict(replace(played, frames=())),
                "frames": len(played.frames),
            }
        )
    return result


def _auc(result: dict[str, Any]) -> float:
    return float(result["offline"]["auc"])


#: Every set: how it is measured, and what it must reach.
SETS: dict[str, tuple[Callable[[Path, float | None], dict[str, Any]], tuple[Target, ...]]] = {
    "n170-1": (
        lambda root, speed: of_classes(n170(1, root), root, speed),
        (Target("area under the curve, person 1", 0.68, _auc),),
    ),
    "n170-2": (
        lambda root, speed: of_classes(
            n170(2, root).model_copy(update={"readout": BlockMeansSettings(block=5)}), root, speed
        ),
        (Target("area under the curve, person 2, block means", 0.69, _auc),),
    ),
    "n170-2-chosen": (lambda root, speed: of_classes(n170(2, root), root, None), ()),
    "p300-tangent": (
        lambda root, speed: of_classes(
            p300(TangentSpaceSettings(name="tangent_space", filters=4)), root, speed
        ),
        (Target("area under the curve, tangent space", 0.88, _auc),),
    ),
    "p300-means": (
        lambda root, speed: of_classes(p300(BlockMeansSettings(block=6)), root, None),
        (Target("area under the curve, block means", 0.83, _auc),),
    ),
    "ssvep": (
        lambda root, speed: of_classes(load_events(CONFIGS / "ssvep-train.toml"), root, speed),
        (
            Target(
                "trials right of 24, worst of three runs", 23, lambda r: min(right for right, _ in r["right"])
            ),
        ),
    ),
    "fists": (lambda root, speed: of_classes(load_events(CONFIGS / "fists-train.toml"), root, speed), ()),
    "theta": (of_rhythm, ()),
    "grip": (of_numbers, (Target("correlation with the force", 0.60, lambda r: float(r["offline"]["r"])),)),
}


def judge(name: str, result: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return each target of a set: what, measured, wanted, met."""
    checks = []
    for target in SETS[name][1]:
        value = target.of(result)
        checks.append(
            (f"{name}: {target.what}", f"{value:.3f}", f"≥ {target.least:g}", value >= target.least)
        )
    if live := result["live"]:
        tolerance = NUMBER_TOLERANCE if name in ("grip", "theta") else AREA_TOLERANCE
        apart = max(abs(row["live"] - row["offline"]) for row in live)
        checks.append(
            (f"{name}: live less offline, largest", f"{apart:.1e}", f"≤ {tolerance:g}", apart <= tolerance)
        )
        whole = all(row["reproduced"] and not row["samples_lost"] for row in live)
        checks.append((f"{name}: no sample lost, reproduced to the bit", str(whole), "True", whole))
    return checks


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line; 1 where a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="where the recordings are; else $BCI_DATA, else ../shared/data"
    )
    parser.add_argument("--sets", default=",".join(SETS), help=f"of {', '.join(SETS)}")
    parser.add_argument("--speed", type=float, default=4.0, help="times real time")
    parser.add_argument("--offline", action="store_true", help="without the live line")
    parser.add_argument("--json", action="store_true", help="the last line alone")
    asked = parser.parse_args(words)
    names = [name.strip() for name in asked.sets.split(",")]
    if unknown := [name for name in names if name not in SETS]:
        parser.error(f"no set is called {', '.join(unknown)}; there are {', '.join(SETS)}")
    root = find_data_root(asked.data)
    results, checks = {}, []
    for name in names:
        progress(f"{name}, offline, beside chance")
        results[name] = SETS[name][0](root, None if asked.offline else asked.speed)
        checks += judge(name, results[name])
    facts = machine_facts(["scikit-learn", "pyriemann"])
    if not asked.json:
        print_machine(facts)
        print_table(("set", "trials", "score", "chance, middle 95 %", "p", "folds", "live", "valid", "refused"), [
            _row(name, result) for name, result in results.items()
        ])  # fmt: skip
        for what, measured, wanted, met in checks:
            print(f"{'met   ' if met else 'MISSED'} {what}: {measured} ({wanted})")
    missed = [what for what, _, _, met in checks if not met]
    print_last_line({"sets": results, "missed": missed, "machine": facts})
    return 1 if missed else 0


def _row(name: str, result: dict[str, Any]) -> tuple[str, ...]:
    offline = result["offline"]
    low, _, high = offline.get("shuffled") or offline["shifted"]
    (of,) = [key for key in ("auc", "r", "phase_locking") if key in offline]
    folds = offline[f"{of}_folds"]
    live = [row["live"] for row in result["live"]]
    valid, unlike = ([row[what] for row in result["live"]] for what in ("valid", "refused"))
    right = " ".join(f"{right}/{n}" for right, n in result.get("right", ())) if name == "ssvep" else ""
    return (
        name, str(result["trials"]), f"{offline[of]:.3f}", f"{low:.3f} to {high:.3f}",
        f"{offline['p']:.3f}", right or " ".join(f"{one:.3f}" for one in folds),
        " ".join(f"{one:.3f}" for one in live), f"{np.mean(valid):.1%}" if valid else "",
        f"{np.mean(unlike):.1%}" if unlike else "",
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
