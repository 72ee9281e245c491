"""Registration lays the reference volume of one session on that of another: the same head in another position.

It is rigid, as motion within a run, but begins further away and meets another brightness: the coil lies elsewhere. So a
field of brightness is found with the motion, and the search begins at several places. It is done both ways; where the
way there and the way back disagree, the two are too unlike, or the mirror image fits better, it is said to have failed.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bci.signal.volumes.realign import Motion, Realigner, brain
from bci.signal.volumes.rigid import (
    Affine,
    displacement,
    grid_points,
    matrix_of,
    moved,
    parameters_of,
    voxel_sizes_mm,
)
from bci.signal.volumes.sampling import VolumeArray, gradient, inside, sampled, smoothed

#: As `realign.COARSE` and `FINE`: for finding the place, and for finding it exactly.
SEARCH = ((14.0, 12.0, 25),)
REFINE = ((10.0, 10.0, 15), (6.0, 6.0, 20))

#: Turns about each axis at which the search begins, degree.
BEGINNINGS_DEG = (-9.0, 0.0, 9.0)

#: Largest median disagreement of the way there and the way back, millimetre, and least correlation.
LARGEST_DISAGREEMENT_MM, LEAST_LIKENESS = 0.3, 0.85

#: Farther a head is not looked for.
FARTHEST_MM, FARTHEST_DEG = 40.0, 25.0


@dataclass(frozen=True)
class Registration:
    """A Registration says where the tissue of one volume is in another.

    Attributes
    ----------
    matrix : (4, 4) float64
        From world positions of the fixed volume to those of the moving one, millimetre.
    parameters : (6,) float64
        The same as `rigid.PARAMETERS` about the middle of the fixed head.
    correlation : float
        Of the two, laid on each other, brightness apart.
    disagreement_mm : float
        Median over the brain between the way there and the way back.
    fault : str
        Why it must not be used; empty when it may.
    """

    matrix: Affine
    parameters: NDArray[np.float64]
    correlation: float
    disagreement_mm: float
    fault: str


def register(
    fixed: VolumeArray, fixed_affine: Affine, moving: VolumeArray, moving_affine: Affine
) -> Registration:
    """Return where the tissue of a volume is in another of the same head.

    Parameters
    ----------
    fixed, moving : (x, y, z) array
        The reference of the training session, and that of today; their grids may differ.
    fixed_affine, moving_affine : (4, 4) array
        From voxels to world coordinates, millimetre.

    Raises
    ------
    DataError
        If one is no volume of a head.
    """
    there = _Search(fixed, fixed_affine)
    back = _Search(moving, moving_affine)
    way = there.find(back)
    return_way = back.refine(there, np.asarray(np.linalg.inv(way.matrix), np.float64))
    points = there.points
    disagreement = float(np.median(displacement(points, np.eye(4), return_way.matrix @ way.matrix)))
    mirrored = there.find(back.mirrored())
    fault = way.words or return_way.words
    if mirrored.correlation > way.correlation:
        fault = (
            f"the other one mirrored, left for right, fits better ({mirrored.correlation:.3f} against "
            f"{way.correlation:.3f}): an affine is wrong"
        )
    if not fault and disagreement > LARGEST_DISAGREEMENT_MM:
        fault = f"the way there and the way back disagree by {disagreement:.2f} mm, limit {LARGEST_DISAGREEMENT_MM:g}"
    # The mean of both ways, to first order: half of what they disagree by is taken back.
    half = parameters_of(return_way.matrix @ way.matrix, there.centre) / 2.0
    matrix = way.matrix @ np.linalg.inv(matrix_of(half, there.centre))
    return Registration(matrix, parameters_of(matrix, there.centre), way.correlation, disagreement, fault)


class _Search:
    """A _Search looks for one volume in another."""

    def __init__(self, volume: VolumeArray, affine: Affine) -> None:
        self.affine = np.asarray(affine, np.float64)
        sizes = voxel_sizes_mm(self.affine)
        where = brain(volume, sizes)
        self.volume = np.asarray(volume, np.float32)
        self._coarse = self._realigner(where, SEARCH)
        self._fine = self._realigner(where, REFINE)
        self.centre, self.points = self._fine.centre, self._fine.points

    def _realigner(self, where: NDArray[np.bool_], levels: tuple[tuple[float, float, int], ...]) -> Realigner:
        return Realigner(
            self.volume,
            self.affine,
            where,
            levels=levels,
            largest_mm=FARTHEST_MM,
            largest_deg=FARTHEST_DEG,
            least_correlation=LEAST_LIKENESS,
            uneven=True,
        )

    def mirrored(self) -> "_Search":
        """Return the same of the volume with left and right exchanged, about the middle of the head."""
        across = int(np.argmax(np.abs(self.affine[0, :3])))
        return _Search(np.flip(self.volume, across), self.affine)

    def find(self, other: "_Search") -> Motion:
        """Return where this volume's tissue is in another, from wherever the search began best."""
        across = other.centre - self.centre
        starts = [matrix_of(np.zeros(6), self.centre)]
        for turns in product(np.radians(BEGINNINGS_DEG), repeat=3):
            starts.append(matrix_of(np.array([*across, *turns]), self.centre))
        found = [self._coarse(other.volume, start, other.affine) for start in starts]
        best = max(found, key=lambda motion: motion.correlation * (motion.overlap > 0.5))
        return self.refine(other, best.matrix)

    def refine(self, other: "_Search", start: Affine) -> Motion:
        """Return where this volume's tissue is in another, from near there."""
        return self._fine(other.volume, start, other.affine)


def laid_on(
    shape: tuple[int, ...], fixed_affine: Affine, moving: VolumeArray, moving_affine: Affine, matrix: Affine
) -> NDArray[np.float32]:
    """Return the moving volume resampled on the fixed one's grid, (x, y, z); zero beyond its edges."""
    places = moved(moved(grid_points(shape, fixed_affine), matrix), np.linalg.inv(moving_affine)).T
    values = np.where(inside(places, moving.shape, -0.5), sampled(moving, places), 0.0)
    return np.asarray(values.reshape(shape), np.float32)


def edges_picture(
    fixed: VolumeArray, laid: VolumeArray, affine: Affine, slices: int = 8, width: int = 5
) -> NDArray[np.uint8]:
    """Return slices of the fixed volume in grey with its own edges in green and those of the other in magenta.

    Where the two lie on each other their edges are white.

    Parameters
    ----------
    fixed, laid : (x, y, z) array
        On one grid; `laid` as `laid_on` gives it.
    affine : (4, 4) array
        Of the grid; edges are those of volumes smoothed by 5 mm.
    slices : int
        How many, evenly through the head.
    width : int
        Pictures of slices in a row.

    Returns
    -------
    picture : (height, width, 3) uint8
        The array's first axis to the right and its second up, twice as large as the voxels.
    """
    sizes = voxel_sizes_mm(affine)
    within = np.flatnonzero(brain(fixed, sizes).any(axis=(0, 1)))
    chosen = within[np.unique(np.linspace(1, len(within) - 2, slices).round().astype(int).clip(0))]
    ours, theirs = _edges(fixed, sizes), _edges(laid, sizes)
    grey = (
        np.clip(np.asarray(fixed, np.float64) / max(float(np.percentile(fixed, 99.5)), 1e-9), 0.0, 1.0) * 0.6
    )
    tiles = []
    for z in chosen:
        tile = np.repeat(grey[:, :, z, None], 3, axis=2)
        tile[ours[:, :, z], 1] = 1.0
        tile[theirs[:, :, z], 0] = 1.0
        tile[theirs[:, :, z], 2] = 1.0
        tiles.append(np.flip(tile.transpose(1, 0, 2), axis=0))
    while len(tiles) % width:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.concatenate(tiles[at : at + width], axis=1) for at in range(0, len(tiles), width)]
    picture = (np.concatenate(rows, axis=0) * 255.0).round().astype(np.uint8)
    return np.asarray(picture.repeat(2, axis=0).repeat(2, axis=1))


def _edges(volume: VolumeArray, sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a smoothed volume changes most: (x, y, z) bool, thin lines in each slice."""
    soft = smoothed(volume, 5.0, sizes)
    across = np.hypot(*gradient(soft)[:2])
    crest = np.zeros(across.shape, bool)
    for axis in (0, 1):
        before, after = np.roll(across, 1, axis), np.roll(across, -1, axis)
        crest |= (across >= before) & (across > after)
    return np.asarray(crest & (across > 0.35 * np.percentile(across, 98)))
