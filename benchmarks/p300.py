"""P300: attended flashes told from others in a real recording, live as offline, fold by fold.

The recording of ``configs/p300-train.toml`` is cut into five contiguous folds. For each, a bundle is trained on the
others (epochs that share a sample with the fold are dropped), and the recording is played through the whole line:
source, Lab Streaming Layer, acquisition, causal filters, decoder, display, recorder. Scored are the frames of the fold
that the live decoder wrote, beside the same readout offline; `bci reproduce` decodes each session again and must find
every frame equal to the bit. Every event of the recording is accounted for.

::

    python -m benchmarks.p300 [--data FOLDER] [--speed 8] [--json]
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live_folds import bundle_without, play
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.metrics.ranks import auc
from models.settings import find_data_root
from models.systems.events.drawing import open_drawing
from models.systems.events.folds import Fold, folds_of
from models.systems.events.scoring import score
from models.systems.events.settings import EventsConfig, load_events
from models.systems.events.trials import EventTrials, cut_trials

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "p300-train.toml"
LEAST_AUC, MOST_OFF_CHANCE = 0.88, 0.06


def live(
    config: EventsConfig, trials: EventTrials, fold: Fold, root: Path, work: Path, speed: float
) -> dict[str, Any]:
    """Train on all but a fold, play the recording through the line, and score what was decoded of the fold."""
    classes = trials.classes
    drawing = open_drawing(config, root, CONFIG.parent)
    readout, bundle = bundle_without(fold, config, trials, drawing, work / "bundle")
    (recording,) = config.recordings
    played = play(bundle, recording, root, work, speed)
    frames = list(played.frames)
    whole = len(frames) == len(trials) and not played.lost
    row: dict[str, Any] = {
        "frames": len(frames),
        "lost": played.lost,
        "reproduced": played.reproduced,
        "samples_lost": played.samples_lost,
        "status": played.status,
    }
    if not whole:
        return row | {"auc": float("nan"), "offline": float("nan"), "invalid": float("nan"), "text": False}
    own = [frames[trial] for trial in fold.score]
    texts = [frame.event.text if frame.event is not None else "" for frame in own]
    target = config.classes[config.labels[0]]
    good = np.array([frame.valid for frame in own])
    attended = classes[fold.score] == 0
    read = np.array([frame.latent[0] for frame in own])
    scores = readout.scores(trials.epochs[fold.score])
    return row | {
        "auc": auc(attended[good], read[good]),
        "offline": auc(attended[good], (scores[:, 0] - scores[:, 1])[good]),
        "invalid": float(1 - good.mean()),
        "text": [text == target for text in texts] == attended.tolist(),
    }


def judge(
    offline: dict[str, Any], rows: Sequence[dict[str, Any]], n: int
) -> list[tuple[str, str, str, bool]]:
    """Return each target: what, measured, wanted, met."""
    mean = float(np.mean([row["auc"] for row in rows]))
    apart = max(abs(row["auc"] - row["offline"]) for row in rows)
    chance = offline["shuffled"][1]
    told = sum(row["frames"] + row["lost"] for row in rows)
    return [
        ("mean area under the curve, live", f"{mean:.4f}", f"≥ {LEAST_AUC}", mean >= LEAST_AUC),
        ("largest difference to the same readout offline", f"{apart:.1e}", "≤ 1e-9", apart <= 1e-9),
        (
            "shuffled classes, mean",
            f"{chance:.3f}",
            f".5 ± {MOST_OFF_CHANCE}",
            abs(chance - 0.5) <= MOST_OFF_CHANCE,
        ),
        ("events accounted for, all sessions", f"{told}", f"{len(rows) * n}", told == len(rows) * n),
        (
            "reproduced to the bit",
            str(all(r["reproduced"] for r in rows)),
            "True",
            all(r["reproduced"] for r in rows),
        ),
        (
            "samples lost",
            str(sum(r["samples_lost"] for r in rows)),
            "0",
            not any(r["samples_lost"] for r in rows),
        ),
    ]


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line; 1 where a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="where the recordings are; else $BCI_DATA, else ../shared/data"
    )
    parser.add_argument("--speed", type=float, default=8.0, help="times real time")
    parser.add_argument("--json", action="store_true", help="the last line alone")
    asked = parser.parse_args(words)
    root, config = find_data_root(asked.data), load_events(CONFIG)
    trials = cut_trials(config, root)
    folds = folds_of(config, trials)
    progress("offline, beside shuffled classes")
    offline = score(config, trials, folds)
    rows = []
    for place, fold in enumerate(folds):
        progress(f"fold {place + 1} of {len(folds)} through the line")
        with tempfile.TemporaryDirectory(prefix="bci-p300-") as work:
            rows.append(live(config, trials, fold, root.resolve(), Path(work), asked.speed))
    checks = judge(offline, rows, len(trials))
    facts = machine_facts(["scikit-learn"])
    if not asked.json:
        print_machine(facts)
        print_table(
            ("fold", "live", "offline", "frames", "lost", "invalid", "reproduced"),
            [
                (str(place + 1), f"{row['auc']:.4f}", f"{row['offline']:.4f}", str(row["frames"]), str(row["lost"]),
                 f"{row['invalid']:.1%}", str(row["reproduced"]))
                for place, row in enumerate(rows)
            ],
        )  # fmt: skip
        print_table(
            ("flashes averaged", "area under the curve, offline", "shuffled, middle 95 %"),
            [
                (n, f"{row['auc']:.3f}", f"{row['shuffled'][0]:.3f} to {row['shuffled'][2]:.3f}")
                for n, row in offline["averaged"].items()
            ],
        )
        for what, measured, wanted, met in checks:
            print(f"{'met   ' if met else 'MISSED'} {what}: {measured} ({wanted})")
    missed = [what for what, _, _, met in checks if not met]
    print_last_line({"offline": offline, "folds": rows, "missed": missed, "machine": facts})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
