"""Agreement: how far what was made again lies from what was made then, and which library or machine differs.

The measure is the house's own (`bci.decoder.parity`): latents within 1e-4 of their largest value, 8-bit pictures
within one level on 99.9 % of their values.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bci.decoder.parity import LATENT_TOLERANCE, PIXELS_WITHIN_ONE_LEVEL
from bci.io.files.folder import plain

#: Libraries that decide about a latent or a pixel, beside those that the decoder itself names.
LIBRARIES = ("closed-loop-bci", "scipy")

#: What a decoder says of itself that changes no bit: how much memory it may take.
_NO_MATTER = frozenset({"arena_bytes"})


class Latents:
    """A Latents accumulates the distances between latents over a session.

    Examples
    --------
    >>> latents = Latents()
    >>> latents.add(np.array([4.0, np.nan], "f4"), np.array([4.0, np.nan], "f4"))
    >>> latents.add(np.array([0.5, 1.0], "f4"), np.array([0.5, 1.5], "f4"))
    >>> latents.difference
    0.125
    """

    def __init__(self) -> None:
        self._largest = self._furthest = 0.0

    def add(self, then: NDArray[np.float32], now: NDArray[np.float32]) -> None:
        """Take the latent of one frame, (d,), as it was made then and now; NaN equals NaN and nothing else."""
        numbers = ~np.isnan(then)
        if not np.array_equal(numbers, ~np.isnan(now)):
            self._furthest = np.inf
        elif numbers.any():
            a, b = then[numbers].astype(np.float64), now[numbers].astype(np.float64)
            self._largest = max(self._largest, float(np.abs(a).max()))
            self._furthest = max(self._furthest, float(np.abs(a - b).max()))

    @property
    def difference(self) -> float:
        """The largest difference, relative to the largest magnitude then; infinite where only one is a number."""
        return self._furthest / (self._largest or 1.0) if self._furthest else 0.0

    @property
    def agree(self) -> bool:
        """Whether it is within tolerance."""
        return self.difference <= LATENT_TOLERANCE


def pixels_within(
    low: NDArray[np.uint8], shown: NDArray[np.uint8], high: NDArray[np.uint8]
) -> tuple[float, bool]:
    """Return the share of values of a picture between two bounds, and whether that is enough."""
    share = float(np.mean((low <= shown) & (shown <= high)))
    return share, share >= PIXELS_WITHIN_ONE_LEVEL


def one_level(image: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    """Return a picture that is darker (`by` -1) or brighter (1) by one level.

    >>> one_level(np.array([0, 7, 255], np.uint8), -1).tolist(), one_level(np.array([0, 7, 255], np.uint8), 1).tolist()
    ([0, 6, 254], [1, 8, 255])
    """
    return np.clip(image.astype(np.int16) + by, 0, 255).astype(np.uint8)


def differing(environment: Mapping[str, Any], decoder: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return what of the environment differs from a session's: name -> [then, now].

    Parameters
    ----------
    environment : mapping
        The session's ``environment.json``.
    decoder : mapping
        What the decoder says of itself now.
    """
    packages = environment.get("packages", {})
    then = environment.get("decoder", {}) | {name: packages.get(name) for name in LIBRARIES}
    now = plain(decoder) | {name: _version(name) for name in LIBRARIES}
    return {
        name: [then.get(name), now.get(name)]
        for name in sorted({*then, *now} - _NO_MATTER)
        if then.get(name) != now.get(name)
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
