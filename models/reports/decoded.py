"""A Decoded holds decoded trials whose pictures are known: the input of a report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.errors import DataError

Floats = NDArray[np.floating[Any]]
Pictures = NDArray[np.uint8]

#: What is read where nothing says otherwise.
SINGLE = "single trials"


@dataclass(frozen=True, eq=False)
class Decoded:
    """A Decoded holds trials of known pictures, and their decoded latents.

    Attributes
    ----------
    names : tuple of str
        Of the k pictures.
    latents : (k, d) float32
        Their own.
    seen : (k, height, width, 3) uint8
        As they were shown.
    predicted : (n, d) float32
        Read from single trials, or from what `read_of` says.
    which : (n,) int64
        The picture of each trial.
    confidence : (n,) float64
        As the decoder states it; NaN for none.
    averaged : (k, d) float32, or None
        Read from all repeats of each picture together; None where nothing was repeated.
    how : str
        The averaging, in words.
    mean_picture : (height, width, 3) float64
        The baseline, 0 to 1.
    mean_of : str
        Which pictures' mean that is.
    brain : (n, features) float32, or None
        The responses, for the noise ceiling; None where they are not available.
    simulated : bool
        Whether no brain was measured.
    draw : callable, optional
        Draws `latents` and `predicted` where the bundle's generator does not: they are pixels then (`Pixels`), for a
        system whose own latents say nothing of a picture that was shown.
    read_of : str
        What `predicted` was read of, in words: where a session averages repeats as they come, means so far.
    """

    names: tuple[str, ...]
    latents: Floats
    seen: Pictures
    predicted: Floats
    which: NDArray[np.integer[Any]]
    confidence: NDArray[np.float64]
    averaged: Floats | None
    how: str
    mean_picture: NDArray[np.float64]
    mean_of: str
    brain: Floats | None = None
    simulated: bool = True
    draw: Callable[[NDArray[Any]], Pictures] | None = None
    read_of: str = SINGLE

    def __post_init__(self) -> None:
        """Check that trials and pictures belong together."""
        k = len(self.names)
        if k < 2 or set(np.unique(self.which)) != set(range(k)):
            raise DataError(
                f"expected trials of each of at least 2 pictures, came trials of {len(np.unique(self.which))} of {k}. "
                "One alone cannot be told from others: show more."
            )

    def __len__(self) -> int:
        return len(self.which)

    @property
    def repeats(self) -> str:
        """Number of trials of each picture, in words."""
        counts = np.bincount(self.which)
        low, high = int(counts.min()), int(counts.max())
        return f"{low}" if low == high else f"{low} to {high}"

    @property
    def levels(self) -> dict[str, tuple[Floats, NDArray[np.integer[Any]]]]:
        """Predictions and the picture of each, by level of averaging."""
        levels = {self.read_of: (self.predicted, self.which)}
        if self.averaged is not None:
            levels[self.how] = (self.averaged, np.arange(len(self.names)))
        return levels
