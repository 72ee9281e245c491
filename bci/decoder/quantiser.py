"""A Quantiser turns a generator's numbers into the bytes of a picture, the same way on every machine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bci.memory.hot import compiled

if TYPE_CHECKING:
    from bci.decoder.spec import ImageSpec


class Range(NamedTuple):
    """A Range is what a Quantiser needs of a `bci.decoder.spec.ImageSpec`, for a process that does not read one."""

    height: int
    width: int
    low: float
    high: float


class Quantiser:
    """A Quantiser converts images of one size and range; its buffers are allocated once.

    The rule: ``level = (value − low) · (255 / (high − low))`` in float32, rounded half to even, clipped to
    0…255. Each operation is elementwise and exactly rounded (IEEE 754), so equal values give equal bytes
    everywhere; `bci._hot`, where this installation has it, does the same ones in one pass.

    Examples
    --------
    >>> quantise = Quantiser(Range(height=1, width=2, low=-1.0, high=1.0))
    >>> quantise(np.array([[[-1.0, 1.0]], [[0.0, 2.0]], [[-9.0, 1 / 255]]], np.float32)).tolist()
    [[[0, 128, 0], [255, 255, 128]]]
    """

    def __init__(self, spec: "ImageSpec | Range") -> None:
        self.shape = (spec.height, spec.width, 3)
        self._low = np.float32(spec.low)
        self._gain = np.float32(255.0 / (spec.high - spec.low))
        self._levels = np.empty((3, spec.height, spec.width), np.float32)
        self._planes = np.empty((3, spec.height, spec.width), np.uint8)
        library = compiled()
        self._picture = None if library is None else library.picture
        self._numbers = float(self._low), float(self._gain)

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.uint8] | None:
        """Return the picture, or None when a value is not finite.

        Parameters
        ----------
        image : (3, height, width) float32
            Red, green and blue planes.

        Returns
        -------
        (height, width, 3) uint8, newly allocated, or None
        """
        if self._picture is not None:
            picture = np.empty(self.shape, np.uint8)
            finite = self._picture(image, self._planes, picture, *self._numbers)
            if finite is not None:  # the image was a plain array
                return picture if finite else None
        levels = self._levels
        np.subtract(image, self._low, out=levels)
        np.multiply(levels, self._gain, out=levels)
        # NaN and infinities survive both operations, and show in the smallest and largest value.
        if not (np.isfinite(levels.min()) and np.isfinite(levels.max())):
            return None
        np.rint(levels, out=levels)
        np.clip(levels, 0.0, 255.0, out=levels)
        picture = np.empty(self.shape, np.uint8)
        np.copyto(self._planes, levels, casting="unsafe")
        # Plane by plane: one transposed copy takes four times as long.
        for colour in range(3):
            picture[:, :, colour] = self._planes[colour]
        return picture

    def blank(self) -> NDArray[np.uint8]:
        """Return a black picture, newly allocated."""
        return np.zeros(self.shape, np.uint8)

    def of(self, found: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8] | None:
        """Return the picture that graphs gave, (height, width, 3); None when a value of its image is not finite.

        Parameters
        ----------
        found : mapping of str to array
            ``pixels`` and ``finite`` of graphs that make bytes themselves, else ``image`` (1, 3, height, width).
        """
        if "pixels" not in found:
            return self(found["image"][0])
        picture: NDArray[np.uint8] = found["pixels"][0]
        return picture if np.isfinite(found["finite"][0]) else None
