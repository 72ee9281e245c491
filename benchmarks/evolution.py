"""Evolution: how far each optimiser drives a planted neuron, by the protocol that a session runs, without its waiting.

Two neurons, 40 pictures a generation, 3000 presentations, answers as they are and times 1 + .5 of normal noise. One
neuron is tuned to a direction of 512 latents: a test of the optimisers. The others see pixels: a unit of a random
two-layer network, which the generator never met. "wide" has 512 latents too, drawn by a generator that was never
trained; "pixels" the 64 of the shipped face generator; "embedded", run when asked for and without noise alone, 512 of
which a random projection gives those 64: is it the number of coordinates that makes optimisers differ, or what can be
drawn? Rates are those of the optimiser's final centre, asked without noise: the best answer that was measured owes some
of its height to luck. They are in percent of the neuron's greatest: wide, of the best of gradient ascent, which sees
through the generator; pixels, of the highest that three more searches without noise find; embedded, of the highest
here. The seeds of the optimisers are paired.

::

    python -m benchmarks.evolution [--quick] [--neurons direction wide pixels embedded] [--json]
    python -m benchmarks.evolution --session SESSION    # the proposals of a live session, made again from its tables
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bci.session.recorded import RecordedSession
from benchmarks.evolution_neurons import (
    D,
    Floats,
    Neuron,
    direction_neuron,
    embedded_neuron,
    pixel_neuron,
    wide_neuron,
)
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.generators.package import GeneratorPackage
from stimuli.evolution import OPTIMISERS
from stimuli.protocols.evolution import Evolution
from stimuli.replay import propose_again

POPULATION, GENERATIONS = 40, 75
NOISES = (0.0, 0.5)
SEEDS = {0.0: 4, 0.5: 20}
FACES = Path(__file__).resolve().parent.parent / "models" / "bundles" / "dcgan-faces"


def run(name: str, neuron: Neuron, d: int, noise: float, seed: int) -> dict[str, float]:
    """Return the noiseless rate of the centre at which an optimiser ends, and the seconds that it took itself."""
    spec = {
        "optimisers": (name,), "population": POPULATION, "generations": GENERATIONS, "references": 0, "spread": 1.0,
        "seed": seed,
    }  # fmt: skip
    evolution, random = Evolution(spec, d), np.random.default_rng([seed, 79])
    seconds = 0.0
    for _ in range(GENERATIONS):
        began = time.perf_counter()
        generation = evolution.next()
        seconds += time.perf_counter() - began
        candidates = generation.everyone
        rates = neuron(np.stack([one.latent for one in candidates]).astype(np.float64))
        for one, rate in zip(candidates, rates, strict=True):
            one.fitness = float(rate * (1 + noise * random.standard_normal()))
        began = time.perf_counter()
        evolution.learn(generation)
        seconds += time.perf_counter() - began
    return {"rate": float(neuron(evolution.optimisers[name].centre[None])[0]), "seconds": seconds}


def measure(neurons: Sequence[str], seeds: dict[float, int]) -> list[dict[str, Any]]:
    """Return a row for each neuron, noise, optimiser and seed."""
    rows: list[dict[str, Any]] = []
    faces = GeneratorPackage.load(FACES)
    for kind in neurons:
        for noise in NOISES[: 1 if kind == "embedded" else None]:
            for seed in range(seeds[noise]):
                neuron, d, greatest = make_neuron(kind, seed, faces)
                progress(f"{kind}, noise {noise:g}, seed {seed}")
                mine = [
                    {"neuron": kind, "noise": noise, "seed": seed, "optimiser": name}
                    | run(name, neuron, d, noise, seed)
                    for name in OPTIMISERS
                ]
                best = max(greatest, *(row["rate"] for row in mine))
                if kind == "pixels":
                    best = max(best, *(run("full_cma", neuron, d, 0.0, 100 + k)["rate"] for k in range(3)))
                for row in mine:
                    row["rate"] *= 100 / best
                rows += mine
    return rows


def make_neuron(kind: str, seed: int, faces: GeneratorPackage) -> tuple[Neuron, int, float]:
    """Return a neuron, how many latents it answers to, and its greatest rate where that is known, else 0."""
    if kind == "direction":
        return direction_neuron(seed), D, 100.0
    if kind == "wide":
        neuron, greatest = wide_neuron(seed)
        return neuron, D, greatest
    latent = faces.spec.latent
    if kind == "embedded":
        return embedded_neuron(seed, faces.draw, latent), D, 0.0
    return pixel_neuron(seed, faces.draw, latent), latent, 0.0


def judge(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str, str, bool]]:
    """Return each target: what, measured, wanted, met."""
    checks = []
    for kind in dict.fromkeys(row["neuron"] for row in rows):

        def rates(name: str, noise: float, kind: str = kind) -> Floats:
            return np.array(
                [r["rate"] for r in rows if (r["neuron"], r["noise"], r["optimiser"]) == (kind, noise, name)]
            )

        clean = float(np.median(rates("full_cma", 0.0) / rates("genetic", 0.0)))
        checks.append((f"{kind}: CMA ÷ genetic without noise", f"{clean:.2f}", "≥ 1.2", clean >= 1.2))
        if kind != "direction":
            # No optimiser can be further above the genetic algorithm than the best of all searches is.
            most = float(np.median(100 / rates("genetic", 0.0)))
            progress(f"{kind}: the best of all searches ÷ genetic without noise: {most:.2f}")
        if kind == "embedded":
            continue
        gain = rates("full_cma", 0.5) - rates("genetic", 0.5)
        bound = float(gain.mean() - 1.645 * gain.std(ddof=1) / np.sqrt(len(gain)))
        checks.append(
            (f"{kind}: CMA - genetic at half noise, lower 95 % bound", f"{bound:.1f}", "≥ -2", bound >= -2)
        )
        full, diagonal = rates("full_cma", 0.5), rates("cma", 0.5)
        error = float((diagonal - full).std(ddof=1) / np.sqrt(len(full)))
        behind = float((diagonal - full).mean())
        checks.append(
            (
                f"{kind}: diagonal - full CMA at half noise",
                f"{behind:+.1f}",
                f"≥ -{error:.1f}",
                behind >= -error,
            )
        )
        random = float(np.median(rates("random", 0.0)))
        checks.append((f"{kind}: random", f"{random:.1f}", "≤ 10", random <= 10))
        if kind == "direction":
            seconds = {
                name: np.mean([r["seconds"] for r in rows if (r["optimiser"], r["neuron"]) == (name, kind)])
                for name in ("cma", "full_cma")
            }
            share = float(seconds["cma"] / seconds["full_cma"])
            checks.append((f"{kind}: time of diagonal ÷ full CMA", f"{share:.2f}", "≤ 0.2", share <= 0.2))
    return checks


def table(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return the medians over seeds, one line an optimiser."""
    columns = list(dict.fromkeys((row["neuron"], row["noise"]) for row in rows))
    header = ["optimiser", *(f"{kind}, noise {noise:g}" for kind, noise in columns), "s, d = 512"]
    lines = []
    for name in OPTIMISERS:
        line = [name]
        for column in columns:
            mine = [r["rate"] for r in rows if (r["neuron"], r["noise"]) == column and r["optimiser"] == name]
            line.append(f"{np.median(mine):.1f} ({min(mine):.1f}-{max(mine):.1f})")
        own = [r["seconds"] for r in rows if r["optimiser"] == name and r["neuron"] == "direction"]
        lines.append([*line, f"{np.mean(own):.1f}" if own else ""])
    return header, lines


def compare_proposals(folder: Path) -> int:
    """Say how many latents that a session showed are proposed again from its tables; 1 where one is not."""
    replayed = propose_again(folder, RecordedSession.read(folder).experiment())
    print(f"{replayed.equal} of {replayed.shown} latents equal, bit for bit")
    print_last_line({"shown": replayed.shown, "equal": replayed.equal})
    return int(replayed.equal != replayed.shown)


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line; 1 where a target is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the direction neuron alone, 8 seeds with noise")
    parser.add_argument(
        "--neurons", nargs="+", choices=("direction", "wide", "pixels", "embedded"), help="these alone"
    )
    parser.add_argument(
        "--session", type=Path, help="propose again what a live session proposed, and compare"
    )
    parser.add_argument("--json", action="store_true", help="the last line alone")
    asked = parser.parse_args(words)
    if asked.session is not None:
        return compare_proposals(asked.session)
    neurons = asked.neurons or (("direction",) if asked.quick else ("direction", "wide", "pixels"))
    rows = measure(neurons, {0.0: 4, 0.5: 8} if asked.quick else SEEDS)
    checks = judge(rows)
    facts = machine_facts(["cma"])
    if not asked.json:
        print_machine(facts)
        print_table(*table(rows))
        for what, measured, wanted, met in checks:
            print(f"{'met   ' if met else 'MISSED'} {what}: {measured} ({wanted})")
    missed = [what for what, _, _, met in checks if not met]
    print_last_line({"rows": rows, "missed": missed, "machine": facts})
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
