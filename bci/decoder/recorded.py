"""Recorded windows lie in a bundle, so that another precision can be compared with float32 wherever the bundle runs.

Rounding errors of a network on noise say little about those on a brain's signals. The windows are among those that it
was scored on and not fitted to; where a system has none such (it is scored by cross-validation, then fitted to all),
among all. They are a participant's data: the bundle's card says that they are there.
"""

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bci.errors import BundleError
from bci.io.files.npy import read_header

#: Name of their file: a NumPy array, (n, length, *output shape) float32.
RECORDED = "recorded.npy"

#: How many are kept, and how many bytes they may take: of the largest windows there are fewer.
MOST_WINDOWS, MOST_BYTES = 16, 2**22


def recorded_file(windows: ArrayLike, shape: Sequence[int]) -> bytes | None:
    """Return the content of the file for a bundle's windows; None where one alone is too large, or there is none.

    Parameters
    ----------
    windows : (n, …) float
        As the readout's graph gets them, of any shape that has as many values; or the mean of each over its samples,
        which then stands for every sample of it. Of more than are kept, some from all over.
    shape : sequence of int
        Of one window, samples first.

    Raises
    ------
    ValueError
        If they are not finite windows of that shape.

    Examples
    --------
    >>> content = recorded_file(np.arange(600).reshape(100, 6), (2, 3))
    >>> read_recorded(content, (2, 3)).shape
    (16, 2, 3)
    """
    given = np.asarray(windows)
    size, sample = math.prod(shape), math.prod(shape[1:])
    kept = min(len(given), MOST_WINDOWS, MOST_BYTES // (4 * size))
    if kept < 1:
        return None
    some = given[np.linspace(0, len(given) - 1, kept).round().astype(int)].reshape(kept, -1)
    if some.shape[1] not in (size, sample):
        raise ValueError(f"expected windows of shape {tuple(shape)}, came {given.shape[1:]}")
    times = shape[0] if some.shape[1] == sample else 1
    some = np.tile(some.astype(np.float32), (1, times)).reshape(kept, *shape)
    if not np.isfinite(some).all():
        raise ValueError("expected finite windows, came others")
    content = io.BytesIO()
    np.save(content, some, allow_pickle=False)
    return content.getvalue()


def read_recorded(content: bytes, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return the windows of such a file, (n, *shape) float32, one or more.

    Raises
    ------
    BundleError
        If it holds something else.
    """
    opened = io.BytesIO(content)
    offset, dtype, found, by_column = read_header(RECORDED, opened, len(content), BundleError)
    if dtype != np.float32 or by_column or found[1:] != tuple(shape) or not found[0]:
        raise BundleError(
            f"{RECORDED}: expected windows as float32 (n, {', '.join(map(str, shape))}), came {dtype} {found}. "
            "Train the bundle again."
        )
    windows: NDArray[np.float32] = np.frombuffer(content, np.float32, offset=offset).reshape(found)
    if not np.isfinite(windows).all():
        raise BundleError(f"{RECORDED}: expected finite windows, came others. Train the bundle again.")
    return windows
