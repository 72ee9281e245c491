r"""The noise ceiling is the best score that any model can reach, given how repeats of one stimulus differ.

.. math::
    \sigma^2_{\text{signal}} &= \max(0, \operatorname{var}(\text{means}) - \sigma^2_{\text{noise}}/n) \\
    r_{\max} &= \sqrt{\frac{\sigma^2_{\text{signal}}}{\sigma^2_{\text{signal}} + \sigma^2_{\text{noise}}/n}}

with n repeats averaged (Allen et al. 2022). Without repeats it is unknown, and reported as such.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import DataError
from models.metrics.latents import does_not_vary

Floats = NDArray[np.float64]


def noise_ceiling(responses: ArrayLike, stimuli: ArrayLike, averaged: int | None = None) -> Floats | None:
    """Return the largest correlation that a perfect prediction could have with averaged responses, per voxel.

    Parameters
    ----------
    responses : (n, voxels)
        Single presentations.
    stimuli : (n,)
        The stimulus of each presentation.
    averaged : int, optional
        Presentations averaged where the ceiling is used; by default as many as each stimulus has (their harmonic
        mean where they differ).

    Returns
    -------
    (voxels,) float64, or None
        None where the ceiling is unknown because no stimulus was repeated; 0 for a voxel that does not vary, NaN for
        one with NaN.

    Raises
    ------
    DataError
        If responses and stimuli do not match.
    """
    y, which = np.asarray(responses, np.float64), np.asarray(stimuli)
    if y.ndim != 2 or which.shape != (len(y),):
        raise DataError(
            f"expected responses (presentations, voxels) and their stimuli, came {y.shape} and {which.shape}. "
            "Pair them."
        )
    names, index, counts = np.unique(which, return_inverse=True, return_counts=True)
    if len(names) < 2 or len(y) == len(names):
        return None
    sums = np.zeros((len(names), y.shape[1]))
    np.add.at(sums, index, y)
    means = sums / counts[:, None]
    noise = ((y - means[index]) ** 2).sum(0) / (len(y) - len(names))
    repeats = len(counts) / (1 / counts).sum()
    signal = np.maximum(0.0, means.var(0, ddof=1) - noise / repeats)
    total = signal + noise / (averaged or repeats)
    total[does_not_vary(y.T)] = 0.0
    return np.sqrt(np.divide(signal, total, out=total * 0.0, where=total > 0))


def describe_ceiling(ceiling: Floats | None) -> str:
    """Return the ceiling in words, for a report."""
    if ceiling is None:
        return "unknown: no stimulus was repeated"
    if np.isnan(ceiling).any():
        return f"unknown: {np.isnan(ceiling).sum()} of {len(ceiling)} voxels hold NaN"
    return f"median r {np.median(ceiling):.3f} over {len(ceiling)} voxels (largest {ceiling.max():.3f})"
