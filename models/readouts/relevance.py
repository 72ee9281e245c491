r"""Relevance: which directions of the latents the brain answers to, and how strongly.

A picture changes much along some directions of a generator's latents and hardly along others. With encoding weights
:math:`w_v \sim N(0, T\, D_v/\alpha)` the prior T, learned from all voxels, says so. It is found by
expectation–maximisation: T becomes the mean over voxels of what their weights are believed to spread,

.. math:: T \leftarrow \frac1V \sum_v \frac{\alpha}{D_v} E\big[w_v w_v^\top\big]

scaled to trace d, since its size is :math:`\alpha`'s to say.
"""

import numpy as np
from numpy.typing import NDArray

from models.readouts.noise import NoiseFit, rotate

Floats = NDArray[np.float64]

#: What is added to every direction, so that none is ruled out for good.
_LEAST = 1e-4


def relevance(brain: NDArray[np.float32], latents: Floats, steps: int = 8) -> Floats:
    """Return a square root L of T: latents times L have encoding weights of one size in every direction.

    Parameters
    ----------
    brain : (n, voxels) float32
        Standardised.
    latents : (n, d) float64
        Standardised.
    steps : int
        Of expectation–maximisation, from T = I.

    Returns
    -------
    root : (d, d) float64
    """
    d, voxels = latents.shape[1], brain.shape[1]
    root = np.eye(d)
    for _ in range(steps):
        trials = rotate(brain, latents @ root)
        noise = NoiseFit(trials, 1)(0)
        s, right, alpha = trials.s, trials.right, noise.alpha
        shrunk = (np.sqrt(s) / (s + alpha))[:, None] * (trials.rows / np.sqrt(noise.private))
        weights = right @ shrunk
        spread = (right / (s + alpha)) @ right.T + (np.eye(d) - right @ right.T) / alpha
        t = root @ (alpha * (weights @ weights.T / voxels + spread)) @ root.T
        values, vectors = np.linalg.eigh(t * d / np.trace(t) + _LEAST * np.eye(d))
        root = vectors * np.sqrt(np.maximum(values, _LEAST))
    return root
