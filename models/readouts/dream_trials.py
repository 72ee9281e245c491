"""DreamedTrials are white answers to dreamed pictures, with their latents; maps of brain data are made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoding.dreams import Dreams
from models.encoding.white import WhiteEncoding
from models.readouts.maps import Affine, LogVariance, Network
from models.readouts.scaling import Array, Standard

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DreamedTrials:
    """A DreamedTrials holds dreams without their noise, which is white and of variance 1.

    Attributes
    ----------
    encoding : WhiteEncoding
        That predicted the answers.
    answers : (n, axes) float32
        Expected white answers to the dreamed pictures, about their mean.
    latents : (n, d) float32
        In standard units, about their mean.
    centre : (axes,) float64
        Mean of the answers.
    mean : (d,) float64
        Mean of the latents, in standard units.
    """

    encoding: WhiteEncoding
    answers: NDArray[np.float32]
    latents: NDArray[np.float32]
    centre: Floats
    mean: Floats

    @classmethod
    def of(cls, encoding: WhiteEncoding, dreams: Dreams, scale: Standard) -> "DreamedTrials":
        """Predict the answers to dreams; `scale` standardises latents."""
        answers = encoding.predict(dreams.features)
        latents = scale.forward(dreams.latents.astype(np.float64))
        centre, mean = answers.mean(axis=0), latents.mean(axis=0)
        return cls(
            encoding,
            (answers - centre).astype(np.float32),
            (latents - mean).astype(np.float32),
            centre,
            mean,
        )

    def real(self, x: Floats) -> NDArray[np.float32]:
        """Return answers of real trials in the same place: standardised brain data (n, voxels) to (n, axes)."""
        return (self.encoding.answers(x) - self.centre).astype(np.float32)

    def linear(self, temperatures: Sequence[float]) -> list[Affine]:
        """Return the best linear map from standardised brain data at each temperature of the noise."""
        m, z = self.answers.astype(np.float64), self.latents.astype(np.float64)
        second, cross = m.T @ m / len(m), m.T @ z / len(m)
        readings = [np.linalg.solve(second + t * np.eye(len(second)), cross) for t in temperatures]
        start = self.encoding.offset - self.centre
        return [Affine(self.encoding.weights @ read, self.mean + start @ read) for read in readings]

    def network(self, layers: Sequence[tuple[Array, Array]], spread: LogVariance | None = None) -> Network:
        """Return a network that reads standardised brain data, made of the layers of one that reads answers."""
        *hidden, (weights, bias) = layers
        last = (weights, (bias + self.mean).astype(np.float32))
        return Network(
            [*hidden, last], Affine(self.encoding.weights, self.encoding.offset - self.centre), spread
        )
