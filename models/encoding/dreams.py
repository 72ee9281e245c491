"""Dreams are pictures that a generator draws of latents from its prior, as many as are wanted, with their features."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.encoding.features import features_of
from models.generators.package import GeneratorPackage

#: Latents that are drawn at once.
_BATCH = 500


@dataclass(frozen=True, slots=True, eq=False)
class Dreams:
    """A Dreams holds latents and the features of their pictures.

    Attributes
    ----------
    latents : (n, d) float32
        Standard normal.
    features : (n, features) float32
    """

    latents: NDArray[np.float32]
    features: NDArray[np.float32]


def dream(package: GeneratorPackage, n: int, seed: int, banks: Sequence[str]) -> Dreams:
    """Draw `n` pictures; the same again for the same generator, number, seed and banks, without drawing anew."""
    key = (str(package.folder), package.hash, n, seed, tuple(banks))
    return _dream(key)


@lru_cache(maxsize=2)
def _dream(key: tuple[str, str, int, int, tuple[str, ...]]) -> Dreams:
    folder, _, n, seed, banks = key
    package = GeneratorPackage.load(folder)
    latents = np.random.default_rng(seed).standard_normal((n, package.spec.latent), np.float32)
    features = [
        features_of(package.draw(latents[first : first + _BATCH]), banks) for first in range(0, n, _BATCH)
    ]
    return Dreams(latents, np.concatenate(features))
