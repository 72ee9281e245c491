r"""An AffineReadout is what every linear readout comes to once fitted: one matrix, one offset, one covariance.

.. math:: \hat z = \mu_z + \sigma_z \odot \big(\beta^\top (y - \mu_y)/\sigma_y + o\big)

It is what runs live and what is exported.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import as_matrix, check_columns
from models.readouts.interface import Posterior, expected_cosine
from models.readouts.scaling import Array, Standard

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class AffineReadout:
    """A fitted linear readout.

    Attributes
    ----------
    voxels, latents : Standard
        Frozen at training.
    weights : (voxels, d)
        From standardised voxels to standardised latents.
    offset : (d,) float64
        In standardised latents.
    covariance : (d, d) float64
        Of what remains unknown, in standardised latents.
    """

    voxels: Standard
    latents: Standard
    weights: Array
    offset: Floats
    covariance: Floats
    uncertainty: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "uncertainty", float(np.trace(self.covariance)))

    def standard(self, brain: ArrayLike) -> Array:
        """Return latents in units of their own deviation: (n, voxels) to (n, d)."""
        matrix = as_matrix(brain, "brain data", "voxels")
        check_columns(matrix, len(self.voxels.mean), "brain data", "voxels")
        return self.voxels.forward(matrix) @ self.weights + self.offset

    def predict(self, brain: ArrayLike) -> Floats:
        """Return latents: (n, voxels) to (n, d)."""
        return self.latents.back(self.standard(brain)).astype(np.float64)

    def posterior(self, brain: ArrayLike) -> Posterior:
        """Return latents with their covariance."""
        scale = self.latents.scale
        return Posterior(self.predict(brain), self.covariance * scale[:, None] * scale)

    def confidence(self, brain: ArrayLike) -> Floats:
        """Return the expected cosine with the truth, about the latents' mean: (n,) from 0 to 1."""
        return expected_cosine(self.standard(brain), self.uncertainty)
