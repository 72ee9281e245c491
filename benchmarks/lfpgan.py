"""LFP-GAN on a surrogate whose answers are known: with and without pretraining, beside a Gaussian and white noise.

    python -m benchmarks.lfpgan [--seeds 3] [--steps 300] [--plain] [--picture FILE] [--json]

22 channels at 1250 Hz, windows of 313 samples after 118 pictures, 12 times each; 24 pictures and all windows that
touch theirs are kept from whatever learns. Networks are smaller than the thesis's tables (one layer of the signal's
encoder and decoder instead of nine, 8 channels within instead of 20, pictures of 24 × 36), so that a seed takes
minutes. Spectra, correlations and pictures' mean windows are asked for outright and mismatched pictures are refused
(weights 60, 50 and .25, none in the thesis); with --plain none is, and the game is the thesis's.

Must reach, on every seed, against windows of the 24 pictures: power in bins of 4 Hz from 4 to 300 Hz within 1 dB in
the median and 3 dB at the 95th percentile; correlations between channels within .05 in the mean; the mean window of
each picture more like the measured one than with pictures exchanged; and nearer than a Gaussian with the training
mean and covariance in kurtosis of amplitudes, in time spent in bursts, and in the pictures' mean windows. Pretraining
must reach the Fréchet distance of log power at which the game without it ends, in half of its updates or fewer. Told
apart (a linear classifier) and the distance to the nearest training window are printed.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.systems.lfp_gan.data import ShownWindows, open_windows
from models.systems.lfp_gan.game import Played, play
from models.systems.lfp_gan.pretraining import Pretrained, pretrain
from models.systems.lfp_gan.settings import LfpGanConfig
from models.systems.lfp_gan.statistics import (
    HEAD,
    Likeness,
    as_rows,
    compare_windows,
    gaussian,
    mean_spectrum,
    plain,
    white_noise,
)

MEDIAN_DB, P95_DB, CORRELATION, SHARE = 1.0, 3.0, 0.05, 0.5
PRETRAINED, UNTRAINED, GAUSSIAN, WHITE = "pretrained", "not pretrained", "Gaussian", "white noise"


def config_of(seed: int, steps: int, thesis: bool) -> LfpGanConfig:
    """Return the settings of one run."""
    return LfpGanConfig.model_validate(
        {
            "kind": "lfp-gan",
            "name": "benchmark",
            "seed": seed,
            "data": {"source": "surrogate", "repeats": 12},
            "networks": {"layers": 1, "width": 8, "image_width": 4},
            "pretraining": {"steps": 400, "image_steps": 400, "windows": 3000},
            "game": {
                "steps": steps,
                "critic_steps": 2,
                "look": max(1, steps // 20),
                "moments": 0.0 if thesis else 60.0,
                "responses": 0.0 if thesis else 50.0,
                "mismatched": 0.0 if thesis else 0.25,
            },
        }
    )


def rows_of(shown: ShownWindows, played: Mapping[str, Played], seed: int) -> dict[str, Likeness]:
    """Compare what each makes for the tested pictures with their windows."""
    training, _ = shown.training
    real, which = shown.test
    random = np.random.default_rng([seed, 31])
    made = {
        name: one.maker.make(which, torch.Generator().manual_seed(seed + 5)) for name, one in played.items()
    }
    made |= {
        GAUSSIAN: gaussian(training, len(real), random),
        WHITE: white_noise(training, len(real), random),
    }
    return {
        name: compare_windows(
            real, windows, shown.signal.rate, training=training, images=(which, which), seed=seed
        )
        for name, windows in made.items()
    }


def judge(rows: Mapping[str, Likeness]) -> dict[str, bool]:
    """Return which bars the pretrained game reaches."""
    own, other = rows[PRETRAINED], rows[GAUSSIAN]
    return {
        f"spectrum within {MEDIAN_DB:g} dB, median": own.spectrum_median <= MEDIAN_DB,
        f"spectrum within {P95_DB:g} dB, 95th percentile": own.spectrum_p95 <= P95_DB,
        f"correlations within {CORRELATION:g}": own.correlation <= CORRELATION,
        "pictures' means above exchanged ones": own.image_r > own.image_r_permuted,
        "kurtosis nearer than the Gaussian's": abs(own.kurtosis - own.kurtosis_real)
        < abs(other.kurtosis - other.kurtosis_real),
        "bursts nearer than the Gaussian's": abs(own.bursts - own.bursts_real)
        < abs(other.bursts - other.bursts_real),
        "pictures' means nearer than the Gaussian's": own.image_r > other.image_r,
    }


def head_start(played: Mapping[str, Played]) -> float:
    """Return after which share of the updates the pretrained game is where the other ends; infinite if never."""
    end = played[UNTRAINED].record[-1]
    for row in played[PRETRAINED].record:
        if row["frechet_power"] <= end["frechet_power"]:
            return row["step"] / end["step"]
    return float("inf")


def run(
    seed: int, steps: int, thesis: bool, picture: Path | None = None
) -> tuple[dict[str, Likeness], dict[str, Played], Pretrained]:
    """Pretrain, play both games, and compare."""
    config = config_of(seed, steps, thesis)
    shown = open_windows(config, Path())

    def say(name: str) -> Any:
        return lambda done, text: progress(f"seed {seed}, {name}: {text}")

    pretrained = pretrain(config, shown, say("pretraining"))
    played = {
        PRETRAINED: play(config, shown, pretrained, say(PRETRAINED)),
        UNTRAINED: play(config, shown, None, say(UNTRAINED)),
    }
    if picture is not None:
        draw(shown, played, picture)
    return rows_of(shown, played, seed), played, pretrained


def draw(shown: ShownWindows, played: Mapping[str, Played], path: Path) -> None:
    """Draw the distance over updates with and without pretraining, spectra, amplitudes, and windows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    real, which = shown.test
    made = played[PRETRAINED].maker.make(which, torch.Generator().manual_seed(9))
    figure, axes = pyplot.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for name, one in played.items():
        axes[0, 0].plot(
            [row["step"] for row in one.record], [row["frechet_power"] for row in one.record], label=name
        )
    axes[0, 0].set(title="Fréchet distance of log power", xlabel="updates of the generator", yscale="log")
    for name, side in (("measured", real), ("made", made)):
        power = mean_spectrum(side, shown.signal.rate)
        axes[0, 1].plot([4.0 * k + 6 for k in range(len(power))], power, label=name)
        axes[1, 0].hist(
            side.ravel(), np.linspace(-6, 6, 97).tolist(), density=True, histtype="step", label=name
        )
    axes[0, 1].set(title="Power, mean over channels", xlabel="Hz", ylabel="dB")
    axes[1, 0].set(title="Amplitudes", xlabel="deviations", yscale="log")
    time = 1000 * np.arange(real.shape[2]) / shown.signal.rate
    for k in range(4):
        for side, colour in ((real, "C0"), (made, "C1")):
            axes[1, 1].plot(time, side[k, real.shape[1] // 2] + 6 * k, colour, linewidth=0.8)
    axes[1, 1].set(title="Four windows of each, middle channel", xlabel="ms after the picture", yticks=[])
    for axis in (axes[0, 0], axes[0, 1], axes[1, 0]):
        axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Learn, compare, print; exit status 1 where a bar is missed."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.lfpgan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=300, help="updates of the generator")
    parser.add_argument("--plain", action="store_true", help="the thesis's game, without further terms")
    parser.add_argument("--picture", type=Path, help="PNG of the first seed's curves and windows")
    parser.add_argument("--json", action="store_true", help="print only the last line")
    options = parser.parse_args(arguments)
    facts, seeds, lines = machine_facts(("torch",)), [], []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        picture = options.picture if seed == options.first_seed else None
        rows, played, pretrained = run(seed, options.steps, options.plain, picture)
        verdict = judge(rows)
        start = head_start(played)
        verdict[f"pretraining saves {SHARE:.0%} of the updates"] = start <= SHARE
        lines += [[str(seed), *row] for row in as_rows(rows)]
        seeds.append(
            {
                "seed": seed, "rows": {name: plain(one) for name, one in rows.items()}, "verdict": verdict,
                "head_start": start, "pretraining": pretrained.scores,
                "record": {name: one.record for name, one in played.items()},
            }
        )  # fmt: skip
    met = all(all(one["verdict"].values()) for one in seeds)
    if not options.json:
        print_machine(facts)
        print_table(["seed", *HEAD], lines)
        for one in seeds:
            own = one["rows"][PRETRAINED]
            print(
                f"seed {one['seed']}: measured kurtosis {own['kurtosis_real']:.2f}, bursts {own['bursts_real']:.2%} of "
                f"time, nearest {own['nearest_real']:.2f}; autoencoder explains {one['pretraining']['signal_r2']:.2f}; "
                f"pretraining is where the other ends after {one['head_start']:.2f} of the updates"
            )
            for words, reached in one["verdict"].items():
                print(f"  {'met' if reached else 'MISSED'}: {words}")
    print_last_line({"benchmark": "lfpgan", "machine": facts, "seeds": seeds, "met": met})
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
