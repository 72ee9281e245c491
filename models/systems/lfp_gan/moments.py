r"""Terms of the generator's loss that are not in the thesis: means that are known of the training windows.

`Moments` are mean spectra and correlations. A critic whose slope is bounded hardly sees frequencies that have a
hundredth of the power of others, so their power is asked for outright, in decibels, as Durall et al. (2020) do it for
pictures. `Responses` are the mean windows of images: of two windows :math:`a, b` made for one image with noise of
their own,

.. math:: \langle a, b \rangle - \langle a + b, m \rangle + \lVert m \rVert^2

is in expectation the squared distance of the generator's mean to the measured one, :math:`m`, whatever the windows
scatter: it asks for the mean and leaves their variance alone.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Weight of correlations beside power.
_CORRELATION = 10.0


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
        inside = ((frequency >= low) & (frequency <= high)).nonzero().squeeze(1)
        taper = torch.hann_window(length, periodic=True)
        parts = torch.from_numpy(windows).split(256)
        power = sum(_power(part, inside, taper) * len(part) for part in parts) / len(windows)
        return cls(_decibels(torch.as_tensor(power)), _correlation(torch.from_numpy(windows)), inside, taper)

    def to(self, place: torch.device) -> Self:
        """Return the same where networks learn."""
        parts = (self.power, self.correlation, self.inside, self.taper)
        power, correlation, inside, taper = (part.to(place) for part in parts)
        return replace(self, power=power, correlation=correlation, inside=inside, taper=taper)

    def error(self, made: Tensor) -> Tensor:
        """Return the mean squared error of made windows: of power in dB² over a hundred, and ten times correlations'.

        One half's errors are multiplied with the other's: a square would have the scatter of a batch in it, and asking
        for less of that asks for windows that are all alike, without bursts.

        Examples
        --------
        >>> windows = np.random.default_rng(0).standard_normal((64, 2, 100)).astype(np.float32)
        >>> moments, twice = Moments.of(windows, 500.0), torch.from_numpy(windows).repeat(2, 1, 1)
        >>> round(float(moments.error(twice)), 6)
        0.0
        >>> round(float(moments.error(10 * twice)), 3)  # 20 dB too much
        4.0
        """
        power, correlation = zip(*map(self._errors, made.chunk(2)), strict=True)
        return (power[0] * power[1]).mean() / 100 + _CORRELATION * (correlation[0] * correlation[1]).mean()

    def _errors(self, made: Tensor) -> tuple[Tensor, Tensor]:
        """Return the errors of mean power, dB, and of correlations."""
        power = _decibels(_power(made, self.inside, self.taper)) - self.power
        return power, _correlation(made) - self.correlation


@dataclass(frozen=True, eq=False)
class Responses:
    """A Responses holds the mean window of each image that is learned from: (images, channels, length)."""

    means: Tensor

    @classmethod
    def of(cls, windows: NDArray[np.float32], which: NDArray[np.int64], images: int) -> Self:
        """Take them of windows (n, channels, length) and the image of each."""
        sums = torch.zeros(images, *windows.shape[1:]).index_add_(
            0, torch.from_numpy(which), torch.from_numpy(windows)
        )
        counts = torch.from_numpy(np.bincount(which, minlength=images)).clamp(min=1)
        return cls(sums / counts[:, None, None])

    def to(self, place: torch.device) -> Self:
        """Return the same where networks learn."""
        return replace(self, means=self.means.to(place))

    def error(self, first: Tensor, second: Tensor, which: Tensor) -> Tensor:
        """Return the mean squared error of the means of windows made twice for each image named.

        Examples
        --------
        >>> windows = np.array([[[1.0, 3.0]], [[3.0, 1.0]]], np.float32)  # mean 2, 2
        >>> responses = Responses.of(windows, np.array([0, 0]), 1)
        >>> made = torch.tensor([[[2.0, 2.0]]])
        >>> [float(responses.error(made + k, made + k, torch.tensor([0]))) for k in (0, 3)]
        [0.0, 9.0]
        """
        mean = self.means[which]
        return ((first - mean) * (second - mean)).mean()


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
