"""Distances between samples, Fréchet and kernel, and the divergence of stated classes.

On features of Inception at 299² they are known as FID, KID and the inception score; on others they are not comparable
with these, and bear the network's name.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import welch

from bci.errors import DataError
from models.checks import as_matrix

Floats = NDArray[np.float64]


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    r"""Return the Fréchet distance of two samples taken as Gaussian (Dowson and Landau 1982).

    .. math:: \|\mu_a - \mu_b\|^2 + \operatorname{tr}(C_a + C_b) - 2 \sum_i \sqrt{\lambda_i(C_a C_b)}

    The eigenvalues are those of :math:`C_a^{1/2} C_b C_a^{1/2}`, symmetric, so none is complex.

    Parameters
    ----------
    a, b : (n, d), (m, d)
        Features.

    Raises
    ------
    DataError
        If a sample has no more items than features: its covariance would be singular and the distance biased.
    """
    x, y = _samples(a, b)
    for name, side in (("first", x), ("second", y)):
        if len(side) <= side.shape[1]:
            raise DataError(
                f"expected more items than features for a Fréchet distance, came {len(side)} items of {side.shape[1]} "
                f"features in the {name} sample. Add items, or reduce the features by principal components."
            )
    return frechet_of_moments(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))


def frechet_of_moments(mean_a: Floats, cov_a: Floats, mean_b: Floats, cov_b: Floats) -> float:
    """Return the Fréchet distance of two Gaussians: means (d,), covariances (d, d)."""
    cov_a, cov_b = np.atleast_2d(cov_a), np.atleast_2d(cov_b)
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


@dataclass(frozen=True, slots=True)
class KernelDistance:
    """A KernelDistance holds the mean over subsets and its standard error."""

    mean: float
    error: float


def kernel_distance(
    a: ArrayLike, b: ArrayLike, *, rng: np.random.Generator, subsets: int = 100, size: int = 1000
) -> KernelDistance:
    r"""Return the unbiased squared MMD under :math:`k(x, y) = (x \cdot y/d + 1)^3` (Bińkowski et al. 2018).

    Parameters
    ----------
    a, b : (n, d), (m, d)
    rng : numpy.random.Generator
        Draws the subsets.
    subsets, size : int
        Number of subsets and of items in each; a sample of no more than `size` items is used whole, once.
    """
    x, y = _samples(a, b)
    if min(len(x), len(y)) < 2:
        raise DataError(
            f"expected at least 2 items on each side of a kernel distance, came {len(x)} and {len(y)}."
        )
    if max(len(x), len(y)) <= size:
        return KernelDistance(_mmd(x, y), float("nan"))
    n, m = min(size, len(x)), min(size, len(y))
    values = [
        _mmd(x[rng.choice(len(x), n, replace=False)], y[rng.choice(len(y), m, replace=False)])
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(subsets)))


def _mmd(x: Floats, y: Floats) -> float:
    d = x.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    within_x = (xx.sum() - np.trace(xx)) / (n * (n - 1))
    within_y = (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within_x + within_y - 2 * xy.mean())


def class_divergence(probabilities: ArrayLike, splits: int = 10) -> tuple[float, float]:
    r"""Return mean and deviation over splits of :math:`\exp E\,KL(p(y|x) \| p(y))` (Salimans et al. 2016).

    From 1, all alike, to the number of classes, each certain and all equally frequent.

    It ranks some broken generators above the data: never gate on it.

    Parameters
    ----------
    probabilities : (n, classes)
        Rows sum to 1.
    splits : int
    """
    p = as_matrix(probabilities, "class probabilities", "classes").astype(np.float64)
    if (p < 0).any() or not np.allclose(p.sum(1), 1, atol=1e-4):
        raise DataError("expected rows of probabilities that sum to 1, came others. Apply the softmax first.")
    if len(p) <= p.shape[1] or len(p) < splits:
        raise DataError(
            f"expected more items than classes for their divergence, came {len(p)} items of {p.shape[1]} classes in "
            f"{splits} splits. Add items."
        )
    scores = []
    for part in np.array_split(p, splits):
        marginal = part.mean(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(part > 0, part * (np.log(part) - np.log(marginal)), 0.0)
        scores.append(np.exp(terms.sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def signal_frechet(
    real: ArrayLike, made: ArrayLike, *, rate_hz: float | None = None, components: int = 64
) -> float:
    """Return the Fréchet distance of signals, reduced so that the covariance is sound.

    Parameters
    ----------
    real, made : (n, time, channels), (m, time, channels)
    rate_hz : float, optional
        If present, features are the log power in 4 Hz bins from 4 to 300 Hz; otherwise the waveform.
    components : int
        Principal components of both together to which they are reduced, at most 64.
    """
    sides = [np.asarray(side, np.float64) for side in (real, made)]
    if any(side.ndim != 3 for side in sides) or sides[0].shape[1:] != sides[1].shape[1:]:
        raise DataError(
            f"expected signals (items, time, channels) of one length and montage, came {sides[0].shape} and "
            f"{sides[1].shape}."
        )
    if not all(np.isfinite(side).all() for side in sides):
        raise DataError("expected finite signals, came NaN or infinity. Leave those items out, and say so.")
    features = [
        side.reshape(len(side), -1) if rate_hz is None else log_power(side, rate_hz) for side in sides
    ]
    pooled = np.concatenate(features)
    mean = pooled.mean(0)
    # Components of both: those of the real signals alone would miss power where real signals have none.
    _, _, axes = np.linalg.svd(pooled - mean, full_matrices=False)
    few = axes[: min(components, 64, len(axes))].T
    return frechet_distance((features[0] - mean) @ few, (features[1] - mean) @ few)


def log_power(signals: Floats, rate_hz: float) -> Floats:
    """Return log power in bins 4 Hz wide from 4 to 300 Hz (or half the rate): (n, time, channels) to (n, features)."""
    frequency, power = welch(signals, rate_hz, nperseg=signals.shape[1], axis=1)
    edges = np.arange(4.0, min(300.0, rate_hz / 2) + 1e-9, 4.0)
    bins = [power[:, (frequency >= low) & (frequency < low + 4.0)] for low in edges[:-1]]
    means = [part.mean(1) for part in bins if part.shape[1]]
    if not means:
        raise DataError(
            f"expected signals long enough for 4 Hz bins, came {signals.shape[1]} samples at {rate_hz:g} Hz. "
            "Use longer ones."
        )
    return np.log(np.maximum(np.concatenate(means, 1), 1e-20))


def _samples(a: ArrayLike, b: ArrayLike) -> tuple[Floats, Floats]:
    x, y = (as_matrix(side, "features", "features").astype(np.float64) for side in (a, b))
    if x.shape[1] != y.shape[1]:
        raise DataError(
            f"expected the same features on both sides, came {x.shape[1]} and {y.shape[1]}. Use one network for both."
        )
    return x, y
