"""Random search proposes standard normal latents whatever it is told: the control of every other optimiser."""

import numpy as np
from numpy.typing import NDArray


class RandomSearch:
    """A RandomSearch draws every generation anew.

    Parameters
    ----------
    d : int
        Size of the latent space.
    population : int
        Latents of one generation.
    spread : float
        Standard deviation of every coordinate.
    seed : int
        Which random numbers.
    """

    def __init__(self, d: int, population: int, spread: float, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._shape, self._spread = (population, d), spread
        self._asked = np.zeros((0, d))
        self._best = -np.inf
        self._centre = np.zeros(d)

    @property
    def centre(self) -> NDArray[np.float64]:
        """The latent of the highest fitness so far, (d,)."""
        return self._centre

    def ask(self) -> NDArray[np.float64]:
        """Return the next generation, (population, d)."""
        self._asked = self._spread * self._random.standard_normal(self._shape)
        return self._asked

    def tell(self, fitness: NDArray[np.float64]) -> None:
        """Remember the best of a generation."""
        best = int(np.argmax(fitness))
        if fitness[best] > self._best:
            self._best, self._centre = float(fitness[best]), self._asked[best].copy()
