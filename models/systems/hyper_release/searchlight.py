"""Searchlight occlusion (Dado et al. 2022, Fig. 8): which layer of the generator suffers most without a few voxels.

The voxels of a cube, cut by the mask, are set to their training mean; nothing is fitted again. Activations are in units
of their deviation over training, so that layers can be compared. The voxel at the cube's centre belongs to the layer
whose squared error grows most, or to none where that is what exchanged test stimuli give: the growth, in units of its
own null, must exceed what the largest one over all voxels and layers does under exchange.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]

#: Takes the voxels that are set to their mean; returns each layer's activations of all test trials, (n, values) each.
Occlude = Callable[[Indices], Sequence[Floats]]

#: The layer of a voxel that belongs to none.
NONE = -1


@dataclass(frozen=True, eq=False)
class LayerMap:
    """A LayerMap says of each voxel to which layer it belongs.

    Attributes
    ----------
    layer : (voxels,) int64
        Position among the layers; -1 for none.
    growth : (voxels, layers) float64
        Of the mean squared error, activations in units of their deviation.
    z : (voxels, layers) float64
        The same about the mean of exchanged stimuli, in units of their deviation.
    threshold : float
        The z above which a voxel belongs to a layer.
    """

    layer: NDArray[np.int64]
    growth: NDArray[np.float64]
    z: NDArray[np.float64]
    threshold: float


def cubes(places: NDArray[np.integer[Any]], side: int) -> list[Indices]:
    """Return the voxels of the cube about each voxel: (voxels, 3) places on the grid to a list of indices.

    Raises
    ------
    DataError
        If places are no triples, one is there twice, or the side is even.
    """
    if places.ndim != 2 or places.shape[1] != 3 or len(np.unique(places, axis=0)) != len(places):
        raise DataError(f"expected one place (x, y, z) a voxel, each once, came shape {places.shape}.")
    if side < 1 or side % 2 == 0:
        raise DataError(f"expected an odd side, so that a cube has a centre, came {side}.")
    half = side // 2
    low = places.min(0) - half
    grid = np.full(places.max(0) - low + half + 1, NONE)
    grid[tuple((places - low).T)] = np.arange(len(places))
    found = []
    for x, y, z in places - low:
        part = grid[x - half : x + half + 1, y - half : y + half + 1, z - half : z + half + 1]
        found.append(part[part >= 0])
    return found


@dataclass(frozen=True, eq=False)
class LinearOcclusion:
    """A LinearOcclusion occludes a readout that is linear in the voxels, without multiplying the others again.

    Attributes
    ----------
    brain : (n, voxels)
        Test responses about the training mean.
    weights : sequence of (voxels, values)
        A layer each.
    """

    brain: Floats
    weights: Sequence[Floats]

    def __call__(self, voxels: Indices) -> list[Floats]:
        """Return activations without some voxels."""
        some = self.brain[:, voxels]
        return [
            whole - some @ layer[voxels] for whole, layer in zip(self._whole(), self.weights, strict=True)
        ]

    def _whole(self) -> list[Floats]:
        if (known := self.__dict__.get("_known")) is None:
            known = [self.brain @ layer for layer in self.weights]
            object.__setattr__(self, "_known", known)
        return list(known)


@dataclass(frozen=True, eq=False)
class Part:
    """A Part is what occluding some of the cubes gave.

    Attributes
    ----------
    growth, z : (cubes, layers) float64
        As of `LayerMap`.
    largest : (permutations,) float64
        Of each exchange, its largest z over these cubes and all layers.
    """

    growth: NDArray[np.float64]
    z: NDArray[np.float64]
    largest: NDArray[np.float64]


def search(
    occlude: Occlude,
    truth: Sequence[Floats],
    lights: Sequence[Indices],
    *,
    random: np.random.Generator,
    permutations: int = 200,
    level: float = 0.05,
) -> LayerMap:
    """Occlude every cube and assign its centre.

    Parameters
    ----------
    occlude : callable
        Gives activations of the test trials, in the units of `truth`.
    truth : sequence of (n, values)
        True activations of each layer, in units of their deviation over training.
    lights : sequence of (k,) int
        Voxels of each cube, as of `cubes`.
    random : numpy.random.Generator
    permutations : int
        Exchanges of the test stimuli.
    level : float
        Share of exchanges whose largest z may exceed the threshold.

    Raises
    ------
    DataError
        If activations are not those of the same trials and layers.
    """
    return joined([occluded(occlude, truth, lights, exchanges(len(truth[0]), permutations, random))], level)


def exchanges(n: int, permutations: int, random: np.random.Generator) -> Indices:
    """Return orders of test stimuli, (permutations, n): every cube is judged by the same ones."""
    return np.stack([random.permutation(n) for _ in range(permutations)])


def occluded(occlude: Occlude, truth: Sequence[Floats], lights: Sequence[Indices], orders: Indices) -> Part:
    """Occlude some of the cubes; each result is the same whichever others are there.

    Parameters
    ----------
    occlude, truth, lights
        As of `search`.
    orders : (permutations, n) int
        As of `exchanges`.

    Raises
    ------
    DataError
        If activations are not those of the same trials and layers.
    """
    intact = list(occlude(np.zeros(0, np.intp)))
    if [one.shape for one in intact] != [one.shape for one in truth]:
        raise DataError(
            f"expected activations of shapes {[one.shape for one in truth]}, as the true ones, came "
            f"{[one.shape for one in intact]}. Ask for the same trials and layers."
        )
    growth, z = np.empty((2, len(lights), len(truth)))
    largest = np.full(len(orders), -np.inf)
    trials = np.arange(len(truth[0]))
    for place, light in enumerate(lights):
        for k, came in enumerate(occlude(light)):
            # Of |t - p'|² - |t - p|² only -2 t·(p' - p) depends on which stimulus it was.
            alike = np.asarray(truth[k] @ (came - intact[k]).T, np.float64)
            own = float((came**2).sum() - (intact[k] ** 2).sum())
            growth[place, k] = (own - 2 * np.trace(alike)) / truth[k].size
            null = (own - 2 * alike[orders, trials].sum(1)) / truth[k].size
            mean, spread = null.mean(), max(null.std(), float(np.finfo(np.float32).tiny))
            z[place, k] = (growth[place, k] - mean) / spread
            np.maximum(largest, (null - mean) / spread, out=largest)
    return Part(growth, z, largest)


def joined(parts: Sequence[Part], level: float = 0.05) -> LayerMap:
    """Assign the centres of all cubes, by the threshold that the parts have together."""
    growth, z = np.concatenate([part.growth for part in parts]), np.concatenate([part.z for part in parts])
    threshold = float(np.quantile(np.max([part.largest for part in parts], axis=0), 1 - level))
    best = growth.argmax(1)
    sure = z[np.arange(len(z)), best] > threshold
    return LayerMap(np.where(sure, best, NONE).astype(np.int64), growth, z, threshold)
