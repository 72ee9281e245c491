"""Receptive fields as a regressor: each voxel's is fitted, and pictures are read by the model that they make up.

A voxel gets the Gaussian of a grid of centres and widths whose sum over the pictures goes with its response best
(Dumoulin & Wandell 2008), and a gain and a noise of its own. With a Gaussian prior for pixels that has the training
pictures' mean m and variance v, the best linear reading of responses x is

    m + (1/v + Fᵀ N⁻¹ F)⁻¹ Fᵀ N⁻¹ (x − F m),

where F are the fields and N is the noise's variance. Fitting three numbers a voxel instead of a weight for each voxel
and rectangle is what few trials of weak responses suffice for.
"""

import numpy as np
from numpy.typing import NDArray

from models.systems.miyawaki.bases import Bases
from models.systems.miyawaki.regressors import LocalDecoders, standardise

Floats = NDArray[np.float64]

#: Standard deviations of the fields that are tried, pixels, and how far their centres are apart.
WIDTHS, APART = (0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0), 0.5
#: A voxel counts if its field explains more than this share of voxels' best fields do of exchanged pictures.
_SHARE = 0.95
_LEAST_NOISE = 1e-3


def fit_fields(bases: Bases, voxels: Floats, pictures: Floats) -> LocalDecoders:
    """Fit a receptive field to each voxel and read every basis by the model.

    Parameters
    ----------
    bases : Bases
        Whose contrasts are read.
    voxels : (samples, voxels)
        Responses to random pictures.
    pictures : (samples, side²)
        Those, 0 or 1.

    Raises
    ------
    DataError
        If samples and pictures are not as many, a voxel does not vary, or there are fewer than three samples.
    """
    x, mean, spread = standardise(voxels, pictures)
    middle, prior = pictures.mean(0), np.maximum(pictures.var(0), 1e-6)
    fields, noise = _fields(x, pictures - middle, bases.side)
    weighed = fields / noise[:, None]
    precision = np.diag(1 / prior) + weighed.T @ fields
    weights = np.linalg.solve(precision, weighed.T).T  # the mean picture gives a response of nought
    drawn = (bases.masks / bases.masks.sum(1, keepdims=True)).T
    return LocalDecoders(mean, spread, weights @ drawn, middle @ drawn)


def _fields(x: Floats, pictures: Floats, side: int) -> tuple[Floats, Floats]:
    """Return each voxel's field and the variance of its noise, (voxels, side²) and (voxels,)."""
    tried = _tried(side)
    sums = pictures @ tried.T
    norms = np.maximum(np.linalg.norm(sums, axis=0), 1e-12)
    alike = (sums / norms).T @ x / np.sqrt(len(x))
    best = np.abs(alike).argmax(0)
    found = alike[best, np.arange(x.shape[1])]
    exchanged = np.random.default_rng(0).permutation(len(x))
    by_chance = np.abs((sums / norms).T @ x[exchanged]).max(0) / np.sqrt(len(x))
    counts = np.abs(found) > np.quantile(by_chance, _SHARE)
    gain = np.where(counts, found * np.sqrt(len(x)) / norms[best], 0.0)
    return tried[best] * gain[:, None], np.maximum(1 - np.where(counts, found**2, 0.0), _LEAST_NOISE)


def _tried(side: int) -> Floats:
    """Return the Gaussians that are tried: (fields, side²)."""
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    places = np.arange(-0.5, side - 0.5 + APART / 2, APART)
    centres = np.stack(np.meshgrid(places, places, indexing="ij"), -1).reshape(-1, 2)
    far = ((centres[:, None] - grid) ** 2).sum(-1)
    return np.concatenate([np.exp(-far / (2 * width**2)) for width in WIDTHS])
