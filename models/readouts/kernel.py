r"""A KernelReadout is ridge in the space of a Gaussian kernel, the same as a Gaussian process.

.. math:: \hat z = k(y)^\top (K + \alpha I)^{-1} Z, \qquad k(y, y') = \exp(-\gamma \|y - y'\|^2)

:math:`\gamma` and :math:`\alpha` are those with the smallest leave-one-out error over all latents. With a linear
kernel it would be `Ridge`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.spatial.distance import pdist, squareform

from models.readouts.collapse import diagnose
from models.readouts.fitted import FittedReadout, spread
from models.readouts.interface import Readout, Training
from models.readouts.maps import Kernel
from models.readouts.scaling import Standard

Floats = NDArray[np.float64]


class KernelReadout(Readout):
    """A KernelReadout is kernel ridge regression with a Gaussian kernel; trials are left out one by one, not by runs.

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
    """

    width_: float
    alpha_: float

    def __init__(
        self,
        widths: Sequence[float] = (0.03, 0.1, 0.3, 1.0),
        alphas: Sequence[float] = (1e-3, 1e-2, 0.1, 1.0, 10.0),
    ) -> None:
        self.widths = tuple(widths)
        self.alphas = tuple(alphas)

    def needs(self, voxels: int, latents: int) -> tuple[int, str, str]:
        """Return the fewest trials and why."""
        return 3, "kernel ridge", "one trial is left out"

    def learn(self, training: Training) -> None:
        """Find width, penalty and duals."""
        voxels, scale = Standard.of(training.brain), Standard.of(training.latents)
        x = np.asarray(voxels.forward(training.brain), np.float64)
        y = np.asarray(scale.forward(training.latents), np.float64)
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
        kernel = Kernel(x, self.width_ * unit, duals, np.zeros(y.shape[1]))
        self._fitted = FittedReadout(voxels, scale, kernel, spread(errors))
        self.collapse_ = diagnose(y, y - errors)
