"""An Outlet publishes one stream over Lab Streaming Layer; an LslOutlet the samples and metadata of a signal."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.io.lsl.metadata import StreamInfo, write_info
from bci.memory.closing import Closing
from bci.memory.liblsl import pylsl
from bci.signal.types import Signal

#: liblsl keeps this many seconds for a consumer that lags, and drops the oldest without a word after that.
BUFFER_S = 30.0

#: The most that is kept, whatever the rate and speed: bytes of samples, and samples (liblsl allocates the queue).
_MOST_BYTES, _MOST_SAMPLES = 512e6, 1e6


class Outlet(Closing):
    """One stream on the network, visible until it is closed.

    Parameters
    ----------
    info : StreamInfo
        What the stream says of itself.
    buffered : int
        How much liblsl keeps for a consumer that lags: seconds, or hundreds of samples when irregular.
    """

    def __init__(self, info: StreamInfo, buffered: int) -> None:
        self.info = info
        self._outlet: Any = pylsl.StreamOutlet(write_info(info), max_buffered=buffered)

    @property
    def has_consumers(self) -> bool:
        """Whether a consumer receives the stream now."""
        return bool(self._outlet.have_consumers())

    def wait_for_consumers(self, timeout: float) -> bool:
        """Wait at most `timeout` real seconds, inside liblsl, for a consumer; return whether there is one."""
        return bool(self._outlet.wait_for_consumers(timeout))

    def close(self) -> None:
        """Take the stream from the network; what a consumer has not received by now is lost."""
        self._outlet = None


class LslOutlet(Outlet):
    """The samples of one signal on the network.

    Parameters
    ----------
    signal : Signal
        What will be pushed.
    source_id : str
        Name of the device; no two streams on a network may share one.
    kind : str
        Type of content: ``"EEG"``, ``"Latent"`` …
    speed : float
        How many times faster than real time it plays: the stamps are that much closer than `signal.rate` says.
    exact_stamps : bool
        Whether the stamps pushed are the samples' own times, which a receiver must not smooth.
    extra : mapping, optional
        Further elements of the description, as text.

    Attributes
    ----------
    info : StreamInfo
        What the stream says of itself.
    buffered : int
        Samples kept for a consumer that lags.
    """

    def __init__(
        self,
        signal: Signal,
        source_id: str,
        *,
        kind: str = "EEG",
        speed: float = 1.0,
        exact_stamps: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        units, self.buffered = buffer_size(signal, BUFFER_S * speed)
        info = StreamInfo(signal, source_id, "", "", speed, exact_stamps, kind, dict(extra or {}))
        super().__init__(info, units)
        self._shape = signal.shape
        self._dtype = np.dtype(signal.dtype)

    def push(self, samples: NDArray[Any], times: ArrayLike) -> None:
        """Send samples at once.

        Parameters
        ----------
        samples : (n, *signal.shape) array
            Converted to the stream's type when they have another.
        times : (n,) float64
            Session seconds of each sample, above 0.
        """
        samples = np.ascontiguousarray(samples, self._dtype)
        stamps = np.asarray(times, np.float64)
        if samples.shape != (len(stamps), *self._shape):
            raise ValueError(
                f"{len(stamps)} stamps go with samples of shape {(len(stamps), *self._shape)}, got {samples.shape}"
            )
        # LSL reads a stamp of 0 as "now" and one of -1 as "as the rate says".
        if not np.all(stamps > 0):
            raise ValueError("every stamp of a sample is a number of seconds above 0")
        if len(stamps):
            self._outlet.push_chunk(samples.reshape(len(stamps), -1), stamps.tolist())


def buffer_size(signal: Signal, seconds: float, irregular_hz: float = 0.0) -> tuple[int, int]:
    """Return how much liblsl shall keep for a consumer that lags.

    Parameters
    ----------
    signal : Signal
        What is sent.
    seconds : float
        How long it shall last, at the rate that `signal` states.
    irregular_hz : float
        The rate that is assumed of an irregular signal; without it 100 samples are kept of one.

    Returns
    -------
    units : int
        In liblsl's own measure: seconds, or hundreds of samples when irregular.
    samples : int
        The same in samples.
    """
    per_unit = signal.rate or 100.0
    nbytes = math.prod(signal.shape) * np.dtype(signal.dtype).itemsize
    most = min(_MOST_BYTES / nbytes, _MOST_SAMPLES) / per_unit
    wanted = seconds if signal.rate else seconds * irregular_hz / per_unit
    units = max(1, min(math.ceil(wanted), int(most)))
    return units, int(units * per_unit)
