"""Pictures evolve: optimisers find what a planted neuron prefers, through an engine, missing answers and a death."""

import csv
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_stage import World
from numpy.typing import NDArray
from protocol_settings import settings

from bci.errors import ConfigError
from stimuli.evolution import OPTIMISERS
from stimuli.evolution.fitness import make_fitness
from stimuli.evolution.sphere import SphereCma
from stimuli.protocols import count, open_protocol
from stimuli.protocols.evolution import Candidate, Generation
from stimuli.replay import propose_again
from stimuli.trials import Ending, Latent, Outcome, Palette, Protocol, Reading, Trial

D = 64
SETTINGS: dict[str, Any] = {
    "protocol": "evolution", "optimisers": ("cma",), "population": 12, "generations": 30, "references": 2,
    "spread": 1.0, "fitness": "value", "value": 0, "folder": None, "picture": None, "attempts": 3, "seed": 5,
    "stimulus_s": 0.2, "feedback_s": 0.0, "blank_s": 0.1, "lead_in_s": 0.1,
}  # fmt: skip


def preferred(seed: int, d: int = D) -> NDArray[np.float64]:
    """Return the direction, (d,), that a planted neuron prefers."""
    direction = np.random.default_rng([seed, 77]).standard_normal(d)
    return direction / np.linalg.norm(direction)


def rate(latents: NDArray[Any], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rate, 0 to 1, of a neuron that is tuned to the angle between a latent and its direction."""
    latents = np.asarray(latents, np.float64)
    return np.exp(4 * (latents @ direction / np.linalg.norm(latents, axis=-1) - 1))


def evolve(name: str, seed: int, generations: int = 40, noise: float = 0.0) -> float:
    """Return the noiseless rate of the centre at which an optimiser ends."""
    direction, random = preferred(seed), np.random.default_rng(seed)
    search = OPTIMISERS[name](D, 20, generations, 1.0, seed)
    for _ in range(generations):
        answer = rate(search.ask(), direction)
        search.tell(answer * (1 + noise * random.standard_normal(len(answer))))
    return float(rate(search.centre, direction))


@pytest.mark.parametrize("name", ["cma", "full_cma", "sphere_cma", "genetic"])
def test_every_optimiser_finds_more_than_chance_does(name: str) -> None:
    for seed in range(3):
        assert evolve(name, seed) > 3 * evolve("random", seed)


def test_noise_costs_something_and_not_everything() -> None:
    clean, noisy = (
        np.median([evolve("cma", seed, noise=noise) for seed in range(5)]) for noise in (0.0, 0.5)
    )
    chance = np.median([evolve("random", seed) for seed in range(5)])
    assert clean > noisy > 2 * chance


@pytest.mark.parametrize("name", list(OPTIMISERS))
def test_the_same_seed_and_the_same_fitness_give_the_same_proposals(name: str) -> None:
    np.random.seed(1)  # noqa: NPY002 - nothing of an optimiser may hang on the process's own random numbers
    one, direction = OPTIMISERS[name](D, 10, 8, 1.0, 3), preferred(0)
    first = []
    for _ in range(6):
        first.append(one.ask())
        one.tell(rate(first[-1], direction))
    np.random.seed(2)  # noqa: NPY002
    other = OPTIMISERS[name](D, 10, 8, 1.0, 3)
    for proposed in first:
        assert np.array_equal(other.ask(), proposed)
        other.tell(rate(proposed, direction))
    assert not np.array_equal(OPTIMISERS[name](D, 10, 8, 1.0, 4).ask(), first[0])


def test_on_the_sphere_every_latent_has_one_length_and_the_angle_shrinks() -> None:
    search = SphereCma(D, 16, 10, 1.5, 0)
    angles = []
    for _ in range(10):
        proposed = search.ask()
        assert np.linalg.norm(proposed, axis=1) == pytest.approx(np.full(16, 1.5 * 8.0))
        cosines = proposed @ search.centre / (12.0 * 12.0)
        angles.append(float(np.rad2deg(np.arccos(cosines)).mean()))
        search.tell(np.arange(16.0))
    assert angles[0] == pytest.approx(50, rel=0.1)
    assert angles[-1] == pytest.approx(7.33, rel=0.1)
    assert all(wider > narrower for wider, narrower in pairwise(angles))


def tell(
    protocol: Protocol, trial: int, reading: Reading | None = None, late: tuple[Reading, ...] = ()
) -> Trial | None:
    latent, confidence = (None, np.nan) if reading is None else (reading.latent, reading.confidence)
    try:
        return protocol.send(Outcome(trial, Ending.SHOWN, 1.0, latent, confidence, late))
    except StopIteration:
        return None


def reading(trial: int, value: float) -> Reading:
    return Reading(trial, np.array([value, 0.0], np.float32), 0.5)


def test_optimisers_take_turns_references_come_last_and_the_trials_are_counted() -> None:
    spec = SETTINGS | {"optimisers": ("cma", "random"), "generations": 2, "population": 4}
    protocol = open_protocol(spec, Palette((8, 8), latent=D, reading=2))
    names, trial = [], next(protocol)
    references = []
    while trial is not None:
        names.append(trial.name)
        if trial.name.startswith("reference"):
            assert isinstance(trial.stimulus, Latent)
            references.append(trial.stimulus.latent)
        trial = tell(protocol, len(names) - 1, reading(len(names) - 1, 1.0))
    assert len(names) == count(spec) == 20
    assert sorted(names[:8]) == sorted(
        [f"{name}-0-{place}" for name in ("cma", "random") for place in range(4)]
    )
    assert names[:4] != [f"cma-0-{place}" for place in range(4)]
    assert names[8:10] == ["reference-0-0", "reference-0-1"]
    assert np.array_equal(references[:2], references[2:])


def test_a_picture_of_which_nothing_was_read_is_shown_again_and_then_counts_as_the_mean() -> None:
    protocol = open_protocol(SETTINGS | {"population": 4}, Palette((8, 8), latent=D, reading=2))
    names, trial = [], next(protocol)
    while trial is not None and trial.name.split("-")[1] == "0":
        names.append(trial.name)
        number = len(names) - 1
        lost = trial.name.endswith("-0-2") and trial.name.startswith("cma")
        trial = tell(protocol, number, None if lost else reading(number, float(number)))
    assert names[-2:] == ["cma-0-2"] * 2
    assert names.count("cma-0-2") == 3
    candidates = [
        Candidate(place, "", np.zeros(2, np.float32), fitness) for place, fitness in enumerate((1, np.nan, 3))
    ]
    assert Generation({"cma": candidates}, []).fitness("cma").tolist() == [1, 2, 3]


def test_what_was_read_late_is_the_fitness_of_its_own_picture() -> None:
    protocol = open_protocol(
        SETTINGS | {"population": 4, "references": 1}, Palette((8, 8), latent=D, reading=2)
    )
    trial, shown = next(protocol), []
    for number in range(5):
        assert trial is not None
        shown.append(trial.name)
        # Each answer comes one trial after its own.
        trial = tell(protocol, number, None, () if number == 0 else (reading(number - 1, 1.0),))
    assert trial is not None
    assert trial.name.split("-")[1] == "1", "every picture of the first generation has been read"


@pytest.mark.parametrize(
    ("change", "palette", "words"),
    [
        ({}, Palette((8, 8), latent=0, reading=2), "expected a bundle with a generator graph"),
        ({"value": 2}, Palette((8, 8), latent=D, reading=2), "expected one of the 2 values"),
    ],
)
def test_what_cannot_evolve_is_refused(change: dict[str, Any], palette: Palette, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        open_protocol(SETTINGS | change, palette)


def test_towards_a_picture_fitness_is_how_like_its_latent_the_reading_is(tmp_path: Path) -> None:
    (tmp_path / "latents.json").write_text('{"a": [1.0, 2.0, 3.0]}')
    spec = {"fitness": "towards", "folder": str(tmp_path), "picture": "a"}
    fitness = make_fitness(spec, Palette((8, 8), 3, 3))
    readings = ([2, 4, 6], [3, 2, 1], [5, 5, 5])
    assert [fitness(Reading(0, np.array(r, np.float32), 1.0)) for r in readings] == [1.0, -1.0, 0.0]
    with pytest.raises(ConfigError, match="latents"):
        make_fitness(spec | {"picture": "b"}, Palette((8, 8), 3, 3))


def neuron(trial: int, image: NDArray[np.uint8]) -> tuple[list[float], float] | None:
    """Answer with the picture's grey level; every seventh epoch is lost."""
    return None if trial % 7 == 3 else ([float(image[0, 0, 0]), 0.0, 0.0, 0.0], 0.5)


def stimuli_of(world: World) -> list[tuple[str, str]]:
    rows = []
    for path in sorted(world.folder.glob("trials*.csv"), key=lambda path: len(path.name)):
        with path.open(newline="", encoding="utf-8") as file:
            rows += [(row["name"], row["stimulus_latent"]) for row in csv.DictReader(file)]
    return rows


def test_an_engine_that_died_goes_on_with_the_proposals_of_one_that_did_not(
    make_world: Callable[..., World],
) -> None:
    spec = SETTINGS | {"optimisers": ("cma", "genetic"), "population": 6, "generations": 5, "seed": 2}
    whole, broken = make_world(read=neuron), make_world(read=neuron)
    assert whole.run(**spec)
    for deaths in (20, 45):
        assert not broken.run(**spec, dies=lambda deaths=deaths: len(broken.parts) == deaths)
    assert broken.run(**spec)
    first, again = dict(stimuli_of(whole)), dict(stimuli_of(broken))
    # A trial that a death aborted is shown again, as any of which nothing was read: no proposal is another one.
    generation = {name for name in first if name.split("-")[1] == "0"}
    assert {name: again[name] for name in generation} == {name: first[name] for name in generation}
    assert len(first.keys() & again.keys()) > 50
    assert all(again.values())
    for world in (whole, broken):
        replayed = propose_again(world.folder, spec)
        assert replayed.equal == replayed.shown == len(stimuli_of(world)) > 50
    # What was read decides: with another reading the next generation is another one.
    table = whole.folder / "trials.csv"
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    read = [row for row in rows if row["latent"] and row["name"].startswith("cma")]
    read[0]["latent"] = "[1000.0, 0.0, 0.0, 0.0]"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    forged = propose_again(whole.folder, spec)
    assert 14 <= forged.equal < forged.shown


def test_two_generators_evolve_in_one_session_each_in_its_own_space() -> None:
    spec = SETTINGS | {
        "optimisers": ("cma", "random"),
        "also_drawn_by": "b",
        "references": 2,
        "generations": 30,
    }
    palette = Palette((4, 6), latent=16, reading=1, second_latent=8)
    assert count(spec) == 30 * (4 * 12 + 2)
    directions = preferred(1, 16), preferred(2, 8)
    protocol = open_protocol(spec, palette)
    best: dict[tuple[str, int], list[float]] = {}
    trial, number = next(protocol), 0
    while True:
        assert isinstance(trial.stimulus, Latent)
        which = trial.stimulus.generator
        assert trial.stimulus.latent.shape == ((16,), (8,))[which]
        optimiser, generation, _ = trial.name.rsplit("-", 2)
        assert optimiser.endswith("@2") == (which == 1)
        value = float(rate(trial.stimulus.latent, directions[which]))
        best.setdefault((optimiser, int(generation)), []).append(value)
        read = np.array([value], np.float32)
        try:
            trial = protocol.send(Outcome(number, Ending.SHOWN, float(number), read, 1.0))
        except StopIteration:
            break
        number += 1
    assert {name for name, _ in best} == {"cma", "cma@2", "random", "random@2", "reference"}
    # Both are shown in every generation, and each grows in its own space.
    for name in ("cma", "cma@2"):
        first, last = (np.mean(best[name, generation]) for generation in (0, 29))
        assert last > 3 * first
        assert last > 3 * np.mean(best[name.replace("cma", "random"), 29])


def test_a_second_generator_that_draws_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="also_drawn_by"):
        open_protocol(SETTINGS | {"also_drawn_by": "b"}, Palette((4, 6), latent=16, reading=1))
    with pytest.raises(ConfigError, match="at most 2 optimisers"):
        settings(protocol="evolution", optimisers=["cma", "genetic", "random"], also_drawn_by="b")
