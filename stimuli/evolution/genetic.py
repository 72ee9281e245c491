r"""A genetic algorithm on latents: parents are chosen by their fitness, their genes are mixed, and some are changed.

After Ponce et al. 2019 (Cell 177, 999-1009) and Xiao & Kreiman 2020 (PLoS Comput Biol 16, e1007973), with their
parameters. A latent of fitness f is a parent with probability

.. math:: p \propto \exp\left((f - \max f) / kT\right), \qquad kT = \mathrm{std}(f) / selectivity

Each gene of a child comes from its first parent with probability `heritability`, else from its second, and is changed
with probability `mutation_rate` by normal noise of `mutation_size` times the spread. The fittest `conserved` go on as
they are, and are measured again.
"""

import numpy as np
from numpy.typing import NDArray

SELECTIVITY = 2.0
HERITABILITY = 0.5
MUTATION_RATE, MUTATION_SIZE = 0.25, 0.75
#: The fittest that go on unchanged, of a generation of 40.
CONSERVED = 0.25


class GeneticAlgorithm:
    """A GeneticAlgorithm holds one population; parameters as of `stimuli.evolution.random_search.RandomSearch`."""

    def __init__(self, d: int, population: int, spread: float, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._spread, self._kept = spread, max(1, round(CONSERVED * population))
        self._asked = spread * self._random.standard_normal((population, d))
        self._parents = self._asked

    @property
    def centre(self) -> NDArray[np.float64]:
        """The mean of the fittest of the last generation, (d,)."""
        mean: NDArray[np.float64] = self._parents.mean(axis=0)
        return mean

    def ask(self) -> NDArray[np.float64]:
        """Return the next generation, (population, d)."""
        return self._asked

    def tell(self, fitness: NDArray[np.float64]) -> None:
        """Breed the next generation out of this one."""
        population, (n, d) = self._asked, self._asked.shape
        order = np.argsort(-fitness, kind="stable")
        self._parents = population[order[: self._kept]]
        temperature = max(float(fitness.std()), 1e-12) / SELECTIVITY
        chance = np.exp((fitness - fitness.max()) / temperature)
        children = n - self._kept
        pairs = self._random.choice(n, size=(2, children), p=chance / chance.sum())
        first = self._random.random((children, d)) < HERITABILITY
        bred = np.where(first, population[pairs[0]], population[pairs[1]])
        changed = self._random.random((children, d)) < MUTATION_RATE
        noise = MUTATION_SIZE * self._spread * self._random.standard_normal((children, d))
        self._asked = np.concatenate([self._parents, bred + changed * noise])
