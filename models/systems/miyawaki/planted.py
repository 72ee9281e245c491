"""A planted visual cortex: voxels with receptive fields over a 10 × 10 picture, and its best linear reader.

Training pictures are random, a fair coin for each pixel; test pictures are figures: letters and shapes. They are never
mixed, as in the original: a decoder that has seen figures knows what figures look like.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SIDE = 10

#: Shapes and letters on a grid of ten: rows of the light part, centred.
_FIGURES = {
    "square": ("######", "#....#", "#....#", "#....#", "#....#", "######"),
    "filled": ("######", "######", "######", "######", "######", "######"),
    "cross": ("..##..", "..##..", "######", "######", "..##..", "..##.."),
    "x": ("#....#", ".#..#.", "..##..", "..##..", ".#..#.", "#....#"),
    "frame": ("########", "#......#", "#.####.#", "#.#..#.#", "#.#..#.#", "#.####.#", "#......#", "########"),
    "n": ("#....#", "##...#", "#.#..#", "#..#.#", "#...##", "#....#"),
    "e": ("######", "#.....", "####..", "#.....", "#.....", "######"),
    "u": ("#....#", "#....#", "#....#", "#....#", "#....#", "######"),
    "r": ("#####.", "#....#", "#####.", "#.#...", "#..#..", "#...#."),
    "o": (".####.", "#....#", "#....#", "#....#", "#....#", ".####."),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PlantedCortex:
    """A PlantedCortex answers pictures.

    Attributes
    ----------
    fields : (voxels, side²) float64
        Each voxel's receptive field.
    noise : (voxels,) float64
        Standard deviation of its noise.
    """

    fields: Floats
    noise: Floats

    def answer(self, pictures: Floats, random: np.random.Generator) -> Floats:
        """Return responses: (samples, side²) to (samples, voxels)."""
        clean = pictures @ self.fields.T
        return clean + self.noise * random.standard_normal(clean.shape)

    def read(self, voxels: Floats) -> Floats:
        """Return the best linear reading of responses, for cortex and random pictures as they are: the oracle."""
        prior, mean = 0.25, 0.5
        scaled = self.fields / self.noise[:, None]
        precision = scaled.T @ scaled + np.eye(SIDE**2) / prior
        expected = self.fields.sum(1) * mean
        return mean + np.linalg.solve(precision, (scaled / self.noise[:, None]).T @ (voxels - expected).T).T


def plant(voxels: int, snr: float, seed: int) -> PlantedCortex:
    """Plant voxels with Gaussian receptive fields, wider in the periphery.

    Parameters
    ----------
    voxels : int
        How many.
    snr : float
        Variance of each voxel's response over random pictures, by its noise variance.
    seed : int
        Fixes the fields.
    """
    random = np.random.default_rng(seed)
    centres = random.uniform(-0.5, SIDE - 0.5, (voxels, 2))
    middle = (SIDE - 1) / 2
    eccentricity = np.linalg.norm(centres - middle, axis=1)
    widths = 0.5 + 0.12 * eccentricity + random.exponential(0.2, voxels)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), -1).reshape(-1, 2)
    far = ((centres[:, None] - grid) ** 2).sum(-1)
    fields = np.exp(-far / (2 * widths[:, None] ** 2))
    fields *= random.lognormal(0.0, 0.3, voxels)[:, None]
    return PlantedCortex(fields, np.sqrt((fields**2).sum(1) * 0.25 / snr))


def random_pictures(n: int, random: np.random.Generator) -> Floats:
    """Return training pictures: a fair coin for each pixel, (n, side²)."""
    return (random.random((n, SIDE**2)) < 0.5).astype(np.float64)


def figures() -> tuple[tuple[str, ...], Floats]:
    """Return test pictures by name: (k, side²)."""
    pictures = []
    for rows in _FIGURES.values():
        picture = np.zeros((SIDE, SIDE))
        top, left = (SIDE - len(rows)) // 2, (SIDE - len(rows[0])) // 2
        picture[top : top + len(rows), left : left + len(rows[0])] = [[c == "#" for c in row] for row in rows]
        pictures.append(picture.ravel())
    return tuple(_FIGURES), np.array(pictures)
