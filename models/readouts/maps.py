"""Maps from standardised voxels to standardised latents, the middle part of a fitted readout.

Plain arrays, so that a machine without torch runs and exports every readout; `models.readouts.export` writes each as
a graph.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from models.readouts.scaling import Array

Floats = NDArray[np.float64]

#: Between which the log of a standard latent's variance is kept: no data reach them, only overflow would.
LOG_VARIANCES = (-9.0, 5.0)


class Map(Protocol):
    """A Map turns standardised voxels into standardised latents."""

    def __call__(self, voxels: Array) -> Array:
        """Read: (n, voxels) to (n, d), both in units of their own deviation."""
        ...

    def shrunk(self, gain: float, centre: Floats) -> Self:
        """Return the map whose answers lie `gain` times as far from `centre`, (d,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """An Affine is one matrix and one offset, the map of every linear readout.

    Attributes
    ----------
    weights : (voxels, d)
    offset : (d,) float64
    """

    weights: Array
    offset: Floats

    def __call__(self, voxels: Array) -> Array:
        """Read: (n, voxels) to (n, d)."""
        return voxels @ self.weights + self.offset

    def shrunk(self, gain: float, centre: Floats) -> "Affine":
        """Return the map whose answers lie `gain` times as far from `centre`."""
        return Affine(self.weights * gain, centre + gain * (self.offset - centre))


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A Kernel is a weighted sum of similarities to training trials.

    Attributes
    ----------
    centres : (n, voxels)
        Standardised training trials.
    gamma : float
    duals : (n, d) float64
    offset : (d,) float64
    """

    centres: Array
    gamma: float
    duals: Floats
    offset: Floats

    def __call__(self, voxels: Array) -> Floats:
        """Read: (n, voxels) to (n, d)."""
        x = np.asarray(voxels, np.float64)
        squares = (x**2).sum(1)[:, None] + (self.centres**2).sum(1) - 2 * x @ self.centres.T
        result: Floats = np.exp(-self.gamma * np.maximum(squares, 0)) @ self.duals + self.offset
        return result

    def shrunk(self, gain: float, centre: Floats) -> "Kernel":
        """Return the map whose answers lie `gain` times as far from `centre`."""
        offset = centre + gain * (self.offset - centre)
        return Kernel(self.centres, self.gamma, self.duals * gain, offset)


@dataclass(frozen=True, slots=True, eq=False)
class LogVariance:
    """A LogVariance is a second head of a network: how uncertain each latent of each trial is.

    Attributes
    ----------
    weights, bias : (hidden, d), (d,) float32
        From the last hidden layer to the log of each latent's variance, in standard units.
    """

    weights: Array
    bias: Array

    def __call__(self, hidden: Array) -> Floats:
        """Return variances: (n, hidden) to (n, d), within bounds that no latent of training comes near."""
        logs = np.clip(hidden @ self.weights + self.bias, *LOG_VARIANCES)
        return np.exp(logs.astype(np.float64))

    def scaled(self, factor: Floats) -> "LogVariance":
        """Return it for variances so many times as large: (d,)."""
        return LogVariance(self.weights, (self.bias + np.log(factor)).astype(self.bias.dtype))


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A Network is dense layers with ReLU between them, and maybe an affine map before them.

    Attributes
    ----------
    layers : list of (weights, bias)
        Each (inputs, outputs) and (outputs,) float32.
    front : Affine, optional
        From voxels to what the layers read, where that is far less.
    spread : LogVariance, optional
        What the network says of its own uncertainty, where it does; it reads the last of at least one hidden layer.
    """

    layers: list[tuple[Array, Array]]
    front: Affine | None = None
    spread: LogVariance | None = None

    def __call__(self, voxels: Array) -> Array:
        """Read: (n, voxels) to (n, d)."""
        weights, bias = self.layers[-1]
        return self._before_last(voxels) @ weights + bias

    def variance(self, voxels: Array) -> Floats | None:
        """Return the variance that the network states of each latent: (n, voxels) to (n, d); None where it does not."""
        return None if self.spread is None else self.spread(self._before_last(voxels))

    def _before_last(self, voxels: Array) -> Array:
        """Return what the last layer reads."""
        out = voxels if self.front is None else self.front(voxels)
        for weights, bias in self.layers[:-1]:
            out = np.maximum(out @ weights + bias, 0)
        return out

    def shrunk(self, gain: float, centre: Floats) -> "Network":
        """Return the map whose answers lie `gain` times as far from `centre`."""
        *hidden, (weights, bias) = self.layers
        last = weights * np.float32(gain), (centre + gain * (bias - centre)).astype(bias.dtype)
        return Network([*hidden, last], self.front, self.spread)
