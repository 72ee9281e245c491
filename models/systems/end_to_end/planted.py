"""Planted voxels: they answer the Gabor energy of drawn pictures, early ones at one place, higher ones anywhere.

Energy has no sign, so nothing linear in the voxels is a picture: that an edge lies somewhere has to be turned into the
light figure whose edge it is. Pictures are drawn here: one to three figures, lighter than what is behind them, some
with stripes, on a background that is darker on one side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoding.features import features_of
from models.readouts.scaling import Standard

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float64]

#: What a picture's attributes are called; those of the largest figure, whose place and size are shares of the side.
ATTRIBUTES = ("left", "top", "size", "light", "stripes", "kind", "figures", "background")
#: Regions of the planted cortex.
EARLY, HIGHER = "early", "higher"

_KINDS = 4  # disc, square, ring, cross
_CELLS = 64  # of the energy's grid


def draw_pictures(n: int, side: int, random: np.random.Generator) -> tuple[Pictures, NDArray[np.float32]]:
    """Draw pictures.

    Parameters
    ----------
    n, side : int
        How many, and their pixels.
    random : numpy.random.Generator

    Returns
    -------
    pictures : (n, side, side, 3) uint8
        Grey.
    attributes : (n, 8) float32
        See `ATTRIBUTES`.
    """
    grid = (np.arange(side) + 0.5) / side
    y, x = np.meshgrid(grid, grid, indexing="ij")
    pictures = np.empty((n, side, side, 3), np.uint8)
    attributes = np.empty((n, len(ATTRIBUTES)), np.float32)
    for k in range(n):
        low, tilt, turn = random.uniform(0.1, 0.4), random.uniform(0, 0.2), random.uniform(0, 2 * np.pi)
        picture = low + tilt * (np.cos(turn) * (x - 0.5) + np.sin(turn) * (y - 0.5))
        figures = int(random.integers(1, 4))
        largest: tuple[float, ...] = (0.0,) * 6
        for _ in range(figures):
            made = _figure(random)
            _paint(picture, made, x, y, random)
            largest = max(largest, made, key=lambda one: one[2])
        attributes[k] = (*largest, figures, low)
        pictures[k] = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)[..., None]
    return pictures, attributes


def _figure(random: np.random.Generator) -> tuple[float, ...]:
    """Return left, top, size, light, stripes and kind of one figure."""
    return (
        random.uniform(0.2, 0.8), random.uniform(0.2, 0.8), random.uniform(0.12, 0.28), random.uniform(0.6, 1.0),
        float(random.random() < 0.4), float(random.integers(_KINDS)),
    )  # fmt: skip


def _paint(
    picture: Floats, figure: tuple[float, ...], x: Floats, y: Floats, random: np.random.Generator
) -> None:
    """Paint a figure over a picture, its edge one pixel soft."""
    left, top, size, light, stripes, kind = figure
    turn = random.uniform(0, np.pi)
    across = np.cos(turn) * (x - left) + np.sin(turn) * (y - top)
    along = -np.sin(turn) * (x - left) + np.cos(turn) * (y - top)
    far = np.hypot(across, along)
    box = np.maximum(abs(across), abs(along))
    arms = np.minimum(np.maximum(abs(across) * 3, abs(along)), np.maximum(abs(across), abs(along) * 3))
    outside = (far - size, box - 0.85 * size, abs(far - 0.75 * size) - 0.25 * size, arms - size)[int(kind)]
    cover = np.clip(0.5 - outside * len(x), 0, 1)
    value = light - stripes * 0.25 * (1 + np.sin(across * random.uniform(40, 70)))
    picture += cover * (value - picture)


@dataclass(frozen=True, eq=False)
class EnergyCortex:
    """An EnergyCortex answers pictures.

    Attributes
    ----------
    weights : (features, voxels) float64
        Of standardised energies.
    scale : Standard
        Of the energies over training pictures.
    spread : (voxels,) float64
        Deviation of each voxel's response over those.
    snr : float
        Its variance by that of the noise, in one response.
    early : int
        How many voxels come first that answer one place.
    """

    weights: Floats
    scale: Standard
    spread: Floats
    snr: float
    early: int

    def answer(
        self, pictures: Pictures, random: np.random.Generator, repeats: int = 1
    ) -> NDArray[np.float32]:
        """Return the mean of some responses to each picture: (n, side, side, 3) to (n, voxels)."""
        clean = _standardised(pictures, self.scale) @ self.weights / self.spread
        noise = random.standard_normal(clean.shape) / np.sqrt(self.snr * repeats)
        return (clean + noise).astype(np.float32)

    @property
    def regions(self) -> dict[str, NDArray[np.bool_]]:
        """Which voxels are early, which higher."""
        early = np.arange(self.weights.shape[1]) < self.early
        return {EARLY: early, HIGHER: ~early}


def _standardised(pictures: Pictures, scale: Standard) -> Floats:
    return np.asarray(scale.forward(features_of(pictures, ("energy",)).astype(np.float64)))


def plant(
    pictures: Pictures, early: int, higher: int, snr: float, random: np.random.Generator
) -> EnergyCortex:
    """Plant voxels; their responses are scaled over `pictures`.

    Parameters
    ----------
    pictures : (n, side, side, 3) uint8
        Of training.
    early, higher : int
        Voxels that answer a few filters at one cell of a grid of 8 × 8, and that answer them over all cells.
    snr : float
    random : numpy.random.Generator
    """
    scale = Standard.of(features_of(pictures, ("energy",)).astype(np.float64))
    filters = len(scale.mean) // _CELLS
    tuning = random.exponential(1.0, (filters, early + higher)) ** 2
    weights = np.zeros((filters, _CELLS, early + higher))
    cells = random.permutation(np.resize(np.arange(_CELLS), early))
    weights[:, cells, np.arange(early)] = tuning[:, :early]
    weights[:, :, early:] = tuning[:, None, early:]
    flat = weights.reshape(filters * _CELLS, -1)
    spread = (_standardised(pictures, scale) @ flat).std(0)
    return EnergyCortex(flat, scale, spread, snr, early)
