"""Renderers draw results that are no pictures: bars, pictures of classes, a gauge, a dial, a word.

A renderer turns the values of a result, (k,) float32, into pixels, (height, width, 3) uint8, that follow from the
values alone: the same values give the same bytes. Words are drawn once, when the renderer is made. Sizes change
smoothly with the values: an edge between two pixels is drawn as a grey.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bci.decoder.renderers.bars import Bars
from bci.decoder.renderers.blend import Blend, read_class_pictures
from bci.decoder.renderers.dial import Dial
from bci.decoder.renderers.gauge import Gauge
from bci.decoder.renderers.word import Word
from bci.decoder.result import ClassesResult, NumberResult, PictureResult, Result, RhythmResult


class Renderer(Protocol):
    """A Renderer draws the values of a result."""

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the picture, (height, width, 3) uint8, newly allocated, of finite values, (k,)."""
        ...


def open_renderer(
    result: Result, size: tuple[int, int], read: Callable[[str], bytes] | None = None
) -> Renderer:
    """Return what draws a result.

    Parameters
    ----------
    result : ClassesResult, NumberResult, RhythmResult or TextResult
        What the values are.
    size : (int, int)
        Height and width of the pictures.
    read : callable, optional
        Returns the content of a file of the bundle, `bci.decoder.bundle.Bundle.read`: pictures of classes lie in one.

    Raises
    ------
    BundleError
        If the pictures of classes are not in the bundle, or other than it says.
    """
    if isinstance(result, PictureResult):
        raise TypeError("a picture is drawn by its bundle's generator, not by a renderer")
    if isinstance(result, ClassesResult) and result.pictures is not None and read is not None:
        return Blend(read_class_pictures(read(result.pictures), result.size, size))
    if isinstance(result, ClassesResult):
        return Bars(result.labels, size)
    if isinstance(result, NumberResult):
        return Gauge(result, size)
    if isinstance(result, RhythmResult):
        return Dial(result, size)
    return Word(result.words, size)
