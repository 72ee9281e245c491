r"""Evolution on a sphere: latents of one length, proposed within an angle that shrinks from generation to generation.

After Wang & Ponce 2022 (GECCO), who found the images of a generator to change along the direction of a latent and
little with its length. A generation is drawn around the unit vector m in its tangent space, and m moves along the great
circle towards the better half:

.. math::

    t_i &= \mu_g \, \frac{(I - m m^T)\, \epsilon_i}{\sqrt{d}}, \qquad \epsilon_i \sim N(0, I) \\
    z_i &= r \exp_m(t_i), \qquad \exp_m(t) = \cos|t|\, m + \sin|t|\, t / |t| \\
    m &\leftarrow \exp_m\left(\eta \sum_i w_i t_i\right)

with w the ranks' weights of CMA-ES (the logarithm of half the population, less that of the rank), r the length of a
typical latent, and the angle :math:`\mu` falling from 50 to 7.33 degrees, by the same factor each generation.
"""

import numpy as np
from numpy.typing import NDArray

RATE = 1.5
WIDEST_DEG, NARROWEST_DEG = 50.0, 7.33


class SphereCma:
    """A SphereCma holds one search on the sphere.

    Parameters
    ----------
    d, population, spread, seed
        As of `stimuli.evolution.random_search.RandomSearch`; every latent has the length spread · √d.
    generations : int
        After how many the angle is at its narrowest.
    """

    def __init__(self, d: int, population: int, generations: int, spread: float, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._radius = spread * np.sqrt(d)
        centre = self._random.standard_normal(d)
        self._centre = centre / np.linalg.norm(centre)
        self._population, self._generations, self._generation = population, max(2, generations), 0
        half = population / 2
        weights = np.log(half + 0.5) - np.log(np.arange(1, population + 1))
        self._weights = np.maximum(weights, 0) / np.maximum(weights, 0).sum()
        self._tangents = np.zeros((population, d))

    @property
    def centre(self) -> NDArray[np.float64]:
        """The latent around which the next generation lies, (d,)."""
        centre: NDArray[np.float64] = self._radius * self._centre
        return centre

    @property
    def angle(self) -> float:
        """The typical angle between a proposal and the centre, radians."""
        share = min(1.0, self._generation / (self._generations - 1))
        return float(np.deg2rad(WIDEST_DEG * (NARROWEST_DEG / WIDEST_DEG) ** share))

    def ask(self) -> NDArray[np.float64]:
        """Return the next generation, (population, d)."""
        d = len(self._centre)
        noise = self._random.standard_normal((self._population, d))
        noise -= np.outer(noise @ self._centre, self._centre)
        self._tangents = self.angle / np.sqrt(d) * noise
        proposed: NDArray[np.float64] = self._radius * _exponential(self._centre, self._tangents)
        return proposed

    def tell(self, fitness: NDArray[np.float64]) -> None:
        """Move along the great circle towards the better half."""
        order = np.argsort(-fitness, kind="stable")
        step = RATE * self._weights @ self._tangents[order]
        centre = _exponential(self._centre, step[None])[0]
        self._centre = centre / np.linalg.norm(centre)
        self._generation += 1


def _exponential(at: NDArray[np.float64], tangents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where great circles from `at`, (d,), lead along tangents, (n, d), after an angle of their length."""
    lengths = np.linalg.norm(tangents, axis=1, keepdims=True)
    points: NDArray[np.float64] = np.cos(lengths) * at + np.sinc(lengths / np.pi) * tangents
    return points
