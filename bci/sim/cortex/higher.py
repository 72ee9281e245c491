"""HigherUnits stand for ventral cortex: they read a random convolutional network that no other module uses.

The network has three layers of fixed random orthogonal filters, each rectified, divided by what its channels
have together, and pooled. No decoder, comparator or metric of this project uses it, so that none can profit from
knowing it. One seed makes the network for all participants; each participant reads it with weights of its own.
"""

import numpy as np
from numpy.typing import NDArray

from bci.sim.cortex.gaze import FIELD, Spectra, retinal_images

Drives = NDArray[np.float32]
Images = NDArray[np.float32]

#: Seed of the network that all participants have in common.
FAMILY = 19590101

#: Layers: filters, their side, step; the first two are followed by pooling.
LAYERS = ((32, 11, 2), (64, 3, 1), (96, 3, 1))

#: A filter is a random mixture of this many cosines along each axis: coarse, as receptive fields are.
_COSINES = (4, 2, 2)

#: Every retinal image is scaled by this: a contrast of 0.2 becomes about 1.
_GAIN = 5.0

#: Binomial weights that a layer is blurred with before every other sample is kept (Zhang 2019, ICML 97:7324).
_BLUR = np.array([1, 4, 6, 4, 1], np.float32) / 16


class Network:
    """A Network is a convolutional network of three layers with random orthogonal filters.

    Attributes
    ----------
    shapes : list of (int, int, int)
        Channels, height and width of each layer's output.
    """

    def __init__(self, seed: int = FAMILY) -> None:
        rng = np.random.default_rng(seed)
        self._layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        self.shapes: list[tuple[int, int, int]] = []
        channels, side = 3, FIELD
        for layer, ((filters, size, step), cosines) in enumerate(zip(LAYERS, _COSINES, strict=True)):
            waves = _waves(size, cosines, step, side)
            mix = rng.standard_normal((channels, cosines, cosines, filters))
            if layer == 0:
                mix[:, 0, 0] = 0  # it sees contrast, not light
            self._layers.append((waves, _orthonormal(mix.reshape(-1, filters))))
            side = (side - size) // step + 1
            channels, side = filters, side if layer == len(LAYERS) - 1 else len(_kept(side))
            self.shapes.append((channels, side, side))

    def layers(self, images: Images) -> list[Images]:
        """Return each layer's output for images (n, 3, FIELD, FIELD): (n, channels, side, side)."""
        outputs: list[Images] = []
        x = images * np.float32(_GAIN)
        for waves, mix in self._layers:
            x = _divide(np.maximum(_convolve(x, waves, mix), 0))
            x = x if len(outputs) == len(self._layers) - 1 else _pool(x)
            outputs.append(x)
        return outputs


class HigherUnits:
    """HigherUnits are simulated units with large receptive fields over the network's deeper layers.

    Parameters
    ----------
    n : int
        Number of units.
    rng : numpy.random.Generator
        Draws the units' weights and exponents.
    network : Network, optional
        The network that the units read.
    """

    def __init__(self, n: int, rng: np.random.Generator, network: Network | None = None) -> None:
        self._network = network or Network()
        self._weights = [
            _readout(n, shape, reach, rng)
            for shape, reach in zip(self._network.shapes[1:], (0.25, 0.4), strict=True)
        ]
        self._threshold = np.zeros(n, np.float32)
        self._depth = rng.uniform(0.0, 1.0, n).astype(np.float32)
        self.exponent = rng.uniform(0.5, 0.9, n).astype(np.float32)

    def __len__(self) -> int:
        return len(self.exponent)

    def respond(self, spectra: Spectra) -> Drives:
        """Return the response (n, units) float32, ≥ 0, to what reaches the retina (see `bci.sim.cortex.gaze`)."""
        drives: Drives = np.maximum(self._input(spectra) - self._threshold, 0) ** self.exponent
        return drives

    def settle(self, spectra: Spectra) -> None:
        """Set every unit's threshold a standard deviation below its mean input over these pictures."""
        total = self._input(spectra)
        self._threshold = total.mean(axis=0) - total.std(axis=0)

    def _input(self, spectra: Spectra) -> NDArray[np.float32]:
        layers = self._network.layers(retinal_images(spectra))[1:]
        shares = (1 - self._depth, self._depth)
        total = np.zeros((len(spectra), len(self)), np.float32)
        for layer, weights, share in zip(layers, self._weights, shares, strict=True):
            total += share * (layer.reshape(len(layer), -1) @ weights)
        return total


def _waves(size: int, cosines: int, step: int, side: int) -> NDArray[np.float32]:
    """Return orthonormal cosines of `size` samples, set at every step of a side: (cosines · places, side)."""
    waves = np.cos(np.pi * (np.arange(size) + 0.5) * np.arange(cosines)[:, None] / size)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    places = range(0, side - size + 1, step)
    set_out = np.zeros((cosines, len(places), side))
    for i, place in enumerate(places):
        set_out[:, i, place : place + size] = waves
    return set_out.reshape(-1, side).astype(np.float32)


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return orthonormal columns that span the same space."""
    q, r = np.linalg.qr(columns)
    # The signs that the library returns are arbitrary; the network must not depend on them.
    return np.ascontiguousarray(q * np.sign(np.diag(r)), np.float32)


def _convolve(x: Images, waves: NDArray[np.float32], mix: NDArray[np.float32]) -> Images:
    """Return x (n, c, side, side) convolved with the filters: (n, filters, places, places).

    A filter is a mixture of products of two cosines, so that most of the work is two small matrix products.
    """
    n, channels = x.shape[:2]
    cosines = round((len(mix) / channels) ** 0.5)
    places = len(waves) // cosines
    filtered = (waves @ x @ waves.T).reshape(n, channels, cosines, places, cosines, places)
    flat = np.ascontiguousarray(filtered.transpose(0, 3, 5, 1, 2, 4)).reshape(n * places**2, -1)
    return np.ascontiguousarray((flat @ mix).reshape(n, places, places, -1).transpose(0, 3, 1, 2))


def _divide(x: Images) -> Images:
    return np.asarray(x / (0.2 + np.sqrt(np.mean(x * x, axis=1, keepdims=True))))


def _kept(side: int) -> range:
    return range(0, side - len(_BLUR) + 1, 2)


def _pool(x: Images) -> Images:
    """Blur (n, c, h, w) and keep every other sample."""
    down = sum(w * x[:, :, k : x.shape[2] - len(_BLUR) + k + 1 : 2] for k, w in enumerate(_BLUR))
    pooled = sum(w * down[..., k : down.shape[3] - len(_BLUR) + k + 1 : 2] for k, w in enumerate(_BLUR))
    return np.ascontiguousarray(pooled)


def _readout(
    n: int, shape: tuple[int, int, int], reach: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return weights (channels · h · w, n): sparse over channels, broad over the field, of both signs."""
    channels, height, width = shape
    tuned = rng.standard_normal((n, channels)) * (rng.random((n, channels)) < 0.25)
    middle = rng.uniform(0.25, 0.75, (n, 2)) * [height, width]
    down = np.exp(-(((np.arange(height) + 0.5 - middle[:, :1]) / (reach * height)) ** 2) / 2)
    across = np.exp(-(((np.arange(width) + 0.5 - middle[:, 1:]) / (reach * width)) ** 2) / 2)
    place = down[:, :, None] * across[:, None, :]
    place /= place.sum(axis=(1, 2), keepdims=True)
    weights = tuned[:, :, None, None] * place[:, None]
    weights /= np.linalg.norm(tuned, axis=1)[:, None, None, None] + 1e-9
    return np.ascontiguousarray(weights.reshape(n, -1).T, np.float32)
