"""Parity: whether two ways of running a bundle give the same, by the house's measure.

Latents within 1e-4 relative to their largest value, 8-bit images within one level on 99.9 % of pixels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.quantiser import Quantiser
from bci.errors import ProviderError

LATENT_TOLERANCE = 1e-4
PIXELS_WITHIN_ONE_LEVEL = 0.999

Raw = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Parity:
    """A Parity holds the differences of two runs over the same windows.

    Attributes
    ----------
    latent : float
        Largest difference of a latent, relative to the largest magnitude in the reference.
    pixels : float
        Share of pixel values within one of 255 levels.
    """

    latent: float
    pixels: float

    @property
    def holds(self) -> bool:
        """Whether both are within tolerance; not so when either is not a number."""
        return self.latent <= LATENT_TOLERANCE and self.pixels >= PIXELS_WITHIN_ONE_LEVEL


def compare(expected: Sequence[Raw], came: Sequence[Raw], quantise: Quantiser) -> Parity:
    """Compare what two decoders gave for the same windows, as `OnnxDecoder.raw` returns it."""
    reference = np.stack([raw["latent"] for raw in expected])
    other = np.stack([raw["latent"] for raw in came])
    scale = float(np.abs(reference).max()) or 1.0
    near = []
    for left, right in zip(expected, came, strict=True):
        if not {"image", "pixels"} & set(left):
            # A result without a picture of its own: what is drawn of it follows from its values.
            near.append(np.ones(1, bool))
            continue
        a, b = quantise.of(left), quantise.of(right)
        if a is None or b is None:
            return Parity(float("nan"), 0.0)
        near.append(np.abs(a.astype(int) - b.astype(int)) <= 1)
    return Parity(float(np.abs(other - reference).max()) / scale, float(np.mean(near)))


def require_parity(expected: Sequence[Raw], came: Sequence[Raw], quantise: Quantiser) -> Parity:
    """Compare, and refuse what is not the same.

    Raises
    ------
    ProviderError
        With both measures.
    """
    parity = compare(expected, came, quantise)
    if not parity.holds:
        raise ProviderError(
            f"expected latents within {LATENT_TOLERANCE:g} and {100 * PIXELS_WITHIN_ONE_LEVEL:g} % of pixels within "
            f"one level of float32 on {len(expected)} windows, came {parity.latent:.2g} and "
            f"{100 * parity.pixels:.4g} %. Run in float32, or keep more layers of the graph in it."
        )
    return parity
