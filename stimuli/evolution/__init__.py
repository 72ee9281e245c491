"""Evolution: optimisers propose latents, are told how well the brain answered to their pictures, and propose others.

An optimiser is asked for one generation and told its fitness, again and again. It knows no protocol, no screen and no
clock; `stimuli.protocols.evolution` shows what it proposes. The same seed and the same fitness give the same
proposals, so that an engine that was started again comes to the same point by telling the recorded fitness again.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stimuli.evolution.cma_es import CmaEs
from stimuli.evolution.genetic import GeneticAlgorithm
from stimuli.evolution.random_search import RandomSearch
from stimuli.evolution.sphere import SphereCma


class Optimiser(Protocol):
    """An Optimiser proposes latents, one generation after the other."""

    @property
    def centre(self) -> NDArray[np.float64]:
        """What it holds for best now, (d,)."""
        ...

    def ask(self) -> NDArray[np.float64]:
        """Return the latents of the next generation, (n, d)."""
        ...

    def tell(self, fitness: NDArray[np.float64]) -> None:
        """Take the fitness, (n,), of the latents that were asked for last, in their order; more is better."""
        ...


#: Name in a session file -> what makes it, of (d, population, generations, spread, seed).
OPTIMISERS: Mapping[str, Callable[[int, int, int, float, int], Optimiser]] = {
    "cma": lambda d, n, generations, spread, seed: CmaEs(d, n, spread, seed, diagonal=True),
    "full_cma": lambda d, n, generations, spread, seed: CmaEs(d, n, spread, seed, diagonal=False),
    "sphere_cma": lambda d, n, generations, spread, seed: SphereCma(d, n, generations, spread, seed),
    "genetic": lambda d, n, generations, spread, seed: GeneticAlgorithm(d, n, spread, seed),
    "random": lambda d, n, generations, spread, seed: RandomSearch(d, n, spread, seed),
}
