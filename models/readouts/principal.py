"""Principal axes of brain data: the few directions in which many features that move together really vary."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from models.readouts.scaling import Array

Floats = NDArray[np.float64]


def principal_axes(centred: Array, count: int) -> Floats:
    """Return the strongest axes, strongest last, as columns: (n, features) to (features, count), fewer where there are.

    The trials' Gram matrix is decomposed, since there are fewer trials than features.

    Examples
    --------
    >>> spread = np.outer([-2.0, -1.0, 0.0, 3.0], [3.0, 4.0])
    >>> np.abs(principal_axes(spread, 2)).round(6).tolist()
    [[0.6], [0.8]]
    """
    n = len(centred)
    s, u = eigh(centred @ centred.T, subset_by_index=(max(0, n - count), n - 1), check_finite=False)
    keep = s > s[-1] * n * np.finfo(np.float64).eps
    axes: Floats = centred.T @ (u[:, keep] / np.sqrt(s[keep]))
    return axes
