"""Expected information: how many trials it saves, beside random order, until a brain's answers are known as well.

A planted brain answers pictures that the shipped face generator draws of 64 latents. "linear": each of 24 values is a
fixed direction of the latent. "pictures": each is a fixed combination of features of the drawn picture (brightness,
colour, Gabor energy), and the protocol takes answers as linear in the latent, or in 64 components of these features.
Noise, as large as what is answered, is correlated between values. Latents are independent normal ones ("normal"), or
lie in forty unequal heaps, as photographs do ("heaps"). Of 600 candidates 240 are shown, none twice, in the order of
the protocol and at random; both see the same brain, candidates and noise. Every ten trials 100 other pictures say what
is known: the error of the predicted answers (1 is what their mean says), and how often a single noisy answer is
likelier of its own picture than of 23 others.

In the rows "the bundle's model" the protocol begins with an encoding model: that of 300 trials of another day, with
other pictures, learned, dreamed with and kept as a dreamed bundle's is. That day's brain was the same one, or another:
half of what its values answer to, as a variance, was something else.

::

    python -m benchmarks.expected_information [--quick] [--seeds N] [--pool NAME …] [--by WORDS] [--json]
"""

import argparse
import sys
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.io.files.encoding import encoding_part, parse_encoding
from bci.io.shipped import SHIPPED
from bci.signal.picture_encoding import PictureEncoding
from benchmarks.report import machine_facts, print_last_line, print_machine, print_table, progress
from models.encoding.candidates import components_of
from models.encoding.dreams import dream
from models.encoding.expecting import dreamed_readings, from_dreams
from models.encoding.features import BANKS, features_of
from models.encoding.white import WhiteEncoding
from models.generators.package import GeneratorPackage
from models.readouts.scaling import Standard
from stimuli.information import AnswerSums
from stimuli.protocols.expected_information import Chooser, scaled
from stimuli.trials import Ending, Outcome

POOLS = ("normal", "heaps")
#: What the brain answers, and what the protocol takes its answers to depend on.
BRAINS = (
    ("linear", "latents"),
    ("pictures", "latents"),
    ("pictures", "pictures"),
    ("pictures", "the bundle's model"),
    ("pictures", "the bundle's model, of another brain"),
)
#: Share of the variance of answers that was the same on the other day.
SAME = {"the bundle's model": 1.0, "the bundle's model, of another brain": 0.5}
TRAINING, RUNS, DREAMS = 300, 6, 4000
ORDERS = ("expected_information", "random")
CANDIDATES, TRIALS, EVERY, HELD_OUT, AMONG, ANSWERS, HEAPS = 600, 240, 10, 100, 24, 24, 40
SEEDS = 8
#: What is to be reached: the error, and the share told apart.
ERROR, APART = 0.5, 0.75

Floats = NDArray[np.float64]


def draw_latents(pool: str, d: int, random: np.random.Generator) -> Floats:
    """Return latents of the candidates and of the pictures held out, (n, d); the k-th heap holds a share of 1/k."""
    n = CANDIDATES + HELD_OUT
    single: Floats = random.standard_normal((n, d))
    if pool == "normal":
        return single
    share = 1 / np.arange(1, HEAPS + 1)
    which = random.choice(HEAPS, n, p=share / share.sum())
    heaps: Floats = random.standard_normal((HEAPS, d))[which]
    return 0.9 * heaps + np.sqrt(1 - 0.9**2) * single


@lru_cache(maxsize=2)
def world(pool: str, seed: int) -> tuple[Floats, Floats, NDArray[np.float32], Floats]:
    """Return latents, standardised features of their pictures, components of these, and the features themselves."""
    generator = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    latents = draw_latents(pool, generator.spec.latent, np.random.default_rng([seed, 91]))
    pictures = generator.draw(latents.astype(np.float32))
    features = features_of(pictures, list(BANKS)).astype(np.float64)
    spread = features.std(axis=0)
    return (
        latents,
        (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1),
        components_of(pictures, 64),
        features,
    )


@lru_cache(maxsize=2)
def other_pictures(seed: int) -> tuple[Floats, NDArray[np.float32]]:
    """Return standardised features of the pictures of another day, and the features themselves."""
    generator = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    latents = np.random.default_rng([seed, 93]).standard_normal((TRAINING, generator.spec.latent))
    features = features_of(generator.draw(latents.astype(np.float32)), list(BANKS))
    spread = features.std(axis=0)
    return (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1), features


def model_of_another_day(weights: Floats, factor: Floats, seed: int) -> PictureEncoding:
    """Return the encoding model of a brain of these weights and noise, as a dreamed bundle would hold it."""
    generator = GeneratorPackage.load(SHIPPED["bundles"] / "dcgan-faces")
    rows, features = other_pictures(seed)
    random = np.random.default_rng([seed, 94])
    true = rows @ weights
    true = (true - true.mean(axis=0)) / true.std(axis=0)
    answers = true + random.standard_normal(true.shape) @ factor.T
    brain = Standard.of(answers)
    runs = np.arange(TRAINING) * RUNS // TRAINING
    white = WhiteEncoding.fit(brain.forward(answers), features, runs, components=ANSWERS, axes=ANSWERS)
    dreams = dream(generator, DREAMS, 0, tuple(BANKS))
    read = dreamed_readings(white, dreams.features, brain.back, seed)
    size = (generator.spec.image.height, generator.spec.image.width)
    recipe, content = encoding_part(from_dreams(tuple(BANKS), size, dreams.features, read, features))
    return parse_encoding(recipe, content, ANSWERS)


def told_apart(predicted: Floats, answers: Floats, noise: Floats) -> float:
    """Return the share of answers, (n, k), that are likelier of their own picture than of the others of `AMONG`."""
    inverse, hits, tried = np.linalg.inv(noise), 0, 0
    for first in range(0, len(answers) - AMONG + 1, AMONG):
        rows = slice(first, first + AMONG)
        away = answers[rows, None] - predicted[None, rows]
        distance = np.einsum("ijk,kl,ijl->ij", away, inverse, away, optimize=True)
        hits += int((distance.argmin(axis=1) == np.arange(AMONG)).sum())
        tried += AMONG
    return hits / tried


def run(pool: str, brain: str, by: str, choose: str, seed: int) -> dict[str, list[float]]:
    """Return the error and the share told apart before the first trial and after each `EVERY`."""
    latents, features, components, raw = world(pool, seed)
    random = np.random.default_rng([seed, 92])
    rows = latents if brain == "linear" else features
    weights = random.standard_normal((rows.shape[1], ANSWERS))
    answers = rows @ weights
    answers = (answers - answers.mean(axis=0)) / answers.std(axis=0)
    shared = random.standard_normal((4, ANSWERS))
    factor = np.linalg.cholesky(0.5 * np.eye(ANSWERS) + 0.5 * shared.T @ shared / 4)
    noise = random.standard_normal((TRIALS + len(answers), ANSWERS)) @ factor.T
    spec = {"choose": choose, "repeats": 1, "seed": seed}
    if by in SAME:
        other = np.random.default_rng([seed, 95]).standard_normal(weights.shape)
        then = np.sqrt(SAME[by]) * weights + np.sqrt(1 - SAME[by]) * other
        model = model_of_another_day(then, factor, seed)
        known = model.projected(raw)
        choice = Chooser(spec, known[:CANDIDATES], ANSWERS, AnswerSums.of(model))
        held = known[CANDIDATES:]
    else:
        numbers = latents.astype(np.float32) if by == "latents" else components
        choice = Chooser(spec, numbers[:CANDIDATES], ANSWERS)
        held = scaled(numbers, of=numbers[:CANDIDATES])[CANDIDATES:]
    true = answers[CANDIDATES:]
    measured = true + noise[TRIALS + CANDIDATES :]
    result: dict[str, list[float]] = {"error": [], "apart": []}

    def look() -> None:
        predicted = held @ choice.known.weights
        result["error"].append(
            float(((predicted - true) ** 2).sum() / ((true - true.mean(axis=0)) ** 2).sum())
        )
        result["apart"].append(told_apart(predicted, measured, choice.known.noise))

    look()
    for trial in range(TRIALS):
        number = choice.next()
        assert number is not None
        read = (answers[number] + noise[trial]).astype(np.float32)
        choice.take(number, Outcome(trial, Ending.SHOWN, float(trial), read, 1.0))
        if (trial + 1) % EVERY == 0:
            look()
    return result


def trials_until(values: Sequence[float], wanted: float) -> float:
    """Return after how many trials a course has passed a value, between two looks; NaN where it never has.

    A course that falls is given with its sign turned, as the value.
    """
    for place, value in enumerate(values):
        if value >= wanted:
            if place == 0:
                return 0.0
            share = (wanted - values[place - 1]) / (value - values[place - 1])
            return float(EVERY * (place - 1 + share))
    return float("nan")


def measure(seeds: int, pools: Sequence[str] = POOLS, words: str = "") -> list[dict[str, Any]]:
    """Return a row for each pool, brain, order and seed; of brains whose row ends in these words."""
    rows = []
    for pool in pools:
        for seed in range(seeds):
            progress(f"{pool}, seed {seed}")
            for brain, by in _ending(words):
                for choose in ORDERS:
                    course = run(pool, brain, by, choose, seed)
                    rows.append(
                        {"pool": pool, "brain": brain, "by": by, "choose": choose, "seed": seed, **course}
                        | {"until_error": trials_until([-e for e in course["error"]], -ERROR)}
                        | {"until_apart": trials_until(course["apart"], APART)}
                    )
    return rows


def _ending(words: str) -> list[tuple[str, str]]:
    return [(brain, by) for brain, by in BRAINS if by.endswith(words)]


def table(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return the medians over seeds, both orders side by side."""
    header = [
        "candidates", "brain answers, taken as linear in", f"trials to error {ERROR:g}", "random",
        f"trials to {APART:.0%} of {AMONG}", "random", "error before", "random", "after 60", "random",
        "after 240", "random",
    ]  # fmt: skip
    lines = []
    measured = {(row["pool"], row["brain"], row["by"]) for row in rows}
    for pool in POOLS:
        for brain, by in BRAINS:
            if (pool, brain, by) not in measured:
                continue
            line = [pool, f"{brain}, {by}"]
            for of in (
                lambda row: row["until_error"],
                lambda row: row["until_apart"],
                lambda row: row["error"][0],
                lambda row: row["error"][60 // EVERY],
                lambda row: row["error"][-1],
            ):
                for choose in ORDERS:
                    own = [
                        of(row)
                        for row in rows
                        if (row["pool"], row["brain"], row["by"], row["choose"]) == (pool, brain, by, choose)
                    ]
                    line.append(_median(own))
            lines.append(line)
    return header, lines


def _median(values: Sequence[float]) -> str:
    """Return the median, with what was never reached as more than all; a dash where that is the median."""
    middle = float(np.median(np.where(np.isnan(values), np.inf, values)))
    return "-" if np.isinf(middle) else f"{middle:.0f}" if middle > 2 or middle == 0 else f"{middle:.2f}"


def main(words: Sequence[str] | None = None) -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two seeds")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--pool", nargs="*", choices=POOLS, default=POOLS, help="of the candidates")
    parser.add_argument("--by", default="", help="what the rows end in: 'another brain' for one of them")
    parser.add_argument("--json", action="store_true", help="the last line alone")
    asked = parser.parse_args(words)
    rows = measure(2 if asked.quick else asked.seeds, asked.pool, asked.by)
    facts = machine_facts(["scipy"])
    if not asked.json:
        print_machine(facts)
        print_table(*table(rows))
        print("medians over seeds; -: more than half of them never")
    print_last_line({"rows": rows, "machine": facts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
