"""A PictureReader is how a system takes part in the table of all brain readers: it learns, and draws what it reads.

A system lists its readers in a function of its ``SYSTEM`` (`models.systems.system.System.readers`). That is all that
`bci compare --systems` asks of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.datasets.reader_trials import Lesson

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PictureReader:
    """A PictureReader is one row of the table.

    Attributes
    ----------
    title : str
        What the table calls it.
    about : str
        Publication, and the way from brain to picture, in a sentence.
    read : callable
        Takes a `Lesson` and responses to read, (n, voxels); returns pictures, (n, height, width, 3) uint8. A function
        of a module, for it runs on workers. DataError where it cannot learn from these trials.
    best : callable, optional
        Takes a `Lesson` and pictures; returns them as well as this reader could draw them at all, of whatever size.
        None where it can draw every picture of the set.
    """

    title: str
    about: str
    read: Callable[[Lesson, NDArray[np.float64]], Pictures]
    best: Callable[[Lesson, Pictures], Pictures] | None = None
