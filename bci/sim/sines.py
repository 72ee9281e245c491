"""Sines generates an endless signal of any rate and shape with known samples: a sine of its own in every channel.

::

    sample i of channel c = A · sin(2π k i / N),   N samples a second, k = 1 + c mod (N/4 - 1) turns in them

It stands in for an amplifier where a rig is certified with a decoder that the simulated participant does not fit.
"""

import sys

import numpy as np
from numpy.typing import NDArray

from bci.signal.types import Event, Signal, Times

#: Amplitude: twenty microvolts, or twenty of another unit.
_SIZE, _VOLTS = 20.0, {"V": 1e-6, "mV": 1e-3}


class Sines:
    """Sines is an endless `bci.io.files.recording.Recording` of sines.

    Parameters
    ----------
    signal : Signal
        Rate, shape, channels and unit of the samples.

    Attributes
    ----------
    simulated : bool
        Always True.

    Examples
    --------
    >>> sines = Sines(Signal("EEG", 8.0, (2,), ("C3", "C4"), "uV"))
    >>> sines.read(0, 5)[:, 0].round(0).tolist()
    [0.0, 14.0, 20.0, 14.0, 0.0]
    """

    simulated = True
    defects: tuple[str, ...] = ()
    markers: tuple[Event, ...] = ()
    n: int | None = None
    segments = ((0, sys.maxsize),)

    def __init__(self, signal: Signal) -> None:
        if signal.rate < 4:
            raise ValueError(f"sines need a rate of at least 4 Hz, got {signal.rate:g}")
        self.signal = signal
        self.name = f"simulated sines, {'×'.join(map(str, signal.shape))} at {signal.rate:g} Hz"
        period, channels = round(signal.rate), int(np.prod(signal.shape))
        turns = 1 + np.arange(channels) % max(1, period // 4 - 1)
        # One period is stored. Its turns are whole, so that the first sample follows the last without a step.
        phase = np.outer(np.arange(period), turns) % period
        size = _SIZE * _VOLTS.get(signal.unit, 1.0)
        sine = size * np.sin(2 * np.pi * np.arange(period) / period)
        self._period: NDArray[np.float32] = sine[phase].astype(np.float32).reshape(period, *signal.shape)

    def read(self, first: int, end: int) -> NDArray[np.float32]:
        """Return samples `first` to `end`: (end - first, *signal.shape) float32."""
        if not 0 <= first <= end:
            raise ValueError(f"{self.name} has samples from 0 on; asked for {first} to {end}")
        return self._period[np.arange(first, end) % len(self._period)]

    def times(self, first: int, end: int) -> Times:
        """Return the times of samples `first` to `end`: (end - first,) float64 seconds from the start."""
        return np.arange(first, end) / self.signal.rate

    def markers_between(self, start: float, stop: float) -> tuple[Event, ...]:
        """Return nothing: sines have no events."""
        return ()
