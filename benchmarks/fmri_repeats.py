"""Repeats of a picture, averaged as they come: how surely it is told after one trial, two, three and so on.

::

    python -m benchmarks.fmri_repeats [--bundle models/bundles/fmri-hyper]

The held-out session of the bundle is shown again, and each trial is read as the mean of its picture's epochs so far, as
a session with ``[decoder] repeats = "mean"`` reads it. Beside it stands the mean of what was read of the same trials,
one by one. Chance is that of exchanging whole pictures.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.onnx import OnnxDecoder
from bci.memory.lsl_clock import LslClock
from bci.signal.repeats import RepeatMeans
from bci.signal.types import Event
from benchmarks.report import machine_facts, print_last_line, print_table
from models.generators.package import package_of
from models.insilico.heldout import HeldOut, show_held_out
from models.insilico.trials import design
from models.metrics.identification import identify
from models.systems.hyper.heldout import config_of

Rows = NDArray[np.float32]


def read(bundle: Bundle, held: HeldOut) -> tuple[Rows, Rows, NDArray[np.int64]]:
    """Return what was read of each trial alone, and of its picture's mean so far, (n, d) both; and of how many."""
    decoder = OnnxDecoder(bundle, clock=LslClock(), unlike="keep")
    means = RepeatMeans(bundle.spec.masked_limit)
    single, averaged, counts = [], [], []
    for window, which in zip(held.windows, held.which, strict=True):
        epoch = replace(window, event=Event(float(window.times[0]), f"picture {which}"))
        mean = means(epoch, 0)
        single.append(decoder.decode(epoch).latent)
        averaged.append(decoder.decode(mean).latent)
        counts.append(mean.repeats)
    return np.stack(single), np.stack(averaged), np.array(counts)


def main() -> None:
    """Show, read, score, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, default=Path("models/bundles/fmri-hyper"))
    chosen = parser.parse_args()
    bundle = Bundle.load(chosen.bundle)
    config, package = config_of(bundle), package_of(bundle)
    if package is None:
        raise SystemExit("the generator's package that the bundle was trained with is not here")
    plan = design(config, bundle.spec.latent, np.random.default_rng(config.seed))
    held = show_held_out(config, plan, package.draw(plan.latents), "the very package")
    single, averaged, counts = read(bundle, held)
    truth = plan.latents[plan.test]
    rows, figures = [], []
    for n in range(1, int(counts.max()) + 1):
        of = np.flatnonzero(counts == n)
        # The mean of what was read of the same trials, each by itself.
        earlier = [np.flatnonzero((held.which == held.which[i]) & (np.arange(len(counts)) <= i)) for i in of]
        by_latent = np.stack([single[trials].mean(axis=0) for trials in earlier])
        scores, others = (
            identify(latents, truth, held.which[of], np.random.default_rng(0))
            for latents in (averaged[of], by_latent)
        )
        chance = scores["n_way_chance"]
        rows.append(
            [
                f"{n}",
                f"{len(of)}",
                f"{scores['two_way']:.1%}",
                f"{scores['n_way']:.1%}",
                f"{chance[0]:.1%} to {chance[1]:.1%}",
                f"{others['two_way']:.1%}",
                f"{others['n_way']:.1%}",
            ]
        )
        figures.append(
            {"repeats": n, "readings": len(of), "mean_of_epochs": scores, "mean_of_latents": others}
        )
    ways = f"{len(truth)}-way"
    header = [
        "trials in the mean",
        "readings",
        "two-way",
        ways,
        "95 % of chance",
        "latents averaged: two-way",
        ways,
    ]
    print_table(header, rows)
    print_last_line({"benchmark": "fmri_repeats", "machine": machine_facts(), "by_repeats": figures})


if __name__ == "__main__":
    main()
