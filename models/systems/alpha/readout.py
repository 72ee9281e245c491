r"""A StateReadout computes the probability of one of two states from relative band power.

Windows are those of a `bci.signal.steps.features.BandCovariance`, whose diagonal is the power of each channel. For one
window of power :math:`P_{tcb}` (time, channel, band), with :math:`r` the broad reference band:

.. math::

    f_{cb} &= \log \bar P_{cb} - \log \bar P_{cr}, \qquad \bar P = \tfrac1n \textstyle\sum_t P_t \\
    s &= w \cdot (f - \mu) / \sigma + w_0 \\
    p &= 1 / (1 + e^{-(a s + b)})

A gain on a channel multiplies all its bands and cancels, so neither an electrode's impedance nor the
amplifier's scale carries information. The latent is :math:`p`, the calibrated probability of state 1; the
confidence is :math:`\max(p, 1-p)`, the probability of the state that is more probable: from 0.5, a guess, to 1.
It is stated as that probability and not stretched to 0…1, so that it can be checked by counting.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Power below which a band counts as empty, in squared units of the signal: the logarithm needs a floor.
FLOOR = 1e-6


def channel_power(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the power of each channel: (n, length, channels, bands · channels) to (n, length, channels, bands)."""
    n, length, channels, _ = windows.shape
    by_band = windows.reshape(n, length, channels, -1, channels)
    return np.swapaxes(np.diagonal(by_band, axis1=2, axis2=4), 2, 3)


@dataclass(frozen=True, slots=True)
class RelativePower:
    """RelativePower computes the features: log power of some bands over a reference band, per channel.

    Attributes
    ----------
    bands : tuple of int
        Which bands, as the pipeline orders them.
    reference : int
        Which band they are divided by.
    """

    bands: tuple[int, ...]
    reference: int

    def __call__(self, windows: NDArray[np.float32]) -> Floats:
        """Compute them.

        Parameters
        ----------
        windows : (n, length, channels, bands · channels) float32
            Covariance in each band, the signal's unit squared.

        Returns
        -------
        (n, channels · len(bands)) float64
            Bands of one channel together.
        """
        log = np.log(np.maximum(channel_power(windows).mean(1, dtype=np.float64), FLOOR))
        relative = log[..., list(self.bands)] - log[..., [self.reference]]
        flat: Floats = relative.reshape(len(windows), -1)
        return flat


@dataclass(frozen=True, slots=True, eq=False)
class LinearScore:
    """A LinearScore is a fitted linear discriminant on standardised features.

    Attributes
    ----------
    mean, scale : (d,) float64
        Frozen at training.
    weights : (d,) float64
    bias : float
    """

    mean: Floats
    scale: Floats
    weights: Floats
    bias: float

    def __call__(self, features: Floats) -> Floats:
        """Return log odds before calibration: (n, d) to (n,)."""
        return (features - self.mean) / self.scale @ self.weights + self.bias


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """A Sigmoid calibrates scores to probabilities: ``1 / (1 + exp(−(slope · s + offset)))`` (Platt 1999).

    Attributes
    ----------
    slope : float
        Not negative: a higher score never means less probable.
    offset : float
    """

    slope: float
    offset: float

    def __call__(self, scores: Floats) -> Floats:
        """Return probabilities: (n,) to (n,)."""
        return 1.0 / (1.0 + np.exp(-np.clip(self.slope * scores + self.offset, -700.0, 700.0)))


@dataclass(frozen=True, slots=True, eq=False)
class StateReadout:
    """A StateReadout maps windows of covariances in bands to the latent and its confidence."""

    features: RelativePower
    score: LinearScore
    calibrate: Sigmoid

    def predict(self, windows: NDArray[np.float32]) -> Floats:
        """Return latents: (n, length, channels, bands · channels) float32 to (n, 1) float64 in 0 to 1."""
        return self.calibrate(self.score(self.features(windows)))[:, None]

    def confidence(self, windows: NDArray[np.float32]) -> Floats:
        """Return the probability of the more probable state: (n,) float64 in 0.5 to 1."""
        return class_confidence(self.predict(windows)[:, 0])


def class_confidence(p: Floats) -> Floats:
    """Return the probability of the more probable of two states, given that of one."""
    return np.maximum(p, 1.0 - p)
