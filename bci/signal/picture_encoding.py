r"""A PictureEncoding says what a decoder is expected to read of a picture, and how far that rests on training.

.. math:: r = W^T \psi + e, \qquad e \sim N(0, \Sigma), \qquad \psi = \big(V^T (\phi - \mu) / \sigma,\ 1\big)

:math:`\phi` are features of the picture (`bci.signal.picture_features`), :math:`\psi` their components. The products
of the components over the training pictures, :math:`G = \sum_i \psi_i \psi_i^T`, say in which directions the weights
rest on how many answers.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.picture_features import BANKS, Pictures, stacked

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PictureEncoding:
    """A PictureEncoding holds an encoding model of a decoder's readings.

    Attributes
    ----------
    banks : tuple of str
        Features of pictures, of `bci.signal.picture_features.BANKS`.
    size : (int, int)
        Height and width at which pictures are looked at, pixels.
    mean, scale : (features,) float64
        By which features are standardised.
    axes : (features, components) float64
        Components of standardised features.
    weights : (components + 1, latent) float64
        From components, and the constant 1, to what is read.
    noise : (latent, latent) float64
        Covariance of a single trial's reading about its prediction.
    gram : (components + 1, components + 1) float64
        Sum of the products of components over the training trials.
    trials : int
        How many they were.
    """

    banks: tuple[str, ...]
    size: tuple[int, int]
    mean: Floats
    scale: Floats
    axes: Floats
    weights: Floats
    noise: Floats
    gram: Floats
    trials: int

    @property
    def latent(self) -> int:
        """How many values are read."""
        return int(self.weights.shape[1])

    def components(self, pictures: Pictures) -> Floats:
        """Return components of pictures, with a constant: (n, *size, 3) uint8 to (n, components + 1).

        Raises
        ------
        ConfigError
            If a side of the pictures is no multiple of 8.
        """
        features = stacked(pictures, [BANKS[name] for name in self.banks]).astype(np.float64)
        return self.projected(features)

    def projected(self, features: Floats) -> Floats:
        """Return components of features, with a constant: (n, features) to (n, components + 1)."""
        rows = ((features - self.mean) / self.scale) @ self.axes
        return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)

    def expected(self, pictures: Pictures) -> Floats:
        """Return what is expected to be read of pictures: (n, *size, 3) uint8 to (n, latent).

        Raises
        ------
        ConfigError
            As `components`.
        """
        expected: Floats = self.components(pictures) @ self.weights
        return expected
