"""A small world whose latents, weights and noise are known."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class World:
    """Linear voxels of uneven size and reliability; latents of mean 1 and deviation 2."""

    weights: np.ndarray
    factors: np.ndarray
    private: float
    gain: np.ndarray
    seed: int

    def draw(self, n, repeats=1, seed=1):
        rng = np.random.default_rng([self.seed, seed])
        z = rng.standard_normal((n, len(self.weights)))
        noise = np.sqrt(self.private) * rng.standard_normal((n, self.weights.shape[1]))
        noise += rng.standard_normal((n, len(self.factors))) @ self.factors
        brain = (z @ self.weights + noise / np.sqrt(np.reshape(repeats, (-1, 1)))) * self.gain + 50
        return brain, 1 + 2 * z


def world(*, d=12, voxels=240, factors=4, snr=0.2, seed=0, silent=0.0):
    """Half the noise lies in `factors`; a share of voxels is `silent`."""
    rng = np.random.default_rng([seed, 77])
    weights = rng.standard_normal((d, voxels)) * np.sqrt(snr / d)
    weights[:, : int(silent * voxels)] = 0
    private = 0.5 if factors else 1.0
    shared = rng.standard_normal((factors, voxels)) * np.sqrt((1 - private) / max(factors, 1))
    return World(weights, shared, private, np.exp(rng.standard_normal(voxels)), seed)
