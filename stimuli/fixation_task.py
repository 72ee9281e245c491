"""A FixationTask lets the fixation target change now and then, at random times, while an experiment runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bci.memory.ring import Ring
from bci.memory.trial_parts import Phase, write_part

#: How long before a change the display is asked for it, seconds.
_AHEAD_S = 0.3


class FixationTask:
    """The changes that one engine asks for.

    Parameters
    ----------
    spec : mapping
        As `bci.config.protocol.FixationTaskSettings`.
    stimuli : Ring
        Where the display is asked for them.
    part : int
        Which engine of the session this is: a successor's times are others.
    """

    def __init__(self, spec: Mapping[str, Any], stimuli: Ring, part: int = 0) -> None:
        self._stimuli = stimuli
        self._shortest, self._longest = spec["every_s"]
        self._change_s = float(spec["change_s"])
        self._random = np.random.default_rng((int(spec["seed"]) & 0xFFFFFFFF, part))
        self._next: float | None = None

    def look(self, now: float) -> None:
        """Ask for the next change, when its time has nearly come."""
        if self._next is None:
            self._next = now + self._wait()
        if now < self._next - _AHEAD_S:
            return
        stop = self._next + self._change_s
        write_part(
            self._stimuli, Phase.TARGET, trial=-1, stimulus=-1, since=self._next, start=self._next, stop=stop
        )
        self._next += self._wait()

    def rest(self) -> None:
        """Ask for nothing until the next look, after which the next change is drawn anew."""
        self._next = None

    def _wait(self) -> float:
        return float(self._random.uniform(self._shortest, self._longest))
