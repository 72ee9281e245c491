"""Adaptation weakens the answer to a picture that was seen shortly before (Grill-Spector, Henson & Martin 2006).

The answer to a picture is multiplied by ``1 - strength · max_j s_j exp(-(t - t_j) / seconds)``, where ``s_j`` is the
correlation, if positive, of its pattern of drives with that of look j. So a repeat is weakened whether or not other
pictures came between, and a new picture that looks alike is weakened a little.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Drives = NDArray[np.float32]

#: Looks older than this many time constants are forgotten; at most so many are remembered.
_FORGOTTEN, _MOST = 5.0, 64


@dataclass(frozen=True, slots=True, eq=False)
class RememberedLooks:
    """RememberedLooks holds the looks that a participant still remembers, oldest first.

    Attributes
    ----------
    times : tuple of float
        When each look was, seconds.
    patterns : tuple of (units,) float32
        The pattern of drives of each, of mean 0 and length 1.
    """

    times: tuple[float, ...] = ()
    patterns: tuple[Drives, ...] = ()


class Adaptation:
    """An Adaptation computes how much remembered looks weaken an answer.

    Parameters
    ----------
    mean : (units,) float32
        Mean drive; patterns are deviations from it.
    strength : float
        How much an immediate repeat loses, 0 to 1.
    seconds : float
        Time constant of recovery.
    """

    def __init__(self, mean: Drives, strength: float = 0.2, seconds: float = 20.0) -> None:
        if not 0 <= strength < 1 or not seconds > 0:
            raise ValueError(
                f"adaptation has a strength of 0 to below 1 and a time above 0 s, got {strength}, {seconds}"
            )
        self._mean = mean
        self.strength = strength
        self.seconds = seconds

    def gain(self, drives: Drives, time: float, memory: RememberedLooks) -> NDArray[np.float32]:
        """Return the factor, 0 to 1, that each of several drives (n, units) is multiplied by at `time`: (n,)."""
        if not memory.times or not self.strength:
            return np.ones(len(drives), np.float32)
        recovery = np.exp((np.array(memory.times) - time) / self.seconds)
        # einsum without optimisation adds in one order, however many drives there are.
        alike = np.einsum("nu,ju->nj", _patterns(drives - self._mean), np.stack(memory.patterns))
        strongest = np.clip(alike * recovery, 0, 1).max(axis=1)
        return np.asarray(1 - self.strength * strongest, np.float32)

    def remember(self, drive: Drives, time: float, memory: RememberedLooks) -> RememberedLooks:
        """Return the memory after a look at `time` with this drive (units,)."""
        oldest = time - _FORGOTTEN * self.seconds
        first = next((i for i, t in enumerate(memory.times) if t >= oldest), len(memory.times))
        first = max(first, len(memory.times) + 1 - _MOST)
        pattern = _patterns((drive - self._mean)[np.newaxis])[0]
        return RememberedLooks((*memory.times[first:], time), (*memory.patterns[first:], pattern))


def _patterns(deviations: Drives) -> Drives:
    deviations = deviations - deviations.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("nu,nu->n", deviations, deviations))[:, np.newaxis]
    return np.asarray(deviations / np.maximum(length, 1e-12), np.float32)
