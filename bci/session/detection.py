"""Detection says how well a participant noticed what was to be noticed: hits, misses and false alarms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Detection:
    """What came of targets that were to be answered.

    Attributes
    ----------
    response_times : tuple of float or None
        Of each target, seconds from it to the answer that is a hit; None for a miss.
    answered : frozenset of int
        The places of the answers that are hits, among all answers.
    """

    response_times: tuple[float | None, ...]
    answered: frozenset[int]

    @property
    def hits(self) -> int:
        """How many targets were answered in time."""
        return sum(time is not None for time in self.response_times)

    @property
    def misses(self) -> int:
        """How many were not."""
        return len(self.response_times) - self.hits

    @property
    def median_response_s(self) -> float | None:
        """The median time of a hit, seconds; None without one."""
        times = [time for time in self.response_times if time is not None]
        return float(np.median(times)) if times else None


def detect(targets: Sequence[float], answers: Sequence[float], within_s: float) -> Detection:
    """Return which targets were answered: each by the first answer within so many seconds that answers no other.

    Parameters
    ----------
    targets, answers : sequence of float
        Times, seconds, in order.
    within_s : float
        How soon an answer must come.

    Examples
    --------
    >>> found = detect([1.0, 5.0, 9.0], [1.5, 1.9, 9.25], within_s=1.0)
    >>> found.response_times, found.hits, found.misses, sorted(found.answered)
    ((0.5, None, 0.25), 2, 1, [0, 2])
    """
    used: set[int] = set()
    times: list[float | None] = []
    for target in targets:
        place = next(
            (i for i, answer in enumerate(answers) if i not in used and 0 <= answer - target <= within_s),
            None,
        )
        times.append(None if place is None else answers[place] - target)
        if place is not None:
            used.add(place)
    return Detection(tuple(times), frozenset(used))
