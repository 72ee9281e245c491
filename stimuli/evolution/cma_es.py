"""Covariance matrix adaptation (Hansen & Ostermeier 2001) on latents, by the library ``cma``.

Diagonal, it keeps a variance for each coordinate (sep-CMA-ES: Ros & Hansen 2008): a generation takes time that grows
with d, not with its square, and under noise it does better, so it is what a live experiment takes first.
"""

from typing import Any

import cma
import numpy as np
from numpy.typing import NDArray

#: First standard deviation of the search, in units of the spread.
FIRST_STEP = 1.0


class CmaEs:
    """A CmaEs holds the state of one search.

    Parameters
    ----------
    d, population, spread, seed
        As of `stimuli.evolution.random_search.RandomSearch`; the search begins at the origin.
    diagonal : bool
        Variances alone, or all of the covariance.
    """

    def __init__(self, d: int, population: int, spread: float, seed: int, *, diagonal: bool) -> None:
        random = np.random.default_rng(seed)
        options: dict[str, Any] = {
            "popsize": population,
            "CMA_diagonal": diagonal,
            # Its own random numbers would be those of the whole process.
            "randn": lambda *shape: random.standard_normal(shape),
            "seed": np.nan,
            "verbose": -9,
            "verb_log": 0,
            "termination_callback": None,
        }
        self._search = cma.CMAEvolutionStrategy(np.zeros(d), FIRST_STEP * spread, options)
        self._asked: list[NDArray[np.float64]] = []

    @property
    def centre(self) -> NDArray[np.float64]:
        """The mean of the search distribution, (d,)."""
        return np.array(self._search.mean, np.float64)

    def ask(self) -> NDArray[np.float64]:
        """Return the next generation, (population, d)."""
        self._asked = self._search.ask()
        return np.stack(self._asked)

    def tell(self, fitness: NDArray[np.float64]) -> None:
        """Move the search distribution towards the better half; the library looks for the smallest value."""
        self._search.tell(self._asked, (-fitness).tolist())
