"""A simulated head is a formula, not an image: moved by any motion, it is drawn anew and never interpolated.

So a motion, once drawn, is known exactly, and what finds it owes nothing to the way it was made.
"""

import numpy as np
from numpy.typing import NDArray

from bci.signal.volumes.rigid import Affine, Points, grid_points, moved

#: Parts of the head: centre and half axes in millimetre, brightness added inside, width of the edge in millimetre.
_PARTS = (
    ((0.0, 0.0, 0.0), (68.0, 86.0, 60.0), 500.0, 3.0),  # brain
    ((-9.0, -4.0, 8.0), (7.0, 26.0, 10.0), 350.0, 3.0),  # ventricles are bright in T2*
    ((9.0, -2.0, 8.0), (6.0, 24.0, 9.0), 350.0, 3.0),
    ((14.0, 60.0, -24.0), (22.0, 16.0, 14.0), -380.0, 5.0),  # signal lost above the sinuses
    ((-46.0, 4.0, -34.0), (14.0, 18.0, 12.0), -260.0, 5.0),  # and, here, above one ear
    ((0.0, -62.0, -34.0), (42.0, 22.0, 20.0), 120.0, 3.0),  # cerebellum
)

#: Folds: wave vectors in cycles per millimetre, and phases.
_FOLDS = np.array(
    [
        (0.031, 0.012, -0.008, 0.3),
        (-0.014, 0.028, 0.011, 1.9),
        (0.009, -0.017, 0.034, 4.1),
        (0.022, 0.021, 0.019, 2.7),
        (-0.040, 0.015, 0.021, 5.2),
    ]
)


def head(points: Points) -> NDArray[np.float64]:
    """Return the brightness (n,) of the head at positions (n, 3) in millimetre; its centre lies at the origin.

    Its left differs from its right, its front from its back, its top from its bottom.
    """
    bright = np.zeros(len(points))
    for centre, axes, added, edge in _PARTS:
        offset = (points - np.array(centre)) / np.array(axes)
        depth_mm = (1.0 - np.linalg.norm(offset, axis=1)) * min(axes)
        bright += added / (1.0 + np.exp(-np.clip(4.0 * depth_mm / edge, -60.0, 60.0)))
    waves = np.sin(2.0 * np.pi * points @ _FOLDS[:, :3].T + _FOLDS[:, 3])
    return np.asarray(np.maximum(bright, 0.0) * (1.0 + 0.08 * waves.sum(axis=1)))


def head_affine(shape: tuple[int, ...], voxel_mm: tuple[float, float, float]) -> Affine:
    """Return the affine (4, 4) of a grid with the origin in its middle."""
    affine = np.diag([*voxel_mm, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1.0) / 2.0)
    return affine


def head_volume(shape: tuple[int, ...], affine: Affine, motion: Affine | None = None) -> NDArray[np.float32]:
    """Return a volume (x, y, z) of the head after a motion (4, 4) of it, without noise."""
    points = grid_points(shape, affine)
    if motion is not None:
        points = moved(points, np.linalg.inv(motion))
    return head(points).reshape(shape).astype(np.float32)
