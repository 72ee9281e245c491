"""An Inlet is one connection to one outlet; it reports the loss of the outlet and never recovers by itself."""

import ctypes
import math
import socket
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bci.errors import StreamError
from bci.io.lsl.discovery import NO_ANSWER, WAIT, asking
from bci.io.lsl.metadata import StreamInfo
from bci.io.lsl.outlet import buffer_size
from bci.memory.hot import address
from bci.memory.liblsl import pylsl

#: Below this, the clock offset measured to a host of our own name is the noise of the measurement, seconds.
#: Another host, even one of the same name, counts from its own start-up and lies further away.
SAME_CLOCK = 0.05

_LOST = -2

#: Takes the offset of a sender's clock, seconds, and returns what is added to its stamps.
Correct = Callable[[float], float]

#: What is kept of a stream without a rate of its own, samples a second.
_IRREGULAR_HZ = 1000.0

#: liblsl's chunk pull: inlet, samples, stamps, their two sizes, timeout, error. Declared once, because converting
#: every argument at each call costs as much as the call.
_PULL = ctypes.CFUNCTYPE(
    ctypes.c_ulong,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_ulong,
    ctypes.c_ulong,
    ctypes.c_double,
    ctypes.c_void_p,
)


class Inlet:
    """An Inlet is an open connection: description read, clock compared, data flowing.

    Attributes
    ----------
    info : StreamInfo
        The stream's description.
    offset : float
        Seconds to add to the sender's stamps to get ours, when last compared, corrected by what is stated.
    """

    def __init__(self, info: StreamInfo, inlet: Any, offset: float, correct: Correct) -> None:
        self.info = info
        self._correct = correct
        self.offset = correct(plain_offset(offset, info.host))
        self._inlet = inlet
        pull_at = ctypes.cast(inlet.do_pull_chunk, ctypes.c_void_p).value or 0
        available_at = ctypes.cast(pylsl.lib.lib.lsl_samples_available, ctypes.c_void_p).value or 0
        self._pull = _PULL(pull_at)
        #: For compiled code: liblsl's pull of a chunk, its count of what waits, and the inlet.
        self.native = (pull_at, available_at, inlet.obj.value)
        self._handle = inlet.obj.value
        self._channels = math.prod(info.signal.shape)
        self._error = ctypes.c_int32()
        self._error_at = ctypes.addressof(self._error)

    @classmethod
    def opening(
        cls,
        found: Any,
        buffer_s: float,
        admit: Callable[[StreamInfo], StreamInfo],
        correct: Correct = lambda offset: offset,
    ) -> Iterator[Self | None]:
        """Connect step by step: yield None after each wait of at most 0.1 s that brought nothing, then the inlet.

        Parameters
        ----------
        found : pylsl.StreamInfo
            The outlet, from discovery.
        buffer_s : float
            Seconds of samples that liblsl keeps until they are pulled; beyond that it drops the oldest silently.
        admit : callable
            Called with the description before any data are requested; returns it as it is used, or raises to refuse it.
        correct : callable
            Makes what is added to the stamps of the offset between the clocks (`bci.io.lsl.stated.Stated.correct`).

        Raises
        ------
        pylsl.util.LostError
            If the outlet is lost meanwhile.
        StreamMismatch
            If it claims what no stream can be.
        """
        for info in asking(found):
            if info is not None:
                break
            yield None
        assert info is not None
        info = admit(info)
        units, _ = buffer_size(info.signal, buffer_s * info.speed, _IRREGULAR_HZ)
        inlet = pylsl.StreamInlet(found, max_buflen=units, recover=False)
        # The first comparison of clocks takes 0.2 to 0.6 s; data asked for before it would pile up.
        while (offset := _or_none(inlet.time_correction, WAIT)) is None:
            yield None
        while _or_none(_open, inlet, WAIT) is None:
            yield None
        yield cls(info, inlet, offset, correct)

    def pull(self, samples: NDArray[Any], stamps: NDArray[np.float64], timeout: float) -> tuple[int, bool]:
        """Block inside liblsl until `samples` is full or `timeout` seconds have passed.

        Samples received before the outlet was lost are kept: `pylsl.StreamInlet.pull_chunk` would raise and
        drop them, so liblsl is called directly.

        Parameters
        ----------
        samples : (n, *signal.shape) array of the signal's dtype, contiguous
            Receives the samples.
        stamps : (n,) float64, contiguous
            Receives the stamps as sent.

        Returns
        -------
        n : int
            Samples received.
        lost : bool
            Whether the outlet is lost.
        """
        n = len(stamps)
        stamps.fill(np.nan)
        values = self._pull(
            self._handle,
            address(samples),
            address(stamps),
            n * self._channels,
            n,
            timeout,
            self._error_at,
        )
        return self.outcome(int(values) // self._channels, self._error.value, stamps)

    def outcome(self, n: int, code: int, stamps: NDArray[np.float64]) -> tuple[int, bool]:
        """Return what `pull` does, of liblsl's answer: samples received, its error, and stamps (room,)."""
        if code == 0:
            return n, False
        if code == _LOST:
            return int(np.count_nonzero(~np.isnan(stamps))), True
        raise StreamError(
            f"liblsl could not receive stream {self.info.source_id!r} (error {code}). "
            "Its sender and this machine may run liblsl versions that do not fit."
        )

    @property
    def available(self) -> int:
        """Samples that wait to be pulled."""
        return int(self._inlet.samples_available())

    def compare_clocks(self) -> float:
        """Return the newest estimate of `offset`; liblsl renews it every two seconds."""
        try:
            measured = float(self._inlet.time_correction(0.0))
            self.offset = self._correct(plain_offset(measured, self.info.host))
        except NO_ANSWER:
            # The outlet is lost; the next pull will report it.
            return self.offset
        return self.offset


def plain_offset(offset: float, host: str) -> float:
    """Return a measured clock offset, or exactly 0 when the sender reads the same clock as we do.

    >>> plain_offset(-3.1e-5, socket.gethostname()), plain_offset(-3.1e-5, "some-other-host")
    (0.0, -3.1e-05)
    """
    return 0.0 if abs(offset) < SAME_CLOCK and host == socket.gethostname() else offset


def _open(inlet: Any, wait: float) -> bool:
    inlet.open_stream(wait)
    return True


def _or_none(ask: Any, *args: Any) -> Any:
    """Return the answer, or None when none came in time."""
    try:
        return ask(*args)
    except pylsl.util.TimeoutError:
        return None
