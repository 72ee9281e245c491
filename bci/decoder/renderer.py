"""Artist draws latents with a bundle's own generator, or values with its drawing, as the live decoder does."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.cuda import CardSettings
from bci.decoder.providers import Provider, machine, open_runner
from bci.decoder.quantiser import Quantiser
from bci.decoder.renderers import open_renderer
from bci.decoder.spec import Arithmetic, Precision, Role
from bci.errors import BundleError

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]


class Artist:
    """Draws with the generator of a bundle; a latent that a decoder read gives the picture that the decoder made.

    Of a bundle whose result is no picture, its drawing draws the values, (k,), in place of a latent.

    Parameters
    ----------
    bundle : Bundle
        Whose generator.
    provider : str
        ``cpu``, or ``cuda`` for an NVIDIA GPU.
    card : CardSettings, optional
        Which card, and how much of it.
    precision : str
        That of the decoder, which has compared it with float32: a latent then gives the picture that it made.

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

    def __init__(
        self,
        bundle: Bundle,
        provider: Provider = "cpu",
        card: CardSettings | None = None,
        precision: Arithmetic = "float32",
    ) -> None:
        half: Precision = "float16" if precision == "float16" else "float32"
        roles: tuple[Role, ...] = ("generator", "drawing")
        graph = next((g for p in (half, "float32") for r in roles if (g := bundle.spec.graph(r, p))), None)
        if graph is None:
            raise BundleError(
                f"expected a bundle with a generator, came {bundle.name!r}, which has none of its own. "
                "Its latents cannot be drawn alone."
            )
        chain = bundle.chain(half)
        alone = dataclasses.replace(chain, graphs=tuple(g for g in chain.graphs if g[0] == graph.role))
        models = [(graph.role, bundle.read(graph.file), bundle.facts[graph.file])]
        reduced = bundle.reduced(precision)
        self._runner = open_runner(provider, models, alone, bundle.spec.options, card, reduced)
        self._quantise = Quantiser(bundle.spec.image)
        self._latent = np.zeros(alone.sizes()[alone.taken], np.float32)
        self.environment = {"bundle": bundle.hash, **machine(), **self._runner.settings}

    def draw(self, latent: Floats) -> Pictures | None:
        """Draw one latent, (d,): (height, width, 3) uint8, or None where it or its picture is not finite."""
        np.copyto(self._latent.reshape(-1), latent, casting="same_kind")
        if not np.isfinite(self._latent).all():
            return None
        picture = self._quantise.of(self._runner(self._latent))
        return picture if picture is None or not self._runner.lends else picture.copy()

    def __call__(self, latents: Floats) -> Pictures:
        """Draw latents, (n, d): (n, height, width, 3) uint8; what is not finite is black."""
        return _draw_each(self.draw, latents, self._quantise.shape)


def drawing_of(bundle: Bundle) -> Callable[[Floats], Pictures | None]:
    """Return what draws the readings of a bundle one by one, as the decoder drew them: (d,) to (height, width, 3).

    Raises
    ------
    BundleError
        If its pictures cannot be drawn alone: it is one graph from window to picture.
    ProviderError
        If ONNX Runtime is not installed.
    """
    if bundle.spec.result.kind == "picture" or bundle.spec.graph("drawing") is not None:
        return Artist(bundle).draw
    render = open_renderer(bundle.spec.result, bundle.image_size, bundle.read)
    return lambda values: render(np.asarray(values, np.float32))


def draw_readings(bundle: Bundle, readings: Floats) -> Pictures:
    """Draw readings of a bundle, (n, d): (n, height, width, 3) uint8; what is not finite is black.

    Raises
    ------
    BundleError, ProviderError
        As `drawing_of`.
    """
    return _draw_each(drawing_of(bundle), readings, (*bundle.image_size, 3))


def _draw_each(
    draw: Callable[[Floats], Pictures | None], latents: Floats, shape: tuple[int, ...]
) -> Pictures:
    drawn = np.zeros((len(latents), *shape), np.uint8)
    for latent, into in zip(latents, drawn, strict=True):
        image = draw(latent)
        if image is not None:
            into[:] = image
    return drawn
