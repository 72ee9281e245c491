"""What each scale, or each basis, counts in the picture: coefficients λ ≥ 0, learned on held-out predictions.

The picture is ``Σ_s λ_s · layer_s``, where a scale's layer is the mean of its rectangles over each pixel; or with a
coefficient for every basis. Non-negative least squares is exact; projected gradient descent (the student project's way)
reaches the same and is kept to show it. Nothing forces the coefficients to add up to one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from models.systems.miyawaki.bases import Bases

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Combination:
    """A Combination draws pictures of the contrasts of bases.

    Attributes
    ----------
    weights : (n, side²) float64
        What each basis adds to each pixel.
    coefficients : (scales,) or (n,) float64
        λ.
    """

    weights: Floats
    coefficients: Floats

    def __call__(self, contrasts: Floats) -> Floats:
        """Draw: (samples, n) to (samples, side²)."""
        return contrasts @ self.weights


def combine(bases: Bases, coefficients: Floats) -> Combination:
    """Return the combination of these coefficients: one for each scale, or one for each basis."""
    layers = bases.layers()
    if len(coefficients) == len(bases.shapes):
        return Combination(np.tensordot(coefficients, layers, 1), coefficients)
    return Combination(coefficients[:, None] * layers.sum(0), coefficients)


def equal(bases: Bases) -> Combination:
    """Return the combination that counts every scale alike, as nilearn's example does: .25 each of four."""
    return combine(bases, np.full(len(bases.shapes), 1 / len(bases.shapes)))


def learn_scales(bases: Bases, contrasts: Floats, pictures: Floats) -> Combination:
    """Learn λ for each scale by non-negative least squares.

    Parameters
    ----------
    contrasts : (samples, n)
        As read from samples that the decoders were not fitted to.
    pictures : (samples, side²)
        As shown.
    """
    matrix, target = _system(bases, contrasts, pictures)
    return combine(bases, _nnls(matrix, target))


def learn_elements(bases: Bases, contrasts: Floats, pictures: Floats) -> Combination:
    """Learn λ for each basis, as Miyawaki et al. did."""
    drawn = bases.layers().sum(0)
    # Of contrasts (k, n) and drawings (n, p): the pixel p of sample k is Σ_n λ_n c_kn d_np.
    matrix = (contrasts.T @ contrasts) * (drawn @ drawn.T)
    target = ((contrasts.T @ pictures) * drawn).sum(1)
    return combine(bases, _nnls(matrix, target))


def descend(
    bases: Bases, contrasts: Floats, pictures: Floats, *, steps: int = 5000, tolerance: float = 1e-12
) -> Combination:
    """Learn λ for each scale by projected gradient descent, from equal ones."""
    matrix, target = _system(bases, contrasts, pictures)
    rate = 1 / np.linalg.eigvalsh(matrix)[-1]
    coefficients = np.full(len(target), 1 / len(target))
    for _ in range(steps):
        moved = np.maximum(0.0, coefficients - rate * (matrix @ coefficients - target))
        if np.abs(moved - coefficients).max() < tolerance:
            break
        coefficients = moved
    return combine(bases, moved)


def bootstrap(
    bases: Bases, contrasts: Floats, pictures: Floats, *, draws: int = 200, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return the middle 95 % of the scales' λ over samples drawn again with replacement: low and high, (scales,)."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        again = random.integers(0, len(pictures), len(pictures))
        found.append(_nnls(*_system(bases, contrasts[again], pictures[again])))
    low, high = np.quantile(found, [0.025, 0.975], axis=0)
    return low, high


def _system(bases: Bases, contrasts: Floats, pictures: Floats) -> tuple[Floats, Floats]:
    """Return the normal equations of the scales' coefficients."""
    drawn = np.stack([contrasts @ layer for layer in bases.layers()]).reshape(len(bases.shapes), -1)
    return drawn @ drawn.T, drawn @ pictures.ravel()


def _nnls(matrix: Floats, target: Floats) -> Floats:
    """Solve ``min λᵀ M λ − 2 bᵀ λ`` over λ ≥ 0, of normal equations."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-10 * values[-1]
    root = (vectors[:, kept] * np.sqrt(values[kept])).T
    return nnls(
        root,
        root @ vectors[:, kept] @ ((vectors[:, kept].T @ target) / values[kept]),
        maxiter=20 * len(target),
    )[0]
