"""HigherUnits stand for ventral cortex: they read a convolutional network that nothing else here uses.

The network has three layers of fixed random orthogonal filters, each rectified, divided by what its channels
have together, and pooled. It is nobody's trained network: no decoder, comparator or metric of this project has it,
so that none can profit from knowing it. One seed makes it for the whole family of participants; what they read from
it is each one's own.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from bci.sim.gaze import FIELD, Spectra, retinal_images

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
    """The convolutional network: three layers, random orthogonal filters.

    Attributes
    ----------
    shapes : list of (int, int, int)
        Channels, height and width of what each layer gives.
    """

    def __init__(self, seed: int = FAMILY) -> None:
        rng = np.random.default_rng(seed)
        self._filters: list[tuple[NDArray[np.float32], int, int]] = []
        self.shapes: list[tuple[int, int, int]] = []
        channels, side = 3, FIELD
        for (filters, size, step), cosines in zip(LAYERS, _COSINES, strict=True):
            # The first layer sees contrast, not light.
            weights = _random_filters(filters, channels, size, cosines, channels == 3, rng)
            self._filters.append((weights, size, step))
            side = (side - size) // step + 1
            channels, side = filters, side if filters == LAYERS[-1][0] else len(_kept(side))
            self.shapes.append((channels, side, side))

    def layers(self, images: Images) -> list[Images]:
        """Return what each layer gives for images (n, 3, FIELD, FIELD): (n, channels, side, side)."""
        found = []
        x = images * np.float32(_GAIN)
        for weights, size, step in self._filters:
            x = _divide(np.maximum(_convolve(x, weights, size, step), 0))
            x = x if len(found) == len(self._filters) - 1 else _pool(x)
            found.append(x)
        return found


class HigherUnits:
    """Units with large receptive fields over the network's deeper layers.

    Parameters
    ----------
    n : int
        How many.
    rng : numpy.random.Generator
        Whose tuning.
    network : Network, optional
        What they read.
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
        """Return the response (n, units) float32, ≥ 0, to what reaches the retina (see `bci.sim.gaze`)."""
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


def _random_filters(
    filters: int, channels: int, size: int, cosines: int, balanced: bool, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return orthonormal filters (channels · size · size, filters) of few cosines; balanced ones have mean 0."""
    waves = np.cos(np.pi * (np.arange(size) + 0.5) * np.arange(cosines)[:, None] / size)
    waves /= np.linalg.norm(waves, axis=1, keepdims=True)
    planes = np.einsum("ay,bx->abyx", waves, waves).reshape(cosines**2, -1)[int(balanced) :]
    basis = np.kron(np.eye(channels), planes)
    q, r = np.linalg.qr(rng.standard_normal((len(basis), filters)))
    # The signs are the library's whim; the network must not hang on it.
    return np.ascontiguousarray(basis.T @ (q * np.sign(np.diag(r))), np.float32)


def _convolve(x: Images, weights: NDArray[np.float32], size: int, step: int) -> Images:
    """Return x (n, c, h, w) seen through filters: (n, filters, h', w')."""
    seen = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::step, ::step]
    n, _, height, width = seen.shape[:4]
    patches = seen.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, -1)
    return np.ascontiguousarray((patches @ weights).reshape(n, height, width, -1).transpose(0, 3, 1, 2))


def _divide(x: Images) -> Images:
    return x / (0.2 + np.sqrt(np.mean(x * x, axis=1, keepdims=True)))


def _kept(side: int) -> range:
    return range(0, side - len(_BLUR) + 1, 2)


def _pool(x: Images) -> Images:
    """Blur (n, c, h, w) and keep every other sample."""
    down = sum(w * x[:, :, k : x.shape[2] - len(_BLUR) + k + 1 : 2] for k, w in enumerate(_BLUR))
    both = sum(w * down[..., k : down.shape[3] - len(_BLUR) + k + 1 : 2] for k, w in enumerate(_BLUR))
    return np.ascontiguousarray(both)


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
