"""A CudaStream is one queue of work on an NVIDIA card: copies in and out of pinned memory, and what runs between them.

ONNX Runtime's own copies wait for each to end, and use memory that the card cannot read by itself. Here the window's
copy, all graphs and the picture's copy are queued one behind the other, and this process waits once, at the end. It
needs a few functions of the CUDA runtime, which ONNX Runtime has loaded already; ctypes calls them. Not run on a card
yet: the tests put another library in its place.
"""

import ctypes
import functools
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bci.errors import ProviderError

#: Kinds of copy, and a stream that does not wait for the default one (cudaMemcpyKind, cudaStreamNonBlocking).
_TO_CARD, _FROM_CARD, _NON_BLOCKING = 1, 2, 1


@functools.cache
def cuda_runtime() -> Any:
    """Return the CUDA runtime that ONNX Runtime was built for.

    Raises
    ------
    ProviderError
        If it is not there.
    """
    import onnxruntime

    major = str(getattr(onnxruntime, "cuda_version", "") or "").split(".")[0]
    name = f"cudart64_{major}.dll" if sys.platform == "win32" else f"libcudart.so.{major}"
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise ProviderError(
            f"expected the CUDA runtime {name}, came: {error}. Install the extra 'gpu' again."
        ) from None


class CudaStream:
    """Copies between pinned memory of this machine and memory of a card, in order, without waiting.

    Parameters
    ----------
    device : int
        Number of the card among those that CUDA sees.

    Attributes
    ----------
    handle : int
        The stream, as ONNX Runtime's option ``user_compute_stream`` takes it.

    Raises
    ------
    ProviderError
        If the CUDA runtime is not there or refuses.
    """

    def __init__(self, device: int) -> None:
        self._cuda = cuda_runtime()
        self._pinned: list[ctypes.c_void_p] = []
        self._do("cudaSetDevice", ctypes.c_int(device))
        stream = ctypes.c_void_p()
        self._do("cudaStreamCreateWithFlags", ctypes.byref(stream), ctypes.c_uint(_NON_BLOCKING))
        self._stream = stream
        self.handle = int(stream.value or 0)

    def pinned(self, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Return an array of zeros in pinned memory; it lives as long as the stream."""
        kind = np.dtype(dtype)
        count = int(np.prod(shape))
        place = ctypes.c_void_p()
        self._do(
            "cudaHostAlloc", ctypes.byref(place), ctypes.c_size_t(count * kind.itemsize), ctypes.c_uint(0)
        )
        self._pinned.append(place)
        held = (ctypes.c_ubyte * (count * kind.itemsize)).from_address(int(place.value or 0))
        array: NDArray[Any] = np.frombuffer(memoryview(held), kind, count).reshape(shape)
        array[...] = 0
        return array

    def to_card(self, pinned: NDArray[Any], place: int) -> None:
        """Queue a copy from pinned memory to a place on the card."""
        self._copy(place, pinned.ctypes.data, pinned.nbytes, _TO_CARD)

    def from_card(self, place: int, pinned: NDArray[Any]) -> None:
        """Queue a copy from a place on the card to pinned memory; it is there after `wait`."""
        self._copy(pinned.ctypes.data, place, pinned.nbytes, _FROM_CARD)

    def wait(self) -> None:
        """Wait until all that was queued is done.

        Raises
        ------
        ProviderError
            If some of it failed.
        """
        self._do("cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """Give the stream and its memory back; arrays of `pinned` must not be used afterwards."""
        self._do("cudaStreamDestroy", self._stream)
        while self._pinned:
            self._do("cudaFreeHost", self._pinned.pop())

    def _copy(self, to: int, of: int, size: int, kind: int) -> None:
        self._do(
            "cudaMemcpyAsync",
            ctypes.c_void_p(to),
            ctypes.c_void_p(of),
            ctypes.c_size_t(size),
            ctypes.c_int(kind),
            self._stream,
        )

    def _do(self, name: str, *arguments: Any) -> None:
        status = int(getattr(self._cuda, name)(*arguments))
        if status:
            words = self._cuda.cudaGetErrorString
            words.restype = ctypes.c_char_p
            said = words(ctypes.c_int(status)) or b"no words"
            raise ProviderError(
                f"expected the card to do {name}, came error {status}: {said.decode(errors='replace')}. "
                "See bci doctor, or ask for the provider 'cpu'."
            )
