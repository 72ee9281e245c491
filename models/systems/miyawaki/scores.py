"""Scores of reconstructed contrast pictures, with what an empty picture reaches beside them."""

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError

Floats = NDArray[np.float64]


def score(shown: Floats, read: Floats) -> dict[str, float]:
    """Score reconstructions pixel by pixel.

    Parameters
    ----------
    shown, read : (samples, pixels)
        0 or 1; any number, light above .5.

    Returns
    -------
    dict
        ``accuracy`` (share of pixels that are right), ``background`` (the accuracy of an empty picture: figures are
        mostly background), ``balanced`` (mean of the accuracy on light and on dark pixels), ``r`` (mean correlation of
        a picture with its reconstruction), ``error`` (mean squared).
    """
    if shown.shape != read.shape:
        raise DataError(f"expected as many reconstructions as pictures, came {read.shape} and {shown.shape}.")
    light, said = shown > 0.5, read > 0.5
    right = light == said
    return {
        "accuracy": float(right.mean()),
        "background": float((~light).mean()),
        "balanced": float((right[light].mean() + right[~light].mean()) / 2),
        "r": float(np.mean([_correlation(a, b) for a, b in zip(shown, read, strict=True)])),
        "error": float(((shown - read) ** 2).mean()),
    }


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size else 0.0
