"""Evolution: pictures are proposed by optimisers, and those that the brain answers to most have offspring.

In each generation every optimiser proposes a population of latents; all of them are shown in a random order, and after
them the references, the same fixed latents each time: what drifts or adapts moves their fitness too, and while they are
shown the last reconstructions of the others arrive. A picture of which nothing was read is shown again until it was on
the screen `attempts` times; after that it counts as the mean of its generation. Then each optimiser is told the fitness
of its own.

With a second generator every optimiser searches its latent space as well, apart from the first, and both take turns in
every generation; what is proposed there bears the name ``cma@2``. References are of the first.

A trial is named after its optimiser, generation and place, ``cma-12-7``; the number of its stimulus counts all that was
proposed. The same outcomes give the same proposals, so a session that goes on after a restart repeats none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError
from stimuli.evolution import OPTIMISERS, Optimiser
from stimuli.evolution.fitness import Fitness, make_fitness
from stimuli.trials import Ending, Latent, Outcome, Palette, Protocol, Trial, timed

#: What is added to the name of an optimiser that searches the second generator's space.
SECOND = "@2"


def protocol(spec: Mapping[str, Any], palette: Palette) -> Protocol:
    """Yield the trials.

    Spec: as `bci.config.experiment.EvolutionSettings`.

    Raises
    ------
    ConfigError
        If the session's bundle has no generator of its own, or what it reads has no such fitness.
    """
    if not palette.latent:
        raise ConfigError(
            '[experiment] protocol "evolution": expected a bundle with a generator graph, came one without, which '
            "cannot draw latents. Name another bundle in [decoder], or another protocol."
        )
    if spec.get("also_drawn_by") and not palette.second_latent:
        raise ConfigError(
            '[experiment] protocol "evolution": also_drawn_by: expected a bundle with a generator graph, came one '
            "without. Name another bundle."
        )
    return _trials(spec, palette.latent, make_fitness(spec, palette), palette.second_latent)


def count(spec: Mapping[str, Any]) -> int:
    """Return how many trials there will be where something is read of each."""
    searches = len(spec["optimisers"]) * (2 if spec.get("also_drawn_by") else 1)
    each = searches * int(spec["population"]) + int(spec["references"])
    return int(spec["generations"]) * each


@dataclass(slots=True, eq=False)
class Candidate:
    """A Candidate is one proposed latent, (d,), and what is known of it.

    Attributes
    ----------
    number : int
        Of its stimulus; all proposals of a session are counted.
    name : str
        Optimiser, generation and place in it.
    fitness : float
        NaN while nothing was read of it.
    generator : int
        Which generator draws it.
    shown : int
        How often it was shown.
    """

    number: int
    name: str
    latent: NDArray[np.float32]
    fitness: float = np.nan
    shown: int = 0
    generator: int = 0

    @property
    def unread(self) -> bool:
        """Whether nothing was read of it."""
        return bool(np.isnan(self.fitness))


class Generation:
    """A Generation is what is shown between two steps of the optimisers, and what was read of it.

    Parameters
    ----------
    candidates : mapping of str to list of Candidate
        By optimiser, in the order of its proposals.
    references : list of Candidate
        Fixed latents beside them.
    """

    def __init__(self, candidates: Mapping[str, list[Candidate]], references: list[Candidate]) -> None:
        self.candidates, self.references = candidates, references

    @property
    def everyone(self) -> list[Candidate]:
        """All candidates, optimiser by optimiser."""
        return [candidate for own in self.candidates.values() for candidate in own]

    def unread(self, attempts: int) -> list[Candidate]:
        """Return the candidates of which nothing was read, and which were shown fewer than `attempts` times."""
        return [one for one in self.everyone if one.unread and one.shown < attempts]

    def fitness(self, optimiser: str) -> NDArray[np.float64]:
        """Return the fitness of an optimiser's proposals, (n,); the mean of the others where nothing was read."""
        measured = np.array([candidate.fitness for candidate in self.candidates[optimiser]])
        known = measured[~np.isnan(measured)]
        return np.where(np.isnan(measured), known.mean() if len(known) else 0.0, measured)


class Evolution:
    """An Evolution is what the optimisers have proposed so far; it knows no screen.

    Parameters
    ----------
    spec : mapping
        As `bci.config.experiment.EvolutionSettings`.
    d : int
        Size of the latent space.
    second : int
        Size of the second generator's latent space; 0 for none.
    """

    def __init__(self, spec: Mapping[str, Any], d: int, second: int = 0) -> None:
        self._spec, self._d = spec, d
        seeds = np.random.SeedSequence(int(spec["seed"]) & 0xFFFFFFFF).generate_state(len(OPTIMISERS) + 2)
        own = dict(zip(OPTIMISERS, seeds[2:], strict=True))
        size = (int(spec["population"]), int(spec["generations"]), float(spec["spread"]))
        self.optimisers: dict[str, Optimiser] = {
            name: OPTIMISERS[name](d, *size, int(own[name])) for name in spec["optimisers"]
        }
        if second:
            # Other numbers than in the first space, and as the seed has it too.
            self.optimisers |= {
                f"{name}{SECOND}": OPTIMISERS[name](second, *size, int(own[name]) ^ 1)
                for name in spec["optimisers"]
            }
        self.random = np.random.default_rng(int(seeds[0]))
        random = np.random.default_rng(int(seeds[1]))
        self._references = spec["spread"] * random.standard_normal((int(spec["references"]), d))
        self._proposed = self._generation = 0

    def next(self) -> Generation:
        """Ask every optimiser for its next proposals."""
        candidates = {
            name: self._candidates(name, optimiser.ask()) for name, optimiser in self.optimisers.items()
        }
        references = self._candidates("reference", self._references)
        self._generation += 1
        return Generation(candidates, references)

    def learn(self, generation: Generation) -> None:
        """Tell every optimiser the fitness of its proposals."""
        for name, optimiser in self.optimisers.items():
            optimiser.tell(generation.fitness(name))

    def _candidates(self, name: str, latents: NDArray[np.float64]) -> list[Candidate]:
        first, self._proposed = self._proposed, self._proposed + len(latents)
        return [
            Candidate(
                first + place,
                f"{name}-{self._generation}-{place}",
                latent,
                generator=int(name.endswith(SECOND)),
            )
            for place, latent in enumerate(np.asarray(latents, np.float32))
        ]


def _trials(spec: Mapping[str, Any], d: int, fitness: Fitness, second: int = 0) -> Protocol:
    evolution = Evolution(spec, d, second)
    by_trial: dict[int, Candidate] = {}
    for _ in range(int(spec["generations"])):
        generation = evolution.next()
        waiting = _shuffled(generation.everyone, evolution.random) + generation.references
        while waiting:
            for candidate in waiting:
                outcome = yield _trial(spec, candidate)
                _take(outcome, candidate, by_trial, fitness)
            waiting = _shuffled(generation.unread(int(spec["attempts"])), evolution.random)
        evolution.learn(generation)


def _shuffled(candidates: list[Candidate], random: np.random.Generator) -> list[Candidate]:
    return [candidates[place] for place in random.permutation(len(candidates))]


def _trial(spec: Mapping[str, Any], candidate: Candidate) -> Trial:
    return timed(spec, candidate.number, candidate.name, Latent(candidate.latent, candidate.generator))


def _take(outcome: Outcome, candidate: Candidate, by_trial: dict[int, Candidate], fitness: Fitness) -> None:
    """Take in what became of a candidate's trial, and what was read of it or of trials before."""
    if outcome.ending is Ending.SHOWN:
        candidate.shown += 1
        by_trial[outcome.trial] = candidate
    for reading in outcome.readings:
        read = by_trial.pop(reading.trial, None)
        if read is not None:
            read.fitness = fitness(reading)
