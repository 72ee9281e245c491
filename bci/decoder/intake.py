"""A WindowIntake copies a window for the graphs, and says why one may not be decoded."""

import numpy as np
from numpy.typing import NDArray

from bci.memory.hot import compiled
from bci.signal.types import SETTLING, Window


class WindowIntake:
    """A WindowIntake holds the one window that the graphs are given; its memory is theirs from window to window.

    Parameters
    ----------
    shape : tuple of int
        Of a window's samples, (length, *output.shape).
    masked_limit : float
        The largest share of bad values.

    Attributes
    ----------
    window : (1, length, *output.shape) float32
        What the graphs take.
    """

    def __init__(self, shape: tuple[int, ...], masked_limit: float) -> None:
        self.window = np.zeros((1, *shape), np.float32)
        self._row: NDArray[np.float32] = self.window[0]
        self._masked_limit = masked_limit
        library = compiled()
        self._take = None if library is None else library.take_window

    def put(self, samples: NDArray[np.float32]) -> None:
        """Copy samples, (length, *output.shape), unseen."""
        np.copyto(self._row, samples)

    def __call__(self, window: Window) -> tuple[float, str]:
        """Copy a window, unless it may not be decoded; return the share of its values that are bad, and why it may not.

        The first of these: the pipeline has not settled; more than the limit is bad; a value is not finite.
        """
        if self._take is not None and window.settled:
            found = self._take(window.samples, window.bad, self._row)
            # None of arrays that are not plain, -1 where a value is not finite: those are looked at below.
            if found is not None and found >= 0:
                masked = found / window.bad.size
                return masked, self._too_much(masked)
        masked = float(np.count_nonzero(window.bad)) / window.bad.size
        if not window.settled:
            return masked, SETTLING
        if reason := self._too_much(masked):
            return masked, reason
        if not np.isfinite(window.samples).all():
            return masked, "window not finite"
        self.put(window.samples)
        return masked, ""

    def _too_much(self, masked: float) -> str:
        limit = self._masked_limit
        return f"masked {100 * masked:.3g} % > {100 * limit:.3g} %" if masked > limit else ""
