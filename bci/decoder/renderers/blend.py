"""Blend: a picture for each class, in as much contrast as the class is more probable than by guessing."""

import io
import math

import numpy as np
from numpy.typing import NDArray

from bci.decoder.renderers.paper import PAPER
from bci.errors import BundleError


class Blend:
    r"""Draws probabilities as pictures.

    Of k classes with probabilities p and pictures I, on paper of the even grey g:

    .. math:: g + \sum_k w_k (I_k - g), \qquad w_k = \max\Big(0, \frac{p_k - 1/k}{1 - 1/k}\Big)

    so that a class that is certain is its picture, guessing is an even grey, and nothing jumps in between.

    Parameters
    ----------
    pictures : (k, height, width, 3) uint8
        Of each class.

    Examples
    --------
    >>> pictures = np.stack([np.full((1, 1, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)])
    >>> [int(Blend(pictures)(np.array([p, 1 - p], np.float32))[0, 0, 0]) for p in (1.0, 0.75, 0.5, 0.0)]
    [255, 160, 64, 0]
    """

    def __init__(self, pictures: NDArray[np.uint8]) -> None:
        self._away = pictures.astype(np.float32) - np.float32(PAPER)
        self._guess = np.float32(1 / len(pictures))

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the picture of probabilities, (k,)."""
        drawn = np.full(self._away.shape[1:], PAPER, np.float32)
        weights = np.clip((values - self._guess) / (1 - self._guess), 0, 1)
        for weight, away in zip(weights, self._away, strict=True):
            drawn += weight * away
        return np.rint(np.clip(drawn, 0, 255)).astype(np.uint8)


def read_class_pictures(content: bytes, classes: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the pictures of classes from the content of a bundle's file, (classes, height, width, 3) uint8.

    Raises
    ------
    BundleError
        If it holds something else.
    """
    wanted = (classes, *size, 3)
    opened = io.BytesIO(content)
    try:
        if np.lib.format.read_magic(opened) != (1, 0):
            raise ValueError("another version of the format")
        # Shape and type are looked at before anything of that size is made.
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(opened)
    except (ValueError, SyntaxError) as error:
        raise BundleError(f"expected the pictures of {classes} classes as an array, came {error}.") from None
    held = len(content) - opened.tell()
    if shape != wanted or by_column or dtype != np.uint8 or held != math.prod(wanted):
        raise BundleError(
            f"expected the pictures of {classes} classes as uint8 {wanted}, came {dtype} {shape} in {held} bytes."
        )
    return np.frombuffer(content, np.uint8, offset=opened.tell()).reshape(wanted)


def class_pictures_file(pictures: NDArray[np.uint8]) -> bytes:
    """Return the content of a bundle's file with the pictures of its classes, (k, height, width, 3) uint8."""
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(pictures), allow_pickle=False)
    return content.getvalue()
