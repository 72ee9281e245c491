"""A term of the generator's loss that is not in the thesis: mean spectra and correlations, brought to those measured.

A critic whose slope is bounded hardly sees frequencies that have a hundredth of the power of others. Their power is
known from the training windows, so it is asked for outright, in decibels, as Durall et al. (2020) do it for pictures.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    """A Moments holds the mean power of each channel and frequency, dB, and the correlations between channels."""

    power: Tensor
    correlation: Tensor
    inside: Tensor
    taper: Tensor

    @classmethod
    def of(cls, windows: NDArray[np.float32], rate_hz: float, low: float = 2.0, high: float = 310.0) -> Self:
        """Take them of windows (n, channels, length), in a band."""
        length = windows.shape[2]
        frequency = torch.fft.rfftfreq(length, 1 / rate_hz)
        inside = (frequency >= low) & (frequency <= high)
        taper = torch.hann_window(length, periodic=True)
        parts = torch.from_numpy(windows).split(256)
        power = sum(_power(part, inside, taper) * len(part) for part in parts) / len(windows)
        return cls(_decibels(torch.as_tensor(power)), _correlation(torch.from_numpy(windows)), inside, taper)

    def error(self, made: Tensor) -> Tensor:
        """Return the mean squared error of made windows: of power in dB² over a hundred, and of correlations.

        Examples
        --------
        >>> windows = np.random.default_rng(0).standard_normal((64, 2, 100)).astype(np.float32)
        >>> moments = Moments.of(windows, 500.0)
        >>> round(float(moments.error(torch.from_numpy(windows))), 6)
        0.0
        >>> round(float(moments.error(torch.from_numpy(10 * windows))), 3)  # 20 dB too much
        4.0
        """
        power = _decibels(_power(made, self.inside, self.taper)) - self.power
        return power.square().mean() / 100 + (_correlation(made) - self.correlation).square().mean()


def _power(windows: Tensor, inside: Tensor, taper: Tensor) -> Tensor:
    """Return mean power, (channels, frequencies)."""
    spectrum = torch.fft.rfft((windows - windows.mean(2, keepdim=True)) * taper)[..., inside]
    return spectrum.abs().square().mean(0)


def _decibels(power: Tensor) -> Tensor:
    return 10 * torch.log10(power + 1e-9)


def _correlation(windows: Tensor) -> Tensor:
    flat = windows.transpose(0, 1).flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    flat = flat / flat.square().sum(1, keepdim=True).clamp(min=1e-9).sqrt()
    return flat @ flat.T
