"""A Spectrum is how the power of a stream's newest seconds is spread over frequencies (Welch 1967)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Samples

#: Frequencies above are not drawn: what an operator looks for, mains and rhythms, lies below, Hz.
HIGHEST_HZ = 120.0

#: Length of one of the segments that are averaged, seconds: lines half a hertz apart are told from each other.
_SEGMENT_S = 2.0


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The power of some channels.

    Attributes
    ----------
    hz : (f,) float64
        Frequencies.
    median, low, high : (f,) float64
        Over the channels: middle, tenth and ninetieth percentile, decibels relative to one unit² per hertz.
    """

    hz: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def spectrum(samples: Samples, rate: float) -> Spectrum | None:
    """Return the spectrum of consecutive samples; None where they are too few, or no channel is whole.

    Parameters
    ----------
    samples : (n, channels) array
        Values; channels with a value that is not finite are left out.
    rate : float
        Samples per second.

    Examples
    --------
    >>> t = np.arange(1000) / 250
    >>> found = spectrum(np.sin(2 * np.pi * 10 * t)[:, np.newaxis], 250.0)
    >>> float(found.hz[np.argmax(found.median)])
    10.0
    """
    from scipy.signal import welch

    segment = int(min(_SEGMENT_S * rate, len(samples)))
    values = np.asarray(samples, np.float64)
    values = values[:, np.isfinite(values).all(axis=0)]
    if segment < 16 or not values.shape[1]:
        return None
    hz, power = welch(values, rate, nperseg=segment, detrend="linear", axis=0)
    shown = (hz > 0) & (hz <= HIGHEST_HZ)
    # A flat channel has no power: it would draw a line to minus infinity.
    power = power[shown][:, power[shown].max(axis=0) > 0]
    if not power.size:
        return None
    decibels = 10 * np.log10(np.maximum(power, np.finfo(float).tiny))
    low, median, high = np.percentile(decibels, (10, 50, 90), axis=1)
    return Spectrum(hz[shown], median, low, high)
