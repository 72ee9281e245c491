"""The rules that latents pass before a generator sees them, and how latents are drawn within a limit; NumPy alone."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: What is done to a latent before a generator sees it: nothing, a scaling to the norm √d that latents of its
#: prior have, or a clipping to the range that they fill.
Rule = Literal["keep", "rescale", "truncate"]


def apply_rule(latents: Floats, rule: Rule, limit: float) -> Floats:
    """Apply the rule to latents, (n, d) to (n, d); see `models.generators.interface.normaliser`."""
    if rule == "truncate":
        return np.clip(latents, -limit, limit).astype(np.float32)
    if rule == "rescale":
        norms = np.linalg.norm(latents, axis=1, keepdims=True)
        return (latents * (latents.shape[1] ** 0.5 / np.maximum(norms, 1e-12))).astype(np.float32)
    return latents


def truncated(n: int, size: int, limit: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Draw standard normal latents, (n, size), each value again until it lies within ± `limit`.

    Brock et al. (2019) call this the truncation trick: a smaller limit trades variety for fidelity.

    >>> bool(abs(truncated(100, 8, 0.5, np.random.default_rng(0))).max() <= 0.5)
    True
    """
    if not limit > 0:
        raise ValueError(f"latents are truncated at a limit above 0, got {limit}")
    latent = random.standard_normal((n, size), np.float32)
    while (outside := np.abs(latent) > limit).any():
        latent[outside] = random.standard_normal(int(outside.sum()), np.float32)
    return latent
