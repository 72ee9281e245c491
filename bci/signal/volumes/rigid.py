"""A rigid motion is six parameters: three translations in millimetre and three rotations in radian about a centre.

Positions are world coordinates, millimetre, as an affine gives them. A motion takes a position in the reference volume
to the position of the same tissue in another: ``x → R (x − c) + c + t`` with ``R = Rz Ry Rx``, the order of SPM.
"""

import numpy as np
from numpy.typing import NDArray

from bci.errors import ConfigError

Affine = NDArray[np.float64]
Points = NDArray[np.float64]

#: How far two affines may differ and still be of one grid, millimetre.
GRID_MM = 0.01

#: What the six parameters are called, as BIDS derivatives have it.
PARAMETERS = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")


def rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation ``Rz Ry Rx`` (3, 3) about the axes of the world.

    >>> rotation(np.array([0.0, 0.0, np.pi / 2])).round(6) @ [1, 0, 0]
    array([0., 1., 0.])
    """
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles), np.cos(angles)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def angles_of(turned: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles (3,), radian, of which `rotation` makes this matrix; that about y from −90 to 90 degrees.

    >>> angles_of(rotation(np.array([0.1, -0.2, 0.3]))).round(12).tolist()
    [0.1, -0.2, 0.3]
    """
    about_y = np.arctan2(-turned[2, 0], np.hypot(turned[0, 0], turned[1, 0]))
    return np.array([np.arctan2(turned[2, 1], turned[2, 2]), about_y, np.arctan2(turned[1, 0], turned[0, 0])])


def matrix_of(parameters: NDArray[np.float64], centre: NDArray[np.float64]) -> Affine:
    """Return the motion as a (4, 4) matrix on world coordinates.

    Parameters
    ----------
    parameters : (6,) float64
        As in `PARAMETERS`: millimetre, radian.
    centre : (3,) float64
        Centre of the rotation, millimetre.
    """
    out = np.eye(4)
    out[:3, :3] = rotation(parameters[3:])
    out[:3, 3] = parameters[:3] + centre - out[:3, :3] @ centre
    return out


def parameters_of(motion: Affine, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the six parameters of a motion, as `matrix_of` takes them.

    >>> six = np.array([1.0, -2.0, 0.5, 0.02, -0.03, 0.01])
    >>> np.allclose(parameters_of(matrix_of(six, np.ones(3)), np.ones(3)), six)
    True
    """
    turned = motion[:3, :3]
    return np.concatenate([motion[:3, 3] - centre + turned @ centre, angles_of(turned)])


def angle_deg(motion: Affine) -> float:
    """Return by how many degrees a motion turns, about whatever axis.

    >>> round(angle_deg(matrix_of(np.array([5.0, 0, 0, 0, np.pi / 6, 0]), np.zeros(3))), 6)
    30.0
    """
    turned = motion[:3, :3]
    sine = np.linalg.norm(
        [turned[2, 1] - turned[1, 2], turned[0, 2] - turned[2, 0], turned[1, 0] - turned[0, 1]]
    )
    return float(np.degrees(np.arctan2(sine, np.trace(turned) - 1)))


def moved(points: Points, motion: NDArray[np.floating]) -> Points:
    """Return positions (n, 3) after a motion, or after any affine."""
    return np.asarray(points @ motion[:3, :3].T + motion[:3, 3])


def displacement(points: Points, one: Affine, other: Affine) -> NDArray[np.float64]:
    """Return how far apart, in millimetre, two motions put each of the positions (n, 3)."""
    difference = moved(points, np.asarray(one) - np.asarray(other))
    return np.asarray(np.linalg.norm(difference, axis=1))


def voxel_sizes_mm(affine: Affine) -> NDArray[np.float64]:
    """Return the size of a voxel along each axis of the array (3,), millimetre.

    Raises
    ------
    ConfigError
        If the affine is no (4, 4) matrix of finite numbers that can be inverted.
    """
    matrix = np.asarray(affine, np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise ConfigError(
            f"expected an affine of 4 × 4 finite numbers that can be inverted, came\n{np.asarray(affine)}\n"
            "Take it from the scanner's file."
        )
    return np.asarray(np.linalg.norm(matrix[:3, :3], axis=0))


def grid_points(shape: tuple[int, ...], affine: Affine) -> Points:
    """Return the world positions (n, 3) of all voxels of a volume, in C order."""
    places = np.indices(shape).reshape(3, -1).T.astype(np.float64)
    return moved(places, affine)
