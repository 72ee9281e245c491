"""True onset: when light changed, by a photodiode on the screen, against when the display says it flipped."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Onset:
    """What is known about light.

    Attributes
    ----------
    words : str
        For people.
    delays : (n,) float64 or None
        Light after flip, seconds; None where it was not measured.
    """

    words: str
    delays: NDArray[np.float64] | None = None


def true_onset(session: Path) -> Onset:
    """Return what a session's recording says about the time of light on its screen."""
    return Onset(
        "no photodiode stream: true onset was not measured. A flip is the time at which the buffer swap returned; "
        "the monitor's own delay comes on top."
    )
