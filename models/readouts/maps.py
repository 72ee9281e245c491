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
class Network:
    """A Network is dense layers with ReLU between them, and maybe an affine map before them.

    Attributes
    ----------
    layers : list of (weights, bias)
        Each (inputs, outputs) and (outputs,) float32.
    front : Affine, optional
        From voxels to what the layers read, where that is far less.
    """

    layers: list[tuple[Array, Array]]
    front: Affine | None = None

    def __call__(self, voxels: Array) -> Array:
        """Read: (n, voxels) to (n, d)."""
        out = voxels if self.front is None else self.front(voxels)
        for number, (weights, bias) in enumerate(self.layers):
            out = (np.maximum(out, 0) if number else out) @ weights + bias
        return out

    def shrunk(self, gain: float, centre: Floats) -> "Network":
        """Return the map whose answers lie `gain` times as far from `centre`."""
        *hidden, (weights, bias) = self.layers
        last = weights * np.float32(gain), (centre + gain * (bias - centre)).astype(bias.dtype)
        return Network([*hidden, last], self.front)
