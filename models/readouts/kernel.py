r"""A KernelReadout is ridge in the space of a Gaussian kernel, the same as a Gaussian process.

.. math:: \hat z = k(y)^\top (K + \alpha I)^{-1} Z, \qquad k(y, y') = \exp(-\gamma \|y - y'\|^2)

:math:`\gamma` and :math:`\alpha` are those with the smallest error over all latents, on runs and stimuli that were held
out. With a linear kernel it would be `Ridge`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve
from scipy.spatial.distance import pdist, squareform

from models.readouts.folds import held_out_folds
from models.readouts.interface import Readout, Training
from models.readouts.maps import Kernel
from models.readouts.recalibration import Recalibration
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]


class KernelReadout(Readout):
    """A KernelReadout is kernel ridge regression with a Gaussian kernel.

    Parameters
    ----------
    widths : sequence of float
        γ to choose from, in units of one over the median squared distance of training trials.
    alphas : sequence of float
        Penalties to choose from.
    folds : int
        Folds of whole runs and stimuli on which both are chosen and the error is measured.

    Attributes
    ----------
    width_, alpha_ : float
        After `fit`: the ones chosen.
    """

    width_: float
    alpha_: float

    def __init__(
        self,
        widths: Sequence[float] = (0.03, 0.1, 0.3, 1.0),
        alphas: Sequence[float] = (1e-3, 1e-2, 0.1, 1.0, 10.0),
        folds: int = 3,
    ) -> None:
        self.widths = tuple(widths)
        self.alphas = tuple(alphas)
        self.folds = folds

    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return the fewest trials and why."""
        return 4, "kernel ridge", "trials are held out"

    def learn(self, training: Training) -> None:
        """Find width, penalty and duals."""
        voxels, scale = Standard.of(training.brain), Standard.of(training.latents)
        x = np.asarray(voxels.forward(training.brain), np.float64)
        y = np.asarray(scale.forward(training.latents), np.float64)
        squares = squareform(pdist(x, "sqeuclidean"))
        unit = 1 / float(np.median(squares[np.triu_indices(len(x), 1)]))
        folds = list(held_out_folds(training.runs, y, self.folds))
        best = np.inf
        for width in self.widths:
            similar = np.exp(-width * unit * squares)
            for alpha, errors in self._held_out(similar, y, folds):
                if (loss := float((errors**2).sum())) < best:
                    best, self.width_, self.alpha_, kept = loss, width, alpha, errors
        similar = np.exp(-self.width_ * unit * squares)
        duals = solve(similar + self.alpha_ * np.eye(len(x)), y, assume_a="pos", check_finite=False)
        recalibration = Recalibration.of(y, y - kept, np.zeros(y.shape[1]))
        self.collapse_ = recalibration.collapse
        kernel = Kernel(x, self.width_ * unit, duals, np.zeros(y.shape[1]))
        self._fitted = recalibration.readout(voxels, scale, kernel)

    def _held_out(
        self, similar: Floats, y: Floats, folds: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]
    ) -> Iterator[tuple[float, Floats]]:
        """Yield each penalty with the errors of held-out trials, (n, d), from one decomposition a fold."""
        parts = [(kept, out, *eigh(similar[np.ix_(kept, kept)], check_finite=False)) for kept, out in folds]
        for alpha in self.alphas:
            errors = np.empty(y.shape)
            for kept, out, s, u in parts:
                duals = u @ ((u.T @ y[kept]) / (np.maximum(s, 0) + alpha)[:, None])
                errors[out] = y[out] - similar[np.ix_(out, kept)] @ duals
            yield alpha, errors
