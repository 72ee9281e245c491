r"""KernelReadout: ridge in the space of a Gaussian kernel, the same as a Gaussian process.

.. math:: \hat z = k(y)^\top (K + \alpha I)^{-1} Z, \qquad k(y, y') = \exp(-\gamma \|y - y'\|^2)

:math:`\gamma` and :math:`\alpha` are those with the smallest leave-one-out error over all latents. With a linear
kernel it would be `Ridge`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.spatial.distance import pdist, squareform

from bci.errors import DataError
from models.checks import as_matrix, check_columns, check_pair, check_repeats, check_trials, check_varying
from models.readouts.collapse import Collapse, diagnose
from models.readouts.interface import Posterior, expected_cosine
from models.readouts.scaling import Array, Standard

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FrozenKernel:
    """What runs.

    Attributes
    ----------
    voxels, latents : Standard
    centres : (n, voxels)
        Standardised training trials.
    gamma : float
    duals : (n, d) float64
    offset : (d,) float64
    covariance : (d, d) float64
        Of leave-one-out errors, in standardised latents.
    """

    voxels: Standard
    latents: Standard
    centres: Array
    gamma: float
    duals: Floats
    offset: Floats
    covariance: Floats
    uncertainty: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uncertainty", float(np.trace(self.covariance)))

    def standard(self, brain: ArrayLike) -> Floats:
        """Return latents in units of their own deviation: (n, voxels) to (n, d)."""
        matrix = as_matrix(brain, "brain data", "voxels")
        check_columns(matrix, len(self.voxels.mean), "brain data", "voxels")
        x = np.asarray(self.voxels.forward(matrix), np.float64)
        squares = (x**2).sum(1)[:, None] + (self.centres**2).sum(1) - 2 * x @ self.centres.T
        result: Floats = np.exp(-self.gamma * np.maximum(squares, 0)) @ self.duals + self.offset
        return result


class KernelReadout:
    """Kernel ridge regression with a Gaussian kernel.

    Parameters
    ----------
    widths : sequence of float
        γ to choose from, in units of one over the median squared distance of training trials.
    alphas : sequence of float
        Penalties to choose from.

    Attributes
    ----------
    width_, alpha_ : float
        After `fit`: the ones chosen.
    collapse_ : Collapse
        After `fit`: of predictions of trials that were left out.
    """

    width_: float
    alpha_: float
    collapse_: Collapse

    def __init__(
        self,
        widths: Sequence[float] = (0.03, 0.1, 0.3, 1.0),
        alphas: Sequence[float] = (1e-3, 1e-2, 0.1, 1.0, 10.0),
    ) -> None:
        self.widths = tuple(widths)
        self.alphas = tuple(alphas)

    def fit(
        self,
        brain: ArrayLike,
        latents: ArrayLike,
        *,
        runs: ArrayLike | None = None,
        repeats: ArrayLike | None = None,
    ) -> Self:
        """Fit; raises `DataError` as every readout does. Trials are left out one by one, so runs play no part."""
        brain, latents = check_pair(brain, latents)
        check_trials(len(brain), 3, "kernel ridge", "one trial is left out")
        check_varying(brain)
        self.repeats_ = float(check_repeats(repeats, len(brain)).min())
        voxels, scale = Standard.of(brain), Standard.of(latents)
        x = np.asarray(voxels.forward(brain), np.float64)
        y = np.asarray(scale.forward(latents), np.float64)
        squares = squareform(pdist(x, "sqeuclidean"))
        unit = 1 / float(np.median(squares[np.triu_indices(len(x), 1)]))
        best = np.inf
        for width in self.widths:
            s, u = eigh(np.exp(-width * unit * squares), check_finite=False)
            turned = u.T @ y
            for alpha in self.alphas:
                inverse = 1 / (np.maximum(s, 0) + alpha)
                duals = u @ (inverse[:, None] * turned)
                errors = duals / ((u**2) @ inverse)[:, None]
                if (loss := float((errors**2).sum())) < best:
                    best, self.width_, self.alpha_ = loss, width, alpha
                    kept = duals, errors
        duals, errors = kept
        self._frozen = FrozenKernel(
            voxels, scale, x, self.width_ * unit, duals, np.zeros(y.shape[1]), errors.T @ errors / len(errors)
        )
        self.collapse_ = diagnose(y, y - errors)
        return self

    def frozen(self, repeats: int | None = None) -> FrozenKernel:
        """Return what runs and is exported; refuses what `LinearReadout.frozen` refuses."""
        if not hasattr(self, "_frozen"):
            raise DataError("expected a fitted KernelReadout, came one that was not. Call fit first.")
        if repeats is not None and repeats < self.repeats_:
            raise DataError(
                f"expected trials that average at least {self.repeats_:g} presentations, as those this readout's error "
                f"was measured on, came {repeats}. Fit on single trials."
            )
        return self._frozen

    def predict(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return latents: (n, voxels) to (n, d)."""
        frozen = self.frozen()
        return frozen.latents.back(frozen.standard(brain)).astype(np.float64)

    def posterior(self, brain: ArrayLike, *, repeats: int = 1) -> Posterior:
        """Return latents with the covariance of leave-one-out errors."""
        scale = self.frozen(repeats).latents.scale
        return Posterior(self.predict(brain), self._frozen.covariance * scale[:, None] * scale)

    def confidence(self, brain: ArrayLike, *, repeats: int = 1) -> Floats:
        """Return the expected cosine with the truth: (n,) from 0 to 1."""
        frozen = self.frozen(repeats)
        return expected_cosine(frozen.standard(brain), frozen.uncertainty)
