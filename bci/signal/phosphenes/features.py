"""Features are what some hundred phosphenes can convey of a picture: its edges, what stands out, or how light it is.

Each is a map, (height, width) float32 from 0 to 1, of a picture, (height, width, 3) uint8.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
Feature = Literal["edges", "saliency", "brightness"]

#: Light that red, green and blue give (ITU-R BT.709).
_LIGHT = np.array([0.2126, 0.7152, 0.0722], np.float32) / 255

#: A map whose highest value is below this shows noise of rounding.
_FLAT = 1e-3


def _blurred(values: NDArray[np.floating[Any]], sigma: float, *, mode: str) -> NDArray[Any]:
    """Blur a map by a Gaussian; what only names features, such as a session file's settings, loads no scipy."""
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(values, sigma, mode=mode))


def brightness(image: NDArray[np.uint8]) -> Map:
    """Return how light each pixel is."""
    return np.asarray(image.astype(np.float32) @ _LIGHT, np.float32)


def edges(image: NDArray[np.uint8]) -> Map:
    """Return how steeply lightness changes at each pixel, in shares of the steepest."""
    down, right = np.gradient(_blurred(brightness(image), 1.0, mode="nearest"))
    return _in_shares(np.hypot(down, right))


def saliency(image: NDArray[np.uint8]) -> Map:
    """Return what stands out: the spectral residual (Hou & Zhang 2007, CVPR), in shares of the most salient pixel."""
    light = brightness(image)
    # Without a taper the picture's border would stand out most.
    taper = np.outer(*(np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 0.5 for n in light.shape))
    spectrum = np.fft.fft2((light - light.mean()) * taper)
    size = np.log(np.abs(spectrum) + 1e-6)
    residual = size - _blurred(size, 1.0, mode="wrap")
    back = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    stands_out = _blurred(back * taper, max(light.shape) / 24, mode="nearest")
    return _in_shares(stands_out) if np.ptp(light) > _FLAT else np.zeros(light.shape, np.float32)


def _in_shares(values: NDArray[np.floating]) -> Map:
    highest = float(values.max())
    if highest < _FLAT * 1e-3:
        return np.zeros(values.shape, np.float32)
    return np.asarray(values / highest, np.float32)


FEATURES: Mapping[Feature, Callable[[NDArray[np.uint8]], Map]] = {
    "edges": edges,
    "saliency": saliency,
    "brightness": brightness,
}
