"""Artist draws latents with a bundle's own generator, by the same runner and the same rule as the live decoder."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.providers import Provider, machine, open_runner
from bci.decoder.quantiser import Quantiser
from bci.errors import BundleError

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]


class Artist:
    """Draws with the generator of a bundle; a latent that a decoder read gives the picture that the decoder made.

    Parameters
    ----------
    bundle : Bundle
        Whose generator.
    provider : str
        ``cpu``, or ``cuda`` for an NVIDIA GPU.

    Attributes
    ----------
    environment : dict
        What must be equal for the same latent to give the same bits.

    Raises
    ------
    BundleError
        If the bundle has no generator of its own.
    ProviderError
        If the provider is not there, or the generator does not run on it.
    """

    def __init__(self, bundle: Bundle, provider: Provider = "cpu") -> None:
        graph = bundle.spec.graph("generator")
        if graph is None:
            raise BundleError(
                f"expected a bundle with a generator, came {bundle.name!r}, which has none of its own. "
                "Its latents cannot be drawn alone."
            )
        chain = bundle.chain()
        alone = dataclasses.replace(chain, graphs=tuple(g for g in chain.graphs if g[0] == "generator"))
        models = [("generator", bundle.read(graph.file), bundle.facts[graph.file])]
        self._runner = open_runner(provider, models, alone, bundle.spec.options)
        self._quantise = Quantiser(bundle.spec.image)
        self._latent = np.zeros((1, bundle.latent_size), np.float32)
        self.environment = {"bundle": bundle.hash, **machine(), **self._runner.settings}

    def draw(self, latent: Floats) -> Pictures | None:
        """Draw one latent, (d,): (height, width, 3) uint8, or None where it or its picture is not finite."""
        np.copyto(self._latent[0], latent, casting="same_kind")
        if not np.isfinite(self._latent).all():
            return None
        return self._quantise(self._runner(self._latent)["image"][0])

    def __call__(self, latents: Floats) -> Pictures:
        """Draw latents, (n, d): (n, height, width, 3) uint8; what is not finite is black."""
        drawn = np.zeros((len(latents), *self._quantise.shape), np.uint8)
        for latent, into in zip(latents, drawn, strict=True):
            image = self.draw(latent)
            if image is not None:
                into[:] = image
        return drawn
