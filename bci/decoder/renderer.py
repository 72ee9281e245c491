"""Artist draws latents with a bundle's own generator, as the live decoder does."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.bundle import Bundle
from bci.decoder.quantiser import Quantiser
from bci.errors import BundleError

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]


class Artist:
    """Draws with the generator of a bundle, on the CPU.

    Parameters
    ----------
    bundle : Bundle
        Whose generator.

    Raises
    ------
    BundleError
        If it has none of its own.
    """

    def __init__(self, bundle: Bundle) -> None:
        graph = bundle.spec.graph("generator")
        if graph is None:
            raise BundleError(
                f"expected a bundle with a generator, came {bundle.name!r}, whose readout draws by itself. "
                "Its latents cannot be drawn alone."
            )
        import onnxruntime

        self._session = onnxruntime.InferenceSession(
            bundle.read(graph.file), providers=["CPUExecutionProvider"]
        )
        self._quantise = Quantiser(bundle.spec.image)

    def __call__(self, latents: Floats) -> Pictures:
        """Draw latents, (n, d): (n, height, width, 3) uint8; what is not finite is black."""
        drawn = np.zeros((len(latents), *self._quantise.shape), np.uint8)
        for latent, into in zip(np.asarray(latents, np.float32), drawn, strict=True):
            (planes,) = self._session.run(["image"], {"latent": latent[None]})
            levels = self._quantise(planes[0])
            if levels is not None:
                into[:] = levels
        return drawn
