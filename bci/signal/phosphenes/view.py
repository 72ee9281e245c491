r"""A PhospheneView turns a picture into stimulation, within the limits of each electrode, and into what would be seen.

With c the feature that is conveyed (0 to 1) at an electrode's place in the field, the current is

.. math:: I = I_{threshold} + c\,(I_{limit} - I_{threshold}), \qquad 0 where c is below the floor

and the percept is the sum of Gaussians in the dark, at most white: the brightness of each rises in proportion to the
current above threshold and to the frequency. The sizes are those at the highest current. One sparse matrix for each
size of picture holds all Gaussians, so that a percept is one product.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bci.errors import StimulationRefused
from bci.signal.phosphenes.features import FEATURES, Feature
from bci.signal.phosphenes.grid import ElectrodeGrid, Layout, make_grid
from bci.signal.phosphenes.pulses import PulseTrain

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: A Gaussian ends after this many standard deviations.
_REACH = 3.0
#: The feature below which an electrode is silent.
FLOOR = 0.1

Image = NDArray[np.uint8]
Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ElectrodeLimit:
    """An ElectrodeLimit is the highest current and frequency of some electrodes; a current of 0 switches them off."""

    electrodes: tuple[int, ...]
    amplitude_ua: float
    frequency_hz: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Stimulation:
    """A Stimulation is what every electrode gives while one picture is shown.

    Attributes
    ----------
    amplitudes_ua : (n,) float32
        Current of each, microampere; 0 for none.
    frequencies_hz : (n,) float32
        Pulses in a second.
    """

    amplitudes_ua: Values
    frequencies_hz: Values


class PhospheneView:
    """A PhospheneView shows pictures of one size through an electrode grid.

    Parameters
    ----------
    image_shape : (int, int)
        Height and width of the pictures.
    image_deg : float
        The longer side of what is seen, degrees.
    electrodes : int
        How many.
    train : PulseTrain
        What each gives at most.
    threshold_ua : float
        Current below which nothing is seen.
    feature, layout
        See `bci.signal.phosphenes.features` and `bci.signal.phosphenes.grid`.
    limits : sequence of ElectrodeLimit
        Electrodes that may give less.

    Attributes
    ----------
    grid : ElectrodeGrid
        Where the phosphenes lie.

    Raises
    ------
    StimulationRefused
        If the threshold is no lower than the limit, or a limit is above the train's or of no electrode.
    """

    def __init__(
        self,
        image_shape: tuple[int, int],
        image_deg: float,
        electrodes: int,
        train: PulseTrain,
        *,
        threshold_ua: float = 20.0,
        feature: Feature = "edges",
        layout: Layout = "cortex",
        limits: Sequence[ElectrodeLimit] = (),
    ) -> None:
        if not 0 <= threshold_ua < train.amplitude_ua:
            raise StimulationRefused(
                f"expected a threshold below the highest current, {train.amplitude_ua:g} µA, came {threshold_ua:g} µA. "
                "Lower threshold_ua."
            )
        self._threshold, self._train, self._feature = threshold_ua, train, FEATURES[feature]
        self._half = tuple(image_deg / 2 * side / max(image_shape) for side in image_shape)
        self.grid: ElectrodeGrid = make_grid(
            electrodes, (self._half[0], self._half[1]), layout, train.amplitude_ua
        )
        self._highest = np.full(electrodes, train.amplitude_ua, np.float32)
        self._frequencies = np.full(electrodes, train.frequency_hz, np.float32)
        for limit in limits:
            self._restrict(limit)
        self._silent = self._highest <= threshold_ua
        # An electrode conveys what lies halfway to its neighbours.
        pooled = np.maximum(self.grid.apart / 2, image_deg / max(image_shape) / 2)
        pools = self._gaussians(image_shape, pooled, whole=True)
        self._pools: csr_array = pools.T.tocsr()
        self._percepts: dict[tuple[int, int], csr_array] = {}

    def stimulate(self, image: Image) -> Stimulation:
        """Return the stimulation that conveys a picture, (height, width, 3), within every electrode's limits."""
        conveyed = np.minimum(self._pools @ self._feature(image).ravel(), 1)
        current = self._threshold + conveyed * (self._highest - self._threshold)
        current[(conveyed < FLOOR) | self._silent] = 0
        return Stimulation(current.astype(np.float32), self._frequencies)

    def percept(self, stimulation: Stimulation, shape: tuple[int, int]) -> Image:
        """Return what is seen of a stimulation, as a picture of this height and width: (*shape, 3) uint8."""
        above = np.maximum(stimulation.amplitudes_ua - self._threshold, 0)
        share = above / (self._train.amplitude_ua - self._threshold)
        share *= stimulation.frequencies_hz / self._train.frequency_hz
        if shape not in self._percepts:
            self._percepts[shape] = self._gaussians(shape, self.grid.sizes)
        light = self._percepts[shape] @ share.astype(np.float32)
        grey = np.minimum(light * np.float32(255) + np.float32(0.5), 255).astype(np.uint8)
        seen = np.empty((*shape, 3), np.uint8)
        seen[:] = grey.reshape(*shape, 1)
        return seen

    def __call__(self, image: Image, shape: tuple[int, int]) -> Image:
        """Return what is seen of a picture, (height, width, 3), as a picture of another size, (*shape, 3)."""
        return self.percept(self.stimulate(image), shape)

    def _restrict(self, limit: ElectrodeLimit) -> None:
        which = np.asarray(limit.electrodes, np.intp)
        if len(which) and not 0 <= which.min() <= which.max() < len(self.grid):
            raise StimulationRefused(
                f"expected limits of electrodes 0 to {len(self.grid) - 1}, came electrode {int(which.max())}. "
                "Give the numbers of electrodes that there are."
            )
        hertz = self._train.frequency_hz if limit.frequency_hz is None else limit.frequency_hz
        if limit.amplitude_ua > self._train.amplitude_ua or hertz > self._train.frequency_hz:
            raise StimulationRefused(
                f"expected limits up to {self._train.amplitude_ua:g} µA and {self._train.frequency_hz:g} Hz, those of "
                f"all electrodes, came {limit.amplitude_ua:g} µA and {hertz:g} Hz. Lower them."
            )
        self._highest[which], self._frequencies[which] = limit.amplitude_ua, hertz

    def _gaussians(
        self, shape: tuple[int, int], sizes: NDArray[np.float64], whole: bool = False
    ) -> "csr_array":
        """Return how much of each phosphene reaches each pixel: (height · width, n).

        A Gaussian smaller than a pixel is spread over it, with as much light in all; `whole`, it sums to 1.
        """
        height, width = shape
        down, across = (2 * self._half[0] / height, 2 * self._half[1] / width)
        values, pixels, owners = [], [], []
        for owner, ((x, y), size) in enumerate(zip(self.grid.places, sizes, strict=True)):
            spread_y, spread_x = (float(np.sqrt(size**2 + step**2 / 12)) for step in (down, across))
            rows, weights_y = _along(y + self._half[0], spread_y, down, height)
            columns, weights_x = _along(x + self._half[1], spread_x, across, width)
            patch = np.outer(weights_y, weights_x)
            patch *= 1 / patch.sum() if whole else size**2 / (spread_x * spread_y)
            values.append(patch.ravel())
            pixels.append((rows[:, None] * width + columns[None, :]).ravel())
            owners.append(np.full(patch.size, owner))
        # Every program reads the settings of a session, few show phosphenes: only those load scipy.
        from scipy.sparse import csr_array

        entries = np.concatenate(values).astype(np.float32)
        where = (np.concatenate(pixels), np.concatenate(owners))
        return csr_array((entries, where), shape=(height * width, len(self.grid)))


def _along(
    middle: float, spread: float, step: float, count: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the pixels along one side that a Gaussian reaches, at least one, and its height at their middles."""
    low = int(np.clip(np.floor((middle - _REACH * spread) / step), 0, count - 1))
    high = int(np.clip(np.ceil((middle + _REACH * spread) / step), low + 1, count))
    pixels = np.arange(low, high)
    return pixels, np.exp(-((((pixels + 0.5) * step - middle) / spread) ** 2) / 2)
