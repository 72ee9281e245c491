"""Phosphenes: how fast a percept is drawn, and how well pictures are told apart through so many electrodes.

24 shipped faces are shown as phosphenes, by electrodes on the cortex, to the participant in silico (EEG), three times
each. Each single trial is identified among the 24 by exact likelihoods (`bci.sim.oracle`), which no decoder exceeds, in
two ways. *Known*: the candidates are the percepts, so this is what of a picture still reaches the brain; at an SNR of
0.002 over ordinary faces, for at more it is nearly all. *New*: the candidates are the pictures themselves, so this is
whether a percept is answered as the picture it stands for, by a brain that has seen pictures alone; at an SNR of 0.1.
Percepts of few electrodes are dark, and answered faintly. Guessing: the 95th percentile where pictures are exchanged.

::

    python -m benchmarks.phosphenes [--quick] [--features edges …] [--figure docs/pictures/phosphenes.png] [--json]
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bci.errors import ConfigError
from bci.io.files.picture import read_pixels
from bci.signal.phosphenes.features import Feature
from bci.signal.phosphenes.pulses import PulseTrain
from bci.signal.phosphenes.view import PhospheneView
from bci.sim.electrodes import ElectrodeParticipant
from bci.sim.oracle import identify, score_trials
from bci.sim.participant import make_participant
from bci.sim.responses import respond
from bci.sim.voxels import VoxelParticipant
from benchmarks.report import (
    machine_facts,
    percentiles,
    print_last_line,
    print_machine,
    print_table,
    progress,
)

FACES = Path(__file__).resolve().parent.parent / "models" / "stimuli" / "faces"
ELECTRODES = (16, 60, 200, 500, 1000, 2000, 4000)
REPEATS, IMAGE_DEG = 3, 8.0
SNRS = {"known": 0.002, "new": 0.1}
#: Pixels of a picture of 8 degrees on the display that a session has by default.
SCREEN = 290
#: A percept of 1000 electrodes at that size, milliseconds.
TARGET_MS = 3.0
_PERMUTATIONS = 1000

Pictures = NDArray[np.uint8]
Participants = VoxelParticipant | ElectrodeParticipant


def view_of(electrodes: int, feature: Feature, side: int) -> PhospheneView:
    """Return the view that a session has by default."""
    return PhospheneView((side, side), IMAGE_DEG, electrodes, PulseTrain(80.0, 300.0), feature=feature)


def speed(picture: Pictures, times: int) -> list[dict[str, Any]]:
    """Return the milliseconds that it takes to draw a percept for the screen, by number of electrodes."""
    rows = []
    for electrodes in ELECTRODES:
        view = view_of(electrodes, "edges", len(picture))
        view(picture, (SCREEN, SCREEN))
        took = []
        for _ in range(times):
            began = time.perf_counter()
            view(picture, (SCREEN, SCREEN))
            took.append(1e3 * (time.perf_counter() - began))
        rows.append({"electrodes": electrodes, **percentiles(took)})
    return rows


def identified(
    participant: Participants, seen: Pictures, candidates: Pictures, repeats: int
) -> dict[str, float]:
    """Return how well trials in which pictures, (n, h, w, 3), are seen are identified among as many candidates."""
    which = np.concatenate([np.random.default_rng([5, k]).permutation(len(seen)) for k in range(repeats)])
    responses = respond(participant, seen[which], seconds=0.5)
    scores = score_trials(participant, responses, np.arange(len(which)), candidates)
    random = np.random.default_rng(6)
    # All trials of a picture stay together: they are told apart, or confused, together.
    guesses = [
        identify(scores, random.permutation(len(seen))[which])["two_way"] for _ in range(_PERMUTATIONS)
    ]
    found = identify(scores, which)
    p = (1 + sum(guess >= found["two_way"] for guess in guesses)) / (1 + _PERMUTATIONS)
    return found | {"guessing": float(np.quantile(guesses, 0.95)), "p": float(p)}


def measure(features: Sequence[Feature], counts: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Return a row for the pictures themselves, and for each feature and number of electrodes."""
    pictures, reference = faces()
    watchers = {
        how: make_participant("eeg", session=1, snr=snr, reference=reference) for how, snr in SNRS.items()
    }

    def both(seen: Pictures) -> dict[str, dict[str, float]]:
        candidates = {"known": seen, "new": pictures}
        return {how: identified(watcher, seen, candidates[how], repeats) for how, watcher in watchers.items()}

    progress("the pictures themselves")
    rows: list[dict[str, Any]] = [{"feature": "picture", "electrodes": None} | both(pictures)]
    for feature in features:
        for electrodes in counts:
            progress(f"{feature}, {electrodes} electrodes")
            view = view_of(electrodes, feature, pictures.shape[1])
            seen = np.stack([view(picture, pictures.shape[1:3]) for picture in pictures])
            rows.append(
                {"feature": feature, "electrodes": electrodes, "light": float(seen.mean())} | both(seen)
            )
    return rows


def faces() -> tuple[Pictures, Pictures]:
    """Return the shipped faces, and those over which the participant's answers are scaled."""
    pictures = [read_pixels(path, ConfigError) for path in sorted(FACES.glob("[0-9]*.png"))]
    return np.stack(pictures), np.load(FACES / "reference.npy")


def draw_figure(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw percepts of one face above, and how well pictures are identified below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    counts, side = (60, 200, 1000, 4000), 256
    (face,) = faces()[0][7:8]
    shown = [np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.NEAREST))]
    shown += [view_of(n, "edges", len(face))(face, (side, side)) for n in counts]
    figure = plt.figure(figsize=(9, 5.2), layout="constrained")
    grid = figure.add_gridspec(2, len(shown), height_ratios=(1, 1.35))
    for place, (image, title) in enumerate(
        zip(shown, ("picture", *(f"{n} electrodes" for n in counts)), strict=True)
    ):
        axes = figure.add_subplot(grid[0, place])
        axes.imshow(image)
        axes.set_title(title, fontsize=10)
        axes.axis("off")
    axes = figure.add_subplot(grid[1, :])
    for feature, style in zip(get_args(Feature), ("-", "--", ":"), strict=True):
        own = [row for row in rows if row["feature"] == feature]
        for (how, snr), colour in zip(SNRS.items(), ("#1f6f78", "#c98a1b"), strict=True):
            if own:
                label = f"{feature}, {how} (SNR {snr:g})"
                counted, scores = ([r["electrodes"] for r in own], [r[how]["two_way"] for r in own])
                axes.plot(counted, scores, "o", linestyle=style, color=colour, label=label)
                axes.axhline(rows[0][how]["two_way"], color=colour, linewidth=1, alpha=0.4)
    axes.text(ELECTRODES[0], 0.945, "the pictures themselves", color="0.35", fontsize=9, va="top")
    chance = max(row[how]["guessing"] for row in rows for how in SNRS)
    axes.axhspan(1 - chance, chance, color="0.93", linewidth=0)
    axes.text(ELECTRODES[-1], 0.44, "guessing", color="0.4", fontsize=9, ha="right", va="center")
    axes.set(xscale="log", xlabel="electrodes", ylabel="two-way identification", ylim=(0.38, 1.02))
    axes.set_xticks(ELECTRODES, [str(n) for n in ELECTRODES])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(0.0, 0.62), fontsize=9)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line; 1 where the target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two numbers of electrodes, each picture once")
    parser.add_argument(
        "--features", nargs="+", choices=get_args(Feature), default=["edges"], help="what is conveyed"
    )
    parser.add_argument("--figure", type=Path, help="where to draw the figure")
    parser.add_argument("--json", action="store_true", help="the last line alone")
    asked = parser.parse_args(words)
    times = speed(faces()[0][7], 60 if asked.quick else 300)
    counts, repeats = ((60, 1000), 1) if asked.quick else (ELECTRODES, REPEATS)
    rows = measure(asked.features, counts, repeats)
    if asked.figure is not None:
        draw_figure(asked.figure, rows)
    (at,) = (row for row in times if row["electrodes"] == 1000)
    met = at["p50"] <= TARGET_MS
    facts = machine_facts(["scipy"])
    if not asked.json:
        print_machine(facts)
        print_table(
            ("electrodes", "p50 ms", "p99 ms"),
            [(f"{row['electrodes']}", f"{row['p50']:.2f}", f"{row['p99']:.2f}") for row in times],
        )
        print_table(
            (
                "shown as",
                "electrodes",
                *(f"{how}, SNR {snr:g}" for how, snr in SNRS.items()),
                "p",
                "guessing",
            ),
            [
                (
                    row["feature"],
                    f"{row['electrodes'] or ''}",
                    *(f"{row[how]['two_way']:.3f}" for how in SNRS),
                    " ".join(f"{row[how]['p']:.4f}" for how in SNRS),
                    " ".join(f"{row[how]['guessing']:.3f}" for how in SNRS),
                )
                for row in rows
            ],
        )
        verdict = "met   " if met else "MISSED"
        print(
            f"{verdict} a percept of 1000 electrodes, {SCREEN}² pixels: {at['p50']:.2f} ms (≤ {TARGET_MS:g})"
        )
    print_last_line({"speed": times, "rows": rows, "met": met, "machine": facts})
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
