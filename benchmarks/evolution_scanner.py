"""Evolution in a scanner: what 300 pictures, all that a session of 90 minutes allows, do for a voxel's response.

A picture every 18 s, so that each response stands alone, is 300 in 90 minutes; less pause gives responses that overlap.
The voxel is a higher unit of the participant in silico. Its single-trial answer to a picture of the shipped generator
carries normal noise of the ratio stated: .05 is the median voxel of the simulated scanner (`bci.sim.participant`), .5
one of its best or a region's mean, inf no noise. An optimiser proposes 15 generations of 20; what it ends at is asked
once more without noise, in standard deviations over random pictures: 0 is a random picture.

::

    python -m benchmarks.evolution_scanner [--seeds 10] [--json]
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.renderer import Artist
from bci.io.shipped import SHIPPED
from bci.sim.participant import make_participant
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from stimuli.protocols.evolution import Evolution

POPULATION, GENERATIONS = 20, 15
OPTIMISERS = ("cma", "sphere_cma", "genetic", "random")
SNRS = (0.05, 0.5, float("inf"))
#: The higher unit that differs most between random faces.
UNIT = 56


class Voxel:
    """A Voxel answers latents, (n, d), in standard deviations over random pictures, without noise."""

    def __init__(self) -> None:
        reference = np.load(SHIPPED["stimuli"] / "faces" / "reference.npy")
        self._population = make_participant("spikes", subject=1, reference=reference).observer.population
        self._draw = Artist(Bundle.load(SHIPPED["bundles"] / "hyper-insilico"))
        self._mean, self._spread = 0.0, 1.0
        answers = self(np.random.default_rng(9).standard_normal((128, 64)))
        self._mean, self._spread = float(answers.mean()), float(answers.std())

    def __call__(self, latents: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the answers, (n,)."""
        pictures = self._draw(latents.astype(np.float32))
        drives = self._population.drive(pictures, np.zeros((len(pictures), 2)))[:, UNIT]
        return (drives.astype(np.float64) - self._mean) / self._spread


def run(voxel: Voxel, name: str, snr: float, seed: int) -> float:
    """Return the noiseless answer to the picture at which an optimiser ends."""
    spec = {
        "optimisers": (name,), "population": POPULATION, "generations": GENERATIONS, "references": 0, "spread": 1.0,
        "seed": seed,
    }  # fmt: skip
    evolution, random = Evolution(spec, 64), np.random.default_rng([seed, 79])
    for _ in range(GENERATIONS):
        generation = evolution.next()
        answers = voxel(np.stack([one.latent for one in generation.everyone]))
        noise = 0.0 if np.isinf(snr) else random.standard_normal(len(answers)) / np.sqrt(snr)
        for one, answer in zip(generation.everyone, answers + noise, strict=True):
            one.fitness = float(answer)
        evolution.learn(generation)
    return float(voxel(evolution.optimisers[name].centre[None])[0])


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many runs of each")
    parser.add_argument("--json", action="store_true", help="the last line alone")
    asked = parser.parse_args(words)
    voxel, rows = Voxel(), list[dict[str, Any]]()
    for snr in SNRS:
        for name in OPTIMISERS:
            progress(f"SNR {snr:g}, {name}")
            ends = [run(voxel, name, snr, seed) for seed in range(asked.seeds)]
            error = float(np.std(ends, ddof=1) / np.sqrt(len(ends)))
            rows.append(
                {"snr": snr, "optimiser": name, "mean": float(np.mean(ends)), "error": error, "ends": ends}
            )
    facts = machine_facts(["cma"])
    if not asked.json:
        print_machine(facts)
        print_table(
            ("optimiser", *(f"SNR {snr:g}" for snr in SNRS)),
            [
                (name, *(f"{r['mean']:+.2f} ± {r['error']:.2f}" for r in rows if r["optimiser"] == name))
                for name in OPTIMISERS
            ],
        )
    print_last_line({"rows": rows, "presentations": POPULATION * GENERATIONS, "machine": facts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
